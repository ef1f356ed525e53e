"""PyTorch side of RetailSim: reads the tensor cache, trains and measures the world model."""
