"""The truth by re-running: what a changed plan does, with common random numbers.

A world is copied, lived under one plan and under another with the same draws, several times over
(*runs*: other draws of the same shoppers from the same past). The effect of the change is the mean
difference over the runs, its standard error their standard deviation over the root of their number.

An elasticity is measured by such a change: with prices a step up (+) and a step down (-),

    e = (units+ - units-) / (mean of both x (log p+ - log p-)),

which keeps its meaning where few units are sold. One product of every need is moved at a time, all
needs at once, half of them up and half down, so that the price level of the chain stays what it is
and needs do not disturb each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .actions import Actions
from .draw import stream, within
from .households import CLASSES
from .setting import Setting
from .world import World

Plan = Callable[[World], Actions]
"""Actions for the coming week of a world; `World.plan` is the manager's."""
STEP = 0.1
"""Log price change of each side of an elasticity."""
CHEAPEST = 10
"""Pence below which rounding spoils the step: such products are not measured."""


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
            sum(r.household_profit for r in weeks_of),
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

    def household_value(self, households: np.ndarray) -> Effect:
        """Profit that some households bring."""
        return Effect.of(
            *(o.household_profit[:, households].sum(1) for o in (self.before, self.after))
        )


def counterfactual(
    world: World, plan: Plan, weeks: int, runs: int = 8, against: Plan | None = None
) -> Comparison:
    """What `plan` does over `weeks` weeks, compared with `against` (None: the manager's plan).

    Raises InputError where the world has fewer weeks left.
    """
    return Comparison(live_on(world, against, weeks, runs), live_on(world, plan, weeks, runs))


@dataclass(frozen=True)
class Held:
    """The manager's plan as it was in a future without changes, run by run, and a change of it.

    Without this, the manager would answer to what a change does to sales.
    """

    start: int
    first_run: int
    plans: list[list[Actions]]
    factor: np.ndarray | float = 1.0
    """(N,) by which regular prices are multiplied, rounded to the penny."""

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

    def changed(self, factor: np.ndarray | float) -> Held:
        """The same plan at other regular prices."""
        return replace(self, factor=factor)

    def __call__(self, world: World) -> Actions:
        actions = self.plans[world.run - self.first_run][world.week - self.start]
        return replace(actions, regular=priced(actions.regular, self.factor))


def priced(regular: np.ndarray, factor: np.ndarray | float) -> np.ndarray:
    """Regular prices times a factor, in whole pence."""
    return np.maximum(np.rint(regular * factor), 1).astype(np.int64)


@dataclass(frozen=True)
class Elasticities:
    """Elasticities of units to prices held for `weeks` weeks. n pairs."""

    sold: np.ndarray
    """(n,) product or group whose units are counted."""
    priced: np.ndarray
    """(n,) product or group whose price moves."""
    value: np.ndarray
    """(n,)"""
    standard_error: np.ndarray
    """(n,) from the differences between runs; nan for a single run."""
    by_class: np.ndarray
    """(n, classes) the same of households of one price-sensitivity class."""
    weeks: int


def _ratio(up: np.ndarray, down: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Elasticities and standard errors from units (R, n) and log steps (R, n): jackknife."""
    top, bottom = (up - down) * np.sign(step), (up + down) / 2 * np.abs(step)

    def value(t: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(b > 0, t / np.where(b > 0, b, 1), np.nan)

    whole = value(top.sum(0), bottom.sum(0))
    runs = len(top)
    if runs == 1:
        return whole, np.full(whole.shape, np.nan)
    left_out = value(top.sum(0) - top, bottom.sum(0) - bottom)
    return whole, np.sqrt((runs - 1) / runs * ((left_out - left_out.mean(0)) ** 2).sum(0))


class _Measured:
    """Elasticities from futures in which prices move up and down."""

    def __init__(self, world: World, weeks: int, runs: int) -> None:
        self.world, self.weeks, self.runs = world, weeks, runs
        self.held = Held.of(world, weeks, runs)
        self.price = np.stack([[a.regular for a in plan] for plan in self.held.plans])

    def moved(self, sign: np.ndarray) -> tuple[Outcome, Outcome, np.ndarray]:
        """Futures with log prices moved by STEP x sign (N,) and the other way; the log price
        difference of each product and run, (R, N)."""
        sides, prices = [], []
        for side in (1, -1):
            factor = np.exp(side * STEP * sign)
            sides.append(live_on(self.world, self.held.changed(factor), self.weeks, self.runs))
            prices.append(np.log(priced(self.price, factor)).mean(1))
        return *sides, prices[0] - prices[1]


def product_elasticities(world: World, weeks: int, runs: int) -> Elasticities:
    """Own and cross elasticities of all products within each need."""
    s, measured = world.setting, _Measured(world, weeks, runs)
    need, size = s.catalogue.need, np.diff(s.start)
    place = np.empty_like(need)
    place[s.by_need] = within(size)
    signs = _signs(s.config.seed, s.needs)
    rows = []
    for number in range(size.max()):
        mover = (place == number) & (s.catalogue.price >= CHEAPEST)
        up, down, step = measured.moved(np.where(mover, signs[need], 0))
        which = np.flatnonzero(mover)
        count = size[need[which]]
        moved = np.repeat(which, count)
        sold = s.by_need[np.repeat(s.start[need[which]], count) + within(count)]
        rows.append(_rows(sold, moved, up, down, step[:, moved], lambda units: units, weeks))
    return _joined(rows)


def group_elasticities(world: World, group: np.ndarray, weeks: int, runs: int) -> Elasticities:
    """Elasticities of groups of products (N,) to their own price level, one group at a time."""
    measured, rows = _Measured(world, weeks, runs), []
    for number in np.unique(group):
        inside = group == number
        up, down, step = measured.moved(inside.astype(float))
        mean = (step[:, inside]).mean(1, keepdims=True)
        rows.append(
            _rows(
                np.array([number]), np.array([number]), up, down, mean,
                lambda units, inside=inside: (units * inside).sum(-1, keepdims=True), weeks,
                whole=True,
            )
        )  # fmt: skip
    return _joined(rows)


def need_elasticities(world: World, weeks: int, runs: int) -> Elasticities:
    """Elasticities of needs to their own price level, all at once, half of them up."""
    s, measured = world.setting, _Measured(world, weeks, runs)
    need = s.catalogue.need
    up, down, step = measured.moved(_signs(s.config.seed, s.needs)[need].astype(float))
    first = s.by_need[s.start[:-1]]

    def total(units: np.ndarray) -> np.ndarray:
        return np.add.reduceat(units[..., s.by_need], s.start[:-1], axis=-1)

    numbers = np.arange(s.needs)
    return _rows(numbers, numbers, up, down, step[:, first], total, weeks, whole=True)


def _signs(seed: int, needs: int) -> np.ndarray:
    """Half of the needs up, half down."""
    return stream(seed, "signs").permutation(np.arange(needs) % 2 * 2 - 1)


def _rows(sold, moved, up, down, step, total, weeks, whole=False) -> Elasticities:
    at = slice(None) if whole else sold
    value, error = _ratio(*(total(o.units.sum(1))[:, at] for o in (up, down)), step)
    by_class = np.stack([
        _ratio(*(total(o.class_units[:, c])[:, at] for o in (up, down)), step)[0]
        for c in range(len(CLASSES))
    ], axis=1)  # fmt: skip
    return Elasticities(sold, moved, value, error, by_class, weeks)


def _joined(rows: list[Elasticities]) -> Elasticities:
    names = ("sold", "priced", "value", "standard_error", "by_class")
    return Elasticities(
        *(np.concatenate([getattr(row, name) for row in rows]) for name in names), rows[0].weeks
    )


def department_of(s: Setting) -> np.ndarray:
    """(N,) department of each product, the groups of docs/chain.md's table."""
    return s.catalogue.department
