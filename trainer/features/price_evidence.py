"""Whether receipts can tell how demand answers to prices: how often prices moved in training.

Where a price never moved, nothing was seen of what happens when it does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.features.shelf_prices import ShelfPrices

MOVE = 0.1
"""A price moves when it is this share or more away from the one last seen in the store."""
ENOUGH = 0.01
"""Share of the products whose price has to move, for prices of a chain to have moved at all: a
price of a penny or two moves by the rounding of what was paid."""
ROUNDING = 1e-6


@dataclass(frozen=True)
class PriceEvidence:
    """What training weeks show of prices that move."""

    first: int
    last: int
    """The training weeks."""
    moves: np.ndarray
    """(V,) int64: in how many of these weeks the price of each product moved in any store."""
    seen: np.ndarray
    """(V,) bool: whether it was seen in two weeks in any store, and so could have moved."""

    @property
    def moved(self) -> int:
        """Products whose price moved."""
        return int((self.moves > 0).sum())

    @property
    def can_tell(self) -> bool:
        """Whether demand can be learned to answer to prices from these receipts."""
        return bool(self.moved > 0 and self.moved >= ENOUGH * self.seen.sum())

    def words(self) -> str:
        """The evidence, as a clause."""
        often = ""
        if self.moved:
            weeks = float(np.median(self.moves[self.moves > 0]))
            often = f", in {weeks:g} weeks each (median)"
        return (
            f"in training weeks {self.first}-{self.last} the price of {self.moved:,} of "
            f"{self.seen.sum():,} products moved by {MOVE:.0%} or more{often}".replace("%", " %")
        )


def check_prices_move(cache: TensorCache) -> PriceEvidence:
    """The evidence. Raises InputError where prices hardly ever move, so that it is none."""
    seen = price_evidence(cache)
    if not seen.can_tell:
        raise InputError(
            f"{cache.folder}: prices hardly ever move there, so that nothing can be said of what "
            f"demand does when they do: {seen.words()}"
        )
    return seen


def price_evidence(cache: TensorCache) -> PriceEvidence:
    """The evidence of a cache's training weeks. A product sold by weight has one stable price, and
    counts as one whose price never moved."""
    first, last = cache.split["train"]
    seen = ShelfPrices.from_cache(cache, last_week=last).to_arrays()
    token, store, week = (seen[name].astype(np.int64) for name in ("token", "store", "week"))
    pence = seen["pence"].astype(np.float64)  # ascending by product, store and week
    again = (token[1:] == token[:-1]) & (store[1:] == store[:-1])
    away = np.abs(pence[1:] - pence[:-1]) >= (MOVE - ROUNDING) * np.maximum(pence[:-1], ROUNDING)
    moved = np.unique(np.stack([token[1:], week[1:]])[:, again & away], axis=1)
    products = cache.products
    return PriceEvidence(
        first, last,
        moves=np.bincount(moved[0] - 1, minlength=products),
        seen=np.bincount(token[1:][again] - 1, minlength=products) > 0,
    )  # fmt: skip
