"""What policies are worth in the true world, with standard errors on common random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .lives import Life, Policy, Progress, live
from .opening import Opening

EARLY = 4
"""Weeks in which short-sighted policies shine."""
FIGURES = {
    "profit": ("profit £/week", "{:,.0f}"),
    "early": (f"in the first {EARLY}", "{:,.0f}"),
    "units": ("units/week", "{:,.0f}"),
    "trips": ("trips/week", "{:,.0f}"),
    "kept": ("households kept", "{:.1%}"),
}
"""Figures of a life: their names in a table, and how they are written."""


def value(
    policies: Mapping[str, Policy], opening: Opening, lives: int, week: Progress
) -> dict[str, Any]:
    """Live with each policy, all with the same draws; the first one is what others are compared
    with.

    Returns for each policy and figure its mean over lives and the standard error (`se`) and, under
    `profit_gain`, what it earns more a week than the first: a paired difference, whose error is
    much smaller. lives: at least 2.
    """
    lived = {
        name: [_figures(live(policy, opening, run, week)) for run in range(lives)]
        for name, policy in policies.items()
    }
    first = next(iter(lived.values()))
    answers = {}
    for name, own in lived.items():
        gain = [a["profit"] - b["profit"] for a, b in zip(own, first, strict=True)]
        answers[name] = {f: _mean([life[f] for life in own]) for f in FIGURES}
        answers[name]["profit_gain"] = _mean(gain)
    return answers


def _figures(life: Life) -> dict[str, float]:
    return {
        "profit": float(life.profits.mean()),
        "early": float(life.profits[:EARLY].mean()),
        "units": float(life.units.mean()),
        "trips": float(life.trips.mean()),
        "kept": life.kept,
    }


def _mean(values: list[float]) -> dict[str, float]:
    return {
        "mean": float(np.mean(values)),
        "se": float(np.std(values, ddof=1) / np.sqrt(len(values))),
    }


def table(answers: Mapping[str, Any]) -> list[str]:
    """The answers of `value` as lines of a Markdown table."""
    first = next(iter(answers))
    head = ["policy", *(label for label, _ in FIGURES.values()), f"profit over {first}"]
    rows = [head, ["---"] * len(head)]
    for name, own in answers.items():
        gain = own["profit_gain"]
        row = [name]
        for figure, (_, form) in FIGURES.items():
            row.append(f"{form.format(own[figure]['mean'])} ± {form.format(own[figure]['se'])}")
        row.append("" if name == first else f"{gain['mean']:+,.1f} ± {gain['se']:.1f}")
        rows.append(row)
    return [f"| {' | '.join(row)} |" for row in rows]
