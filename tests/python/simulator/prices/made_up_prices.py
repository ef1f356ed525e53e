"""Panels and demand whose elasticities are known."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from simulator.prices.absences import Instead
from simulator.prices.demand_response import DemandResponse
from simulator.prices.panel import Panel
from simulator.prices.response import PriceResponse
from simulator.prices.visit_response import VisitResponse


def panel_of(trips, pence, is_observed=None, category=None, department=None, traffic=None) -> Panel:
    """Products with tokens from 1 in one category each and one department, if not told otherwise.

    trips, pence (P, Z, W).
    """
    products, zones, weeks = trips.shape
    number = np.arange(products)
    nothing = np.zeros(trips.shape)
    return Panel(
        token=number + 1, category=number if category is None else np.asarray(category),
        department=np.zeros(products, int) if department is None else np.asarray(department),
        zone=np.arange(zones), last_week=weeks, moved=np.ones(products),
        trips=trips.astype(float), units=trips.astype(float), pence=pence.astype(float),
        is_observed=np.ones(trips.shape, bool) if is_observed is None else is_observed,
        display=nothing, mailer=nothing,
        traffic=np.full((zones, weeks), 1000.0) if traffic is None else traffic,
    )  # fmt: skip


def promotions(rng, products, zones, weeks, usual=200.0) -> np.ndarray:
    """(P, Z, W) pence: one week in five 30 % off, everywhere."""
    off = rng.random((products, 1, weeks)) < 0.2
    return np.broadcast_to(np.where(off, 0.7 * usual, usual), (products, zones, weeks)).round()


def response_of(
    switching, need, *, lasting=0.0, passing=0.0, stocking=0.0, quantity=0.0, visits=0.0,
    display=0.0, pence=100.0, share=None, instead=0.45,
) -> DemandResponse:  # fmt: skip
    """Known effects, of one segment of customers in one zone, for 1,000 trips a week with each
    product."""
    switching, need = np.asarray(switching, float), np.asarray(need)
    products, weeks = len(switching), 20
    trips = np.full((products, 1, weeks), 1000.0)
    panel = panel_of(trips, np.broadcast_to(np.reshape(pence, (-1, 1, 1)), trips.shape))
    if share is None:
        share = 1 / np.bincount(need)[need]
    nothing = np.zeros(trips.shape)
    of_products = PriceResponse(
        panel=panel, need=need, substitutes=0.5, switches=True, share=np.asarray(share, float),
        moved=np.ones(products, bool),
        switching=switching, switching_error=np.zeros(products), typical=0.7, spread=0.3,
        lasting=lasting, passing=passing, stocking=stocking, display=display,
        mailer=0.0, common_error=np.zeros((5, 5)),
        quantity=np.full(products, quantity), quantity_error=np.zeros(products),
        further=np.ones(products), price=nothing,
        effect=nothing, wander=nothing,
    )  # fmt: skip
    baskets = csr_matrix(np.full((1, products), 1 / products))
    return DemandResponse(
        products + 3, of_products, VisitResponse(visits, 0.0), Instead(instead, 0.0, 9),
        np.ones(1), np.zeros(1, int), baskets, np.zeros(1, int),
    )  # fmt: skip
