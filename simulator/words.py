"""Shares and products in sentences."""

from __future__ import annotations

import numpy as np

from trainer.cache.reader import TensorCache

NAMED = 5
"""Codes in a sentence; of more, the rest is counted."""


def percent(x: float) -> str:
    """12 %, and 1.2 % of what is less than 10."""
    return f"{100 * x:.{0 if abs(x) >= 0.0995 else 1}f} %"


def named(cache: TensorCache, products: np.ndarray) -> str:
    """Codes of products (V,) bool."""
    codes = [code.decode() for code in cache["products.code"][products][:NAMED].tolist()]
    more = int(products.sum()) - len(codes)
    return ", ".join(codes) + (f" and {more:,} more" if more else "")
