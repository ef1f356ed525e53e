"""How well vectors predict held-out links, compared with simpler methods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor
from tqdm import tqdm

from trainer.cache.reader import TensorCache
from trainer.graph.config import SageConfig
from trainer.graph.degrees import degrees
from trainer.graph.holdout import Holdout, Scorer, hold_out
from trainer.graph.known import COPURCHASE, KnownGraph, known_graph
from trainer.graph.rules import link_rules
from trainer.graph.spectral import spectral_embeddings
from trainer.graph.training import train_vectors

HELD_OUT_SHARE = 0.1
GRAPHSAGE_POPULARITY = 1.0
"""Weight of ln(degree + 1) added to GraphSAGE's dot product, chosen like `SageConfig`."""
SPECTRAL_POPULARITY = (0.3, 1.0, 3.0, 10.0)
"""Weights of ln(degree + 1) added to spectral dot products of deviation 1 over all pairs."""
MEASURES = ("auc", "hits_at_10", "mrr")

Result = dict[str, float]


def link_quality(
    cache: TensorCache,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    width: int = SageConfig.width,
    epochs: int = SageConfig.epochs,
    progress: bool = True,
) -> dict[str, Any]:
    """Hold out a tenth of the co-purchase pairs, learn from the rest, score the held-out ones.

    This is repeated for each seed, which sets the split, the weights and the draws. AUC is against
    non-edges of the same degrees; hits@10 and the mean reciprocal rank (MRR) rank each end's
    partner among all known products (see `Holdout.measure`). Vectors are scored by their dot
    product, without and with the candidate's popularity added, ln(degree + 1) in the remaining
    graph.

    Returns:
        `methods`: name -> measure -> `mean`, `lowest`, `highest` over the seeds. GraphSAGE is also
        scored with the rows that novel products get: each query product has the vector of its
        finest category. `spectral` is, for each measure and seed, the best of all variants on the
        held-out pairs themselves, an upper bound for any choice among them; each variant follows
        by name, with the best of `SPECTRAL_POPULARITY`. `configuration`, `seeds`, `products`,
        `pairs` and `held_out` (numbers of pairs) describe the run.

    Raises:
        ValueError: no seed; width or epochs below 1.
        NothingToHoldOut: the graph has too few co-purchase edges to keep some out.
        CacheError: as `product_embeddings`.
    """
    if not seeds:
        raise ValueError("at least one seed is needed")
    config = SageConfig(width=width, epochs=epochs)
    graph = known_graph(cache)
    measured: dict[str, list[Result]] = defaultdict(list)
    for seed in tqdm(seeds, desc="splits", disable=not progress):
        task = hold_out(graph, HELD_OUT_SHARE, seed)
        for name, result in _results(task, config, seed, progress):
            measured[name].append(result)
    return {
        "configuration": asdict(config),
        "seeds": list(seeds),
        "products": graph.products,
        "pairs": len(graph.pairs[COPURCHASE]),
        "held_out": len(task.held),
        "methods": {name: _summary(results) for name, results in measured.items()},
    }


def dot_products(
    graph: KnownGraph,
    vectors: Tensor,
    popularity_weight: float = 0.0,
    queries: Tensor | None = None,
) -> Scorer:
    """Scores of links: the dot product of vectors (K, width), plus the weight times ln(degree + 1)
    of the candidate. queries (products, width): vectors of the query products, if they differ."""
    candidates = vectors[: graph.products]
    queries = candidates if queries is None else queries
    degree = degrees(graph.pairs[COPURCHASE], graph.products)
    popularity = popularity_weight * (degree + 1.0).log()
    return lambda rows: queries[rows] @ candidates.T + popularity


def _results(
    task: Holdout, config: SageConfig, seed: int, progress: bool
) -> Iterator[tuple[str, Result]]:
    """Name and result of every method on one split."""
    graph = task.graph
    vectors, _ = train_vectors(graph, config, seed, progress)
    category = vectors[graph.products + graph.path[: graph.products, 0]]
    for name, queries in (("", None), (" of the category", category)):
        for scored, weight in (("dot product", 0.0), ("with popularity", GRAPHSAGE_POPULARITY)):
            scorer = dot_products(graph, vectors, weight, queries)
            yield f"graphsage{name}, {scored}", task.measure(scorer)

    spectral = {}
    for name, vectors in spectral_embeddings(graph, config.width):
        spectral[f"spectral, {name}, dot product"] = task.measure(dot_products(graph, vectors))
        deviation = (vectors[: graph.products] @ vectors[: graph.products].T).std()
        vectors = vectors / deviation.sqrt()
        spectral[f"spectral, {name}, with popularity"] = _best(
            task.measure(dot_products(graph, vectors, weight)) for weight in SPECTRAL_POPULARITY
        )
    yield "spectral", _best(spectral.values())
    yield from ((name, task.measure(scorer)) for name, scorer in link_rules(graph))
    yield from spectral.items()


def _best(results: Iterable[Result]) -> Result:
    """The highest of each measure."""
    results = list(results)
    return {measure: max(result[measure] for result in results) for measure in MEASURES}


def _summary(results: Sequence[Result]) -> dict[str, Result]:
    summary = {}
    for measure in MEASURES:
        values = [result[measure] for result in results]
        summary[measure] = {
            "mean": round(sum(values) / len(values), 4),
            "lowest": round(min(values), 4),
            "highest": round(max(values), 4),
        }
    return summary
