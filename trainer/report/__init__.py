"""A training run as one page: what it was trained on, how training went, how good the model is."""
