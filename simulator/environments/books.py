"""What a manager sees of the chain: tills, shelves, invoices and loyalty cards, never the truth."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from dbt_project.sample import Actions, WeekResult, World

SMOOTHING = 0.2
"""Weight of the latest week in smoothed sales and spend."""
NEVER = -1000
"""The week of what has not happened yet."""


def base_prices(world: World) -> np.ndarray:
    """(N,) first prices times the rise of unit costs since, for the coming week, pence."""
    s = world.setting
    cost = s.economy.cost
    return s.catalogue.price * cost[:, world.week - 1] / cost[:, 0]


@dataclass(frozen=True)
class Usual:
    """Figures at the beginning of an episode, by which later ones are measured."""

    units: np.ndarray
    """(N,) a week, smoothed."""
    trips: float
    revenue: float
    """Pounds a week."""
    seen: int
    """Cards seen in the last four weeks."""


@dataclass
class Books:
    """Figures of the weeks until now. N products, H households with a card, K needs."""

    units: np.ndarray
    """(N,) of the last week, and `smooth`, smoothed."""
    smooth: np.ndarray
    level: np.ndarray
    """(N,) log of the price charged in the last week over its base price, regions averaged."""
    depth: np.ndarray
    """(N,) of last week's promotions, regions averaged."""
    regular: np.ndarray
    """(N,) regular prices of the last week, pence, regions averaged; 0 before the first."""
    trips: int
    """Of the last week, as `revenue` (pounds)."""
    revenue: float
    traffic: float
    """Trips a week, smoothed."""
    last_trip: np.ndarray
    """(H,) week."""
    spend: np.ndarray
    """(H,) pounds a week, smoothed."""
    bought: np.ndarray
    """(H, K) week of the last purchase in a need."""
    need: np.ndarray
    """(N,) need of each product."""
    weeks: int = 0
    """Weeks noted."""
    usual: Usual | None = None

    @classmethod
    def fresh(cls, world: World) -> Books:
        """Before the first week."""
        products, known = world.setting.at.size, world.setting.households.known
        return cls(
            units=np.zeros(products), smooth=np.zeros(products), level=np.zeros(products),
            depth=np.zeros(products), regular=np.zeros(products), trips=0, revenue=0.0, traffic=0.0,
            last_trip=np.full(known, NEVER), spend=np.zeros(known),
            bought=np.full((known, world.setting.needs), NEVER, np.int16),
            need=world.setting.catalogue.need,
        )  # fmt: skip

    def copy(self) -> Books:
        """One that shares nothing that changes with this one."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return Books(**{k: v.copy() if isinstance(v, np.ndarray) else v for k, v in own.items()})

    def as_usual(self, trips: float, revenue: float) -> Books:
        """These books with today's figures, and trips and revenue a week, as the usual ones."""
        usual = Usual(self.smooth.copy(), trips, revenue, self.seen(4))
        return replace(self, usual=usual)

    def seen(self, weeks: int) -> int:
        """Cards seen in the last weeks."""
        return int((self.last_trip > self.weeks - weeks).sum())

    def note(self, base: np.ndarray, actions: Actions, result: WeekResult) -> None:
        """Take in a week. base: (N,) its base prices."""
        r = result.receipts
        known = self.last_trip.size
        first = self.weeks == 0
        self.weeks = result.week
        self.units = result.units
        self.smooth = self.smoothed(self.smooth, result.units, first)
        regular, depth = np.atleast_2d(actions.regular), np.atleast_2d(actions.depth)
        self.level = np.log(np.maximum(regular * (1 - depth), 1) / base).mean(0)
        self.depth, self.regular = depth.mean(0), regular.mean(0)
        self.trips, self.revenue = result.trips, result.revenue.sum() / 100
        self.traffic = self.smoothed(self.traffic, result.trips, first)
        who = r.household[r.trip]
        card = who < known
        paid = np.bincount(who[card], r.spend[card], known) / 100
        self.spend = self.smoothed(self.spend, paid, first)
        self.last_trip[r.household[r.household < known]] = result.week
        self.bought[who[card], self.need[r.product[card]]] = result.week

    @staticmethod
    def smoothed(old, new, first: bool):
        """Figures with the latest week taken in."""
        return new * 1.0 if first else old + SMOOTHING * (new - old)
