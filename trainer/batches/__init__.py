"""Questions about trips, packed into batches."""
