"""Shelf prices with planned changes of them, and where they are announced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.features.shelf_prices import ShelfPrices


@dataclass(frozen=True)
class PriceChange:
    """A new price of some products in some stores and weeks."""

    token: np.ndarray
    """(tokens,) bool: of which products."""
    store: np.ndarray
    """(stores,) bool: where."""
    first: int
    last: int
    """Weeks, both included."""
    factor: float = 1.0
    """Times the price that it would have."""
    pence: float | None = None
    """Or this price."""
    display: bool = False
    """Whether the products are on display there, beside their usual place, and `mailer` whether
    they are in the mailer."""
    mailer: bool = False

    def at(self, token: np.ndarray, store: np.ndarray, week: np.ndarray) -> np.ndarray:
        """(n,) bool: whether it is in force there."""
        # Stores outside the vocabulary are last; they are meant where every store is.
        there = np.append(self.store, self.store.all())[store]
        return self.token[token] & there & (week >= self.first) & (week <= self.last)

    def of(self, pence: np.ndarray) -> np.ndarray:
        """(n,) new prices, whole pence, for those that there would be."""
        if self.pence is not None:
            return np.full_like(pence, self.pence)
        return np.maximum(np.rint(pence * self.factor), 1)


class PlannedPrices:
    """Observed prices, changed where a plan says so; answers as `ShelfPrices.at` does.

    The price before is the one of the week before under the plan, the base price the highest of the
    trailing weeks under it, so that a promotion looks like one and a new regular price becomes the
    base price.
    """

    def __init__(self, observed: ShelfPrices, changes: Sequence[PriceChange]) -> None:
        self._observed, self._changes = observed, changes

    def at(self, token: np.ndarray, store: np.ndarray, week: np.ndarray) -> np.ndarray:
        """As `ShelfPrices.at`: (n, 3) float32."""
        token, store, week = np.broadcast_arrays(token, store, week)
        found = self._observed.at(token, store, week)
        pence, before, base = found[..., 0], found[..., 1], found[..., 2]
        weeks = self._observed.settings.base_price_weeks
        now = self._changed(pence, token, store, week)
        trailing = [self._changed(base, token, store, week - back) for back in range(1, weeks)]
        return np.stack(
            [
                now, self._changed(before, token, store, week - 1),
                np.maximum.reduce([now, *trailing]),
            ],
            axis=-1,
        ).astype(np.float32)  # fmt: skip

    def announced(self, token: np.ndarray, store: np.ndarray, week: np.ndarray) -> np.ndarray:
        """(2, n) bool: what the plan has on display and in the mailer."""
        token, store, week = np.broadcast_arrays(token, store, week)
        found = np.zeros((2, *token.shape), bool)
        for change in self._changes:
            found |= np.reshape([change.display, change.mailer], (2, 1)) & change.at(
                token, store, week
            )
        return found

    def _changed(
        self, pence: np.ndarray, token: np.ndarray, store: np.ndarray, week: np.ndarray
    ) -> np.ndarray:
        for change in self._changes:
            pence = np.where(change.at(token, store, week), change.of(pence), pence)
        return pence
