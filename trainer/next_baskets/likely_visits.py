"""When, where and for what kind of trip customers come next, where that is not given.

One thing after the other, each given those before it: the day, given that the customer has not come
until the first day that can be predicted; one of the customer's own stores; the hour; the size,
price sensitivity, type and focus of the trip. `likely_visits` are what a customer is told, and
`possible_visits` what baskets are predicted from: the likeliest visit is rarely the one that comes,
and as if it were certain it makes baskets too certain.
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


@dataclass(frozen=True)
class PossibleVisits:
    """One possible next visit of each of n customers."""

    dates: list[date]
    stores: np.ndarray
    """(n,) int64 rows of the chain's stores, or `UNKNOWN_STORE`."""
    hours: np.ndarray
    """(n,) int64."""
    size_p: np.ndarray
    """(n, sizes) probability of each size, code 1 first; 1 for a declared one."""


QUANTILES = np.array([[1, 3, 5], [3, 7, 1], [5, 1, 7], [7, 5, 3]]) / 8
"""Of day, store and hour of four visits that stand for all: each quarter of the days, of the stores
and of the hours once (a Latin hypercube), days uncorrelated with the others. Eight are no better on
LGSR's validation weeks."""


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
    kind, kind_p = np.tile(np.array(given.kind), (n, 1)), unknown
    if given.kind == UNDECLARED:
        kind_p = np.ones(n)
        for column in range(len(CONTEXT)):
            codes = [torch.from_numpy(kind[:, before].copy()) for before in range(column)]
            code, p = _likeliest(visits.kind(*at, *codes))
            kind[:, column], kind_p = code + 1, kind_p * p
    return LikelyVisits(dates, date_p, stores, store_p, hours, hour_p, kind, kind_p)


def possible_visits(
    visits: NextVisits, customers: Sequence[CustomerFeatures], given: Given, first: date
) -> list[PossibleVisits]:
    """Visits of customers (n,) that are equally likely and stand for all: those at `QUANTILES`, or
    the only one where day, store and hour are given. Of days later than the horizon, and of stores
    where a customer never was, there are none.

    Arguments and errors as of `likely_visits`.
    """
    n, found = len(customers), []
    start = _start(customers, first)
    days, _ = visits.days_from((start - _last(customers)).tolist())
    is_certain = None not in (given.date, given.store, given.hour)
    for of_day, of_store, of_hour in QUANTILES[:1] if is_certain else QUANTILES:
        dates, stores = [given.date] * n, np.full(n, given.store or 0)
        if given.date is None:
            dates = _dates(customers, start + _at_quantile(days, of_day))
        if given.store is None:
            stores = _stores_at_quantile(visits, dates, of_store)
        hours = np.full(n, given.hour or 0)
        if given.hour is None:
            hours = _at_quantile(visits.hours(dates, stores), of_hour)
        size_p = visits.kind(dates, stores, torch.from_numpy(hours)).numpy(force=True)
        if given.kind[0]:
            size_p = np.zeros_like(size_p)
            size_p[:, given.kind[0] - 1] = 1
        found.append(PossibleVisits(dates, stores, hours, size_p))
    return found


def _last(customers: Sequence[CustomerFeatures]) -> np.ndarray:
    """(n,) index of the day of each customer's last trip."""
    calendar = customers[0].chain.calendar
    return np.array([calendar.day(customer.last[0]).index for customer in customers])


def _start(customers: Sequence[CustomerFeatures], first: date) -> np.ndarray:
    """(n,) index of the first day on which each customer may come."""
    return np.maximum(customers[0].chain.calendar.day(first).index, _last(customers) + 1)


def _dates(customers: Sequence[CustomerFeatures], days: np.ndarray) -> list[date]:
    """Dates of indices of days (n,)."""
    return [customers[0].chain.calendar.date(day) for day in days.tolist()]


def _days(
    visits: NextVisits, customers: Sequence[CustomerFeatures], first: date
) -> tuple[list[date], np.ndarray]:
    """The likeliest days, and their probabilities."""
    start = _start(customers, first)
    days, _ = visits.days_from((start - _last(customers)).tolist())
    ahead, p = _likeliest(days)
    return _dates(customers, start + ahead), p


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


def _at_quantile(p: Tensor, quantile: float) -> np.ndarray:
    """Places (n,) at which a share of each row of p (n, choices) is reached."""
    reached = p.double().cumsum(1)
    return (reached < quantile * reached[:, -1:]).sum(1).numpy(force=True)


def _stores_at_quantile(visits: NextVisits, dates: Sequence[date], quantile: float) -> np.ndarray:
    """The same of each customer's stores: rows of the chain's."""
    chances = visits.stores(dates)
    customer, identity = chances.customer, chances.identity.numpy(force=True)
    stores = torch.bincount(customer)
    first = stores.cumsum(0) - stores
    p = chances.p.new_zeros(len(stores), int(stores.max()))
    p[customer, torch.arange(len(customer), device=customer.device) - first[customer]] = chances.p
    chosen = identity[first.numpy(force=True) + _at_quantile(p, quantile)]
    return np.where(chosen > 0, chosen - 1, UNKNOWN_STORE)
