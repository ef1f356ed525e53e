"""When, where and for what kind of trip customers come next, where that is not given.

One thing after the other, each the likeliest given those before it: the day, given that the
customer has not come until the first day that can be predicted; one of the customer's own stores;
the hour; the size, price sensitivity, type and focus of the trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import torch
from torch import Tensor

from trainer.cache.schema import CONTEXT
from trainer.features.customers import CustomerFeatures
from trainer.features.plans import UNDECLARED, UNKNOWN_STORE
from trainer.model.next_visits import NextVisits


@dataclass(frozen=True)
class Given:
    """What is known of the next trip of every customer; None where it is not."""

    date: date | None = None
    hour: int | None = None
    store: int | None = None
    """Row of the chain's stores."""
    kind: tuple[int, int, int, int] = UNDECLARED
    """Codes of size, price sensitivity, type and focus, 0 where not declared."""
    visible: tuple[int, ...] = ()
    """Tokens of the products that are in the basket already."""


@dataclass(frozen=True)
class LikelyVisits:
    """The likeliest next visits of n customers, and how likely each part is given those before it:
    NaN where it was given."""

    dates: list[date]
    date_p: np.ndarray
    """(n,) that the next trip is on this day, if none was before the first that can be."""
    stores: np.ndarray
    """(n,) int64 rows of the chain's stores, or `UNKNOWN_STORE`."""
    store_p: np.ndarray
    hours: np.ndarray
    """(n,) int64."""
    hour_p: np.ndarray
    kind: np.ndarray
    """(n, 4) int64 codes: what was declared, where anything was."""
    kind_p: np.ndarray
    """(n,) of all four together."""
    size_p: np.ndarray
    """(n, sizes) probability of each size, code 1 first; 1 for a declared one."""


def likely_visits(
    visits: NextVisits, customers: Sequence[CustomerFeatures], given: Given, first: date
) -> LikelyVisits:
    """The likeliest next visits of customers (n,), of whom the visits are, on or after a day.

    first: the first day that can be predicted; a customer whose last trip was on it or later comes
    on the day after that trip at the earliest. Raises ValueError where the date given is before
    the last trip of a customer.
    """
    n = len(customers)
    unknown = np.full(n, np.nan)
    dates, date_p = [given.date] * n, unknown
    if given.date is None:
        dates, date_p = _days(visits, customers, first)
    stores, store_p = np.full(n, given.store or 0), unknown
    if given.store is None:
        stores, store_p = _stores(visits, customers, dates)
    hours, hour_p = np.full(n, given.hour or 0), unknown
    if given.hour is None:
        hours, hour_p = _likeliest(visits.hours(dates, stores))
    at = dates, stores, torch.from_numpy(hours)
    size_p = visits.kind(*at).numpy(force=True)
    if given.kind[0]:
        size_p = np.zeros_like(size_p)
        size_p[:, given.kind[0] - 1] = 1
    kind, kind_p = np.tile(np.array(given.kind), (n, 1)), unknown
    if given.kind == UNDECLARED:
        kind_p = np.ones(n)
        for column in range(len(CONTEXT)):
            codes = [torch.from_numpy(kind[:, before].copy()) for before in range(column)]
            code, p = _likeliest(visits.kind(*at, *codes))
            kind[:, column], kind_p = code + 1, kind_p * p
    return LikelyVisits(dates, date_p, stores, store_p, hours, hour_p, kind, kind_p, size_p)


def _days(
    visits: NextVisits, customers: Sequence[CustomerFeatures], first: date
) -> tuple[list[date], np.ndarray]:
    """The likeliest days, and their probabilities."""
    calendar = customers[0].chain.calendar
    last = np.array([calendar.day(customer.last[0]).index for customer in customers])
    start = np.maximum(calendar.day(first).index - last, 1)
    days, _ = visits.days_from(start)
    ahead, p = _likeliest(days)
    return [calendar.date(int(day)) for day in last + start + ahead], p


def _stores(
    visits: NextVisits, customers: Sequence[CustomerFeatures], dates: Sequence[date]
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest of each customer's stores, and their probabilities."""
    chances = visits.stores(dates)
    customer, identity, p = (
        part.numpy(force=True) for part in (chances.customer, chances.identity, chances.p)
    )
    best = np.lexsort((-p, customer))
    best = best[np.searchsorted(customer, np.arange(len(customers)))]
    return np.where(identity[best] > 0, identity[best] - 1, UNKNOWN_STORE), p[best]


def _likeliest(p: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Places (n,) and values of the largest of each row of p (n, choices)."""
    value, place = p.max(1)
    return place.numpy(force=True), value.numpy(force=True)
