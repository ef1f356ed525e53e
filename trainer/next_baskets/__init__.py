"""The next baskets of many customers as a table: what `python -m trainer.predict` writes."""
