"""What was done and what came of it, week by week, and the prices that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .actions import Actions
from .prices import CHAIN_WIDE, Prices
from .world import WeekResult


@dataclass
class Record:
    """Weeks lived from the first on."""

    regular: list[np.ndarray] = field(default_factory=list)
    depth: list[np.ndarray] = field(default_factory=list)
    results: list[WeekResult] = field(default_factory=list)
    """Without their receipts, which are written elsewhere."""

    def add(self, actions: Actions, result: WeekResult) -> None:
        """Take in a week of chain-wide regular prices."""
        self.regular.append(actions.regular)
        self.depth.append(actions.depth)
        self.results.append(result.without_receipts())

    def prices(self) -> Prices:
        """The prices charged, as regular prices and promotions."""
        regular = np.stack(self.regular, axis=1)
        depth = np.stack(self.depth)  # (weeks, regions, products)
        everywhere = (depth == depth[:, :1]).all(1)
        wide = _spans(np.where(everywhere, depth[:, 0], 0.0))
        parts = [(np.full(wide[0].size, CHAIN_WIDE), *wide)]
        for region in range(depth.shape[1]):
            spans = _spans(np.where(everywhere, 0.0, depth[:, region]))
            parts.append((np.full(spans[0].size, region), *spans))
        region, product, first, last, off = (np.concatenate(x) for x in zip(*parts, strict=True))
        order = np.lexsort((region, first, product))
        columns = (x[order] for x in (product, region, first, last, off))
        return Prices(regular, *columns)


def _spans(depth: np.ndarray) -> tuple[np.ndarray, ...]:
    """Product, first and last week (from 1) and depth of each run of one depth; (W, N)."""
    edge = np.zeros((1, depth.shape[1]))
    padded = np.concatenate([edge, depth, edge])
    change = padded[1:] != padded[:-1]
    start = change[:-1] & (depth > 0)
    end = change[1:] & (depth > 0)
    product, first = np.nonzero(start.T)
    last = np.nonzero(end.T)[1]
    return product, first + 1, last + 1, depth[first, product]
