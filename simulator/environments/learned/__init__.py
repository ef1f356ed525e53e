"""The chain as receipts, price list and invoices show it: what was learnt, and weeks lived in it."""
