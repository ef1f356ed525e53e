"""The data that the model is trained and measured on."""

from __future__ import annotations

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.cache.rows import customer_of
from trainer.cache.schema import LEVELS
from trainer.report.charts.bars import bars
from trainer.report.figures import count, fixed, percent, spans
from trainer.report.markup import Markup, element, join
from trainer.report.tables import definitions, table

LONGEST = 25
"""Baskets of this many items and more share a bar."""
COLUMNS = (
    "", "weeks", "customers", "trips", "items", "items per trip, mean", "median", "cold start",
    "with novel products", "copies of earlier trips",
)  # fmt: skip


def data(cache: TensorCache) -> Markup:
    """Counts per split, replayed weeks separately, and the sizes of baskets."""
    rows = [
        _row(cache, name, weeks)
        for name, weeks in _groups(cache).items()
        if _in_weeks(cache, weeks).any()
    ]
    sizes = np.diff(cache["trips.item_offsets"].astype(np.int64))
    counts = np.bincount(sizes.clip(1, LONGEST), minlength=LONGEST + 1)[1:]
    return join(
        [
            definitions(_facts(cache)),
            table("Trips by split", COLUMNS, rows, text=(1,)),
            element(
                "div",
                bars(
                    "items-per-basket",
                    f"Items per basket, all {count(len(sizes))} trips",
                    "items in the basket",
                    "% of trips",
                    [*map(str, range(1, LONGEST)), f"{LONGEST}+"],
                    (counts / max(len(sizes), 1)).tolist(),
                ),
                element("p", _meaning(), class_="note"),
                class_="pair",
            ),
        ]
    )


def _facts(cache: TensorCache) -> list[tuple[str, str]]:
    sold = np.unique(cache["trips.week"])
    replayed = np.flatnonzero(cache["weeks.is_replayed"]) + 1
    level = cache["categories.level"]
    return [
        ("customers", count(cache.rows("customers"))),
        ("trips", count(cache.rows("trips"))),
        ("items", count(cache.rows("items"))),
        ("weeks with trips", f"{spans(sold.tolist())} ({len(sold)})"),
        ("replayed weeks", f"{spans(replayed.tolist())} ({len(replayed)})"),
        ("products", _with_novel(cache, "products")),
        ("categories", f"{count(len(level))} on {len(LEVELS)} levels"),
        ("stores", _with_novel(cache, "stores")),
    ]


def _with_novel(cache: TensorCache, table_name: str) -> str:
    novel = cache[f"{table_name}.is_novel"]
    return f"{count(len(novel))}, {count(int(novel.sum()))} new after training"


def _groups(cache: TensorCache) -> dict[str, list[int]]:
    """Weeks by split; a split with replayed weeks is shown in two parts."""
    replayed = set((np.flatnonzero(cache["weeks.is_replayed"]) + 1).tolist())
    groups = {}
    for name, (first, last) in cache.split.items():
        weeks = range(first, last + 1)
        if replayed.isdisjoint(weeks):
            groups[name] = list(weeks)
        else:
            groups[f"{name}, fresh"] = [week for week in weeks if week not in replayed]
            groups[f"{name}, replayed"] = [week for week in weeks if week in replayed]
    return groups


def _in_weeks(cache: TensorCache, weeks: list[int]) -> np.ndarray:
    """(trips,) bool: whether a trip is in these weeks."""
    return np.isin(cache["trips.week"], weeks)


def _row(cache: TensorCache, name: str, weeks: list[int]) -> list[str]:
    trips = np.flatnonzero(_in_weeks(cache, weeks))
    offsets = cache["trips.item_offsets"].astype(np.int64)
    size = offsets[trips + 1] - offsets[trips]
    customer = customer_of(cache, trips)
    shares = ("trips.is_cold_start", "trips.has_novel_product", "trips.is_replay")
    return [
        name,
        spans(weeks),
        count(len(np.unique(customer))),
        count(len(trips)),
        count(int(size.sum())),
        fixed(float(size.mean()), 2),
        fixed(float(np.median(size)), 0),
        *(percent(float(cache[column][trips].mean())) for column in shares),
    ]


def _meaning() -> str:
    return (
        "All trips of the cache, even if only some of the customers were measured; receipts "
        "without a customer are not part of it. Cold start: few earlier trips (fewer than five, "
        "unless the warehouse is configured otherwise). Novel products were first sold after the "
        "training weeks. Copies have the same items, store and hour as an earlier trip of the "
        "customer; small baskets repeat naturally. A replayed week is one in which most trips of "
        "three or more items are copies. It measures memory of single trips, so the figures of "
        "such weeks are reported separately."
    )
