"""What the chain's manager faces: unit costs, demand shocks, suppliers' offers, missing products.

    log cost_it = log(p0_i (1 - margin_i)) + z_it,   z_it = v_dt + w_it
    log demand_ct += x_ct

v of the commodity d, w of the product and x of the sub-commodity c are autoregressive of order one,
v and w with COST_MEMORY, x with DEMAND_MEMORY. They are independent of each other and of every
household, so z moves prices and nothing else: it is a valid instrument.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shape
from .behaviour import Behaviour
from .catalogue import Catalogue
from .config import ChainConfig
from .draw import stream

# How well a purchase keeps, by class of the item: fresh, grocery, non-food, unclassified.
STORABLE = np.array([0.15, 0.80, 0.90, 0.50])
# Share of a promotion's depth that its supplier pays, and how often each is offered.
FUNDED = np.array([0.0, 0.5, 0.9])
FUNDED_SHARE = np.array([0.4, 0.4, 0.2])
OFFER_WEEKS = 4
# Share of products taken off sale for good, among the less popular half.
DELISTED = 0.06


@dataclass(frozen=True)
class Economy:
    """N products, C sub-commodities, K needs, W weeks."""

    margin: np.ndarray
    """(N,) share of the first price, at first costs."""
    cost: np.ndarray
    """(N, W) pence a unit; per kilogram where random-weight."""
    cost_shock: np.ndarray
    """(N, W) z."""
    demand_shock: np.ndarray
    """(C, W) x."""
    funding: np.ndarray
    """(N, W) share of a promotion's depth that the supplier pays."""
    storable: np.ndarray
    """(K,) in 0..1."""
    last_week: np.ndarray
    """(N,) last week in the plan's assortment."""


def _autoregressive(noise: np.ndarray, memory: float) -> np.ndarray:
    """(rows, W) of a process that starts in its stationary distribution, from white noise."""
    out = np.empty_like(noise)
    out[:, 0] = noise[:, 0] / np.sqrt(1 - memory**2) if memory < 1 else noise[:, 0]
    for week in range(1, noise.shape[1]):
        out[:, week] = memory * out[:, week - 1] + noise[:, week]
    return out


def build_economy(config: ChainConfig, catalogue: Catalogue, b: Behaviour) -> Economy:
    """Draw the economy of a chain."""
    products, weeks = catalogue.price.size, config.weeks
    rng = stream(config.seed, "costs")
    margin = rng.uniform(b.margin_low, b.margin_high, products)
    commodities = int(catalogue.dep.max()) + 1
    of_commodity, of_product = (
        _autoregressive(rng.normal(0, size, (rows, weeks)), b.cost_memory)
        for size, rows in ((b.commodity_cost, commodities), (b.product_cost, products))
    )
    cost_shock = of_commodity[catalogue.dep] + of_product
    cost_shock -= cost_shock[:, :1]  # margins are those of the first week
    cost = (catalogue.price * (1 - margin))[:, None] * np.exp(cost_shock)

    rng = stream(config.seed, "demand shocks")
    noise = rng.normal(0, b.demand_shock, (int(catalogue.cl.max()) + 1, weeks))
    demand_shock = _autoregressive(noise, b.demand_memory)

    rng = stream(config.seed, "suppliers")
    offers = rng.choice(FUNDED, (products, -(-weeks // OFFER_WEEKS)), p=FUNDED_SHARE)
    funding = np.repeat(offers, OFFER_WEEKS, axis=1)[:, :weeks]

    rng = stream(config.seed, "delistings")
    rare = catalogue.popularity < np.median(catalogue.popularity)
    gone = rare & (rng.random(products) < 2 * DELISTED)
    at = np.ceil(rng.uniform(0.3, 0.95, products) * weeks)
    last = np.where(gone & (at > catalogue.first_week + 8), at, weeks).astype(np.int64)

    _, first = np.unique(catalogue.need, return_index=True)
    storable = STORABLE[catalogue.mission[first]]
    return Economy(margin, cost, cost_shock, demand_shock, funding, storable, last)


assert STORABLE.size - 1 == shape.UNCLASSIFIED
