"""The price optimiser re-run each week: prices and promotions of most profit, by what is seen.

Demand answers as the learned world's does (`simulator.prices.response`), its levels being what the
receipts before the episode say, times how sales since then differ from what was expected at the
prices charged. A price charged for one week is valued by that week's profit and what the week costs
or brings later: of what a promotion sells at once, the passing effect and stocking up are paid back
in the weeks after, so that they are left out, while customers who learn of a price level l come
exp(-n m l) as often (n of `simulator.prices.visit_response`, m the segment's factor). Summed over
time, both are as if the price lasted. (An optimiser that does not look ahead takes the passing
effect for a gain and leaves visits out.) Costs and suppliers' offers are those of the coming week,
which the environment shows; nothing is known of later ones. Regular prices stay within `SPAN` of
base prices: receipts tell of no others.

Candidates are valued one product at a time, with a common price on the price level so that the
index is kept (a Lagrange multiplier, found by bisection); each round takes the best change of every
need that gains.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dbt_project.sample import Actions
from simulator.environments.books import base_prices
from simulator.environments.learned.knowledge import Knowledge
from simulator.environments.learned.world import YEAR
from simulator.environments.opening import Episode
from simulator.environments.pricing import Scope

from .knobs import SPAN
from .limits import Limits

ROUNDS = 8
MOVES = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
"""Regular prices that are tried, in shares of the largest move from last week's."""
DEPTHS = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
"""Promotions that are tried, up to the deepest allowed."""
PRIOR = 20.0
"""Units of each product that count as sold as expected, in how sales differ."""


def beliefs(known: Knowledge, every: int, ahead: bool = True) -> dict[str, np.ndarray]:
    """What the policy has to know, from the weeks before the episode; every: weeks from one plan of
    regular prices to the next; ahead: whether later weeks count. G segments, N products."""
    is_of = known.segment == np.arange(known.factor.size)[:, None]
    trips = (is_of * known.rate) @ known.likes.astype(float)
    units = trips * known.units_a_trip * (1 + known.strangers[0])
    lasting, passing, _, visits = known.of_need
    if not ahead:
        lasting, visits = lasting + passing, 0.0
    weight = known.rate * known.factor[known.segment]
    return {
        "units": units, "season": np.exp(known.season + known.traffic), "factor": known.factor,
        "need": known.need, "share": known.share, "switching": known.switching,
        "switches": known.switches, "lasting": np.array([lasting]), "usual": known.usual,
        "worth": known.amount * known.charged, "amount": known.amount, "on_sale": known.on_sale,
        "visits": visits * (weight @ known.basket) / known.rate.sum(),
        "start": np.array([known.start]), "every": np.array([every]),
    }  # fmt: skip


class Weekly:
    """The policy. beliefs: of `beliefs`. It keeps account of sales of the episode that it plays."""

    def __init__(self, scope: Scope, limits: Limits, beliefs: Mapping[str, np.ndarray]) -> None:
        self.scope, self.limits, self.b = scope, limits, beliefs
        self._week = -1

    def __call__(self, episode: Episode) -> Actions:
        b, books = self.b, episode.books
        if books.weeks != self._week or not episode.passed:  # another episode
            self._expected = b["units"].sum(0) * b["season"][:, 0]
            self._regular, self._multiplier = books.regular, 0.0
        else:
            self._expected = books.smoothed(self._expected, self._would_sell, False)
        self._week = books.weeks + 1
        week = _Coming(self, episode)
        self._regular, depth = week.best(episode.passed % int(b["every"][0]) == 0)
        self._would_sell = week.units(week.change(self._regular, depth)).sum(0)
        return self.scope.actions(episode, self._regular / week.base, depth)


class _Coming:
    """The coming week, as far as it is known."""

    def __init__(self, policy: Weekly, episode: Episode) -> None:
        self.b, self.limits = policy.b, policy.limits
        books, economy = episode.books, episode.world.setting.economy
        week = episode.world.week - 1
        self.cost, self.funding = economy.cost[:, week], economy.funding[:, week]
        self.base, self.list = base_prices(episode.world), episode.world.plan().regular
        self.before = np.maximum(books.regular, 1)
        self.planned = policy._regular
        ratio = (books.smooth + PRIOR) / (policy._expected + PRIOR)
        season = self.b["season"][:, (week - int(self.b["start"][0])) % YEAR]
        self.level = self.b["units"] * season * ratio * self.b["on_sale"]
        worth = books.usual.units * episode.world.setting.unit_price + 1e-9
        self.weight = worth / worth.sum()

    def change(self, regular: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Log of the price charged over the usual one."""
        return np.log(np.maximum(regular * (1 - depth), 1) / self.b["usual"])

    def units(self, change: np.ndarray) -> np.ndarray:
        """(G, N) units expected."""
        b = self.b
        value = self._values(self._odds(change))[b["need"]]
        x = -(b["switching"] + b["lasting"][0]) * change - value
        return self.level * np.exp(b["factor"][:, None] * x)

    def margin(self, regular: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Pence that a unit earns. Suppliers pay for what is off the list price."""
        price = np.maximum(regular * (1 - depth), 1)
        paid = self.funding * np.maximum(np.minimum(regular, self.list) - price, 0)
        return self.b["worth"] * price - self.b["amount"] * (self.cost - paid)

    def best(self, plans: bool) -> tuple[np.ndarray, np.ndarray]:
        """Regular prices (those of the last plan, unless it plans) and promotions."""
        depths = DEPTHS[self.limits.deepest + 1e-9 >= DEPTHS]
        moves = MOVES * self.limits.most_move if plans else np.zeros(1)
        start = self.before if plans else self.planned
        least = self.cost / (1 - self.limits.least_margin)
        grid = np.stack(np.meshgrid(moves, depths, indexing="ij"), -1).reshape(-1, 2)
        low, high = (np.minimum(self.base / SPAN, start), np.maximum(self.base * SPAN, start))
        regular = np.clip(
            start * (1 + grid[:, :1]), np.maximum(low, np.minimum(least, start)), high
        )
        depth = np.broadcast_to(grid[:, 1:], regular.shape)
        change, margin = self.change(regular, depth), self.margin(regular, depth)
        row = np.arange(start.size)
        chosen = np.full(start.size, int(np.flatnonzero((grid == 0).all(1))[0]))
        for _ in range(ROUNDS):
            gain, dearer = self._gains(chosen, change, margin)
            multiplier = self._price_of_level(gain, dearer, change[chosen, row])
            gain = gain - multiplier * dearer
            best = gain.argmax(0)
            better = gain[best, row]
            order = np.lexsort((-better, self.b["need"]))
            _, first = np.unique(self.b["need"][order], return_index=True)
            taken = order[first]
            taken = taken[better[taken] > 1e-6]
            if not taken.size:
                break
            chosen[taken] = best[taken]
        return regular[chosen, row], depth[chosen, row]

    def _gains(self, chosen, change, margin) -> tuple[np.ndarray, np.ndarray]:
        """(C, N) profit that each candidate adds where it alone changes, and how much dearer it
        makes the price level."""
        b, row = self.b, np.arange(chosen.size)
        need, factor = b["need"], b["factor"][:, None, None]
        now, odds = change[chosen, row], self._odds(change)
        own = odds[chosen, row]
        units = self.units(now)
        profit = units * margin[chosen, row]
        needs = int(need.max()) + 1
        of_need = np.stack([np.bincount(need, each, needs) for each in profit])[:, need]
        total = np.maximum(np.bincount(need, own, needs)[need], 1e-12)
        value = np.log(np.maximum((total - own + odds) / total, 1e-12)) * b["switches"][0]
        step = change - now
        x = -(b["switching"] + b["lasting"][0]) * step - value
        mine = units[:, None] * np.exp(factor * x) * margin
        rest = (of_need - profit)[:, None] * np.exp(-factor * value)
        gain = (mine + rest).sum(0) - of_need.sum(0)
        # What is not on sale has no odds, and earns nothing.
        gain = np.where(own > 1e-9, gain, 0.0)
        return gain - b["visits"] * step * profit.sum(), self.weight * step

    def _price_of_level(self, gain: np.ndarray, dearer: np.ndarray, now: np.ndarray) -> float:
        """The least multiplier at which the best change of each product keeps the index."""
        room = np.log(self.limits.index)
        room -= (self.weight * (now + np.log(self.b["usual"] / self.base))).sum()
        row = np.arange(now.size)

        def kept(multiplier: float) -> bool:
            best = (gain - multiplier * dearer).argmax(0)
            return dearer[best, row].sum() <= room

        low, high = 0.0, 100 * float(np.abs(gain).max()) + 1
        if kept(low):
            return low
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if kept(middle) else (middle, high)
        return high

    def _odds(self, change: np.ndarray) -> np.ndarray:
        b = self.b
        return b["share"] * b["on_sale"] * np.exp(-b["switching"] * change)

    def _values(self, odds: np.ndarray) -> np.ndarray:
        """(K,) log of a need's odds over those at usual prices."""
        b, needs = self.b, int(self.b["need"].max()) + 1
        shown = np.bincount(b["need"], b["share"] * b["on_sale"], needs)
        total = np.bincount(b["need"], odds, needs)
        return np.log(np.maximum(total, 1e-12) / np.maximum(shown, 1e-12)) * b["switches"][0]
