"""How often customers come answers to what their usual basket costs.

    log E[trips_hw] = a_h + t_w - n I_hw,    I_hw = I_h,w-1 + LEARNING (B_h,w-1 - I_h,w-1)

B is the log price level of the customer's usual basket, product by product relative to the usual
price in their zone, weighted by what they usually spend on each; I is what they have learnt of it
by the week before. Customers differ in what they buy and a week's trips of all are in t, so that n
is learnt from whose basket got dearer, and not from seasons (Bell and Lattin, Shopping behavior and
consumer preference for store price format, Marketing Science 1998, find that the expected basket's
cost decides between stores).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix

from simulator.prices.panel import Panel
from simulator.prices.response import before_each_week
from trainer.cache.reader import TensorCache

LEARNING = 0.15
"""Weight of a week's prices in what a customer has learnt."""
ITERATIONS = 60


class VisitResponse(NamedTuple):
    """n, the elasticity of how often customers come: at least 0, and its standard error."""

    value: float
    error: float


def fit_visit_response(
    cache: TensorCache, panel: Panel, price: np.ndarray, last_week: int
) -> VisitResponse:
    """Fit to the weeks up to one, from the customer's first to the last with a trip.

    price: (P, Z, W) log prices relative to the usual, 0 where they never moved.
    """
    week = cache["trips.week"].astype(np.int64)
    customer = np.repeat(
        np.arange(cache.rows("customers")),
        np.diff(cache["customers.trip_offsets"].astype(np.int64)),
    )
    known = week <= last_week
    customers = cache.rows("customers")
    trips = np.bincount(
        customer[known] * last_week + week[known] - 1, minlength=customers * last_week
    )
    trips = trips.reshape(customers, last_week).astype(float)
    # Baskets are those of the other half of the weeks: a customer who comes while something is
    # cheap buys it, and a basket of the same weeks would look cheap whenever they came. What a few
    # trips say of a basket is noisy, which would make n too small: the basket of every other week
    # is an instrument for that of the weeks between (Fuller, Measurement error models, 1987).
    zone = panel.zone[main_store(cache, last_week)]
    all_weeks, half = np.arange(1, last_week + 1), last_week // 2
    learnt, instrument = (
        np.hstack([
            learn(basket_price(usual_baskets(cache, panel, other[parity::2]), zone, price))[:, own]
            for own, other in (
                (slice(half), all_weeks[half:]), (slice(half, None), all_weeks[:half]),
            )
        ])
        for parity in (0, 1)
    )  # fmt: skip
    came = trips > 0
    weeks = np.arange(last_week)
    present = (weeks >= came.argmax(1)[:, None]) & (
        weeks < last_week - came[:, ::-1].argmax(1)[:, None]
    )
    present &= (came.sum(1) >= 2)[:, None]
    traded = panel.traffic[:, :last_week].sum(0) > 0
    present &= traded
    y, x, z = trips * present, learnt * present, instrument * present
    value, a, t = 0.0, np.zeros(customers), np.zeros(last_week)
    for _ in range(ITERATIONS):
        rate = np.exp(t - value * x) * present
        a = np.log((y.sum(1) + 1e-9) / (rate.sum(1) + 1e-9))
        rate = np.exp(a[:, None] - value * x) * present
        t = np.log((y.sum(0) + 1e-9) / (rate.sum(0) + 1e-9))
        mean = np.exp(a[:, None] + t - value * x) * present
        rest = _within(z, mean) * present
        information = (mean * rest * _within(x, mean)).sum()
        if information < 1e-6:
            return VisitResponse(0.0, 0.0)
        step = -(rest * (y - mean)).sum() / information
        value += step
        if abs(step) < 1e-5:
            break
    spread = ((rest * (y - mean)).sum(1) ** 2).sum()  # of customers, whose weeks are alike
    return VisitResponse(max(float(value), 0.0), float(np.sqrt(spread) / information))


def _within(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(n, W) what levels of customers and of weeks do not explain of x."""
    x = x - (mean * x).sum(1, keepdims=True) / (mean.sum(1, keepdims=True) + 1e-9)
    return x - (mean * x).sum(0) / (mean.sum(0) + 1e-9)


def usual_baskets(cache: TensorCache, panel: Panel, weeks: np.ndarray) -> csr_matrix:
    """(customers, P) share of each product in what a customer's items of some weeks usually cost;
    those of products outside the panel are missing."""
    items = np.diff(cache["trips.item_offsets"].astype(np.int64))
    week = np.repeat(cache["trips.week"], items)
    trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
    customer = np.repeat(np.repeat(np.arange(len(trips)), trips), items)
    known = np.isin(week, weeks)
    row = panel.row_of_token(cache.vocabulary.input_size)
    token, customer = cache["items.token"][known].astype(np.int64), customer[known]
    pence = np.concatenate([[0.0], cache["products.pence"], [0, 0], cache["categories.pence"]])
    cost = pence[token] * cache["items.quantity"][known]
    total = np.bincount(customer, cost, len(trips))
    product = row[token]
    inside = (product >= 0) & (total[customer] > 0)
    product, weight = product[inside], cost[inside] / total[customer[inside]]
    return csr_matrix((weight, (customer[inside], product)), (len(trips), len(panel.token)))


def main_store(cache: TensorCache, last_week: int) -> np.ndarray:
    """(customers,) the store of most of a customer's trips up to a week."""
    stores = cache.rows("stores") + 1  # the last stands for those outside the cache
    trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
    known = cache["trips.week"] <= last_week
    customer = np.repeat(np.arange(len(trips)), trips)[known]
    key, count = np.unique(
        customer * stores + cache["trips.store"][known].astype(np.int64), return_counts=True
    )
    found = np.zeros(len(trips), np.int64)
    order = np.argsort(count, kind="stable")
    found[key[order] // stores] = key[order] % stores
    return found


def basket_price(baskets: csr_matrix, zone: np.ndarray, price: np.ndarray) -> np.ndarray:
    """(customers, W) log price level of baskets (customers, P) in zones (customers,)."""
    found = np.zeros((baskets.shape[0], price.shape[2]))
    for each in range(price.shape[1]):
        rows = np.flatnonzero(zone == each)
        found[rows] = baskets[rows] @ price[:, each]
    return found


def learn(level: np.ndarray) -> np.ndarray:
    """(n, W) what has been learnt before each week of price levels (n, W)."""
    return before_each_week(torch.from_numpy(level), 1 - LEARNING, LEARNING).numpy()
