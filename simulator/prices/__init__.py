"""How demand answers to prices: measured on receipts, simulated, optimised."""
