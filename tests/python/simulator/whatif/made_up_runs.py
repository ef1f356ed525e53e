"""A simulator that makes its receipts up, in no time: they hold every case that is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulator.coupon_hands import Hands
from simulator.coupons import Answer
from simulator.receipts import Receipts
from simulator.substitution import Substitution

TRIPS = 40
"""A week."""
NEW = -2
"""A customer who is new since the start."""


class MadeUp:
    """As `Simulator`, but trips are the same with a scenario and without. A delisted product is
    replaced by the next one, a price by the one that the scenario makes of it, and coupons are used
    by all who can. How demand answers to prices is not measured."""

    demand = None

    def __init__(self, cache, start, customers=None, instrument=None):
        self.cache, self.start = cache, start
        self.substitution = Substitution(cache, None)
        self.customers = np.arange(5) if customers is None else customers

    def settled(self, scenario):
        answer = Answer(1.0, 1.0, "All of them have it in mind.")
        return replace(scenario, coupons=[replace(c, answer=answer) for c in scenario.coupons])

    def run(self, weeks, seed, scenario, anonymous=True, on_week=lambda: None):
        draw = np.random.default_rng(seed)
        trips = TRIPS * weeks
        week = self.start + 1 + np.arange(trips) // TRIPS
        store = draw.integers(-1, self.cache.rows("stores"), trips)
        customer = draw.integers(NEW, 60, trips)
        tokens = [np.sort(draw.choice(self.cache.products - 1, 5, False)) + 1 for _ in week]
        units = [draw.integers(1, 4, 5) for _ in week]
        pence = [draw.integers(50, 500, 5) * own for own in units]
        for trip, (token, own) in enumerate(zip(tokens, week.tolist(), strict=True)):
            where = np.full(5, store[trip]), np.full(5, own)
            for change in scenario.prices:
                new = change.of(pence[trip].astype(float)).astype(int)
                pence[trip] = np.where(change.at(token, *where), new, pence[trip])
            for gone, when in scenario.delisted:
                if own in when and gone + 1 not in token:
                    token[token == gone] = gone + 1
            kept = ~np.isin(token, [gone for gone, when in scenario.delisted if own in when])
            tokens[trip], units[trip], pence[trip] = (
                token[kept],
                units[trip][kept],
                pence[trip][kept],
            )
        segment = np.zeros(self.cache.rows("customers"), int)
        hands = Hands(scenario.coupons, None, segment, self.cache.vocabulary.size, seed)
        used = []
        for who, token, own, paid, when in zip(
            customer, tokens, units, pence, week.tolist(), strict=True
        ):
            used.append(hands.used(np.full(len(token), who), token, paid / own, when))
        which, off = map(np.concatenate, zip(*used, strict=True))
        for _ in range(weeks):
            on_week()
        line = np.flatnonzero(which)
        return Receipts(
            customer=customer, week=week, day=13_000 + 7 * week, hour=np.full(trips, 12),
            store=store, kind=np.zeros((trips, 4), int), items=np.array([len(t) for t in tokens]),
            token=np.concatenate(tokens), quantity=np.concatenate(units),
            pence=np.concatenate(pence), coupon_line=line, coupon=which[line],
            coupon_pence=off[line],
        )  # fmt: skip
