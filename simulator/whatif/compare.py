"""Runs with and without a change, and what they differ by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulator.coupons import Coupon
from simulator.intervals import Difference, paired, share
from simulator.planned_prices import PriceChange
from simulator.prices.absences import Instead
from simulator.prices.instrument import Instrument
from simulator.runs import with_progress
from simulator.scenario import Scenario
from simulator.simulation import Simulator
from simulator.whatif.checks import check
from simulator.whatif.counting import MEASURES, Lines, breakdowns
from simulator.whatif.parts import CHANGED, PARTS, Parts, changed_shelves
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.features.price_evidence import PriceEvidence


@dataclass(frozen=True)
class Table:
    """Differences by one breakdown, such as products."""

    keys: Mapping[str, np.ndarray]
    """Columns that name the rows, (rows,) each."""
    difference: Difference
    """Of arrays (rows, measures)."""


@dataclass(frozen=True)
class WhatIf:
    """What a scenario changes in some weeks. Money is in pence."""

    first: int
    last: int
    """The simulated weeks."""
    models: int
    runs: int
    """Pairs of runs of each model."""
    measures: tuple[str, ...]
    """`MEASURES`, margin only where costs are known, what coupons took off only where there are
    any."""
    tables: Mapping[str, Table]
    """By name: total, week, product, category_1 and so on, customer_group, store, store_format,
    store_region, where the scenario changes products, part and changed_product, and where it has
    coupons, coupon: purchases with which one was used."""
    by_model: np.ndarray
    """(models, measures) what each model makes of the change in total."""
    shares: Mapping[str, tuple[float, float, float]]
    """By part: units that it loses for each that the changed products gain, or the other way round,
    with the ends of its interval. Empty where what the changed products gain is not clear."""
    evidence: PriceEvidence | None
    """Of prices, where the scenario changes any."""
    price_changes: np.ndarray
    """(V,) bool: products whose price changes."""
    coupons: Sequence[Coupon]
    """With their answers."""
    instead: Instead | None
    """How many buyers of a missing product take a rival, where the scenario has any or launches
    one."""
    costs: np.ndarray | None
    """(V,) pence of a unit, NaN where unknown."""
    instrument: Instrument | None
    """What was found of an instrument, where simulators have one."""

    @property
    def is_different(self) -> bool:
        """Whether anything differs in any run."""
        return any(each.difference.differs.any() for each in self.tables.values())


def what_if(
    simulators: Sequence[Simulator], scenario: Scenario, weeks: int, seeds: Sequence[int],
    costs: np.ndarray | None = None, processes: int = 1,
) -> WhatIf:  # fmt: skip
    """What a scenario changes in so many weeks after the start.

    Each seed is a pair of runs, one without the scenario and one with it, that draw alike. Seeds
    are dealt out to the simulators in turn; several simulators, of models that differ in their
    seed, are an ensemble, whose intervals hold what the models disagree about too.

    simulators: of one cache, start and population. costs: (V,) pence of a unit by product row, NaN
    where unknown; without them margin is left out.

    Raises InputError for simulators of different chains, seeds that are not as many for each
    simulator, and what `check` and `Simulator.settled` say.
    """
    one = simulators[0]
    cache, first, last = one.cache, one.start + 1, one.start + weeks
    for other in simulators[1:]:
        if (other.cache.digest, other.start) != (cache.digest, one.start) or not np.array_equal(
            other.customers, one.customers
        ):
            raise InputError("simulators: expected the same cache, start and customers")
    if not len(seeds) or len(seeds) % len(simulators) or len(set(seeds)) < len(seeds):
        raise InputError(
            f"seeds: expected different ones, as many for each of {len(simulators)} simulators"
        )
    evidence = check(cache, scenario, first, last)
    # Before there are processes, each of which would measure it.
    goes_or_comes = scenario.delisted or scenario.launched
    instead = [each.substitution.instead for each in simulators if goes_or_comes]
    answers = [each.demand for each in simulators if scenario.prices or scenario.coupons]
    if scenario.coupons:
        scenario = one.settled(scenario)
    shelves = changed_shelves(cache, scenario)
    parts = Parts(cache, shelves, first, last) if shelves else None
    found = breakdowns(cache, first, last, parts, scenario.coupons)
    without = {
        *(["margin_pence"] if costs is None else []),
        *([] if scenario.coupons else ["coupon_pence"]),
    }
    measures = tuple(name for name in MEASURES if name not in without)

    def pair(number: int, on_week: Callable[[], None]) -> dict[str, np.ndarray]:
        simulator = simulators[number % len(simulators)]
        sides = [
            Lines(simulator.run(weeks, seeds[number], plan, on_week=on_week), costs)
            for plan in (Scenario(), scenario)
        ]
        return {
            name: np.stack([by.count(side, measures) for side in sides])
            for name, by in found.items()
        }

    pairs = with_progress(pair, len(seeds), 2 * weeks, processes)
    runs = {
        name: np.stack([each[name] for each in pairs]).reshape(
            -1, len(simulators), 2, by.cells, len(measures)
        ).swapaxes(0, 1)
        for name, by in found.items()
    }  # fmt: skip
    return WhatIf(
        first=first,
        last=last,
        models=len(simulators),
        runs=len(seeds) // len(simulators),
        measures=measures,
        tables={name: Table(by.keys, paired(runs[name])) for name, by in found.items()},
        by_model=np.diff(runs["total"].mean(1), axis=1)[:, 0, 0],
        shares=_shares(runs["part"]) if shelves else {},
        evidence=evidence,
        price_changes=_price_changes(cache, scenario.prices),
        coupons=scenario.coupons,
        instead=instead[0] if instead else None,
        costs=costs,
        instrument=answers[0].instrument if any(answers) else None,
    )


def _shares(runs: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """runs (models, runs, 2, parts, measures): units come first."""
    units = runs[:, :, 1, :, 0] - runs[:, :, 0, :, 0]
    if not paired(runs).stands_out[CHANGED, 0]:
        return {}
    return {
        name: share(-units[:, :, part], units[:, :, CHANGED])
        for part, name in enumerate(PARTS)
        if part != CHANGED
    }


def _price_changes(cache: TensorCache, prices: Sequence[PriceChange]) -> np.ndarray:
    """(V,) bool: products whose price they change."""
    found = np.zeros(cache.products, bool)
    for each in prices:
        found |= each.token[1 : cache.products + 1]
    return found
