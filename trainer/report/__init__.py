"""A training run as one page: what it was trained on, how it went, how good the model is."""
