"""Features of stores, and of stores outside the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.features.columns import OPERATION_COLUMNS, read_numbers
from trainer.features.plans import UNKNOWN_STORE

FIGURES = tuple(number.column.removeprefix("stores.") for number in OPERATION_COLUMNS)
"""Columns of the table `stores` that describe a store's operations."""


def typical_figures(
    stores: Mapping[str, np.ndarray], store_format: int, region: int
) -> dict[str, float]:
    """`FIGURES` of a store outside the vocabulary: medians over its peers, and an age of 0.

    stores: columns `stores.<name>` by name. store_format, region: labels of the store, 0 unknown.
    Peers are the known stores of its format and region, else of its format, else all. The mart
    `stores` describes stores first seen after training in the same way.
    """
    known = ~stores["stores.is_novel"]
    same_format = known & (stores["stores.format"] == store_format) & (store_format > 0)
    same_kind = same_format & (stores["stores.region"] == region) & (region > 0)
    peers = next(choice for choice in (same_kind, same_format, known) if choice.any())
    figures = {
        name: float(np.median(stores[f"stores.{name}"][peers].astype(np.float64)))
        for name in FIGURES
    }
    return figures | {"age_weeks": 0.0}


class Stores:
    """The stores of a cache or checkpoint, and one row for all others.

    Args:
        cache: whose table `stores` it reads.
    """

    def __init__(self, cache: TensorCache) -> None:
        columns = {
            f"stores.{name}": cache[f"stores.{name}"]
            for name in ("format", "region", "is_novel", *FIGURES)
        }
        novel = columns["stores.is_novel"]
        rows = np.arange(1, len(novel) + 1)
        identity = np.stack(
            [
                columns["stores.format"].astype(np.int64),
                columns["stores.region"].astype(np.int64),
                np.where(novel, 0, rows),
            ],
            axis=1,
        )
        figures = read_numbers(cache, OPERATION_COLUMNS, slice(None))
        unknown = typical_figures(columns, 0, 0)
        # The row of an unknown store is the last one: UNKNOWN_STORE is -1.
        self._identity = np.concatenate([identity, np.zeros((1, 3), np.int64)])
        self._figures = np.concatenate(
            [figures, np.array([[unknown[name] for name in FIGURES]], np.float32)]
        )

    def __len__(self) -> int:
        return len(self._identity) - 1

    def identity(self, stores: np.ndarray) -> np.ndarray:
        """(n, 3) int64 of rows (n,): format and region labels, and row + 1, or 0 for a store first
        seen after training. Raises ValueError for a row out of range."""
        return self._identity[self._check(stores)]

    def figures(self, stores: np.ndarray) -> np.ndarray:
        """(n, 5) float32 of rows (n,), the columns `OPERATION_COLUMNS`."""
        return self._figures[self._check(stores)]

    def _check(self, stores: np.ndarray) -> np.ndarray:
        if ((stores < UNKNOWN_STORE) | (stores >= len(self))).any():
            raise ValueError(f"store: expected a row below {len(self)}, or {UNKNOWN_STORE}")
        return stores
