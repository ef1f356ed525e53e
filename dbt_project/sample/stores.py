"""Stores: format, region, size and opening week."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shape
from .config import ChainConfig
from .draw import stream

# Share of stores that open after week 1.
LATE = 0.05


@dataclass(frozen=True)
class Stores:
    """One element per store, in store-code order."""

    format: np.ndarray
    """Index into `shape.FORMATS`."""
    region: np.ndarray
    """Index into `shape.REGIONS`."""
    regions: int
    """Number of regions in use."""
    size: np.ndarray
    """Attraction among the stores of a region."""
    first_week: np.ndarray
    """Opening week; every region has a store open from week 1."""


def build_stores(config: ChainConfig) -> Stores:
    """Draw the stores of a chain."""
    rng = stream(config.seed, "stores")
    count = config.stores
    regions = int(np.clip(count // 5, 1, len(shape.REGIONS)))
    region = rng.permutation(np.arange(count) % regions)
    share = np.cumsum(shape.FORMAT_STORES)
    form = np.searchsorted(share, rng.permutation((np.arange(count) + 0.5) / count))
    per_store = (shape.FORMAT_BASKETS / shape.FORMAT_STORES)[form]
    # At LGSR's size other stores appear late as well, because nobody visits them in week 1.
    late = max(round(LATE * count), min(2, count // 8))
    _, first_of_region = np.unique(region, return_index=True)
    opening = rng.permutation(np.setdiff1d(np.arange(count), first_of_region))[:late]
    first = np.ones(count, dtype=np.int64)
    first[opening] += np.ceil(rng.random(opening.size) * (config.weeks - 1)).astype(np.int64)
    return Stores(form, region, regions, per_store * rng.lognormal(0, 0.2, count), first)
