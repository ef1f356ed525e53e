"""What a coupon does, estimated from the logged receipts of a randomised trial.

A holder buys, beside what they would have bought anyway, Poisson around theta_s times the units
that they usually buy of the coupon's need, of the coupon's product. theta_s, of a segment s by
recency and whether the need was bought lately, is

    sum over coupons of n1 (mean of y - e with it less mean without) / sum over holders of E

y units of the product until the coupon runs out, e and E what receipts before say of the product
and of its need, n1 holders: chance alone decides who holds one, so that the difference is the
coupon's. Segments are shrunk towards what all have in common by how much they truly differ
(DerSimonian and Laird, 1986; Efron and Morris, 1975).

A share phi of these units is taken from other products of the need. It is estimated likewise from
their units, and weighed against what the price response says, s (1 - share) / (s (1 - share) + v)
with switching s and lasting effect v, as if that were known to within `OPEN`.

A coupon is used with the first purchase of its product.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dbt_project.sample.coupons import LASTS
from trainer.commands.errors import InputError

from .coupon_log import CouponLog
from .knowledge import Knowledge

RECENCY = (2, 5, 13)
"""Weeks since the last trip at which a segment ends."""
LATELY = 13
"""Weeks in which a purchase counts as a habit of buying."""
SEGMENTS = 2 * (len(RECENCY) + 1)
OPEN = 0.3
"""Standard deviation of what the price response says of phi."""


def segment(since: np.ndarray, idle: np.ndarray) -> np.ndarray:
    """(H, C) segment of each card for each coupon. since: (H,) weeks since the last trip; idle:
    (H, C) weeks since the last purchase of the coupon's need."""
    recency = np.digitize(since, RECENCY)[:, None]
    return 2 * recency + (idle < LATELY)


def usual_units(known: Knowledge, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, C) units that a card buys on a trip of each product, and of its whole need."""
    each = known.likes * known.units_a_trip
    same = known.need[:, None] == known.need[product]
    return each[:, product], each @ same


def with_coupons(known: Knowledge, log: CouponLog, customers: list[str]) -> Knowledge:
    """What is known, with the response of coupons. customers: codes of the cards that are known.

    Raises InputError for a trial that ends after the history, or of other cards.
    """
    if log.week.max() + LASTS - 1 > known.start:
        raise InputError(f"the trial ends after week {known.start}, which is the last that is read")
    row = log.rows(customers)
    if (row >= 0).mean() < 0.5:
        raise InputError("the trial's cards are not those of the receipts")
    here = row >= 0
    of_product, of_need = (
        LASTS * known.rate[:, None] * units for units in usual_units(known, log.product)
    )
    of_product, of_need = of_product[row[here]], of_need[row[here]]
    cells, both, exposed = [], [], []
    for number, week in enumerate(log.week):
        own, rest, cell = (values[here] for values in _window(known, log, int(week)))
        cells.append(cell)
        both.append(np.stack([own - of_product, rest - (of_need - of_product)]))
        exposed.append(np.where(log.given[number][here], of_need, 0.0))
    cell, given = np.concatenate(cells), log.given[:, here].reshape(-1, log.product.size)
    own, rest = np.concatenate(both, axis=1)
    exposure = np.bincount(cell.ravel(), np.concatenate(exposed).ravel(), SEGMENTS)
    lift, error = _differences(own, cell, given)
    lost, lost_error = _differences(rest, cell, given)
    theta = _shrunk(lift, error, exposure)
    r = known.switching[log.product] * (1 - known.share[log.product])
    said = r / np.maximum(r + known.of_need[0], 1e-9)
    seen, seen_error = -lost.sum() / max(lift.sum(), 1e-9), np.inf
    if lift.sum() > 0:
        seen_error = np.sqrt((lost_error**2).sum()) / lift.sum()
    trust = OPEN**2 / (OPEN**2 + seen_error**2)
    return replace(
        known, coupon=log.product, coupon_depth=np.array([log.depth]), coupon_lift=theta,
        coupon_taken=np.clip(said + trust * (seen - said), 0, 1),
    )  # fmt: skip


def _window(known: Knowledge, log: CouponLog, week: int) -> tuple[np.ndarray, ...]:
    """(H, C) units of each coupon's product and of the rest of its need while coupons of a week are
    good, and segments before it."""
    households, same = len(log.customer), known.need[:, None] == known.need[log.product]
    during = (log.when >= week) & (log.when < week + LASTS)
    before = log.when < week

    def units(chosen: np.ndarray) -> np.ndarray:
        flat = log.who[chosen] * np.int64(known.need.size) + log.bought[chosen]
        size = households * known.need.size
        return np.bincount(flat, log.units[chosen], size).reshape(households, -1)

    sold = units(during)
    own = sold[:, log.product]
    last = np.full((households, known.need.size), log.first - LATELY)
    np.maximum.at(last, (log.who[before], log.bought[before]), log.when[before])
    idle = np.stack([week - 1 - last[:, s].max(1) for s in same.T], axis=1)
    return own, sold @ same - own, segment(week - 1 - last.max(1), idle)


def _differences(y: np.ndarray, cell: np.ndarray, given: np.ndarray) -> np.ndarray:
    """(2, segments) units that coupons added for their holders, and its standard error."""
    found = np.zeros((2, SEGMENTS))
    for coupon in range(y.shape[1]):
        for each in range(SEGMENTS):
            inside = cell[:, coupon] == each
            one, other = y[inside & given[:, coupon], coupon], y[inside & ~given[:, coupon], coupon]
            if min(one.size, other.size) < 2:
                continue
            found[0, each] += one.size * (one.mean() - other.mean())
            found[1, each] += one.size * one.var() + one.size**2 * other.var() / other.size
    found[1] = np.sqrt(found[1])
    return found


def _shrunk(lift: np.ndarray, error: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    """(segments,) theta."""
    common = lift.sum() / max(exposure.sum(), 1e-9)
    known = (exposure > 0) & (error > 0)
    if not known.any():
        return np.full(SEGMENTS, max(common, 0.0))
    theta, variance = lift[known] / exposure[known], (error[known] / exposure[known]) ** 2
    weight = 1 / variance
    mean = (weight * theta).sum() / weight.sum()
    spread = (weight * (theta - mean) ** 2).sum() - (weight.size - 1)
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    between = max(spread / scale, 0.0) if scale > 1e-9 else 0.0
    found = np.full(SEGMENTS, mean)
    found[known] += (theta - mean) * between / (between + variance)
    return np.maximum(found, 0.0)
