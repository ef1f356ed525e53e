"""Training on a cache that is cut into shards: each rank reads one, and all count together."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache, shards_of
from trainer.cache.totals import add_up
from trainer.commands.errors import InputError
from trainer.features.calendar import trips_by_week
from trainer.features.chain_sales import sold_by_week
from trainer.model.embeddings.customer import customer_moments
from trainer.model.purchases.counting_prior import bought_by_kind, trips_by_kind
from trainer.training.ranks import Ranks

COUNTS = (trips_by_week, sold_by_week, trips_by_kind, bought_by_kind, customer_moments)
"""All that a model, its features and its checkpoints read of customers that are not in a batch."""


def open_cache(folder: Path, ranks: Ranks) -> TensorCache:
    """A whole cache, or this rank's shard of one that is cut, with the counts of all shards.

    Every rank must call it. Raises InputError where there are not as many ranks as shards,
    CacheError where the cache, or the rank's own shard, is missing or damaged.
    """
    shards = shards_of(folder)
    if shards == 1:
        return TensorCache(folder)
    if shards != ranks.count:
        one = "one process: start {0} with torchrun, or use the cache that it was cut from"
        more = "{1} processes: start {0}, or cut it again (python -m trainer.cache.shards)"
        found = (one if ranks.count == 1 else more).format(shards, ranks.count)
        raise InputError(f"{folder} is cut into {shards} shards, and training has {found}")
    cache = TensorCache(folder, shard=ranks.rank)
    add_up(cache, COUNTS, lambda own: ranks.sum(torch.from_numpy(own)).numpy())
    return cache


def steps_of(dataset: WorldModelDataset, tokens: int, ranks: Ranks) -> int:
    """Batches of an epoch, the same for every rank, whatever its shard has.

    tokens: the trips + items of a step of all ranks, about. Every rank must call it.
    """
    size = int((dataset.trips + dataset.items).sum())
    own = torch.zeros(ranks.count, 2, dtype=torch.float64)
    own[ranks.rank] = torch.tensor([size, len(dataset)])
    sizes, timelines = ranks.sum(own).T
    return max(1, min(math.ceil(sizes.sum() / tokens), int(timelines.min())))
