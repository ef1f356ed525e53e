"""Training GraphSAGE by link prediction with negative sampling, full batch.

At every step some of the pairs are targets and pass no messages: a pair that passes messages has
already shaped the vectors of its ends, and predicting it teaches nothing.
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

    The links to predict are co-purchases among products or, in a graph without any, hierarchy links
    among all nodes; without those either, the vectors are those of the untrained network. One seed
    gives the same vectors on the same machine. torch's global random state and number of threads
    stay as they were.
    """
    edge_type = COPURCHASE if len(graph.pairs[COPURCHASE]) else HIERARCHY
    pairs = graph.pairs[edge_type]
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        model = GraphSage(graph, config)
        nodes = len(graph.nodes)
        candidates = graph.products if edge_type == COPURCHASE else nodes
        loss_of = LinkLoss(pairs.ends, nodes, candidates, config.negative_power)
        optimizer = torch.optim.Adam(
            [*model.parameters(), *loss_of.parameters()], lr=config.learning_rate
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: _rate(n, config))
        losses: list[float] = []
        epochs = config.epochs if len(pairs) else 0
        for _ in tqdm(range(epochs), desc="graph embeddings", unit="epoch", disable=not progress):
            is_target, passes = _split(len(pairs), config.target_share)
            messages = _with_pairs(graph, edge_type, passes)
            vectors = _vectors(model, messages, len(pairs) / passes.sum())
            source, partner = _targets(
                graph, edge_type, pairs.ends[is_target], config.stand_in_share
            )
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
    """One thread: for operations this small, threads cost more than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _vectors(model: GraphSage, graph: KnownGraph, degree_scale: float | Tensor) -> Tensor:
    """(K, width). `degree_scale` makes up for co-purchases that are targets."""
    degree = degrees(graph.pairs[COPURCHASE], len(graph.nodes)) * degree_scale
    return model(degree_features(degree), message_paths(graph))


def _targets(
    graph: KnownGraph, edge_type: int, pairs: Tensor, stand_in_share: float
) -> tuple[Tensor, Tensor]:
    """Sources and partners: both directions of target pairs (A, 2), and a share of them again.

    In the repeated ones a category above the source, of a random level, takes the place of the
    source: it learns to represent a product of which only the category is known.
    """
    source, partner = torch.cat([pairs, pairs.flip(1)]).unbind(1)
    if edge_type != COPURCHASE:
        return source, partner
    level = torch.randint(graph.path.shape[1], source.shape)
    category = graph.path[source, level]
    chosen = (category < graph.categories) & (torch.rand(source.shape) < stand_in_share)
    return (
        torch.cat([source, graph.products + category[chosen]]),
        torch.cat([partner, partner[chosen]]),
    )


def _with_pairs(graph: KnownGraph, edge_type: int, chosen: Tensor) -> KnownGraph:
    """The graph with only some of the pairs of one type."""
    pairs = list(graph.pairs)
    pairs[edge_type] = pairs[edge_type][chosen]
    return replace(graph, pairs=tuple(pairs))


def _split(pairs: int, target_share: float) -> tuple[Tensor, Tensor]:
    """Two masks (E,): target pairs, and pairs that pass messages; disjoint unless one is empty."""
    is_target = torch.rand(pairs) < target_share
    if is_target.all() or not is_target.any():
        return torch.ones_like(is_target), torch.ones_like(is_target)
    return is_target, ~is_target


def _rate(step: int, config: SageConfig) -> float:
    """Share of the peak learning rate: a linear warm-up times half a cosine."""
    rise = min(1.0, (step + 1) / max(1.0, config.warm_up * config.epochs))
    return rise * (1 + math.cos(math.pi * step / config.epochs)) / 2
