"""What is bought on the trips of a week, and what is learned from it.

A product j that came to mind is bought as it is or replaced by a rival of its need (offer.py),
product i. With the price relative to the first one, l_i = log(p_i / p0_i), the household's
reference price r_hk of the need and its pantry S_hk in purchases,

    A = -b_h (NEED l_i + DEAL (l_i - r_hk))    or, above the reference, LOSS for DEAL,

a wanted product is bought with probability min(R, 1) and a possible one with probability
(R - 1)+ wanted / possible, R = exp(A) (1 - S_hk): purchases are in proportion to R. What is bought
beyond the usual because of a deal goes into the pantry, as far as it keeps; what is put off because
of a high price is owed to it. Far above first prices hardly anybody buys (`offer.affordable`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .baskets import Week, amounts
from .draw import starts
from .keyed import child, normal, two_uniforms, uniform
from .memory import Memory
from .offer import Offer, affordable
from .setting import ADOPTED, MISSIONS, Setting
from .visits import Outing, Thoughts, go_out

# Purposes of draws, a key each; visits.py has others.
CHOICE, ACCEPT, MISSING, AMOUNT, PORTION, TRY, REMIND, PULL = range(107, 115)


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
    out = go_out(s, m, offer, week, run)
    trip, product, quantity, spend, discount = _buy(s, m, offer, week, run, out)
    # Who buys nothing has no receipt.
    some = np.bincount(trip, minlength=out.household.size) > 0
    trip = (np.cumsum(some) - 1)[trip]
    who = (x[some] for x in (out.household, out.store, out.day, out.hour))
    return Lived(Week(*who, trip, product, quantity, spend), discount, out.left, out.returned)


def _decide(s: Setting, m: Memory, offer: Offer, household, t: Thoughts) -> _Decisions:
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
    willing = np.exp(appeal) * affordable(ratio)
    stored = np.clip(m.pantry[cell], -1, 1)
    rate = willing * (1 - stored)
    u = uniform(t.key, ACCEPT)
    bought = buyable & (u < np.where(t.wanted, rate, (rate - 1) * t.share))

    # What the pantry gives, and what is owed to it because the price is above the reference. A
    # possible product is bought early where there is a deal; or it was owed.
    keeps = s.economy.storable[need[product]]
    fed = t.wanted & buyable & ~bought & (u < willing)
    put_off = t.wanted & buyable & (u >= willing) & (deal < 0)
    early = np.where(stored < 0, 1.0, keeps * (deal > 0))
    stored = np.where(bought & ~t.wanted, early, -1.0 * fed - keeps * put_off)

    m.image[:] = _images(s, m, t, who, offer.log_ratio[region, product])
    seen = np.flatnonzero(t.wanted)
    expected = m.reference[cell[seen]]
    index = offer.index[(region * s.needs + need[product])[seen]]
    m.reference[cell[seen]] = expected + np.float32(b.memory) * (index - expected)
    return _Decisions(who, product, cell, bought, gap, stored)


def _buy(s: Setting, m: Memory, offer: Offer, week: int, run: int, out: Outing):
    """Items and what is learned from them: trip, product, quantity, spend, discount."""
    c, b, products = s.catalogue, s.behaviour, s.catalogue.need.size
    household, store, t = out.household, out.store, out.thoughts
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
    region = s.households.region[household[items.trip[at]]]
    pull = s.catalogue.pull[items.product[at]] * affordable(offer.log_ratio[region, partner[at]])
    comes = (uniform(items.key[at], PULL) < pull) & offer.available[region, partner[at]]
    at = at[comes]
    return items.followed_by(_Items.plain(items.trip[at], partner[at], child(items.key[at], PULL)))


def _reminders(s: Setting, m: Memory, offer: Offer, week: int, run: int, household) -> _Items:
    """A coupon may bring its product to mind on the week's first trip of the household."""
    first = np.flatnonzero(starts(household))
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


def _images(s: Setting, m: Memory, t: Thoughts, who, ratio) -> np.ndarray:
    """Price images after a week: prices of wanted products count by what they cost at first."""
    b, count = s.behaviour, m.image.size
    price = s.unit_price[t.product] * t.wanted
    cost = np.bincount(who, price, count)
    level = np.bincount(who, price * ratio, count) / np.maximum(cost, 1e-9) - b.market
    trips = np.bincount(who[starts(t.trip)], minlength=count)
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
