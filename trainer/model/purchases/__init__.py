"""Scores of what a customer bought before: counting with learned weights, and what it misses."""
