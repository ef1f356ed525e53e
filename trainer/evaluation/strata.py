"""The trips that are evaluated, and the ways to divide them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.batches.timelines import WorldModelDataset
from trainer.cache.held_out import held_out
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.cache.rows import customer_of

SIZES = {"1 item": 1, "2-3 items": 2, "4-10 items": 4, "11+ items": 11}
"""Basket sizes, each from this many items on."""


@dataclass(frozen=True)
class EvaluatedTrips:
    """The n trips of a split's customers in its weeks, in the order of the cache."""

    row: np.ndarray
    """(n,) rows of the cache's trips, ascending."""
    customer: np.ndarray
    """(n,) customers rows."""
    fresh: np.ndarray
    """(n,) bool: outside replayed weeks."""
    strata: dict[str, tuple[tuple[str, ...], np.ndarray]]
    """name -> labels, and (n,) the label of each trip by number: each is a partition."""

    @classmethod
    def of(cls, dataset: WorldModelDataset) -> EvaluatedTrips:
        """The target trips of a dataset."""
        cache, spans = dataset.cache, dataset.spans
        counts = spans.stop - spans.first_target
        row = ranges(spans.first_target, counts)
        week = cache["trips.week"][row].astype(np.int64)
        return cls(
            row=row,
            customer=np.repeat(dataset.customers, counts),
            fresh=~cache["weeks.is_replayed"][week - 1],
            strata=_strata(cache, row),
        )


def _strata(cache: TensorCache, row: np.ndarray) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    items = cache["trips.item_offsets"]
    size = items[row + 1].astype(np.int64) - items[row]
    starts = list(SIZES.values())
    kept_out = held_out(cache)[customer_of(cache, row)]
    return {
        "training": (("took part", "kept out"), kept_out.astype(int)),
        "customer": (("known", "cold start"), cache["trips.is_cold_start"][row].astype(int)),
        "products": (
            ("all known", "some novel"),
            cache["trips.has_novel_product"][row].astype(int),
        ),
        "basket": (tuple(SIZES), np.searchsorted(starts, size, side="right") - 1),
        "store": (
            ("other", *cache.labels["store_format"]),
            cache["stores.format"][cache["trips.store"][row]].astype(int),
        ),
    }
