"""Training GraphSAGE by link prediction with negative sampling, full batch.

At every step some of the pairs are taken out of the messages and asked for: a pair that passes
messages is in the vectors of its ends already, and predicting it teaches nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor
from tqdm import tqdm

from trainer.graph.config import SageConfig
from trainer.graph.degrees import degree_features, degrees
from trainer.graph.known import COPURCHASE, HIERARCHY, KnownGraph
from trainer.graph.loss import LinkLoss
from trainer.graph.sage import GraphSage, message_paths


def train_vectors(
    graph: KnownGraph, config: SageConfig, seed: int, progress: bool
) -> tuple[Tensor, list[float]]:
    """(K, width) float32 vectors of the known nodes, and the loss of each epoch.

    The links that are predicted are co-purchases among products or, in a graph without any,
    hierarchy links among all nodes. Without those too the vectors are those of the untrained
    network. The same on one machine for one seed; torch's global random state and number of
    threads stay as they were.
    """
    kind = COPURCHASE if len(graph.pairs[COPURCHASE]) else HIERARCHY
    pairs = graph.pairs[kind]
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        model = GraphSage(graph, config)
        nodes = len(graph.nodes)
        candidates = graph.products if kind == COPURCHASE else nodes
        loss_of = LinkLoss(pairs.ends, nodes, candidates, config.negative_power)
        optimizer = torch.optim.Adam(
            [*model.parameters(), *loss_of.parameters()], lr=config.learning_rate
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: _rate(n, config))
        losses: list[float] = []
        epochs = config.epochs if len(pairs) else 0
        for _ in tqdm(range(epochs), desc="graph embeddings", unit="epoch", disable=not progress):
            asked, shown = _part(len(pairs), config.asked_share)
            vectors = _vectors(model, _with_pairs(graph, kind, shown), len(pairs) / shown.sum())
            source, partner = _questions(graph, kind, pairs.ends[asked], config.stand_in_share)
            loss = loss_of(vectors, source, partner, config.negatives)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            return _vectors(model, graph, 1.0), losses


@contextmanager
def _one_thread() -> Iterator[None]:
    """Operations this small lose more by waiting for each other's threads than they win."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _vectors(model: GraphSage, graph: KnownGraph, times: float | Tensor) -> Tensor:
    """(K, width). Degrees count `times`, which makes up for co-purchases not shown."""
    degree = degrees(graph.pairs[COPURCHASE], len(graph.nodes)) * times
    return model(degree_features(degree), message_paths(graph))


def _questions(
    graph: KnownGraph, kind: int, asked: Tensor, stand_ins: float
) -> tuple[Tensor, Tensor]:
    """Sources and partners: both ends of each asked pair (A, 2), and a share of them again.

    There a category above the product, of a random level, has the product's partner: so it learns
    to stand for a product of which nothing else is known.
    """
    source, partner = torch.cat([asked, asked.flip(1)]).unbind(1)
    if kind != COPURCHASE:
        return source, partner
    level = torch.randint(graph.path.shape[1], source.shape)
    category = graph.path[source, level]
    again = (category < graph.categories) & (torch.rand(source.shape) < stand_ins)
    return (
        torch.cat([source, graph.products + category[again]]),
        torch.cat([partner, partner[again]]),
    )


def _with_pairs(graph: KnownGraph, kind: int, shown: Tensor) -> KnownGraph:
    """The graph with some pairs of one type only."""
    pairs = list(graph.pairs)
    pairs[kind] = pairs[kind][shown]
    return replace(graph, pairs=tuple(pairs))


def _part(pairs: int, share: float) -> tuple[Tensor, Tensor]:
    """Two masks (E,): pairs asked for and pairs shown, disjoint wherever there are enough."""
    asked = torch.rand(pairs) < share
    if asked.all() or not asked.any():
        return torch.ones_like(asked), torch.ones_like(asked)
    return asked, ~asked


def _rate(step: int, config: SageConfig) -> float:
    """Share of the learning rate: a line up, then half a cosine down."""
    rise = min(1.0, (step + 1) / max(1.0, config.warm_up * config.epochs))
    return rise * (1 + math.cos(math.pi * step / config.epochs)) / 2
