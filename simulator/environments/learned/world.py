"""Weeks of the learned world: the interface of `dbt_project.sample.World`, from receipts alone.

Customers come a Poisson number of times, at their own rate, the season's and what they have learnt
of prices: exp(-n m_g I_h). What they buy is, for each product, Poisson around

    traffic-weighted likes x season x exp(m_g x_iw)

with x, reference prices, stocks, needs and segments as in `simulator.prices.response`. The manager,
costs and suppliers of weeks to come are unknown: costs and regular prices stay, and each product
has promotions and offers of four weeks of its own past, drawn with the run's number.

Nobody is ever lost in it: receipts of a few years do not show who left for good because of prices.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields
from functools import cached_property
from types import SimpleNamespace

import numpy as np

from dbt_project.sample import Actions, WeekResult
from dbt_project.sample.actions import checked
from dbt_project.sample.baskets import Week
from dbt_project.sample.draw import normal_quantile
from dbt_project.sample.economy import OFFER_WEEKS
from dbt_project.sample.keyed import children, root, uniform
from simulator.prices.response import KEEPS, MEMORY
from simulator.prices.visit_response import LEARNING
from trainer.commands.errors import InputError

from . import NO_COUPONS
from .counts import counts
from .hands import Hands
from .knowledge import Knowledge

YEAR = 52
_OFFERS, _VISITS, _NOISE, _SALES, _UNITS, _STRANGERS, _WHO = range(7)


@dataclass(frozen=True)
class LearnedSetting:
    """What books and policies read of a chain's setting."""

    catalogue: SimpleNamespace
    """`price`, `group`, `need`, `first_week` (N,)."""
    economy: SimpleNamespace
    """`cost`, `funding` (N, W), `margin`, `last_week` (N,)."""
    households: SimpleNamespace
    """`known`, `first_week` and `last_week`."""
    config: SimpleNamespace
    """`weeks`."""
    unit_price: np.ndarray
    """(N,) first price of a unit."""

    @cached_property
    def at(self) -> np.ndarray:
        """(N,) as many as there are products."""
        return np.arange(self.unit_price.size)

    @property
    def needs(self) -> int:
        return int(self.catalogue.need.max()) + 1


class LearnedWorld:
    """The weeks after the history.

    weeks: how many at most. run: number of the draws; two worlds with the same number draw alike
    wherever they ask alike.
    """

    def __init__(self, knowledge: Knowledge, weeks: int, run: int = 0) -> None:
        self.known, self.weeks = knowledge, weeks
        self.week = knowledge.start + 1
        self.reference, self.stock, self.learnt = (
            x.copy() for x in (knowledge.reference, knowledge.stock, knowledge.learnt)
        )
        # Who is lost is not known: not a number, so that nobody takes it for a figure.
        self.memory = SimpleNamespace(lost=np.full(knowledge.rate.size, np.nan))
        self.hands = Hands(knowledge) if knowledge.coupon.size else None
        self.added = np.zeros((knowledge.rate.size, knowledge.coupon.size))
        """(H, C) pence that each card's coupons added in the last week, and `saved`, what they took
        off."""
        self.saved = np.zeros_like(self.added)
        self._liked = np.ascontiguousarray(knowledge.likes.T)
        self._is_of = knowledge.segment == np.arange(knowledge.factor.size)[:, None]
        self._draw(run)

    def copy(self, run: int | None = None) -> LearnedWorld:
        """The same past, to be lived otherwise; with `run`, with other draws and offers."""
        other = copy(self)
        other.hands = self.hands and self.hands.copy()
        if run is not None and run != self.run:
            other._draw(run)
        return other

    def _draw(self, run: int) -> None:
        """Offers and promotions of weeks to come."""
        k, self.run = self.known, run
        n, start = k.cost.shape
        blocks = -(-(start + self.weeks) // OFFER_WEEKS)
        whole = start // OFFER_WEEKS
        past = range(max(whole - YEAR // OFFER_WEEKS, 0), whole)
        u = uniform(children(root(run, _OFFERS), n * blocks), _OFFERS).reshape(n, blocks)
        block = np.minimum(past.start + (u * len(past)).astype(np.int64), whole - 1)
        block[:, :whole] = np.arange(whole)  # what has been stays
        week = (block[:, :, None] * OFFER_WEEKS + np.arange(OFFER_WEEKS)).reshape(n, -1)
        week = week[:, : start + self.weeks]
        row = np.arange(n)[:, None]
        rest = np.arange(whole * OFFER_WEEKS, start)  # the beginning of a block
        funding, self._depth = k.funding[row, week], k.depth[row, week]
        funding[:, rest], self._depth[:, rest] = k.funding[:, rest], k.depth[:, rest]
        after = np.repeat(k.cost[:, -1:], self.weeks, axis=1)
        self.setting = LearnedSetting(
            SimpleNamespace(
                price=k.listed, group=k.group, need=k.need, first_week=np.ones(n, np.int64)
            ),
            SimpleNamespace(
                cost=np.hstack([k.cost, after]), funding=funding,
                margin=1 - k.cost[:, 0] / k.listed, last_week=np.full(n, start + self.weeks),
            ),
            SimpleNamespace(
                known=k.rate.size, first_week=np.ones(k.rate.size),
                last_week=np.full(k.rate.size, np.inf),
            ),
            SimpleNamespace(weeks=start + self.weeks),
            k.listed * k.amount,
        )  # fmt: skip

    def plan(self) -> Actions:
        """Regular prices as they were in the last week, with promotions as there were."""
        self._check_week()
        regular = np.maximum(np.rint(self.known.regular[:, -1]), 1).astype(np.int64)
        return Actions(regular, self._depth[:, self.week - 1], self.known.on_sale)

    def _check_week(self) -> None:
        if self.week > self.setting.config.weeks:
            raise InputError(f"the learned world has {self.weeks} weeks, and all are lived")

    def step(self, actions: Actions | None = None) -> WeekResult:
        """Live the coming week; the arrays of the result that nobody can know are empty. Who bought
        what is drawn where coupons are known, which alone need it.

        Raises InputError where the actions make no sense, hand out coupons that are not known, or
        no week is left.
        """
        k, plan = self.known, self.plan()
        a = checked(
            plan if actions is None else actions, self.week, _regions(actions), k.listed.size,
            k.rate.size, self.setting.needs,
        )  # fmt: skip
        if self.hands:
            self.hands.hand_out(a.coupons, self.week)
        elif len(a.coupons):
            raise InputError(NO_COUPONS)
        regular = a.regular.mean(0)
        price = np.maximum(regular * (1 - a.depth.mean(0)), 1)
        here = k.on_sale & a.assortment.any(0)
        visits, bought, units, answer = self._sold(np.log(price / k.usual), here)
        full = np.minimum(regular, plan.regular)
        week, economy = self.week - 1, self.setting.economy
        of_unit = k.amount * price * k.charged
        cost_of_unit = k.amount * (
            economy.cost[:, week] - economy.funding[:, week] * np.maximum(full - price, 0)
        )
        trips = np.repeat(np.arange(visits.size), visits)
        none = np.zeros(0, np.int64)
        receipts = {f.name: none for f in fields(Week)} | {"household": trips}
        by_household, off = none, np.zeros(k.listed.size)
        if self.hands:
            who, product = self._buyers(visits, bought, answer)
            each = np.maximum(np.rint(units / np.maximum(bought, 1)), 1).astype(np.int64)
            more, off = self._coupons(visits, who, product, each, of_unit, cost_of_unit)
            units = np.maximum(units + more, 0)
            receipts |= {
                "trip": (np.cumsum(visits) - visits)[who], "product": product,
                "quantity": each[product], "spend": (of_unit * each)[product],
            }  # fmt: skip
            earned = ((of_unit - cost_of_unit) * each)[product]
            by_household = np.bincount(who, earned, visits.size) + self.added.sum(1)
        revenue, cost = units * of_unit - off, units * cost_of_unit
        more = k.strangers[0] * visits.sum()
        u = uniform(root(self.run, self.week, _STRANGERS), _STRANGERS)
        count = int(visits.sum() + counts(np.array([more]), u)[0])
        self.week += 1
        return WeekResult(
            week=self.week - 1, receipts=Week(**receipts), units=units, revenue=revenue, cost=cost,
            profit=revenue - cost, household_profit=by_household, trips=count, active=0, left=none,
            returned=none, discount=none, missing=np.zeros((1, k.listed.size), bool),
        )  # fmt: skip

    def _buyers(
        self, visits: np.ndarray, bought: np.ndarray, answer: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(I,) cards, ascending, and products of purchases (N,), those of strangers left out; each
        card's chance is its share of what is expected. answer: (G, N) factors of prices."""
        k, came = self.known, np.flatnonzero(visits)
        chance = visits[came] * self._liked[:, came] * answer.T[:, k.segment[came]]
        reached = np.cumsum(chance, axis=1)
        total = reached[:, -1] if came.size else np.zeros(bought.size)
        some = np.where(total > 0, np.rint(bought / (1 + k.strangers[0])), 0).astype(np.int64)
        product = np.repeat(np.arange(some.size), some)
        u = uniform(children(root(self.run, self.week), product.size), _WHO)
        # One sorted line of all products' cumulative chances, each from its number to the next.
        line = reached / np.maximum(total, 1e-12)[:, None] + np.arange(some.size)[:, None]
        at = np.searchsorted(line.ravel(), product + u)
        who = came[np.minimum(at - product * came.size, came.size - 1)]
        order = np.argsort(who, kind="stable")
        return who[order], product[order]

    def _coupons(self, visits, who, product, each, of_unit, cost_of_unit):
        """(N,) units that coupons add and take, and (N,) pence that they take off; `added` is
        noted."""
        k, hands = self.known, self.hands
        own = np.zeros(self.added.shape, np.int64)
        for at, item in enumerate(k.coupon):
            chosen = product == item
            own[:, at] = np.bincount(who[chosen], each[product[chosen]], visits.size)
        found = hands.added(visits, own, self.week, self.run)
        margin = of_unit - cost_of_unit
        more, off = np.zeros((2, k.listed.size))
        self.added = found.units * margin[k.coupon]
        self.saved = k.coupon_depth[0] * of_unit[k.coupon] * found.used
        for at, item in enumerate(k.coupon):
            more[item] += found.units[:, at].sum()
            off[item] += self.saved[:, at].sum()
            rest = np.flatnonzero((k.need == k.need[item]) & (np.arange(more.size) != item))
            likes = k.likes.sum(0)[rest] * k.on_sale[rest]
            share = likes / max(likes.sum(), 1e-12)
            lost = found.taken[:, at]
            more[rest] -= np.rint(lost.sum() * share)
            self.added[:, at] -= self.saved[:, at] + lost * (share * margin[rest]).sum()
        gone = np.repeat(np.arange(visits.size), found.units.sum(1))
        extra = np.repeat(np.tile(k.coupon, (visits.size, 1)).ravel(), found.units.ravel())
        hands.note(visits, np.r_[who, gone], np.r_[product, extra], self.week)
        return more.astype(np.int64), off

    def _sold(self, change: np.ndarray, here: np.ndarray) -> tuple[np.ndarray, ...]:
        """(H,) trips with a card, (N,) purchases and units of all tills, and (G, N) what prices do
        to likes; what prices leave behind is noted."""
        k = self.known
        lasting, passing, stocking, on_visits = k.of_need
        of_year = (self.week - k.start - 1) % YEAR
        factor = k.factor[k.segment]
        key = root(self.run, self.week)
        mean = k.rate * np.exp(k.traffic[of_year] - on_visits * factor * self.learnt)
        visits = counts(mean, uniform(children(key, mean.size), _VISITS))
        appeal = -k.switching * change
        odds = k.share * here * np.exp(appeal)
        total, shown = np.bincount(k.need, odds), np.bincount(k.need, k.share * here)
        value = np.log(np.maximum(total, 1e-12) / np.maximum(shown, 1e-12)) * k.switches[0]
        chosen = odds / np.maximum(total, 1e-12)[k.need]
        gap = change - self.reference[k.need]
        x = appeal - value[k.need] - lasting * change - passing * gap
        x -= stocking * self.stock[k.need]
        by_segment = np.where(self._is_of, visits, 0).astype(np.float32) @ k.likes
        answer = np.exp(k.factor[:, None] * x)
        expected = (answer * by_segment).sum(0)
        keys = children(key, change.size)
        noise = k.noise[0] * normal_quantile(uniform(keys, _NOISE)) - k.noise[0] ** 2 / 2
        expected *= np.exp(k.season[:, of_year] + noise) * here * (1 + k.strangers[0])
        bought = counts(expected, uniform(keys, _SALES))
        more = k.further * np.expm1(-k.quantity * np.minimum(gap, 0))
        each = np.maximum(k.units_a_trip * (1 + more), 1)
        units = bought + counts(bought * (each - 1), uniform(keys, _UNITS))
        price, beyond = (np.bincount(k.need, chosen * y) for y in (change, more))
        self.stock = KEEPS * (self.stock + beyond)
        self.reference = self.reference + MEMORY * (price - self.reference)
        self.learnt = self.learnt + LEARNING * (k.basket @ change - self.learnt)
        return visits, bought, units, answer


def _regions(actions: Actions | None) -> int:
    return 1 if actions is None else max(np.atleast_2d(x).shape[0] for x in (
        actions.regular, actions.depth, actions.assortment))  # fmt: skip
