"""Weeks to come, customer by customer: visits, baskets, receipts."""
