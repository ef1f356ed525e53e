"""Scores beside the network's: a memory of what a customer bought, kinds of trip, recent sales."""
