"""One vector per product and category, including novel ones."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.cache.reader import TensorCache
from trainer.cache.schema import EDGE_TYPES
from trainer.graph.config import SageConfig
from trainer.graph.known import COPURCHASE, HIERARCHY, KnownGraph, known_graph
from trainer.graph.training import train_vectors


@dataclass(frozen=True)
class Embeddings:
    """Vectors of all nodes of a cache's product graph, with facts about their training."""

    vectors: Tensor
    """(products + categories, width) float32: row token - 1 of a product, products + row of a
    category. Dot products are link scores without popularity. Lengths differ, but not with
    popularity."""
    is_known: Tensor
    """(products + categories,) bool: False where the row is copied from an ancestor."""
    losses: list[float]
    """Loss of each epoch; empty if there was no link to learn from."""
    edges: dict[str, int]
    """Undirected training edges by type."""
    seed: int


def product_embeddings(
    cache: TensorCache,
    *,
    seed: int = 0,
    width: int = SageConfig.width,
    epochs: int = SageConfig.epochs,
    progress: bool = True,
) -> Embeddings:
    """Learn vectors of products and categories from the training weeks' graph.

    A novel product takes the row of its finest category that is known, a novel category that of
    its nearest known ancestor, either else the mean of the known departments, or of all known
    nodes where no department is known. Rows of known nodes do not depend on novel ones, to the
    bit.

    Without co-purchase edges only the hierarchy is learnt, with a warning; without any edge the
    rows are those of the untrained network, with a warning.

    Args:
        seed: of weights and draws; one seed gives the same vectors on the same machine.
        width: channels of a vector.
        epochs: training steps, each over all pairs.
        progress: show a bar on stderr.

    Raises:
        ValueError: width or epochs below 1.
        CacheError: nothing was sold in training, or the graph table is damaged.
    """
    config = SageConfig(width=width, epochs=epochs)
    graph = known_graph(cache)
    if not len(graph.pairs[COPURCHASE]):
        learnt = "from the hierarchy alone" if len(graph.pairs[HIERARCHY]) else "not at all"
        warnings.warn(
            f"the product graph has no co-purchase edges: vectors are learnt {learnt}; lower "
            "copurchase_min_share or copurchase_min_chi_square and build and export again",
            stacklevel=2,
        )
    known, losses = train_vectors(graph, config, seed, progress)
    nodes = cache.products + cache.rows("categories")
    is_known = torch.zeros(nodes, dtype=torch.bool)
    is_known[torch.from_numpy(graph.nodes)] = True
    return Embeddings(
        vectors=_with_fallbacks(cache, graph, known),
        is_known=is_known,
        losses=losses,
        edges=dict(zip(EDGE_TYPES, map(len, graph.pairs), strict=True)),
        seed=seed,
    )


def _with_fallbacks(cache: TensorCache, graph: KnownGraph, known: Tensor) -> Tensor:
    """(K, width) rows of known nodes -> (products + categories, width)."""
    nodes = cache.products + cache.rows("categories")
    known_row = np.full(nodes, -1)
    known_row[graph.nodes] = np.arange(len(graph.nodes))
    above = np.concatenate(
        [
            cache.products + cache["products.category"].astype(np.int64),
            np.where(
                cache["categories.parent"] < 0,
                -1,
                cache.products + cache["categories.parent"].astype(np.int64),
            ),
        ]
    )
    departments = known[graph.products :][torch.from_numpy(_is_department(cache))]
    default = (departments if len(departments) else known).mean(0)

    rows = []
    for node in range(nodes):
        while node >= 0 and known_row[node] < 0:
            node = above[node]
        rows.append(known[known_row[node]] if node >= 0 else default)
    return torch.stack(rows)


def _is_department(cache: TensorCache) -> np.ndarray:
    """(known categories,) bool: at the top of the hierarchy."""
    return (cache["categories.parent"] < 0)[~cache["categories.is_novel"]]
