"""From rows of the cache to what is known of a trip, a customer and the chain at a time."""
