"""The weeks after the history, as the model simulates them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.report.charts.weeks import weeks
from trainer.report.figures import count, fixed, spans
from trainer.report.markup import Markup, element, join
from trainer.report.simulated import ENOUGH, SimulatedWeeks, middle
from trainer.report.tables import table

PENCE = 100
"""Of a pound, or what a unit of the currency is divided into."""


def weeks_to_come(simulated: SimulatedWeeks, cache: TensorCache) -> Markup:
    """Charts of trips, customers, items per trip and spend, and a table with anonymous trips."""
    before = _shown(simulated.before)
    # A week without a trip is one that the receipts lack.
    before = {name: np.where(before["Trips"] > 0, was, np.nan) for name, was in before.items()}
    runs = _shown(simulated.runs)
    charts = [
        weeks(
            f"to-come-{number}", f"{name} a week" if name != "Items per trip" else name,
            simulated.first, before[name], runs[name], show,
        )
        for number, (name, show) in enumerate(SHOW.items())
    ]  # fmt: skip
    return join(
        [
            element("p", _sentence(simulated, before, runs)),
            _warning(simulated, cache),
            element("div", *charts, class_="charts"),
            element("p", _meaning(len(runs["Trips"])), class_="note"),
            _table(simulated, before, runs),
            element("p", ANONYMOUS, class_="note"),
        ]
    )


def _whole(value: float) -> str:
    return fixed(value, 0)


SHOW: dict[str, Callable[[float], str]] = {
    "Trips": _whole, "Customers": _whole, "Items per trip": lambda value: fixed(value, 2),
    "Spend": _whole,
}  # fmt: skip
"""What is drawn, with its values as text."""
WORDS = {
    "Trips": "trips", "Customers": "customers", "Items per trip": "items per trip",
    "Spend": "in spend",
}  # fmt: skip
ANONYMOUS = (
    "Trips, customers, items and spend are those of customers who are known. Anonymous trips are "
    "simulated too, but the cache has none of the weeks before to compare them with, so they are "
    "in the table alone. Spend is in the currency of the receipts."
)


def _shown(figures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    trips = figures["trips"].astype(float)
    return {
        "Trips": trips,
        "Customers": figures["customers"].astype(float),
        "Items per trip": figures["items"] / np.maximum(trips, 1),
        "Spend": figures["spend_pence"] / PENCE,
    }


def _compared(simulated: SimulatedWeeks) -> int:
    """How many of the last weeks before the start are set beside the simulated ones."""
    return min(simulated.runs["trips"].shape[1], len(simulated.before["trips"]))


def _sentence(
    simulated: SimulatedWeeks, before: dict[str, np.ndarray], runs: dict[str, np.ndarray]
) -> str:
    number, ahead = simulated.runs["trips"].shape
    compared = _compared(simulated)
    of = f"the mean of {count(number)} runs" if number > 1 else "a single run"
    found = [
        f"{show(_mean(runs[name]))} {WORDS[name]} ({show(_mean(before[name][-compared:]))})"
        for name, show in SHOW.items()
    ]
    return (
        f"The history ends with week {simulated.first - 1}; the model simulates "
        f"{_named(simulated.first, simulated.first + ahead - 1)} after it, customer by customer. "
        f"In {of} a week has {', '.join(found[:-1])} and {found[-1]}; in brackets, "
        f"{_weeks(compared)} of the history."
    )


def _named(first: int, last: int) -> str:
    return f"week {first}" if first == last else f"weeks {first} to {last}"


def _weeks(number: int) -> str:
    return "the last week" if number == 1 else f"the last {number} weeks"


def _warning(simulated: SimulatedWeeks, cache: TensorCache) -> Markup | None:
    said = []
    if simulated.scenario is not None:
        said.append(f"The weeks are simulated with the changes of {simulated.scenario}.")
    shown = range(simulated.first - len(simulated.before["trips"]), simulated.first)
    copied = [week for week in shown if cache["weeks.is_replayed"][week - 1]]
    if copied:
        said.append(
            f"These weeks of the history are copies of earlier trips: {spans(copied)}. They are no "
            "measure for weeks to come, and what is simulated goes on from them."
        )
    return element("p", " ".join(said), class_="warning") if said else None


def _meaning(runs: int) -> str:
    if runs == 1:
        around = "A single run is one of many possible courses; more of them would show chance."
    elif runs < ENOUGH:
        around = (
            "Thin lines are single runs, too few for a band; they differ by chance alone: the same "
            "model, the same start, other draws."
        )
    else:
        around = (
            "The band, and the brackets in the table, hold the middle 90 % of the runs, week by "
            "week. Runs differ by chance alone: the same model, the same start, other draws."
        )
    return (
        f"{around} What the model got wrong is the same in every run and not in the picture, so "
        "real weeks will differ from it by more than chance; where the level jumps at the line, "
        "suspect the model first. How far simulated weeks of this chain are from real ones is "
        "measured on weeks that were kept back: python -m simulator.fidelity. The vertical axes do "
        "not begin at zero."
    )


def _table(
    simulated: SimulatedWeeks, before: dict[str, np.ndarray], runs: dict[str, np.ndarray]
) -> Markup:
    compared = _compared(simulated)
    start = simulated.first - 1
    anonymous = simulated.runs["anonymous_trips"]
    past = [
        f"{spans(range(start - compared + 1, start + 1))}, as they were",
        *(show(_mean(before[name][-compared:])) for name, show in SHOW.items()),
        fixed(np.nan),
    ]
    rows = [
        [
            str(simulated.first + place),
            *(_cell(runs[name][:, place], show) for name, show in SHOW.items()),
            _cell(anonymous[:, place], _whole),
        ]
        for place in range(anonymous.shape[1])
    ]
    columns = ["week", *(name.lower() for name in SHOW), "anonymous trips"]
    number = count(len(anonymous))
    of = f"mean of {number} runs" if len(anonymous) > 1 else "one run"
    around = ", with the middle 90 %" if len(anonymous) >= ENOUGH else ""
    return table(f"A week: {of}{around}", columns, [past, *rows], marked=(0,))


def _mean(values: np.ndarray) -> float:
    """Of what is there; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _cell(values: np.ndarray, show: Callable[[float], str]) -> Markup:
    """The mean of runs above its interval."""
    parts: list[str] = [show(float(values.mean()))]
    if len(values) >= ENOUGH:
        low, high = middle(values)
        parts += [" ", element("span", f"[{show(low)}, {show(high)}]", class_="interval")]
    return join(parts)
