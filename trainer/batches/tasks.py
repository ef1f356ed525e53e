"""The questions that evaluation asks of a trip."""

TASKS = ("next_unknown", "next_known", "completion")
"""Next basket with the mission unknown or known, and basket completion with the mission known."""
