"""The questions that evaluation asks of a trip."""

TASKS = ("next_unknown", "next_known", "completion")
"""Next basket with the kind of trip unknown or known; basket completion with it known."""
