"""Weeks to come, customer by customer, and how real they are."""
