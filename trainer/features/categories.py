"""The finest category of each token."""

from __future__ import annotations

import numpy as np

from trainer.cache.reader import TensorCache


def category_of_token(cache: TensorCache) -> np.ndarray:
    """(input tokens,) int64 row of each token's finest category: a product's own, a fallback's
    category, and for the special tokens the number of categories, which is no row.

    cache: a tensor cache, or the vocabulary of a checkpoint.
    """
    of_product = cache["products.category"].astype(np.int64)
    categories = np.arange(cache.rows("categories"))
    none = np.array([len(categories)])
    return np.concatenate([none, of_product, none, none, categories])
