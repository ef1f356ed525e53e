"""Which products replace each other: needs, groups of products within a finest category.

Two products of a category belong together where customers take one instead of the other
(substitution edges of the product graph), and where customers of one take the other when theirs
gets dearer. The second is a score of both directions, standardised by what pairs of different
departments show, which do not replace each other. Evidence is averaged between groups (average
linkage), and groups are joined while it exceeds `ENOUGH`; what then stands alone goes to the
nearest group of its category. Where pairs of a category have no more to do with each other's prices
than chance makes of unrelated ones, nothing is said of any pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_matrix
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
FEW = 3.0
"""Purchases of other things that are added to what a customer buys of two products, so that a
single purchase says little of whose customer one is."""
MOST_CUSTOMERS = 10_000
"""Whose purchases are read: more say the same, in more memory."""
AT_ONCE = 4096
"""Purchases, which bounds the memory of a step."""
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


@dataclass(frozen=True)
class Purchases:
    """What customers bought when. n purchases of a panel's products and m trips, of H customers."""

    customers: int
    customer: np.ndarray
    """(n,) and `cell`, number of place and week, and `product`."""
    cell: np.ndarray
    product: np.ndarray
    trip_customer: np.ndarray
    """(m,) and `trip_cell`."""
    trip_cell: np.ndarray

    @classmethod
    def of(
        cls, cache: TensorCache, panel: Panel, last_week: int, place: np.ndarray | None = None
    ) -> Purchases:
        """Up to a week; of `MOST_CUSTOMERS` at most, evenly spread over all.

        place: (stores,) in which place each store is; the panel's price zones if left out.
        """
        items = np.diff(cache["trips.item_offsets"].astype(np.int64))
        trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
        every = -(-len(trips) // MOST_CUSTOMERS)
        customer = np.repeat(np.arange(len(trips)), trips)
        week = cache["trips.week"].astype(np.int64)
        place = panel.zone if place is None else place
        cell = place[cache["trips.store"].astype(np.int64)] * last_week + week - 1
        known = (week <= last_week) & (customer % every == 0)
        product = panel.row_of_token(cache.vocabulary.input_size)[cache["items.token"]]
        inside = np.repeat(known, items) & (product >= 0)
        customer //= every
        return cls(
            -(-len(trips) // every), np.repeat(customer, items)[inside],
            np.repeat(cell, items)[inside], product[inside], customer[known], cell[known],
        )  # fmt: skip

    def trips(self, cells: int) -> csr_matrix:
        """(H, cells) how often each went there then."""
        ones = np.ones(len(self.trip_cell), np.float32)
        return csr_matrix((ones, (self.trip_customer, self.trip_cell)), (self.customers, cells))

    def bought(self, products: int) -> np.ndarray:
        """(H, products) how often each bought what."""
        ones = np.ones(len(self.product), np.float32)
        place = self.customer, self.product
        return csr_matrix((ones, place), (self.customers, products)).toarray()

    def of_each(self, products: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Customers and cells of the purchases of each product."""
        order = np.argsort(self.product, kind="stable")
        ends = np.searchsorted(self.product[order], np.arange(products), side="right")
        for rows in np.split(order, ends)[:products]:
            yield self.customer[rows], self.cell[rows]


def find_needs(
    cache: TensorCache, panel: Panel, relative: np.ndarray, purchases: Purchases
) -> Needs:
    """The needs of a panel's products.

    relative: (P, Z, W) log prices relative to the usual, of `relative_prices`. purchases: of the
    same weeks.
    """
    products = len(panel.token)
    score = cross_scores(panel, relative, purchases)
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
            groups = _joined(groups, highest - inside)
        need[rows] = found + groups - 1
        found += groups.max()
    return Needs(need, substitutes)


def _joined(groups: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(n,) groups from 1 of a category's products, those that stand alone with the group nearest
    to them: few products have no rival in their finest category, and who is taken to have none
    loses too little to a price."""
    found = groups.copy()
    for row in np.flatnonzero(np.bincount(groups)[groups] == 1):
        others = np.flatnonzero(np.arange(len(found)) != row)
        label, place = np.unique(found[others], return_inverse=True)
        mean = np.bincount(place, distance[row, others]) / np.bincount(place)
        found[row] = label[mean.argmin()]
    return np.unique(found, return_inverse=True)[1] + 1


def cross_scores(panel: Panel, relative: np.ndarray, purchases: Purchases) -> np.ndarray:
    """(P, P) how purchases of two products rise with the price of the other, symmetric, in standard
    deviations of what pairs of different departments show; 0 where a price hardly moves.

    A purchase of j tells of i by how dear i was then, compared with the customer's other trips, and
    by how much of what the customer buys of the two is i: only who would have taken i can have
    taken j instead. What j's own price explains of i's is taken out.
    """
    quick = _quick(relative)
    products = len(quick)
    price = quick.reshape(products, -1).astype(np.float32)
    trips, bought = purchases.trips(price.shape[1]), purchases.bought(products)
    total = np.maximum(trips.sum(1), 1).reshape(-1, 1)
    usual = np.asarray(trips @ price.T / total)
    variance = np.asarray(trips @ (price**2).T / total) - usual**2
    variance = np.maximum(variance, LEAST_SPREAD**2)  # a price that few saw move says nothing
    joint = price @ price.T
    along = joint / np.maximum(joint.diagonal()[:, None], 1e-9)  # of the price of j, that of each
    found, spread = np.zeros((2, products, products))
    for j, (customer, cell) in enumerate(purchases.of_each(products)):
        for some in np.array_split(np.arange(len(customer)), len(customer) // AT_ONCE + 1):
            who = customer[some]
            weight = bought[who] / (bought[who] + bought[who, j][:, None] + FEW)
            dear = price[:, cell[some]].T - usual[who]
            dear -= dear[:, [j]] * along[j]
            found[:, j] += (weight * dear).sum(0)
            spread[:, j] += (weight**2 * variance[who]).sum(0)
    score = found / np.sqrt(spread + 1e-9)
    score = (score + score.T) / np.sqrt(2)
    moves = quick.std((1, 2)) > LEAST_SPREAD
    both = moves[:, None] & moves
    unrelated = both & (panel.department[:, None] != panel.department)
    deviation = score[unrelated].std() if unrelated.any() else 1.0
    return np.where(both, score / max(deviation, 1e-9), 0.0)


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
