"""How demand answers to prices: measured on receipts, simulated, and the prices worth charging."""
