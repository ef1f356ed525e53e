"""Panels drawn from a demand model whose coefficients are known."""

from __future__ import annotations

import numpy as np

from simulator.prices.panel import Panel

PRODUCTS, ZONES, WEEKS = 60, 2, 40
STILL = 5
"""The first products, whose prices never move."""


def drawn_panel(seed: int = 0, cross: float = 0.0) -> tuple[Panel, np.ndarray]:
    """A panel, and the true elasticity of each product (P,); display adds .8, the mailer .4.

    cross: elasticity of each product by the price of its neighbour, of the same category.
    """
    draw = np.random.default_rng(seed)
    shape = (PRODUCTS, ZONES, WEEKS)
    elasticity = draw.normal(-1.5, 0.5, PRODUCTS)
    is_promoted = draw.random(shape) < 0.3
    is_promoted[:STILL] = False
    display = np.where(is_promoted & (draw.random(shape) < 0.5), 0.8, 0.0)
    mailer = np.where(is_promoted & (draw.random(shape) < 0.5), 1.0, 0.0)
    log_price = np.where(is_promoted, draw.uniform(-0.5, -0.1, shape), 0.0)
    traffic = draw.integers(900, 1100, shape[1:]).astype(float)
    level = np.exp(draw.normal(np.log(0.02), 0.5, (PRODUCTS, ZONES)))[..., None]
    answer = elasticity[:, None, None] * log_price + 0.8 * display + 0.4 * mailer
    answer += cross * log_price[np.arange(PRODUCTS) ^ 1]
    trips = draw.poisson(traffic * level * np.exp(answer)).astype(float)
    category = np.arange(PRODUCTS) // 6
    pence = np.round(300 * np.exp(log_price))
    return Panel(
        token=np.arange(1, PRODUCTS + 1), category=category, department=category // 5,
        zone=np.array([0, 1]), last_week=WEEKS, moved=np.where(np.arange(PRODUCTS) < STILL, 0, 0.2),
        trips=trips, units=trips, pence=pence, is_observed=trips > 0, display=display,
        mailer=mailer, traffic=traffic,
    ), np.where(np.arange(PRODUCTS) < STILL, 0, elasticity)  # fmt: skip
