"""Which products replace each other: needs, groups of products within a finest category.

Two products of a category belong together where customers take one instead of the other
(substitution edges of the product graph), and where the sales of one rise when the other gets
dearer. The second is a score of both directions, standardised by what pairs of different
departments show, which do not replace each other. Evidence is averaged between groups (average
linkage), and groups are joined while it exceeds `ENOUGH`. Where pairs of a category have no more
to do with each other's prices than chance makes of unrelated ones, nothing is said of any pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from simulator.prices.panel import Panel
from trainer.cache.reader import TensorCache
from trainer.cache.schema import EDGE_TYPES

WINDOW = 9
"""Weeks: what moves more slowly than their mean says nothing."""
OF_EDGE = 4.0
"""What a substitution edge counts for, in standard deviations of the scores of unrelated pairs."""
ENOUGH = 1.0
CHANCE, ONE_SIDED, TWICE = 0.05, 1.645, 2.0
"""Pairs that do not replace each other have a score beyond the second number as often as the first;
pairs of a category have to so many times as often."""
LEAST_SPREAD = 0.01
"""Standard deviation of the log price of a product that can give evidence."""


@dataclass(frozen=True)
class Needs:
    """Which products replace each other."""

    need: np.ndarray
    """(P,) the need of each product, numbered from 0; one for each where that cannot be told."""
    substitutes: float
    """Share of the pairs of a category whose sales rise with each other's prices, at 5 %."""

    @property
    def can_tell(self) -> bool:
        """Whether more of these pairs are substitutes than chance makes of unrelated ones."""
        return self.substitutes >= TWICE * CHANCE


def find_needs(cache: TensorCache, panel: Panel, relative: np.ndarray) -> Needs:
    """The needs of a panel's products.

    relative: (P, Z, W) log prices relative to the usual, of `relative_prices`.
    """
    products = len(panel.token)
    score = cross_scores(panel, relative)
    inside = (panel.category[:, None] == panel.category) & (score != 0)
    np.fill_diagonal(inside, False)
    substitutes = float((score[inside] > ONE_SIDED).mean()) if inside.any() else 0.0
    alone = Needs(np.arange(products), substitutes)
    if not alone.can_tell:
        return alone
    evidence = score + OF_EDGE * _has_edge(cache, panel.token)
    need, found = np.empty(products, np.int64), 0
    for category in np.unique(panel.category):
        rows = np.flatnonzero(panel.category == category)
        groups = np.ones(1, int)
        if len(rows) > 1:
            inside = evidence[np.ix_(rows, rows)]
            highest = max(float(inside.max()), ENOUGH) + 1
            np.fill_diagonal(inside, highest)
            tree = linkage(squareform(highest - inside, checks=False), "average")
            groups = fcluster(tree, highest - ENOUGH, "distance")
        need[rows] = found + groups - 1
        found += groups.max()
    return Needs(need, substitutes)


def cross_scores(panel: Panel, relative: np.ndarray) -> np.ndarray:
    """(P, P) how the sales of two products rise with the price of the other, symmetric, in standard
    deviations of what pairs of different departments show; 0 where a price hardly moves."""
    weeks = relative.shape[2]
    traffic, trips = panel.traffic[:, :weeks], panel.trips[:, :, :weeks]
    expected = np.einsum("pzw->pz", trips) / traffic.sum(1) * traffic.mean(1) + 0.3
    rate = trips * traffic.mean(1)[:, None] / np.maximum(traffic, 1)
    root = np.sqrt(expected)[:, :, None]
    sales, price = _quick(rate / root), _quick(relative) * root
    # What a product's own price explains is taken out.
    own = (sales * price).sum((1, 2)) / np.maximum((price**2).sum((1, 2)), 1e-9)
    sales -= own[:, None, None] * price
    variance = (_quick(relative) ** 2).sum(2)
    score = np.einsum("izw,jzw->ij", sales * root, _quick(relative), optimize=True)
    score /= np.sqrt(expected @ variance.T) + 1e-9
    score = (score + score.T) / np.sqrt(2)
    moves = _quick(relative).std((1, 2)) > LEAST_SPREAD
    both = moves[:, None] & moves
    unrelated = both & (panel.department[:, None] != panel.department)
    spread = score[unrelated].std() if unrelated.any() else 1.0
    return np.where(both, score / max(spread, 1e-9), 0.0)


def _quick(x: np.ndarray) -> np.ndarray:
    """Differences (..., W) from the mean of `WINDOW` weeks around each."""
    half = WINDOW // 2
    total = np.pad(x, ((0, 0), (0, 0), (half + 1, half)), mode="edge").cumsum(-1)
    return x - (total[..., WINDOW:] - total[..., :-WINDOW]) / WINDOW


def _has_edge(cache: TensorCache, token: np.ndarray) -> np.ndarray:
    """(P, P) bool: whether the product graph has them as substitutes."""
    is_one = cache["graph.type"] == EDGE_TYPES.index("substitution")
    row = np.full(cache.products + cache.rows("categories") + 1, -1)
    row[token - 1] = np.arange(len(token))
    source, target = (
        row[cache[f"graph.{end}"][is_one].astype(np.int64)] for end in ("source", "target")
    )
    known = (source >= 0) & (target >= 0)
    found = np.zeros((len(token), len(token)), bool)
    found[source[known], target[known]] = found[target[known], source[known]] = True
    return found
