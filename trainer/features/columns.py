"""Groups of numeric columns that are one input each, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.cache.held_out import held_out
from trainer.cache.reader import TensorCache


@dataclass(frozen=True)
class Number:
    """A numeric column of the cache as an input: one value per row, or one per second index."""

    column: str
    """`<table>.<column>`."""
    log1p: bool = False
    """Whether to take log(1 + x): for counts, days and pence, which are skewed."""


def _numbers(names: str, log1p: bool = False) -> tuple[Number, ...]:
    return tuple(Number(f"customer_weeks.{name}", log1p) for name in names.split())


HISTORY_COLUMNS = (
    *_numbers(
        "trips weeks_with_trips recency_days tenure_days gap_days_mean gap_days_spread "
        "spend_pence_per_trip items_per_trip units_per_item",
        log1p=True,
    ),
    *_numbers(
        "repeat_rate department_shares type_shares focus_shares "
        "type_entropy focus_entropy price_sensitivity_mean price_sensitivity_spread "
        "basket_size_mean basket_size_spread consistency"
    ),
)
"""What a customer did on earlier trips, store choice apart, in the order of the input."""


AFFINITY_COLUMNS = (
    *_numbers("primary_store_share top_3_store_share store_hhi switching_rate"),
    *_numbers("stores regions", log1p=True),
)
"""How a customer chose stores on earlier trips, in the order of the input."""


OPERATION_COLUMNS = tuple(
    Number(f"stores.{name}", log1p=True)
    for name in (
        "assortment_breadth",
        "trips_per_week",
        "items_per_week",
        "local_competition",
        "age_weeks",
    )
)
"""Columns of a store's operations, in the order of the input."""


PRICE_COLUMNS = (Number("products.pence", log1p=True),)
"""The column that the scale of prices is fitted to: training prices of known products."""


def read_numbers(
    cache: TensorCache, columns: tuple[Number, ...], rows: np.ndarray | slice
) -> np.ndarray:
    """The raw input of a `Standardiser` of the same columns: (rows, F) float32.

    rows: indices or a slice. Two-dimensional columns are laid side by side, in their place.
    """
    values = [side_by_side(cache[number.column][rows]) for number in columns]
    return np.concatenate(values, axis=1, dtype=np.float32)


def training_customer_weeks(cache: TensorCache) -> np.ndarray:
    """Rows of customer_weeks that constants are fitted to: training weeks, after a first trip.

    Held-out customers are left out.
    """
    in_training = cache["customer_weeks.week"] <= cache.split["train"][1]
    after_first = cache["customer_weeks.trips"] > 0
    stranger = held_out(cache)[cache["customer_weeks.customer"]]
    return np.flatnonzero(in_training & after_first & ~stranger)


def known_rows(cache: TensorCache, table: str) -> np.ndarray:
    """Rows of products or stores that occur in the training weeks."""
    return np.flatnonzero(~cache[f"{table}.is_novel"])


def side_by_side(values: np.ndarray) -> np.ndarray:
    """(rows,) or (rows, width) to two dimensions."""
    return values[:, None] if values.ndim == 1 else values
