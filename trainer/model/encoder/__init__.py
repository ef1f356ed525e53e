"""The encoder of timelines: Mamba-2 layers and what computes them."""
