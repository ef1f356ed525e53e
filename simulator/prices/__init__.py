"""What demand answers to prices: how it is learned, and how it is judged (docs/prices.md)."""
