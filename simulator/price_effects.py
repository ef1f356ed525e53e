"""What planned prices, display, mailer and coupons do to a simulation: how often customers come,
what they choose, how much.

Everything is relative to the prices as they would be without the plan, so that a simulation without
planned prices is what it was; and it depends on the plan alone, not on what is drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from simulator.coupons import Coupon
from simulator.planned_prices import PlannedPrices
from simulator.prices.demand_response import DemandResponse
from simulator.prices.response import KEEPS, MEMORY
from simulator.prices.visit_response import LEARNING
from trainer.features.shelf_prices import ShelfPrices

LEAST = 0.01
"""Share of a price that a coupon leaves at least, in what holders make of it."""


class PriceEffects:
    """Of planned prices on demand in the weeks after a start.

    Args:
        response: how demand answers, as measured up to the start.
        asked: the prices as they would be, and as planned.
        start: the last week of the history.
    """

    def __init__(
        self, response: DemandResponse, asked: tuple[ShelfPrices, PlannedPrices], start: int
    ) -> None:
        self._demand, self._response, self._asked = response, response.products, asked
        self._start = start
        self.token = response.products.panel.token
        """(P,) tokens of the products whose demand is known."""
        self.moved = response.products.moved
        """(P,) bool: whether their prices moved enough to know it."""
        self.need = response.products.need
        """(P,) which products replace each other, numbers from 0."""
        self.factors = response.groups
        """(labels,) of all effects, by price-sensitivity segment."""
        self._row = response.products.panel.row_of_token(response.tokens)
        self._change: dict[tuple[int, int], np.ndarray] = {}
        self._announced: dict[tuple[int, int], np.ndarray] = {}
        self._memory: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def log_weights(self, stores: np.ndarray, week: int, groups: np.ndarray) -> Tensor:
        """(n, V) by which the chances of what goes in next are multiplied, in logarithms, on trips
        (n,) to stores, of customers of price-sensitivity segments (n,), labels."""
        which, row = np.unique(stores, return_inverse=True)
        effects = np.stack([self._effect(int(store), week) for store in which])
        found = torch.zeros(len(stores), self._demand.tokens)
        of_trip = effects[row] * self.factors[groups][:, None]
        found[:, torch.from_numpy(self.token)] = torch.from_numpy(of_trip).float()
        return found

    def unit_factors(self, token: np.ndarray, stores: np.ndarray, week: int) -> np.ndarray:
        """(n,) by which units of items (n,) bought in stores (n,) are multiplied."""
        found = np.zeros(len(token))
        row = self._row[token]
        for store in np.unique(stores):
            here = np.flatnonzero((stores == store) & (row >= 0))
            found[here] = self._more(int(store), week)[row[here]]
        return 1 + found

    def visit_factors(self, customers: np.ndarray, week: int) -> np.ndarray:
        """(n,) by which the chance of coming on a day of a week is multiplied, of customers of the
        cache; new ones, negative numbers, have nothing to compare with: 1."""
        demand, known = self._demand, np.flatnonzero(customers >= 0)
        own = customers[known]
        stores, baskets = demand.store[own], demand.baskets[own]
        learnt = np.zeros(len(own))
        for past in range(self._start + 1, week):
            level = np.zeros(len(own))
            for store in np.unique(stores):
                rows = np.flatnonzero(stores == store)
                level[rows] = baskets[rows] @ self._changed(int(store), past)
            learnt += LEARNING * (level - learnt)
        found = np.ones(len(customers))
        found[known] = np.exp(-demand.visits.value * self.factors[demand.segment[own]] * learnt)
        return found

    def of_coupon(self, coupon: Coupon, store: int, week: int) -> tuple[np.ndarray, np.ndarray]:
        """(P,) what a coupon adds to the log weights of products `token` for who has it in mind, of
        customers whose factor is 1: they pay less, and what they are used to pay stays. And
        (P,) the share of their price that it takes off; 0 for others."""
        pence = self._asked[1].at(self.token, np.array(store), np.array(week))[:, 0]
        answers = coupon.token[self.token] & self.moved
        off = np.where(answers, coupon.takes(pence) / np.maximum(pence, 1.0), 0.0)
        paid = np.log(np.maximum(1 - off, LEAST))
        return self._effect(store, week, paid) - self._effect(store, week), off

    def _changed(self, store: int, week: int) -> np.ndarray:
        """(P,) log of the planned price over the one that there would be."""
        key = store, week
        if key not in self._change:
            r = self._response
            before, after = (
                np.maximum(prices.at(self.token, np.array(store), np.array(week))[:, 0], 1.0)
                for prices in self._asked
            )
            self._change[key] = np.where(r.moved, np.log(after / before), 0.0)
        return self._change[key]

    def _more(self, store: int, week: int) -> np.ndarray:
        """(P,) share by which the units of a trip rise, of what is below its reference price."""
        r = self._response
        reference, _ = self._before(store, week)
        below = (reference[r.need] - self._changed(store, week)).clip(min=0)
        return r.further * np.expm1(r.quantity * below)

    def _announcement(self, store: int, week: int) -> np.ndarray:
        """(P,) what planned display and mailer add to the appeal."""
        key = store, week
        if key not in self._announced:
            r, planned = self._response, self._asked[1]
            on = planned.announced(self.token, np.array(store), np.array(week))
            self._announced[key] = r.display * on[0] + r.mailer * on[1]
        return self._announced[key]

    def _before(self, store: int, week: int) -> tuple[np.ndarray, np.ndarray]:
        """(K,) reference prices and stocks of needs before a week."""
        key = store, week
        if key not in self._memory:
            needs = int(self._response.need.max()) + 1
            if week <= self._start + 1:
                self._memory[key] = np.zeros(needs), np.zeros(needs)
            else:
                reference, stock = self._before(store, week - 1)
                _, chosen = self._switching(store, week - 1)
                price, beyond = (
                    np.bincount(self._response.need, chosen * x)
                    for x in (self._changed(store, week - 1), self._more(store, week - 1))
                )
                kept = KEEPS * (stock + beyond)
                self._memory[key] = reference + MEMORY * (price - reference), kept
        return self._memory[key]

    def _switching(
        self, store: int, week: int, off: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Appeals less the inclusive values of their needs, (P,), and shares of needs, (P,)."""
        r, change = self._response, self._changed(store, week) + off
        appeal = -r.switching * change + self._announcement(store, week)
        odds = r.share * np.exp(appeal)
        total = np.bincount(r.need, odds)
        value = np.log(total) * r.switches
        return appeal - value[r.need], odds / total[r.need]

    def _effect(self, store: int, week: int, off: np.ndarray | float = 0.0) -> np.ndarray:
        """(P,) x of `simulator.prices.response`, relative to the prices that there would be. off:
        (P,) log of what this customer pays over the planned price."""
        r, change = self._response, self._changed(store, week) + off
        appeal, _ = self._switching(store, week, off)
        reference, stock = self._before(store, week)
        found = appeal - r.lasting * change - r.passing * (change - reference[r.need])
        return found - r.stocking * stock[r.need]
