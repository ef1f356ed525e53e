"""All that is known of how demand answers to prices, from receipts up to a week."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix

from simulator.prices.absences import Instead, fit_instead
from simulator.prices.instrument import Instrument, instrumented
from simulator.prices.needs import Purchases, find_needs
from simulator.prices.panel import Panel, read_panel
from simulator.prices.relative import relative_prices
from simulator.prices.response import PriceResponse, fit_response
from simulator.prices.visit_response import (
    VisitResponse,
    fit_visit_response,
    main_store,
    usual_baskets,
)
from trainer.cache.reader import TensorCache

MOST = 4.0
"""Largest factor of a group of customers."""


@dataclass(frozen=True)
class DemandResponse:
    """What customers choose, how many units they take, and how often they come."""

    tokens: int
    """V: products and special tokens."""
    products: PriceResponse
    visits: VisitResponse
    instead: Instead
    """What customers do whose product is missing."""
    groups: np.ndarray
    """(labels,) factor of all effects on customers of each price-sensitivity segment; 1 for the
    unknown one, the first."""
    segment: np.ndarray
    """(customers,) label of each customer of the cache."""
    baskets: csr_matrix
    """(customers, P) usual baskets."""
    store: np.ndarray
    """(customers,) where each usually goes."""
    instrument: Instrument | None = None
    """What costs say, where they were asked."""


def fit_demand_response(
    cache: TensorCache, last_week: int, costs: np.ndarray | None = None
) -> DemandResponse | None:
    """Fit to a cache's weeks up to one; None where no product sells enough.

    costs: (products of the cache, last_week) pence of a unit, an instrument for prices.
    """
    panel = read_panel(cache, last_week)
    if not len(panel.token):
        return None
    price = relative_prices(panel, last_week)
    needs = find_needs(cache, panel, price, Purchases.of(cache, panel, last_week))
    products = fit_response(panel, price, needs, last_week)
    instrument = None
    if costs is not None:
        products, instrument = instrumented(products, costs[panel.token - 1])
    segment = cache["customers.price_sensitivity"].astype(np.int64)
    labels = len(cache.labels["price_sensitivity"]) + 1
    return DemandResponse(
        cache.vocabulary.size, products,
        fit_visit_response(cache, panel, products.price * products.moved[:, None, None], last_week),
        fit_instead(cache, products, last_week),
        _group_factors(cache, products, segment, labels, last_week), segment,
        usual_baskets(cache, panel, np.arange(1, last_week + 1)), main_store(cache, last_week),
        instrument,
    )  # fmt: skip


def _group_factors(
    cache: TensorCache, r: PriceResponse, segment: np.ndarray, labels: int, last_week: int
) -> np.ndarray:
    """(labels,) maximum-likelihood factors of x in the trips of each segment's customers, whose
    levels by product and zone are their own."""
    found = np.ones(labels)
    if labels <= 2:
        return found
    for label in range(1, labels):
        trips = trips_of(cache, r.panel, segment == label, last_week)
        total = trips.sum(2)

        def nats(factor: float, trips=trips, total=total) -> float:
            log_mean = r.wander + factor * r.effect
            level = np.exp(log_mean).sum(2)
            return float((total * np.log(level)).sum() - (trips * log_mean).sum())

        found[label] = minimize_scalar(nats, bounds=(0, MOST), method="bounded").x
    return found


def trips_of(cache: TensorCache, panel: Panel, chosen: np.ndarray, last_week: int) -> np.ndarray:
    """(P, Z, W) trips with each product of chosen customers, (customers,) bool."""
    items = np.diff(cache["trips.item_offsets"].astype(np.int64))
    trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
    week = cache["trips.week"].astype(np.int64)
    known = np.repeat(np.repeat(chosen, trips) & (week <= last_week), items)
    row = panel.row_of_token(cache.vocabulary.input_size)
    product = row[cache["items.token"][known]]
    zone = panel.zone[np.repeat(cache["trips.store"].astype(np.int64), items)[known]]
    shape = len(panel.token), panel.trips.shape[1], last_week
    cell = np.ravel_multi_index(
        (product, zone, np.repeat(week, items)[known] - 1), shape, mode="clip"
    )
    return np.bincount(cell[product >= 0], minlength=np.prod(shape)).reshape(shape).astype(float)
