"""All figures of a window: of the stand-ins, of simulations, and of real against real."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from simulator.fidelity import quantities
from simulator.fidelity.counting_rules import CountingRules
from simulator.fidelity.detector import Detected, detect
from simulator.fidelity.distances import BAND, coverage, ks, spearman, wmape
from simulator.fidelity.habits import RETAINED_AFTER, Habits
from simulator.fidelity.own import OwnPurchases
from simulator.fidelity.privacy import Copies, Membership
from simulator.fidelity.signs import Signs
from simulator.fidelity.stand_ins import (
    BOOTSTRAP,
    PREVIOUS,
    REDRAWN,
    STAND_INS,
    bootstrap,
    previous_weeks,
)
from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.truth import Households, Truth
from simulator.fidelity.units import UnitsForecast, units
from simulator.fidelity.visits import VisitScores, of_runs
from simulator.fidelity.window import Window
from trainer.baselines.boosting import is_installed
from trainer.commands.errors import InputError
from trainer.evaluation.metrics import plain

RUNS = 20
"""Of the bootstrap."""
CLOSE_RUNS = 3
"""Runs, the first of each set, that are looked at closely: by detectors and for membership."""
HALVES = 3
"""Times that the customers are cut into halves, for real against real."""
POINTS = 60
"""Values, at most, at which a distribution function is kept for the page."""


def measure(
    window: Window, simulations: Mapping[str, Sequence[TripSet]], *, truth: Truth | None = None,
    seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """JSON values: every figure of `MEASURES` and `HOUSEHOLDS`, and what the page draws.

    simulations: runs of each, by name. truth: of a synthetic chain. seed: of the bootstrap,
    the halves and LightGBM. Without LightGBM there are no detectors and no forecast of units.
    Raises InputError for a simulation without runs, with the name of a stand-in, or with rows that
    the window's cache does not have.
    """
    draw = np.random.default_rng(seed)
    sets = {
        PREVIOUS: [previous_weeks(window)],
        BOOTSTRAP: [bootstrap(window, draw) for _ in range(RUNS)],
    }
    for name, runs in simulations.items():
        if name in STAND_INS or not runs:
            raise InputError(f"simulation {name!r}: needs a name of its own, and runs")
    redrawn = {REDRAWN: truth.runs} if truth else {}
    for name, runs in (redrawn | dict(simulations)).items():
        for run in runs:
            window.check(run)
        sets[name] = [window.restrict(run) for run in runs]
    content = _Measurement(window, sets, seed).content()
    return plain(content | {"households": _households(window, sets, truth) if truth else None})


def _households(
    window: Window, sets: Mapping[str, Sequence[TripSet]], truth: Truth
) -> dict[str, dict[str, float]]:
    """Figures of `HOUSEHOLDS`, by column."""
    found = {"truth": truth.households, "sample": truth.sample}
    for name, runs in ({"real": [window.real]} | dict(sets)).items():
        found[name] = Households.of_runs(window, runs)
    return {name: truth.figures(each) for name, each in found.items()}


class _Measurement:
    """What is worked out once for all sets."""

    def __init__(self, window: Window, sets: Mapping[str, Sequence[TripSet]], seed: int) -> None:
        self.window, self.sets, self.seed = window, sets, seed
        self.own = OwnPurchases(window)
        self.habits = Habits(window, self.own)
        self.copies, self.membership = Copies(window), Membership(window)
        self.visits = window.trips_by_week(window.real)
        self.units = units(window, window.real)

    @cached_property
    def signs(self) -> Signs:
        return Signs(self.window, self.own)

    @cached_property
    def _real_signs(self) -> tuple[dict, tuple[np.ndarray, dict]]:
        return self.signs.of_trips(self.window.real), self.signs.of_customers(self.window.real)

    def content(self) -> dict[str, Any]:
        window, real = self.window, self.window.real
        bar = tqdm(total=len(self.sets) + 3, desc="fidelity", unit="set", file=sys.stderr)

        def step(value: Any) -> Any:
            bar.update()
            return value

        rules = step(CountingRules(window).scores(self.seed))
        forecast = step(self._forecast)
        floor = step(self._floor())
        found = {name: step(self._of_set(runs)) for name, runs in self.sets.items()}
        bar.close()
        visits = {name: part["visits"] for name, part in found.items()} | rules
        return {
            "simulated beside real": list(self.sets),
            "cache_digest": window.cache.digest,
            "start": window.start,
            "weeks": window.weeks.tolist(),
            "seed": self.seed,
            "customers": len(window.population),
            "absent": float((self.visits.sum(1) == 0).mean()),
            "trips": len(real),
            "runs": {name: len(runs) for name, runs in self.sets.items()},
            "real": self._values(real),
            "floor": floor,
            "figures": {name: part["figures"] for name, part in found.items()},
            "noticed": {name: part["noticed"] for name, part in found.items()},
            "visits": {name: _visits(scores) for name, scores in visits.items()},
            "forecast": None if forecast is None else {
                "wmape": wmape(self.units, forecast), "bias": _bias(self.units, forecast),
            },
            "distributions": self._distributions(),
            "by_week": self._by_week(),
        }  # fmt: skip

    @cached_property
    def _forecast(self) -> np.ndarray | None:
        return UnitsForecast(self.window).forecast(self.seed) if is_installed() else None

    def _values(self, trips: TripSet) -> dict[str, float]:
        """Figures of one set of trips that have a real value to be compared with."""
        habits = self.habits
        return {
            "repeat": habits.repeat_share(trips),
            **{f"retention.{after}": habits.retention(trips, after) for after in RETAINED_AFTER},
            "switching": habits.switching(trips),
            "copies": self.copies.share(trips),
        }

    def _of_set(self, runs: Sequence[TripSet]) -> dict[str, Any]:
        window, real = self.window, self.window.real
        figures: list[dict[str, float]] = []
        for run in runs:
            figures.append(self._values(run) | self._distances(real, run))
        for number, run in enumerate(runs[:CLOSE_RUNS]):
            figures[number]["membership"] = self.membership.auc(run)
        sold = np.stack([units(window, run) for run in runs])
        visits = of_runs(self.visits, np.stack([window.trips_by_week(run) for run in runs]))
        lifts = np.mean([self.habits.lifts(run) for run in runs], axis=0)
        detected = self._detected(runs[:CLOSE_RUNS])
        error = wmape(self.units, sold.mean(0))
        boosting = np.nan if self._forecast is None else wmape(self.units, self._forecast)
        averaged = _averaged(figures) | {
            "units.wmape": error,
            "units.wmape_of_one": float(np.mean([wmape(self.units, one) for one in sold])),
            "units.of_boosting": _ratio(error, boosting),
            "units.bias": _bias(self.units, sold.mean(0)),
            "units.coverage": coverage(
                self.units[self.is_sold].ravel(), sold[:, self.is_sold].reshape(len(sold), -1)
            ),
            "lifts": spearman(self.habits.lifts(real), lifts),
            "visits.crps": float(visits.crps.mean()),
            "visits.likelihood": _likelihood(visits),
            "visits.horizon": _ratio(*visits.by_week[[-1, 0]]),
            **{f"auc.{of}": float(np.mean([one.auc for one in each]))
               for of, each in detected.items()},
        }  # fmt: skip
        noticed = {of: [asdict(sign) for sign in each[0].signs] for of, each in detected.items()}
        return {"figures": averaged, "noticed": noticed, "visits": visits}

    @cached_property
    def is_sold(self) -> np.ndarray:
        """(G,) bool: categories that the judged weeks or the history know."""
        history = self.window.history
        known = np.bincount(self.window.category[history.token], minlength=len(self.units))
        return (known > 0) | (self.units.sum(1) > 0)

    def _detected(self, runs: Sequence[TripSet]) -> dict[str, list[Detected]]:
        """By what it is shown, a detector of each run."""
        if not is_installed() or not all(map(len, runs)):
            return {}
        trips, (customers, weeks) = self._real_signs
        found: dict[str, list[Detected]] = {"trip": [], "customer": []}
        for run in runs:
            found["trip"].append(
                detect(trips, self.signs.of_trips(run), self.window.real.customer, run.customer,
                       seed=self.seed)
            )  # fmt: skip
            comes, shown = self.signs.of_customers(run)
            found["customer"].append(detect(weeks, shown, customers, comes, seed=self.seed))
        return found

    def _floor(self) -> dict[str, float]:
        """Real against real: halves of the customers, drawn `HALVES` times."""
        window, real = self.window, self.window.real
        draw = np.random.default_rng(self.seed)
        figures = []
        for _ in range(HALVES):
            half = draw.permutation(window.customers) % 2 == 0
            chosen = half[real.customer]
            one, other = real.take(chosen), real.take(~chosen)
            if not len(one) or not len(other):
                continue
            found = self._distances(one, other, half[window.population])
            found["lifts"] = spearman(self.habits.lifts(one), self.habits.lifts(other))
            if is_installed():
                trips, (customers, weeks) = self._real_signs
                comes = half[customers]
                found["auc.trip"] = detect(
                    *_halves(trips, chosen), one.customer, other.customer, seed=self.seed
                ).auc
                found["auc.customer"] = detect(
                    *_halves(weeks, comes), customers[comes], customers[~comes], seed=self.seed
                ).auc
            figures.append(found)
        membership = {"membership": self.membership.auc(real)}
        return _averaged(figures) | membership

    def _distances(
        self, one: TripSet, other: TripSet, half: np.ndarray | None = None
    ) -> dict[str, float]:
        """KS of `PER_TRIP` and `PER_CUSTOMER`; half (P,) bool: whose trips the first are, the
        second being those of the others."""
        sides = (None, None) if half is None else (np.flatnonzero(half), np.flatnonzero(~half))
        found = {}
        for of, values in (
            ("trip", [quantities.of_trips(self.window, trips) for trips in (one, other)]),
            ("customer", [
                quantities.of_customers(self.window, trips, side)
                for trips, side in zip((one, other), sides, strict=True)
            ]),
        ):  # fmt: skip
            for name in values[0]:
                found[f"ks.{of}.{name}"] = ks(values[0][name], values[1][name])
        return found

    def _distributions(self) -> dict[str, Any]:
        """Distribution functions of the real trips and of each set's runs taken together."""
        found = {}
        for of, values_of in (
            ("trip", quantities.of_trips), ("customer", quantities.of_customers),
        ):  # fmt: skip
            real = values_of(self.window, self.window.real)
            drawn = {
                name: [values_of(self.window, run) for run in runs]
                for name, runs in self.sets.items()
            }
            for name, values in real.items():
                at = np.unique(np.quantile(values, np.linspace(0, 0.99, POINTS)))
                found[f"{of}.{name}"] = {
                    "at": at.tolist(),
                    "real": _reached(values, at),
                    "sets": {
                        each: _reached(np.concatenate([run[name] for run in runs]), at)
                        for each, runs in drawn.items()
                    },
                }
        return found

    def _by_week(self) -> dict[str, Any]:
        """Trips and units of each week and category: real, and each set's mean with its band."""
        cache, window = self.window.cache, self.window
        codes = [code.decode() for code in cache["categories.code"][window.categories].tolist()]
        kept, forecast = np.flatnonzero(self.is_sold), self._forecast
        sold = {
            name: np.stack([units(window, run) for run in runs])[:, kept]
            for name, runs in self.sets.items()
        }
        return {
            "trips": {
                "real": self.visits.sum(0).tolist(),
                "sets": {
                    name: _band(np.stack([window.trips_by_week(run).sum(0) for run in runs]))
                    for name, runs in self.sets.items()
                },
            },
            "categories": [[*codes, "other"][row] for row in kept],
            "units": {
                "real": self.units[kept].tolist(),
                "forecast": None if forecast is None else np.round(forecast[kept], 1).tolist(),
                "sets": {name: _band(runs) for name, runs in sold.items()},
                "all": {name: _band(runs.sum(1)) for name, runs in sold.items()},
            },
        }


def _averaged(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure, over those that have it."""
    names = dict.fromkeys(name for one in figures for name in one)
    return {name: _mean([one[name] for one in figures if name in one]) for name in names}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _ratio(one: float, other: float) -> float:
    return float(one / other) if other else np.nan


def _bias(real: np.ndarray, forecast: np.ndarray) -> float:
    return float(forecast.sum() / real.sum() - 1)


def _likelihood(scores: VisitScores) -> float:
    return np.nan if scores.likelihood is None else float(scores.likelihood.mean())


def _visits(scores: VisitScores) -> dict[str, Any]:
    return {
        "crps": float(scores.crps.mean()), "likelihood": _likelihood(scores),
        "by_week": scores.by_week.tolist(),
    }  # fmt: skip


def _halves(signs: Mapping[str, np.ndarray], chosen: np.ndarray) -> Iterator[dict]:
    for side in (chosen, ~chosen):
        yield {name: values[side] for name, values in signs.items()}


def _reached(values: np.ndarray, at: np.ndarray) -> list[float]:
    """Shares of values that are at most so large."""
    return (np.searchsorted(np.sort(values), at, side="right") / max(len(values), 1)).tolist()


def _band(runs: np.ndarray) -> dict[str, Any]:
    """Mean and, of several runs, the band that holds `BAND` of what is drawn like them."""
    edges = ((1 - BAND) / 2, (1 + BAND) / 2)
    found = {"mean": np.round(runs.mean(0), 1).tolist()}
    if len(runs) > 1:
        low, high = np.quantile(runs, edges, axis=0, method="weibull")
        found |= {"low": np.round(low, 1).tolist(), "high": np.round(high, 1).tolist()}
    return found
