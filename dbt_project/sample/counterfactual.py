"""The truth by re-running: what a changed plan does, with common random numbers.

A world is copied, lived under one plan and under another with the same draws, several times over
(*runs*: other draws of the same shoppers from the same past). The effect of the change is the mean
difference over the runs, its standard error their standard deviation over the root of their number.

An elasticity is measured by such a change of regular prices, up and down (levels.py), while all
else of the manager's plan is held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .actions import Actions
from .households import CLASSES
from .levels import STEP, Elasticities, estimate, levels_of, priced
from .world import World

Plan = Callable[[World], Actions]
"""Actions for the coming week of a world; `World.plan` is the manager's."""


@dataclass(frozen=True)
class Outcome:
    """Totals of futures. R runs, W weeks, N products, H households; money in pence."""

    units: np.ndarray
    """(R, W, N)"""
    class_units: np.ndarray
    """(R, classes, N) over all weeks."""
    revenue: np.ndarray
    """(R, W)"""
    profit: np.ndarray
    """(R, W)"""
    product_profit: np.ndarray
    """(R, N) over all weeks."""
    trips: np.ndarray
    """(R, W)"""
    active: np.ndarray
    """(R, W) households not lost."""
    household_profit: np.ndarray
    """(R, H) over all weeks."""
    stays: np.ndarray
    """(R, H) bool: not lost after the last week."""


def live_on(world: World, plan: Plan | None, weeks: int, runs: int) -> Outcome:
    """Live `weeks` weeks from where `world` is, `runs` times; the world itself stays there.

    plan: None for the manager's own.
    """
    s = world.setting
    products = s.catalogue.price.size
    kinds = s.households.sensitivity
    found = []
    for run in range(runs):
        future = world.copy(world.run + run)
        weeks_of = []
        by_class = np.zeros((len(CLASSES), products))
        for _ in range(weeks):
            result = future.step(None if plan is None else plan(future))
            r = result.receipts
            cell = kinds[r.household[r.trip]] * products + r.product
            by_class += np.bincount(cell, r.quantity, by_class.size).reshape(by_class.shape)
            weeks_of.append(result)
        found.append((
            np.stack([r.units for r in weeks_of]), by_class,
            np.array([r.revenue.sum() for r in weeks_of]),
            np.array([r.profit.sum() for r in weeks_of]),
            sum(r.profit for r in weeks_of),
            np.array([r.trips for r in weeks_of]), np.array([r.active for r in weeks_of]),
            sum(r.household_profit for r in weeks_of), ~future.memory.lost,
        ))  # fmt: skip
    return Outcome(*(np.stack(column) for column in zip(*found, strict=True)))


@dataclass(frozen=True)
class Effect:
    """A total under one plan and under another, and their difference with its standard error."""

    before: float
    after: float
    difference: float
    standard_error: float

    @classmethod
    def of(cls, before: np.ndarray, after: np.ndarray) -> Effect:
        """From one value a run of each."""
        change = after - before
        runs = change.size
        error = change.std(ddof=1) / np.sqrt(runs) if runs > 1 else float("nan")
        return cls(*(float(x) for x in (before.mean(), after.mean(), change.mean(), error)))


@dataclass(frozen=True)
class Comparison:
    """Two plans from the same past with the same draws."""

    before: Outcome
    after: Outcome

    def effects(self) -> dict[str, Effect]:
        """Units, trips, revenue and profit over all weeks, and households not lost at the end."""
        totals = {
            "units": lambda o: o.units.sum((1, 2)).astype(float),
            "trips": lambda o: o.trips.sum(1).astype(float),
            "revenue_pence": lambda o: o.revenue.sum(1),
            "profit_pence": lambda o: o.profit.sum(1),
            "active_households": lambda o: o.active[:, -1].astype(float),
        }
        return {name: Effect.of(f(self.before), f(self.after)) for name, f in totals.items()}

    def units(self, products: np.ndarray, weeks: slice = slice(None)) -> Effect:
        """Units of some products in some weeks."""
        return Effect.of(
            *(o.units[:, weeks, products].sum((1, 2)) for o in (self.before, self.after))
        )


def counterfactual(
    world: World, plan: Plan, weeks: int, runs: int = 8, against: Plan | None = None
) -> Comparison:
    """What `plan` does over `weeks` weeks, compared with `against` (None: the manager's plan).

    Raises InputError where the world has fewer weeks left.
    """
    return Comparison(live_on(world, against, weeks, runs), live_on(world, plan, weeks, runs))


@dataclass(frozen=True)
class CustomerValue:
    """What each household is worth to the chain over the coming weeks, in pence. (H,) each."""

    profit: np.ndarray
    """Expected profit that it brings."""
    profit_if_lost: np.ndarray
    """The same were it lost today; it may come back."""
    standard_error: np.ndarray
    """Of the difference between both: of what losing it costs."""
    stays: np.ndarray
    """Probability of being with the chain after the last week."""

    @property
    def cost_of_losing(self) -> np.ndarray:
        """What the chain should at most pay to keep a household that would leave today."""
        return self.profit - self.profit_if_lost


def customer_value(
    world: World, weeks: int, runs: int = 8, plan: Plan | None = None
) -> CustomerValue:
    """What households are worth under a plan (None: the manager's, held).

    Households do not act on each other, so that one future in which all of them are lost today
    tells of each what its own loss would cost. Raises InputError where the world has fewer weeks
    left.
    """
    plan = Held.of(world, weeks, runs) if plan is None else plan
    lost = world.copy()
    lost.memory.lost[:] = True
    kept, gone = (live_on(w, plan, weeks, runs) for w in (world, lost))
    cost = kept.household_profit - gone.household_profit
    error = cost.std(0, ddof=1) / np.sqrt(runs) if runs > 1 else np.full(cost.shape[1], np.nan)
    return CustomerValue(
        kept.household_profit.mean(0), gone.household_profit.mean(0), error, kept.stays.mean(0)
    )


Change = Callable[[Actions, int], Actions]
"""What becomes of the actions of a week, given its number."""


@dataclass(frozen=True)
class Held:
    """A plan: the manager's as it was in a future without changes, run by run, and a change of it.

    Without this, the manager would answer to what a change does to sales.
    """

    start: int
    first_run: int
    plans: list[list[Actions]]
    change: Change | None = None

    @classmethod
    def of(cls, world: World, weeks: int, runs: int) -> Held:
        """Live on under the manager's plan, and keep it."""
        plans = []
        for run in range(runs):
            future = world.copy(world.run + run)
            plans.append([])
            for _ in range(weeks):
                plans[-1].append(future.plan())
                future.step()
        return cls(world.week, world.run, plans)

    def changed(self, change: Change) -> Held:
        """The same plan with a change."""
        return replace(self, change=change)

    def __call__(self, world: World) -> Actions:
        actions = self.plans[world.run - self.first_run][world.week - self.start]
        return actions if self.change is None else self.change(actions, world.week)


def at_prices(factor: np.ndarray | float) -> Change:
    """Regular prices times a factor, rounded to the penny."""
    return lambda actions, week: replace(actions, regular=priced(actions.regular, factor))


def elasticities(world: World, level: str, weeks: int, runs: int) -> Elasticities:
    """Elasticities of units over `weeks` weeks to regular prices held as long, by re-running.

    level: `product`, `need`, `department` or `chain`.
    """
    how = levels_of(world.setting)[level]
    held = Held.of(world, weeks, runs)
    regular = np.stack([[a.regular for a in plan] for plan in held.plans])  # (R, W, N)
    units, step = [], []
    for sign in how.signs:
        sides = []
        for side in (1, -1):
            factor = np.exp(side * STEP * sign)
            sides.append(live_on(world, held.changed(at_prices(factor)), weeks, runs).class_units)
            step.append(side * np.log(priced(regular, factor)).mean(1))
        units.append(np.stack(sides, axis=1))
    steps = np.stack(step[0::2], axis=1) + np.stack(step[1::2], axis=1)
    return estimate(how, np.stack(units, axis=1), steps, weeks)
