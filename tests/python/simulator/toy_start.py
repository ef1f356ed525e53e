"""When simulations of the toy chain start."""

START = 25
"""Last week of the history: the validation weeks end with it."""
