"""The responsive chain as a world that is lived week by week.

    world = World(ChainConfig(customers=1000))
    result = world.step()                      # the manager's prices
    plan = world.plan()                        # what he would do next
    other = world.copy()                       # the same past, to be lived otherwise
    other.step(replace(plan, regular=plan.regular * 2))

Draws are keyed by what they decide, so two copies differ only by what their actions change.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from trainer.commands.errors import InputError

from .actions import Actions, checked
from .baskets import Week
from .behaviour import Behaviour
from .config import ChainConfig
from .coupons import Coupons
from .keyed import children, root, uniform
from .manager import Desk, managed_plan, random_plan
from .memory import Memory
from .offer import Offer, open_week
from .prices import shelf_prices
from .purchases import Lived, live
from .setting import Setting, build_setting

_STOCK_OUTS = 78


@dataclass(frozen=True)
class WeekResult:
    """A week that was lived. N products; money in pence."""

    week: int
    receipts: Week
    """Trips and items; `spend` is what was paid, coupons taken off."""
    units: np.ndarray
    """(N,) whole numbers; portions where random-weight."""
    revenue: np.ndarray
    """(N,) what customers paid."""
    cost: np.ndarray
    """(N,) what the goods cost the chain, less what suppliers paid for promotions."""
    profit: np.ndarray
    """(N,) revenue less cost."""
    household_profit: np.ndarray
    """(H,) the same by household, anonymous ones last."""
    trips: int
    active: int
    """Households that are not lost, of those whose time with the chain has begun and not ended."""
    left: np.ndarray
    """Households lost in the week."""
    returned: np.ndarray
    """Households that came back."""
    discount: np.ndarray
    """(items,) pence that a coupon took off each item of `receipts`."""
    missing: np.ndarray
    """(R, N) products on sale but out of stock."""

    def without_receipts(self) -> WeekResult:
        """The totals alone."""
        none = np.zeros(0, np.int64)
        return replace(self, receipts=Week(*[none] * len(fields(Week))), discount=none)


class World:
    """A chain that answers to what is done to it.

    setting: everything fixed (`Setting`). Weeks are numbered from 1 to `config.weeks`.
    """

    def __init__(
        self, config: ChainConfig | None = None, behaviour: Behaviour | None = None, run: int = 0
    ) -> None:
        """Draw the chain; `run` numbers different draws of the same chain's shoppers."""
        self.setting: Setting = build_setting(config or ChainConfig(), behaviour)
        self.run = run
        self.week = 1
        """The next week to be lived."""
        self.memory = Memory.fresh(self.setting)
        self._desk = Desk.fresh(self.setting)
        self._known = np.zeros(self.setting.catalogue.price.size, bool)
        self._planned: tuple[Actions, Desk] | None = None

    def copy(self, run: int | None = None) -> World:
        """A world with the same past that shares nothing that changes; with `run`, other draws."""
        other = object.__new__(World)
        other.setting = self.setting
        other.run = self.run if run is None else run
        other.week = self.week
        other.memory = self.memory.copy()
        other._desk = self._desk.copy()
        other._known = self._known.copy()
        other._planned = None
        return other

    def plan(self) -> Actions:
        """The manager's actions for the coming week; of the twin, the random ones. Their prices are
        read-only: change copies of them."""
        return self._plan()[0]

    def _plan(self) -> tuple[Actions, Desk]:
        self._check_week()
        if self._planned is None:
            if self.setting.config.pricing == "random":
                plan = random_plan(self.setting, self.week)
                self._planned = plan, replace(self._desk, listed=plan.regular)
            else:
                self._planned = managed_plan(self.setting, self._desk, self.week)
            # The desk and the setting hold the same arrays, which all copies share.
            for values in (self._planned[0].regular, self._planned[0].depth):
                values.setflags(write=False)
        return self._planned

    def _check_week(self) -> None:
        weeks = self.setting.config.weeks
        if self.week > weeks:
            raise InputError(f"the chain has {weeks} weeks, and all are lived; make it longer")

    def step(self, actions: Actions | None = None) -> WeekResult:
        """Live the coming week under `actions` (the plan's, if none are given).

        Raises InputError where the actions make no sense or no week is left.
        """
        planned, desk = self._plan()
        a, offer, missing = self.offer(planned if actions is None else actions)
        self._known |= a.assortment.any(0)
        need = self.setting.catalogue.need
        self.memory.coupons = self.memory.coupons.handed_out(a.coupons, self.week, need)
        lived = live(self.setting, self.memory, offer, self.week, self.run)
        result = self._result(offer, lived, missing, desk.listed)

        desk.observe(result.units)
        if actions is not None:
            desk.regular = np.asarray(a.regular[0]).copy()
        self._desk, self._planned = desk, None
        self.week += 1
        return result

    def offer(self, actions: Actions) -> tuple[Actions, Offer, np.ndarray]:
        """What households would meet in the coming week: the actions in full, with the manager's
        prices for what is not on sale, the tables of the week, and what is missing (R, N). Changes
        nothing.
        """
        s = self.setting
        shape = s.stores.regions, s.catalogue.price.size
        planned, desk = self._plan()
        a = checked(actions, self.week, *shape, s.households.known, s.needs)
        # Nobody sees a price of what is not on sale. Where households think of one all the same,
        # for their price image and reference prices, it is the manager's.
        a = replace(
            a,
            regular=np.where(a.assortment, a.regular, desk.listed),
            depth=np.where(a.assortment, a.depth, planned.depth),
        )
        key = children(root(s.config.seed, _STOCK_OUTS, self.week), shape[0] * shape[1])
        rate = s.behaviour.missing * np.where(a.depth > 0, 2.0, 1.0)
        missing = a.assortment & (uniform(key, 0).reshape(shape) < rate)
        known = self._known | a.assortment.any(0)
        there = a.assortment & ~missing
        return a, open_week(s, self.week, a.regular, a.depth, there, known), missing

    def _result(
        self, offer: Offer, lived: Lived, missing: np.ndarray, listed: np.ndarray
    ) -> WeekResult:
        s, r = self.setting, lived.receipts
        products = s.catalogue.price.size
        household = r.household[r.trip]
        region, form = s.households.region[household], s.stores.format[r.store[r.trip]]
        paid = r.spend - lived.discount
        # Units, or kilograms where random-weight, from what they cost at the shelf.
        amount = r.spend / offer.price[region, form, r.product]
        # Suppliers pay for what is off the manager's own price: one that was raised in order to be
        # cut earns nothing.
        own = shelf_prices(listed, np.zeros((1, products)))[0, form, r.product]
        full = np.minimum(offer.full_price[region, form, r.product], own)
        off = np.maximum(full - offer.price[region, form, r.product], 0)
        week = self.week - 1
        unit = s.economy.cost[r.product, week] - s.economy.funding[r.product, week] * off
        revenue = np.bincount(r.product, paid, products)
        cost = np.bincount(r.product, amount * unit, products)
        h = s.households
        by_household = np.bincount(household, paid - amount * unit, h.rate.size)
        here = (h.first_week <= self.week) & (self.week <= h.last_week)
        return WeekResult(
            week=self.week,
            receipts=Week(
                r.household, r.store, r.day, r.hour, r.trip, r.product, r.quantity, paid
            ),
            units=np.bincount(r.product, r.quantity, products).astype(np.int64),
            revenue=revenue, cost=cost, profit=revenue - cost, household_profit=by_household,
            trips=r.household.size,
            active=int((here & ~self.memory.lost).sum()), left=lived.left,
            returned=lived.returned, discount=lived.discount, missing=missing,
        )  # fmt: skip


__all__ = ["Actions", "Coupons", "World", "WeekResult"]
