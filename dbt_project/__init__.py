"""Python around the warehouse: a synthetic chain to fill it and tools that read it."""
