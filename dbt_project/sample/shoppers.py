"""One week of the responsive chain's households: trips, choices, purchases, and what they remember.

docs/chain.md has the model. In short, for a household h in week w:

1. The number of trips is Poisson with its rate x exp(-VISITS b_h image_h); none when it is lost.
2. A trip wants W items, as in baskets.py. Products come to mind one after another, from the
   household's repertoire (where habits count) or from its class's shares. The first W different
   ones are *wanted*, half as many more are *possible*. None of this depends on this week's prices.
3. Each is bought as it is or replaced by a rival of its need (offer.py), product i. With
   A = -b_h (NEED log(p_i / p0_i) + DEAL or LOSS x log(p_i / p0_i) - reference_hk)) and the pantry
   S_hk in purchases, a wanted product is bought with probability min(r, 1), a possible one with
   probability (r - 1)+ W / possible, r = exp(A) (1 - S_hk): purchases are in proportion to r.
4. What is bought beyond the usual because of a deal goes into the pantry, as far as it keeps; what
   is put off because of a high price is owed to it. Purchases form habits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from . import shape
from .baskets import (
    ERRAND,
    ERRANDS,
    FORMAT_SHIFT,
    HOUSEHOLD_PART,
    ITEMS_SCORE,
    Week,
    amounts,
    focus_mix,
    trip_rates,
)
from .coupons import Coupons
from .demand import FOCUS
from .draw import cumulate, pick, within
from .keyed import child, children, normal, poisson, root, two_uniforms, uniform
from .offer import Offer
from .setting import ADOPTED, MISSIONS, Setting

# Purposes of draws, a key each.
(
    TRIPS, LEAVE, STORE, TIME, SIZE, FOCUSED, SOURCE, CHOICE, ACCEPT, MISSING, AMOUNT, PORTION, TRY,
    REMIND, PULL,
) = range(100, 115)  # fmt: skip
# Keys of the trips of a week and of the products that come to mind on one.
FIRST_TRIP, FIRST_THOUGHT = 200, 300
# Focus of a trip x class of item, with adopted products last: they are not what errands are for.
ALL_FOCUS = np.column_stack([FOCUS, [1.0, 1.0, 1.0, 1.0, 0.0]])
# Weekly chance of being lost or of coming back is never larger.
MOST = 0.1
DAYS = 7
HOUR_CDF = np.cumsum(shape.HOUR_SHARE / shape.HOUR_SHARE.sum())[:-1]


@dataclass
class Memory:
    """What households carry from week to week. H households, K needs, P pairs of the repertoire."""

    image: np.ndarray
    """(H,) price image: log prices seen, relative to the market's."""
    lost: np.ndarray
    """(H,) whether the household shops elsewhere."""
    reference: np.ndarray
    """(H * K,) float32 log price that the household expects of a need, relative to first prices."""
    pantry: np.ndarray
    """(H * K,) float32 purchases of a need in store, negative where put off."""
    habit: np.ndarray
    """(P,) float32 in 0..1."""
    product: np.ndarray
    """(P,) products of the repertoire, -1 for an empty place."""
    coupons: Coupons
    """Coupons in hand."""

    @classmethod
    def fresh(cls, s: Setting) -> Memory:
        """Before the first week: nothing in store, no habits, first prices expected."""
        count, cells = s.households.rate.size, s.households.rate.size * s.needs
        return cls(
            image=np.zeros(count, np.float32), lost=np.zeros(count, bool),
            reference=np.zeros(cells, np.float32), pantry=np.zeros(cells, np.float32),
            habit=np.zeros(s.repertoire.product.size, np.float32),
            product=s.repertoire.product.copy(), coupons=Coupons.none(),
        )  # fmt: skip

    def copy(self) -> Memory:
        """One that shares nothing with this one."""
        return Memory(**{f.name: getattr(self, f.name).copy() for f in fields(self)})


@dataclass(frozen=True)
class Lived:
    """What a week was."""

    receipts: Week
    discount: np.ndarray
    """(items,) pence that coupons took off `receipts.spend`."""
    left: np.ndarray
    """Households lost this week, and `returned` those that came back."""
    returned: np.ndarray


@dataclass(frozen=True)
class _Thoughts:
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
class _Decisions:
    """What becomes of each thought."""

    who: np.ndarray
    product: np.ndarray
    cell: np.ndarray
    """Household x needs + need."""
    bought: np.ndarray
    gap: np.ndarray
    """Log of the price over the reference price."""
    stored: np.ndarray
    """Purchases that go into the pantry, or come out of it."""


@dataclass(frozen=True)
class _Items:
    """Items of the week's baskets, one element each."""

    trip: np.ndarray
    product: np.ndarray
    key: np.ndarray
    gain: np.ndarray
    """Log of the reference price over the price, at least 0."""
    pair: np.ndarray
    """Of the repertoire, -1 where it did not come from it."""

    @classmethod
    def plain(cls, trip, product, key) -> _Items:
        """Items that are not bought for their price."""
        return cls(trip, product, key, np.zeros(trip.size), np.full(trip.size, -1))

    def followed_by(self, more: _Items) -> _Items:
        """These items, and more."""
        if not more.trip.size:
            return self
        return _Items(
            *(np.concatenate([getattr(x, f.name) for x in (self, more)]) for f in fields(self))
        )

    def only(self, at: np.ndarray) -> _Items:
        """The items at positions."""
        return _Items(*(getattr(self, f.name)[at] for f in fields(self)))


def live(s: Setting, m: Memory, offer: Offer, week: int, run: int) -> Lived:
    """Live a week and change `m`; draws are keyed by the chain's seed, `run` and the week."""
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
    items = _buy(s, m, offer, week, run, household, store, thoughts)
    receipts = Week(household, store, day, hour, *items[:4])
    return Lived(receipts, items[4], left, returned)


def _churn(s: Setting, m: Memory, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Households that are lost and that come back."""
    b = s.behaviour
    push = np.exp(b.leaving_price * s.sensitivity * m.image)
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


def _think(s: Setting, m: Memory, offer: Offer, week, household, key, wanted, focus) -> _Thoughts:
    """What comes to mind on each trip."""
    h, c, r = s.households, s.catalogue, s.repertoire
    products = c.need.size
    draws = np.where(wanted == 1, 3, wanted + 2 * wanted // 3 + 3)
    trip = np.repeat(np.arange(household.size), draws)
    place = within(draws)
    thought = child(key[trip], FIRST_THOUGHT + place)
    u, v = two_uniforms(thought, SOURCE)

    habits = m.habit * np.float32(s.behaviour.habit)
    habits += 1
    habits[r.place] = m.habit[r.place]
    weight = r.tilt(week) * habits
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
    first = order[np.r_[True, pairs[1:] != pairs[:-1]]]
    begin = np.cumsum(draws) - draws
    new = np.zeros(trip.size, dtype=bool)
    new[begin[(first >> 7) // products] + (first & 127)] = True
    count = np.cumsum(new)
    rank = count - np.repeat(count[begin] - new[begin], draws)  # from 1
    chosen = np.flatnonzero(new & (rank <= (wanted + -(-wanted // 2))[trip]))
    trip = trip[chosen]
    possible = np.bincount(trip, minlength=wanted.size) - wanted
    share = wanted / np.maximum(possible, 1)
    return _Thoughts(
        trip, thought[chosen], product[chosen], pair[chosen], rank[chosen] <= wanted[trip],
        share[trip],
    )  # fmt: skip


def _decide(s: Setting, m: Memory, offer: Offer, household, t: _Thoughts) -> _Decisions:
    """What becomes of each thought; price images and reference prices take in what was seen."""
    b, need = s.behaviour, s.catalogue.need
    who = household[t.trip]
    region, sensitivity = s.households.region[who], s.sensitivity[who]
    product = offer.choose(s, t.product, region, s.kind[who], *two_uniforms(t.key, CHOICE))
    gone = ~offer.available[region, t.product]
    gone[gone] = uniform(t.key[gone], MISSING) >= b.stand_by
    buyable = (product >= 0) & ~gone
    product = np.where(buyable, product, t.product)
    cell = who * s.needs + need[product]
    ratio = offer.log_ratio[region, product]
    if len(m.coupons):
        product, off = m.coupons.temptation(s, offer, who, product, buyable, t.key)
        ratio = offer.log_ratio[region, product] + off

    gap = ratio - m.reference[cell]
    deal = -sensitivity * np.where(gap > 0, b.loss, b.deal).astype(np.float32) * gap
    appeal = deal - sensitivity * np.float32(b.need) * ratio
    willing = np.exp(appeal)
    stored = np.clip(m.pantry[cell], -1, 1)
    rate = willing * (1 - stored)
    u = uniform(t.key, ACCEPT)
    bought = buyable & (u < np.where(t.wanted, rate, (rate - 1) * t.share))

    # What the pantry gives, and what is owed to it because the price is above the reference. A
    # possible product is bought early, as far as the deal brought it; or it was owed.
    storable = s.economy.storable[need[product]]
    part = storable * np.clip(deal / np.where(appeal == 0, 1, appeal), 0, 1)
    fed = t.wanted & buyable & ~bought & (u < willing)
    put_off = t.wanted & buyable & (u >= willing) & (deal < 0)
    stored = np.where(
        bought & ~t.wanted, np.where(stored < 0, 1, part), -1.0 * fed - part * put_off
    )

    m.image[:] = _images(s, m, t, who, offer.log_ratio[region, product])
    seen = np.flatnonzero(t.wanted)
    expected = m.reference[cell[seen]]
    index = offer.index[(region * s.needs + need[product])[seen]]
    m.reference[cell[seen]] = expected + np.float32(b.memory) * (index - expected)
    return _Decisions(who, product, cell, bought, gap, stored)


def _buy(s: Setting, m: Memory, offer: Offer, week: int, run: int, household, store, t: _Thoughts):
    """Items and what is learned from them: trip, product, quantity, spend, discount."""
    c, b, products = s.catalogue, s.behaviour, s.catalogue.need.size
    d = _decide(s, m, offer, household, t)
    _store(s, m, d.cell, d.stored)
    at = np.flatnonzero(d.bought)
    kept = d.product[at] == t.product[at]
    items = _Items(
        t.trip[at], d.product[at], t.key[at], np.maximum(-d.gap[at], 0),
        np.where(kept, t.pair[at], -1),
    )  # fmt: skip
    items = _with_complements(s, offer, household, items)
    if len(m.coupons):
        items = items.followed_by(_reminders(s, m, offer, week, run, household))
    items = items.only(_first(items.trip * products + items.product))
    who = household[items.trip]
    region, form = s.households.region[who], s.stores.format[store[items.trip]]
    cell = who * s.needs + c.need[items.product]
    storable = s.economy.storable[c.need[items.product]]

    more, many = two_uniforms(items.key, AMOUNT)
    lift = np.exp(b.stock_up * storable * s.sensitivity[who] * items.gain)
    price = offer.price[region, form, items.product]
    portion = normal(items.key, PORTION)
    quantity, spend = amounts(c, items.product, price, more / lift, many, portion)
    ahead = np.where(more < c.multiple[items.product], 0, quantity - 1) * storable
    _store(s, m, cell, ahead)
    keeps = (np.maximum(s.economy.storable, 1e-3) ** 0.25).astype(np.float32)
    m.pantry.reshape(-1, s.needs)[:] *= keeps

    discount = np.zeros(items.trip.size, dtype=np.int64)
    if len(m.coupons):
        share, m.coupons = m.coupons.redeemed(s, who, items.product)
        discount = np.rint(spend // quantity * share).astype(np.int64)
    _form_habits(s, m, who, items)
    return items.trip, items.product, quantity, spend, discount


def _store(s: Setting, m: Memory, cell: np.ndarray, purchases: np.ndarray) -> None:
    """Put purchases into pantries, or take them out."""
    some = np.flatnonzero(purchases)
    cell = cell[some]
    np.add.at(m.pantry, cell, purchases[some].astype(np.float32))
    m.pantry[cell] = np.clip(m.pantry[cell], -1, s.behaviour.room)


def _with_complements(s: Setting, offer: Offer, household, items: _Items) -> _Items:
    """A purchase may bring its complement into the basket."""
    partner = s.catalogue.partner[items.product]
    at = np.flatnonzero(partner >= 0)
    at = at[uniform(items.key[at], PULL) < s.catalogue.pull[items.product[at]]]
    at = at[offer.available[s.households.region[household[items.trip[at]]], partner[at]]]
    return items.followed_by(_Items.plain(items.trip[at], partner[at], child(items.key[at], PULL)))


def _reminders(s: Setting, m: Memory, offer: Offer, week: int, run: int, household) -> _Items:
    """A coupon may bring its product to mind on the week's first trip of the household."""
    first = np.flatnonzero(np.r_[True, household[1:] != household[:-1]][: household.size])
    who = household[first]
    coupons = m.coupons
    at = np.searchsorted(who, coupons.household)
    at = np.minimum(at, max(who.size - 1, 0))
    shops = np.flatnonzero(who[at] == coupons.household) if who.size else np.zeros(0, np.int64)
    product, chance, key = coupons.reminders(s, m, offer, shops, week, run)
    come = np.flatnonzero((product >= 0) & (uniform(key, REMIND) < chance))
    return _Items.plain(first[at[shops[come]]], product[come], key[come])


def _first(key: np.ndarray) -> np.ndarray:
    """Positions of the first of each key, in the order of keys."""
    return np.unique(key, return_index=True)[1]


def _images(s: Setting, m: Memory, t: _Thoughts, who, ratio) -> np.ndarray:
    """Price images after a week: prices of wanted products count by what they cost at first."""
    b, count = s.behaviour, m.image.size
    price = s.unit_price[t.product] * t.wanted
    cost = np.bincount(who, price, count)
    level = np.bincount(who, price * ratio, count) / np.maximum(cost, 1e-9) - b.market
    trips = np.bincount(who[np.r_[True, t.trip[1:] != t.trip[:-1]]], minlength=count)
    seen = 1 - (1 - b.learning) ** trips
    return np.where(trips > 0, m.image + seen * (level - m.image), m.image * (1 - b.forgetting))


def _form_habits(s: Setting, m: Memory, who: np.ndarray, items: _Items) -> None:
    """Purchases strengthen habits, all habits fade; a new product may take the weakest place."""
    b, r, products = s.behaviour, s.repertoire, s.catalogue.need.size
    m.habit *= np.float32(1 - b.fading)
    item, pair = items.product, items.pair.copy()
    # Others may be in the repertoire as well: among the favourites, or in a place.
    other = np.flatnonzero(pair < 0)
    wanted = who[other] * products + item[other]
    at = np.minimum(np.searchsorted(r.key, wanted), r.key.size - 1)
    found = r.key[at] == wanted
    pair[other[found]] = r.pair[at[found]]
    rest = other[~found]
    places = r.bounds[who[rest], MISSIONS][:, None] + np.arange(ADOPTED)
    same = m.product[places] == item[rest][:, None]
    there = same.any(1)
    pair[rest[there]] = places[there, same[there].argmax(1)]
    new = np.flatnonzero(~there)
    new = new[uniform(items.key[rest[new]], TRY) < 0.5]
    weakest = places[new, m.habit[places[new]].argmin(1)]
    m.product[weakest] = item[rest[new]]
    m.habit[weakest] = 0.0
    pair[rest[new]] = weakest
    # A place may have been taken twice this week: the last product is in it.
    formed = pair[pair >= 0]
    m.habit[formed] += np.float32(b.forming) * (1 - m.habit[formed])
