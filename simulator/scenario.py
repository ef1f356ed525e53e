"""What a simulation changes: prices, coupons, stores, products, days, new customers.

A scenario is read from a YAML file (`simulator.scenario_file`) or made in Python. What it does not
name stays as it was at the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.coupon_log import CouponLog
from simulator.coupons import Coupon
from simulator.planned_prices import PlannedPrices, PriceChange
from trainer.features.chain import Chain
from trainer.features.shelf_prices import ShelfPrices


@dataclass(frozen=True)
class Weeks:
    """Weeks from one to another, both included."""

    first: int
    last: int

    def __contains__(self, week: int) -> bool:
        return self.first <= week <= self.last


@dataclass(frozen=True)
class Opening:
    """A row that opens or is launched, from a week on, as another one is doing."""

    row: int
    like: int
    week: int


@dataclass(frozen=True)
class Scenario:
    """Changes of the chain after the start. Rows and tokens are those of the cache."""

    prices: Sequence[PriceChange] = ()
    """Regular prices and promotions. Of several for the same shelf each begins with what those
    before it make of the price."""
    closed_stores: Sequence[tuple[int, Weeks]] = ()
    """Rows of stores, and when nobody can go there."""
    opened_stores: Sequence[Opening] = ()
    """Stores that customers try as they try the one named `like`."""
    delisted: Sequence[tuple[int, Weeks]] = ()
    """Tokens of products, and when they cannot be bought."""
    launched: Sequence[Opening] = ()
    """Tokens of products without sales, which start with the recent sales of `like`."""
    closed_days: frozenset[int] = frozenset()
    """Days since 1970-01-01 on which all stores are closed."""
    new_customers: Sequence[tuple[int, Weeks]] = ()
    """Customers a week who come for the first time, and when."""
    coupons: Sequence[Coupon] = ()
    """Of which a customer has one on a product at a time."""
    trial: CouponLog | None = None
    """What tells how coupons are answered to, of which it is not assumed."""

    def planned(self, prices: ShelfPrices) -> ShelfPrices | PlannedPrices:
        """The prices of the chain with the planned ones."""
        return PlannedPrices(prices, self.prices) if self.prices else prices

    def launch(self, chain: Chain, week: int) -> None:
        """Give the products launched in this week the recent sales of those they are like."""
        for each in self.launched:
            if each.week == week:
                sales = chain.sales
                sales.total += sales.recent[each.like] - sales.recent[each.row]
                sales.recent[each.row] = sales.recent[each.like]
                sales.weeks_since_sold[each.row] = sales.weeks_since_sold[each.like]

    def on_sale(self, chain: Chain, week: int) -> np.ndarray:
        """(V,) bool: which tokens can be bought in a week: products sold lately, launched ones."""
        return self._known(chain, week) & ~self.missing(chain, week)

    def missing(self, chain: Chain, week: int) -> np.ndarray:
        """(V,) bool: which tokens could be bought in a week if they were not delisted."""
        found = np.zeros(len(chain.sales.share), bool)
        for token, weeks in self.delisted:
            found[token] |= week in weeks
        return found & self._known(chain, week)

    def new(self, chain: Chain, week: int) -> np.ndarray:
        """(V,) bool: which tokens on sale in a week were launched since the start."""
        found = np.zeros(len(chain.sales.share), bool)
        for each in self.launched:
            found[each.row] |= week >= each.week
        return found & self.on_sale(chain, week)

    def _known(self, chain: Chain, week: int) -> np.ndarray:
        sales = chain.sales
        found = sales.weeks_since_sold < sales.settings.max_weeks_absent
        found &= chain.vocabulary.is_product(np.arange(len(found)))
        for each in self.launched:
            found[each.row] |= week >= each.week
        return found

    def store_trips(self, trips: np.ndarray, week: int) -> np.ndarray:
        """(stores,) how often new customers of a store go there: trips (stores,) of the history, 0
        where closed, and those of its like where opened."""
        found = trips.copy()
        for each in self.opened_stores:
            if week >= each.week:
                found[each.row] = trips[each.like]
        return np.where(self.open_stores(len(trips), week), found, 0)

    def open_stores(self, stores: int, week: int) -> np.ndarray:
        """(stores,) bool: where one can go in a week."""
        found = np.ones(stores, bool)
        for each in self.opened_stores:
            found[each.row] = week >= each.week
        for row, weeks in self.closed_stores:
            found[row] &= week not in weeks
        return found

    def arrivals(self, week: int) -> int:
        """Customers who come for the first time in a week."""
        return sum(count for count, weeks in self.new_customers if week in weeks)


AS_IT_IS = Scenario()
"""Nothing changes."""
