"""Prices worth charging: the profit of expected demand, under a retailer's rules.

Candidates are whole pence, so the problem is discrete. Each round takes today's plan, values every
candidate of every product with the other products' prices as they are, and lets a mixed-integer
program (HiGHS, by `scipy.optimize.milp`) choose among them under all rules at once, at most one
change in each need, since products of a need change each other's value. What prices do to visits is
linear in it, at the current prices. A round whose plan does not earn more, by expected demand
itself, is tried again with smaller moves; when none helps, the plan stands. So every plan that is
returned keeps all rules, and none is worse than the one before.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix
from tqdm import tqdm

from simulator.prices.expected import ExpectedDemand
from simulator.prices.response import SLOW
from trainer.commands.errors import InputError

ROUNDS = 30
CANDIDATES = 15
"""Most prices of a product that are valued in a round, unless parity joins it to another."""
SMALLEST = 0.02
"""Log price: when moves no larger than this do not help, the plan stands."""


@dataclass(frozen=True)
class Rules:
    """What a plan has to keep."""

    most_move: float = 0.1
    """Share of today's price by which a price may change."""
    endings: tuple[int, ...] = ()
    """Last two digits that a changed price may have, in pence; any if empty."""
    least_margin: float = 0.0
    """Share of the price that is left after the unit cost, of changed prices."""
    index: float | None = None
    """Highest price level over today's, in baskets of today's sales; None for no cap."""
    most_changes: int | None = None
    """Products whose price may change; None for all."""
    parity: tuple[tuple[int, int, float, float], ...] = ()
    """Rows a and b of products, ratio and slack: price a is ratio x price b, give or take that
    share."""


@dataclass(frozen=True)
class Plan:
    """Prices of P products and what they are expected to earn a week, in pence."""

    before: np.ndarray
    after: np.ndarray
    """(P,) pence."""
    units_before: np.ndarray
    units_after: np.ndarray
    gain: np.ndarray
    """(P,) pence a week that each product earns more; 0 of those without a cost."""
    profit_before: float
    profit_after: float
    usual_gain: float
    """Share by which profit grows if the plan changes what customers usually paid, promotions
    included (`ExpectedDemand.usually`), by as much as it changes today's prices. A search finds
    what happens to be cheap or dear today, which does not last, and this does not count it. NaN
    where nothing is earned at usual prices."""


def best_prices(
    demand: ExpectedDemand, cost: np.ndarray, rules: Rules, weekly_cost: np.ndarray | None = None
) -> Plan:
    """The plan of most expected profit.

    cost (P,): pence a unit; products without one (NaN), and those whose response to prices is not
    known or that do not sell, keep their price. weekly_cost (P, weeks up to the start): what they
    were, for `Plan.usual_gain`; as today if left out.

    Raises InputError for rules that no plan keeps, and where no product may change its price.
    """
    problem = _Problem(demand, cost, rules)
    price, move = problem.today.copy(), rules.most_move
    profit = problem.profit(price)
    rounds = tqdm(range(ROUNDS), desc="plan", unit="round", delay=SLOW, file=sys.stderr)
    for _ in rounds:
        found = problem.improved(price, move)
        better = problem.profit(found)
        if better > profit + 1e-4 * abs(profit) or not problem.keeps(price):
            price, profit = found, better
        elif move > SMALLEST:
            move /= 2
        else:
            break
    units = [problem.units(p) for p in (problem.today, price)]
    before, after = problem.earned(problem.today), problem.earned(price)
    profits = float(before.sum()), float(after.sum())
    gain = problem.usual_gain(price, *units, weekly_cost)
    return Plan(problem.today, price, *units, after - before, *profits, gain)


def todays_prices(demand: ExpectedDemand) -> np.ndarray:
    """(P,) whole pence; what is given away costs a penny, so that a change is a share of it."""
    return np.maximum(np.rint(demand.typical_pence()), 1)


class _Problem:
    def __init__(self, demand: ExpectedDemand, cost: np.ndarray, rules: Rules) -> None:
        self.demand, self.rules = demand, rules
        self.need = demand.response.products.need
        self.today = todays_prices(demand)
        self.sales = self.units(self.today)
        known = np.isfinite(cost) & demand.response.products.moved & (self.sales > 0)
        self.joined = {row for pair in rules.parity for row in pair[:2]}
        # What is not known earns nothing, and stays.
        self.cost = np.where(known, cost, self.today)
        self.free = np.flatnonzero(known)
        if not len(self.free):
            raise InputError(
                "no product has a unit cost, recent sales and a price that moved in these "
                "receipts: there is nothing to optimise"
            )

    def units(self, price: np.ndarray) -> np.ndarray:
        return self._units(self.demand, price)

    def profit(self, price: np.ndarray) -> float:
        return float(self.earned(price).sum())

    def earned(self, price: np.ndarray) -> np.ndarray:
        return self._earned(self.demand, price)

    def usual_gain(
        self, price: np.ndarray, units_before: np.ndarray, units_after: np.ndarray,
        weekly_cost: np.ndarray | None,
    ) -> float:  # fmt: skip
        demand = self.demand
        pence, cost = demand.usually(demand.response.products.panel.pence), self.cost
        pence = np.where(np.isfinite(pence), pence, self.today)
        if weekly_cost is not None:
            then = demand.usually(weekly_cost[:, None])
            cost = np.where(np.isfinite(then), then, cost)
        before = (units_before * (pence - cost))[self.free]
        after = (units_after * (pence * price / self.today - cost))[self.free]
        return float(after.sum() / before.sum() - 1) if before.sum() > 0 else np.nan

    def candidates(self, row: int, price: float, move: float) -> np.ndarray:
        """Prices that a product may have, near the one it has; today's is always one."""
        today, rules = self.today[row], self.rules
        low = max(today * (1 - rules.most_move), price * np.exp(-move), 1)
        low = max(low, self.cost[row] / (1 - rules.least_margin))
        high = min(today * (1 + rules.most_move), price * np.exp(move))
        found = np.arange(np.ceil(low - 1e-9), np.floor(high + 1e-9) + 1)
        if rules.endings:
            found = found[np.isin(found % 100, rules.endings)]
        # Of some prices of each, two that have to keep a ratio may hold none that do.
        if len(found) > CANDIDATES and row not in self.joined:
            found = found[np.unique(np.linspace(0, len(found) - 1, CANDIDATES).round().astype(int))]
        return np.unique(np.append(found, [today, price]))

    def improved(self, price: np.ndarray, move: float) -> np.ndarray:
        """A round."""
        options = [self.candidates(row, price[row], move) for row in self.free]
        row = np.repeat(np.arange(len(options)), [len(each) for each in options])
        value = np.concatenate(options)
        gain = self.gains(price, self.free[row], value)
        result = milp(
            -gain, constraints=self.constraints(price, row, value), integrality=np.ones(len(row)),
            bounds=Bounds(0, 1), options={"mip_rel_gap": 1e-4, "time_limit": 60},
        )  # fmt: skip
        if result.x is None:
            raise InputError("no plan was found that keeps all rules: loosen one of them")
        found = price.copy()
        taken = result.x > 0.5
        found[self.free[row[taken]]] = value[taken]
        return found

    def gains(self, price: np.ndarray, row: np.ndarray, value: np.ndarray) -> np.ndarray:
        """(n,) profit that each of n candidate prices of products adds, one at a time."""
        now = self.units(price)
        margin = price - self.cost
        change = torch.tensor(np.log(price / self.today), requires_grad=True)
        whole = (self.demand.units(change) * torch.tensor(margin)).sum()
        slope = torch.autograd.grad(whole, change)[0].numpy()
        needs = int(self.need.max()) + 1
        # One candidate of every need at a time: the j-th of each.
        order = np.lexsort((row, self.need[row]))
        first = np.searchsorted(self.need[row[order]], self.need[row[order]])
        turn = np.empty(len(row), np.int64)
        turn[order] = np.arange(len(row)) - first
        found = np.zeros(len(row))
        frozen = self.demand.without_visits()
        before = np.bincount(self.need, self._earned(frozen, price), needs)
        flat = torch.tensor(np.log(price / self.today), requires_grad=True)
        inside = (frozen.units(flat) * torch.tensor(margin)).sum()
        of_visits = slope - torch.autograd.grad(inside, flat)[0].numpy()
        scale = now.sum() / max(self._units(frozen, price).sum(), 1e-9)
        for each in range(turn.max() + 1):
            chosen = np.flatnonzero(turn == each)
            trial = price.copy()
            trial[row[chosen]] = value[chosen]
            after = np.bincount(self.need, self._earned(frozen, trial), needs)
            found[chosen] = (after - before)[self.need[row[chosen]]] * scale
        return found + of_visits[row] * np.log(value / price[row])

    def _units(self, demand: ExpectedDemand, price: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return demand.units(torch.tensor(np.log(price / self.today))).numpy()

    def _earned(self, demand: ExpectedDemand, price: np.ndarray) -> np.ndarray:
        return self._units(demand, price) * (price - self.cost)

    def constraints(self, price, row, value) -> list[LinearConstraint]:
        """All rules, in one 0/1 variable for each candidate (n,) of the free products."""
        rules, n = self.rules, len(row)
        free = self.free[row]
        found = [(row, np.arange(n), np.ones(n), np.ones(len(self.free)), np.ones(len(self.free)))]
        changed = value != self.today[free]
        if rules.most_changes is not None:
            found.append((np.zeros(n, int), np.arange(n), changed * 1.0, [0], [rules.most_changes]))
        if rules.index is not None:
            weight = self.sales * self.today
            fixed = weight.sum() - weight[self.free].sum()
            level = weight[free] * value / self.today[free]
            found.append(
                (np.zeros(n, int), np.arange(n), level, [0], [rules.index * weight.sum() - fixed])
            )
        if self.keeps(price):
            moves = (value != price[free]) * 1.0
            needs, of_need = np.unique(self.need[free], return_inverse=True)
            found.append((of_need, np.arange(n), moves, np.zeros(len(needs)), np.ones(len(needs))))
        place = {product: i for i, product in enumerate(self.free)}
        for a, b, ratio, slack in rules.parity:
            for sign in (1, -1):
                # a - ratio (1 + slack) b <= 0 and ratio (1 - slack) b - a <= 0
                of_b = -ratio * (1 + slack) if sign == 1 else ratio * (1 - slack)
                weight, constant = np.zeros(n), 0.0
                for product, factor in ((a, sign), (b, of_b)):
                    if product in place:
                        weight += factor * value * (row == place[product])
                    else:
                        constant += factor * self.today[product]
                found.append((np.zeros(n, int), np.arange(n), weight, [-np.inf], [-constant]))
        return [
            LinearConstraint(coo_matrix((w, (r, c)), (len(high), n)).tocsr(), low, high)
            for r, c, w, low, high in found
        ]

    def keeps(self, price: np.ndarray) -> bool:
        """Whether a plan keeps the rules that join products."""
        rules = self.rules
        weight = self.sales * self.today
        level = (weight * price / self.today).sum() / weight.sum()
        return (
            (rules.index is None or level <= rules.index + 1e-9)
            and (rules.most_changes is None or (price != self.today).sum() <= rules.most_changes)
            and all(
                ratio * (1 - slack) * price[b] - 1e-9
                <= price[a]
                <= ratio * (1 + slack) * price[b] + 1e-9
                for a, b, ratio, slack in rules.parity
            )
        )
