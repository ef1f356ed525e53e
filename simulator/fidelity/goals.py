"""What is measured, in words, and how good it has to be.

The goals are those of LGSR, started after week 95. Another chain's trips, units and visits differ
in how well they can be known at all, so there they are a scale, no more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.fidelity.quantities import PER_CUSTOMER, PER_TRIP
from simulator.fidelity.stand_ins import STAND_INS


@dataclass(frozen=True)
class Measure:
    """A row of the table."""

    key: str
    words: str
    low: float = -math.inf
    high: float = math.inf
    of_real: bool = False
    """Whether the bounds hold for the difference to the real value."""
    digits: int = 3

    @property
    def goal(self) -> str:
        """In words."""
        if not (math.isfinite(self.low) or math.isfinite(self.high)):
            return ""
        if self.of_real and self.low == -self.high:
            return f"real ± {self._number(self.high)}"
        if self.of_real:
            return f"<= real + {self._number(self.high)}"
        if self.low == -self.high:
            return f"± {self._number(self.high)}"
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f"{self._number(self.low)} to {self._number(self.high)}"
        sign, bound = ("<=", self.high) if math.isfinite(self.high) else (">=", self.low)
        return f"{sign} {self._number(bound)}"

    def is_met(self, value: float | None, real: float | None) -> bool | None:
        """Whether a value reaches the goal; None where there is none, or nothing was measured."""
        if value is None or not self.goal or (self.of_real and real is None):
            return None
        return self.low <= value - (real if self.of_real else 0) <= self.high

    def show(self, value: float | None) -> str:
        """A value as text, - for none."""
        return "-" if value is None else self._number(value)

    def _number(self, value: float) -> str:
        text = f"{value:.{self.digits}f}"
        return text.replace("0.", ".", 1) if abs(value) < 1 else text


TITLES = {
    "detector": "Told from real by a detector (AUC)",
    "trips": "Distributions, per trip (KS)",
    "customers": "Distributions, per customer and week (KS)",
    "units": "Units by category and week",
    "habits": "Habits",
    "visits": "Trips of each customer",
    "privacy": "Privacy",
}
MEASURES: dict[str, tuple[Measure, ...]] = {
    "detector": (
        Measure("auc.trip", "one trip", high=0.60),
        Measure("auc.customer", "all weeks of a customer", high=0.65),
    ),
    "trips": tuple(Measure(f"ks.trip.{name}", name, high=0.04) for name in PER_TRIP),
    "customers": tuple(Measure(f"ks.customer.{name}", name, high=0.04) for name in PER_CUSTOMER),
    "units": (
        Measure("units.wmape", "WMAPE, mean of runs", high=0.15),
        Measure("units.wmape_of_one", "WMAPE, one run"),
        Measure("units.of_boosting", "WMAPE of the mean over LightGBM's", high=1.0),
        Measure("units.bias", "bias of the total", low=-0.02, high=0.02),
        Measure("units.coverage", "share held by 90 % bands over runs", low=0.85, high=0.95),
    ),
    "habits": (
        Measure("repeat", "items bought before, share", low=-0.02, high=0.02, of_real=True),
        Measure("retention.4", "retained in week 4", low=-0.02, high=0.02, of_real=True),
        Measure("retention.9", "retained in week 9", low=-0.02, high=0.02, of_real=True),
        Measure("switching", "trips in another store", low=-0.02, high=0.02, of_real=True),
        Measure("lifts", "pairs of products, rank correlation", low=0.8),
    ),
    "visits": (
        Measure("visits.crps", "CRPS", high=1.47),
        Measure("visits.likelihood", "log-likelihood", low=-1.95),
        Measure("visits.horizon", "CRPS of the last week over the first", high=1.5, digits=2),
    ),
    "privacy": (
        Measure("copies", "copies of an earlier trip", high=0.01, of_real=True, digits=4),
        Measure("membership", "membership of training customers (AUC)", high=0.55),
    ),
}  # fmt: skip

HOUSEHOLDS = (
    Measure("trips", "trips a week"),
    Measure("trips.error", "  absolute error of a household, over the total"),
    Measure("items", "items of a trip", digits=2),
    Measure("items.error", "  absolute error of a household, over the mean"),
    Measure("categories", "categories: total variation distance of shares"),
    Measure("products", "products: correlation of shares"),
    Measure("favourites", "items of the household's repertoire, share"),
)
"""Where the truth of each household is known."""

MET = {True: "met", False: "not met", None: ""}


def columns(content: Mapping[str, Any]) -> list[str]:
    """Heads of the table of what `measure` found; the last ones say which goals were met."""
    runs = content["runs"]
    named = [f"{name} ({runs[name]} run{'s' if runs[name] > 1 else ''})" for name in runs]
    return ["real", "halves", *named, "goal", *judged(content)]


def rows(content: Mapping[str, Any], group: str) -> list[list[str]]:
    """The rows of a group of `MEASURES`, as text, the words first."""
    found = []
    for one in MEASURES[group]:
        real, halves = (content[side].get(one.key) for side in ("real", "floor"))
        values = {name: figures.get(one.key) for name, figures in content["figures"].items()}
        found.append(
            [one.words, *map(one.show, (real, halves, *values.values())), one.goal]
            + [MET[one.is_met(values[name], real)] for name in judged(content)]
        )
    return found


def household_columns(content: Mapping[str, Any]) -> list[str]:
    """Heads of the table of `HOUSEHOLDS`."""
    return ["truth", "sample of it", "real weeks", *content["runs"]]


def household_rows(content: Mapping[str, Any]) -> list[list[str]]:
    """The rows of that table, as text, the words first."""
    return [
        [one.words, *(one.show(figures.get(one.key)) for figures in content["households"].values())]
        for one in HOUSEHOLDS
    ]


def judged(content: Mapping[str, Any]) -> list[str]:
    """Names of the simulations: all sets but the stand-ins."""
    return [name for name in content["runs"] if name not in STAND_INS]
