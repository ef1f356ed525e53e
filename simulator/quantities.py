"""How many units of a product are bought at once: counted, shrunk to the chain's."""

from __future__ import annotations

import numpy as np

from trainer.cache.reader import TensorCache

MOST = 24
SHRINKAGE = 10.0


class Quantities:
    """Chances of 1 to `MOST` units of each token, from the weeks up to one."""

    def __init__(self, cache: TensorCache, last_week: int) -> None:
        week = np.repeat(cache["trips.week"], np.diff(cache["trips.item_offsets"].astype(np.int64)))
        known = week <= last_week
        token = cache["items.token"][known].astype(np.int64)
        units = cache["items.quantity"][known].astype(np.int64).clip(max=MOST) - 1
        of_chain = np.bincount(units, minlength=MOST) / len(units)
        tokens = cache.products + 1
        product = token < tokens
        counts = np.bincount(token[product] * MOST + units[product], minlength=tokens * MOST)
        counts = counts.reshape(tokens, MOST) + SHRINKAGE * of_chain
        self._cumulative = (counts / counts.sum(1, keepdims=True)).cumsum(1)

    def draw(self, tokens: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Units (n,) of products (n,) by uniforms (n,)."""
        return (self._cumulative[tokens] < u[:, None]).sum(1).clip(max=MOST - 1) + 1
