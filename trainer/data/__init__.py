"""From the tensor cache to batches: the format of the cache, its reader, timelines, packing."""
