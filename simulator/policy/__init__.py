"""Policies: made in the world learned from receipts, valued in the true one."""
