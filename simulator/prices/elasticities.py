"""Own and cross elasticities of expected demand, with intervals, and what cannot be told."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch.func import jvp
from tqdm import tqdm

from simulator.prices.expected import ExpectedDemand, Parameters
from simulator.prices.response import SLOW, PriceResponse

OWN_SALES, TYPICAL, NEVER_MOVED = "own sales", "typical product", "price never moved"
"""What an elasticity rests on: `verdict`."""
DRAWS = 100
LITTLE = 0.8
"""Share of the uncertainty about a typical product that a product's own sales leave, from which on
its elasticity is that of a typical one."""
MOVE = 0.05
"""Log price change that counts as a move."""


@dataclass(frozen=True)
class Elasticities:
    """Of units of one product to the price of another in its need, or its own; n pairs.

    Products of different needs have 0 but for how often customers come.
    """

    sold: np.ndarray
    """(n,) rows of the panel, and `priced`."""
    priced: np.ndarray
    value: np.ndarray
    """(n,) NaN for products that were not sold lately."""
    low: np.ndarray
    """(n,) middle 90 % of draws from the parameters' uncertainty: from here to `high`."""
    high: np.ndarray


def elasticities(demand: ExpectedDemand, draws: int = DRAWS, seed: int = 0) -> Elasticities:
    """By automatic differentiation through expected demand."""
    r = demand.response.products
    sold, priced = pairs(r.need)
    moves, move = one_of_each_need(r.need)
    rng = np.random.default_rng(seed)

    def found(parameters: Parameters) -> np.ndarray:
        zero = torch.zeros(len(r.need), dtype=torch.float64)
        slopes = []
        for direction in moves:
            units, slope = jvp(
                lambda change: demand.units(change, parameters), (zero,), (torch.tensor(direction),)
            )
            slopes.append(np.where(units > 0, slope / units.clamp(min=1e-12), np.nan))
        return np.stack(slopes)[move[priced], sold] * (1 - 2 * (r.need[sold] % 2))

    value = found(Parameters.estimated(demand.response))
    bar = tqdm(range(draws), desc="elasticities", unit="draw", delay=SLOW, file=sys.stderr)
    drawn = np.stack([found(Parameters.drawn(demand.response, rng)) for _ in bar])
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    return Elasticities(sold, priced, value, low, high)


def pairs(need: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of products of one need, each product with itself too: (n,), (n,)."""
    order = np.argsort(need, kind="stable")
    size = np.bincount(need)[need[order]]
    first = np.searchsorted(need[order], need[order])
    sold = np.repeat(order, size)
    within = np.arange(len(sold)) - np.repeat(size.cumsum() - size, size)
    return sold, order[np.repeat(first, size) + within]


def one_of_each_need(need: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (m, P) that each move at most one product of every need, up in half of the needs
    and down in the others, so that the price level of baskets stays; and (P,) that of a product.
    """
    order = np.argsort(need, kind="stable")
    move = np.empty(len(need), np.int64)
    move[order] = np.arange(len(need)) - np.searchsorted(need[order], need[order])
    return (move == np.arange(move.max() + 1)[:, None]) * (1.0 - 2.0 * (need % 2)), move


def evidence(r: PriceResponse) -> tuple[np.ndarray, np.ndarray]:
    """(P,) weeks in which the price of a product moved, and the standard deviation of its log
    price, each in the zone where it is largest."""
    moved = (np.abs(np.diff(r.price, axis=2)) > MOVE).sum(2).max(1)
    return moved, r.price.std(axis=2).max(1)


def verdict(r: PriceResponse) -> np.ndarray:
    """(P,) what a product's elasticity rests on: `OWN_SALES`, `TYPICAL`, or `NEVER_MOVED`, where it
    is 0 because nothing is known."""
    own = r.switching_error < LITTLE * r.spread
    return np.where(r.moved, np.where(own, OWN_SALES, TYPICAL), NEVER_MOVED)
