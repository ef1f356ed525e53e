"""The part of the product graph that is known from the training weeks, numbered without gaps.

Novel products and categories are left out before anything is counted, scaled or drawn, so that
nothing computed from a `KnownGraph` can depend on whether they exist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trainer.cache.reader import CacheError, TensorCache
from trainer.cache.schema import EDGE_TYPES, LEVELS, TIERS

COPURCHASE, SUBSTITUTION, HIERARCHY = range(len(EDGE_TYPES))
BUMPS = 16
"""Popularity enters as this many overlapping bumps, because its effect is not linear."""
FIRST_BUMP_QUANTILE = 0.05
"""Quantile of the known products' popularity where the first bump lies."""


@dataclass(frozen=True)
class Pairs:
    """Undirected edges of one type, each once, in ascending order."""

    ends: Tensor
    """(E, 2) int64 known nodes: the smaller first, in the hierarchy the child first."""
    weight: Tensor
    """(E,) float32 above 0, comparable within the type only."""

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, chosen: Tensor) -> Pairs:
        return Pairs(self.ends[chosen], self.weight[chosen])


@dataclass(frozen=True)
class KnownGraph:
    """Known products 0..products-1, then known categories, in the order of the cache."""

    nodes: np.ndarray
    """(K,) int64: the node's row among all nodes, products + categories, of the cache."""
    products: int
    pairs: tuple[Pairs, Pairs, Pairs]
    """By edge type: copurchase, substitution, hierarchy."""
    attributes: Tensor
    """(K, A) float32 in 0..1: sold by weight, tier, popularity, and whether the node is a category;
    for categories all others are 0."""
    path: Tensor
    """(K, levels) int64: the node's categories from the finest up, starting with itself if it is
    one, as rows of the known categories; `categories` where there is none."""
    trips: Tensor
    """(products,) int64: training trips with a known product."""

    @property
    def categories(self) -> int:
        return len(self.nodes) - self.products

    def with_copurchases(self, pairs: Pairs) -> KnownGraph:
        """The same graph with other co-purchase edges."""
        return replace(self, pairs=(pairs, *self.pairs[1:]))


def known_graph(cache: TensorCache) -> KnownGraph:
    """Read the product graph of a cache.

    Edges a-b and b-a count once, with the larger weight. Edges of novel nodes, loops and edges of
    weight 0 are left out. Raises CacheError where the graph table names a node or an
    edge type that does not exist, a weight is below 0, a known product has a novel category, or
    nothing was sold in training.
    """
    is_known = ~np.concatenate([cache["products.is_novel"], cache["categories.is_novel"]])
    nodes = np.flatnonzero(is_known)
    products = int((nodes < cache.products).sum())
    if not products:
        raise CacheError(f"{cache.folder}: no product was sold in the training weeks")
    to_known = is_known.cumsum() - 1

    edge_type, weight = cache["graph.type"], cache["graph.weight"]
    ends = np.stack([cache["graph.source"], cache["graph.target"]], axis=1).astype(np.int64)
    if (ends >= len(is_known)).any() or (edge_type >= len(EDGE_TYPES)).any() or (weight < 0).any():
        raise CacheError(
            f"{cache.folder}: the graph has an edge of an unknown node or type, or of a weight "
            "below 0; export again"
        )
    usable = is_known[ends].all(axis=1) & (ends[:, 0] != ends[:, 1]) & (weight > 0)
    pairs = tuple(
        _undirected(to_known[ends[chosen]], weight[chosen], ordered=number == HIERARCHY)
        for number in range(len(EDGE_TYPES))
        for chosen in [usable & (edge_type == number)]
    )
    rows = nodes[:products]
    if cache["categories.is_novel"][cache["products.category"][rows]].any():
        raise CacheError(
            f"{cache.folder}: a product sold in training has a novel category; export again"
        )
    return KnownGraph(
        nodes=nodes,
        products=products,
        pairs=pairs,
        attributes=_attributes(cache, rows, len(nodes)),
        path=_path(cache, nodes, products),
        trips=torch.from_numpy(cache["products.train_trips"][rows].astype(np.int64)),
    )


def _undirected(ends: np.ndarray, weight: np.ndarray, ordered: bool) -> Pairs:
    """(E, 2) edges in any direction -> each pair once; `ordered` pairs keep their direction."""
    if not ordered:
        ends = np.sort(ends, axis=1)
    unique, pair = np.unique(ends, axis=0, return_inverse=True)
    largest = np.zeros(len(unique), dtype=np.float32)
    np.maximum.at(largest, pair.reshape(-1), weight)
    return Pairs(torch.from_numpy(unique.reshape(-1, 2)), torch.from_numpy(largest))


def _attributes(cache: TensorCache, rows: np.ndarray, nodes: int) -> Tensor:
    """(K, A): flags as 0 and 1, and bumps along the log of the training trips."""
    popularity = np.log(np.maximum(cache["products.train_trips"][rows].astype(np.float64), 1))
    centres = np.linspace(np.quantile(popularity, FIRST_BUMP_QUANTILE), popularity.max(), BUMPS)
    spread = max(centres[1] - centres[0], 1e-6)
    bumps = np.exp(-(((popularity[:, None] - centres) / spread) ** 2) / 2)
    flags = [
        cache["products.is_random_weight"][rows],
        *(cache["products.tier"][rows] == tier for tier in range(len(TIERS))),
    ]
    attributes = np.zeros((nodes, len(flags) + BUMPS + 1), dtype=np.float32)
    attributes[: len(rows), :-1] = np.column_stack([*flags, bumps])
    attributes[len(rows) :, -1] = 1
    return torch.from_numpy(attributes)


def _path(cache: TensorCache, nodes: np.ndarray, products: int) -> Tensor:
    """`KnownGraph.path`; a novel category counts as none."""
    parent = cache["categories.parent"]
    is_known = ~cache["categories.is_novel"]
    none = int(is_known.sum())
    to_known = np.where(is_known, is_known.cumsum() - 1, none)
    current = np.concatenate(
        [cache["products.category"][nodes[:products]], nodes[products:] - cache.products]
    ).astype(np.int64)
    path = np.full((len(nodes), len(LEVELS)), none)
    for level in range(len(LEVELS)):
        exists = current >= 0
        path[exists, level] = to_known[current[exists]]
        current[exists] = parent[current[exists]]
    return torch.from_numpy(path)
