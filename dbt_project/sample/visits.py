"""Trips of a week and what comes to mind on them, before anybody looks at a price.

1. The number of trips of household h is Poisson with its rate x exp(-VISITS b_h image_h), and none
   when it is lost. b_h is its price sensitivity.
2. A trip wants W items, as in baskets.py. Products come to mind one after another, from the
   household's repertoire, where habits count, or from its class's shares. The first W different
   ones are *wanted*, half as many more are *possible*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shape
from .baskets import (
    ERRAND,
    ERRANDS,
    FORMAT_SHIFT,
    HOUSEHOLD_PART,
    ITEMS_SCORE,
    focus_mix,
    trip_rates,
)
from .demand import FOCUS
from .draw import cumulate, pick, starts, within
from .keyed import child, children, normal, poisson, root, two_uniforms, uniform
from .memory import Memory
from .offer import Offer
from .setting import Setting

# Purposes of draws, a key each; purchases.py has more.
TRIPS, LEAVE, STORE, TIME, SIZE, FOCUSED, SOURCE = range(100, 107)
# Keys of the trips of a week and of the products that come to mind on one.
FIRST_TRIP, FIRST_THOUGHT = 200, 300
# Focus of a trip x class of item, with adopted products last: they are not what errands are for.
ALL_FOCUS = np.column_stack([FOCUS, [1.0, 1.0, 1.0, 1.0, 0.0]])
MOST = 0.1
"""Chance of being lost, or of coming back, in a week at most."""
DAYS = 7
HOUR_CDF = np.cumsum(shape.HOUR_SHARE / shape.HOUR_SHARE.sum())[:-1]


@dataclass(frozen=True)
class Thoughts:
    """Products that come to mind, in the order of trips. One element each."""

    trip: np.ndarray
    key: np.ndarray
    product: np.ndarray
    pair: np.ndarray
    """Of the repertoire, -1 where it does not come from it."""
    wanted: np.ndarray
    """Whether among the first W."""
    share: np.ndarray
    """Wanted over possible products of the trip."""


@dataclass(frozen=True)
class Outing:
    """The trips of a week, in order of household, and thoughts on them."""

    household: np.ndarray
    store: np.ndarray
    day: np.ndarray
    hour: np.ndarray
    thoughts: Thoughts
    left: np.ndarray
    """Households lost this week, and `returned` those that came back."""
    returned: np.ndarray


def go_out(s: Setting, m: Memory, offer: Offer, week: int, run: int) -> Outing:
    """Who goes where and thinks of what. Changes `m.lost` alone, and reads no price of `offer`."""
    h, b = s.households, s.behaviour
    who = children(root(s.config.seed, run, week), h.rate.size)
    left, returned = _churn(s, m, who)

    mean = trip_rates(h, week) * np.exp(-b.visits * s.sensitivity * m.image)
    trips = poisson(np.where(m.lost, 0.0, mean), uniform(who, TRIPS))
    household = np.repeat(np.arange(trips.size), trips)
    key = child(who[household], FIRST_TRIP + within(trips))
    opened = np.where(s.stores.first_week[h.store] <= week, h.store_weight, 0.0)
    at = pick(
        cumulate(opened), h.store_start[household], h.store_start[household + 1],
        uniform(key, STORE),
    )  # fmt: skip
    store = h.store[at]
    day, hour = two_uniforms(key, TIME)
    day = (DAYS * day).astype(np.int64)
    hour = shape.FIRST_HOUR + np.searchsorted(HOUR_CDF, hour, side="right")
    wanted, focus = _plans(s, offer, household, store, key)
    thoughts = _think(s, m, offer, week, household, key, wanted, focus)
    return Outing(household, store, day, hour, thoughts, left, returned)


def _churn(s: Setting, m: Memory, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Households that are lost and that come back."""
    b = s.behaviour
    push = np.exp(np.clip(b.leaving_price * s.sensitivity * m.image, -50, 50))
    chance = np.where(m.lost, b.returning / push, b.leaving * push)
    move = np.flatnonzero(uniform(who, LEAVE) < np.minimum(chance, MOST))
    returned = move[m.lost[move]]
    left = move[~m.lost[move]]
    m.lost[move] = ~m.lost[move]
    return left, returned


def _plans(s: Setting, offer: Offer, household, store, key) -> tuple[np.ndarray, np.ndarray]:
    """Number of items wanted and focus of each trip, as in `baskets.draw_items`."""
    h = s.households
    score = np.sqrt(HOUSEHOLD_PART) * h.basket[household]
    score += np.sqrt(1 - HOUSEHOLD_PART) * normal(key, SIZE)
    wanted = 1 + np.searchsorted(ITEMS_SCORE, score + FORMAT_SHIFT[s.stores.format[store]])
    turn = np.cumsum(focus_mix(h.focus[household], wanted), axis=1)
    u, v = two_uniforms(key, FOCUSED)
    focus = (u[:, None] * turn[:, -1:] >= turn[:, :-1]).sum(1)
    possible = (offer.known & (s.catalogue.mission == shape.UNCLASSIFIED)).any()
    focus[possible & (wanted == 1) & (v < ERRANDS)] = ERRAND
    return wanted, focus


def _by_class(running, bounds, tilt, row, u) -> np.ndarray:
    """Positions drawn by weight from rows that are divided into classes.

    running: total over all weights; bounds (rows, classes + 1) into it; tilt (rows, classes)
    multiplies the weights of a class; row, u: one element per draw. -1 where nothing weighs.
    """
    lower = running[bounds]
    up_to = np.zeros((tilt.shape[0], tilt.shape[1] + 1))
    np.cumsum(np.diff(lower, axis=1) * tilt, axis=1, out=up_to[:, 1:])
    x = u * up_to[row, -1]
    column = np.zeros(row.size, dtype=np.int64)
    for inner in range(1, tilt.shape[1]):
        column += x >= up_to[row, inner]
    flat = row * up_to.shape[1] + column
    inside = (x - up_to.ravel()[flat]) / np.maximum(tilt[row, column], 1e-300)
    at = np.searchsorted(running, lower.ravel()[flat] + inside, side="right") - 1
    at = np.clip(at, bounds.ravel()[flat], bounds.ravel()[flat + 1] - 1)
    return np.where(up_to[row, -1] > 0, at, -1)


def _think(s: Setting, m: Memory, offer: Offer, week, household, key, wanted, focus) -> Thoughts:
    """What comes to mind on each trip."""
    h, c, r = s.households, s.catalogue, s.repertoire
    products = c.need.size
    draws = np.where(wanted == 1, 3, wanted + 2 * wanted // 3 + 3)
    trip = np.repeat(np.arange(household.size), draws)
    place = within(draws)
    thought = child(key[trip], FIRST_THOUGHT + place)
    u, v = two_uniforms(thought, SOURCE)

    weight = m.habit * r.habit
    weight += r.without
    weight *= r.tilt(week)
    weight *= np.append(offer.factor[c.cl] * offer.known, np.float32(0))[m.product]
    running = cumulate(weight)
    product, pair = np.empty(trip.size, np.int64), np.full(trip.size, -1)
    own = np.flatnonzero(u < h.loyalty[household[trip]])
    at = _by_class(running, r.bounds[household], ALL_FOCUS[focus], trip[own], v[own])
    pair[own] = at
    product[own] = m.product[at]

    other = np.flatnonzero(pair < 0)
    of = trip[other]
    classes = offer.base_weight.shape[0] // FOCUS.shape[0]
    bounds = s.mission_bounds + np.arange(classes)[:, None] * products
    row = h.sensitivity[household[of]] * FOCUS.shape[0] + focus[of]
    at = _by_class(
        offer.base, np.repeat(bounds, FOCUS.shape[0], axis=0), np.tile(FOCUS, (classes, 1)), row,
        v[other],
    )  # fmt: skip
    product[other] = s.by_mission[at % products]

    # The first of each product on a trip, by one sort of whole numbers.
    order = np.sort((trip * products + product) << 7 | place)
    pairs = order >> 7
    first = order[starts(pairs)]
    begin = np.cumsum(draws) - draws
    new = np.zeros(trip.size, dtype=bool)
    new[begin[(first >> 7) // products] + (first & 127)] = True
    count = np.cumsum(new)
    rank = count - np.repeat(count[begin] - new[begin], draws)  # from 1
    chosen = np.flatnonzero(new & (rank <= (wanted + -(-wanted // 2))[trip]))
    trip = trip[chosen]
    possible = np.bincount(trip, minlength=wanted.size) - wanted
    share = wanted / np.maximum(possible, 1)
    return Thoughts(
        trip, thought[chosen], product[chosen], pair[chosen], rank[chosen] <= wanted[trip],
        share[trip],
    )  # fmt: skip
