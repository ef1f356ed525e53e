"""The figures as a page with pictures that needs no network and no script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator.fidelity import charts
from simulator.fidelity.goals import (
    TITLES,
    columns,
    household_columns,
    household_rows,
    judged,
    rows,
)
from trainer.report.document import document
from trainer.report.figures import NONE, count, fixed, percent
from trainer.report.markup import Markup, element, join
from trainer.report.tables import table

CATEGORIES = 12
"""With a picture of their own, those sold most."""
SIGNS = 12
SIDES = ("real", "simulated")
AXES = {
    "trip.gap": "days since the trip before", "trip.items": "items of a trip",
    "trip.spend": "pence of a trip", "trip.quantity": "units of a trip",
    "customer.trips": "trips a week", "customer.items": "items a week",
    "customer.spend": "pence a week", "customer.products": "different products a week",
    "customer.categories": "different categories a week",
}  # fmt: skip


def page(content: Mapping[str, Any], title: str, command: str) -> str:
    """The document, from what `measure` found. command: the command line that made it."""
    weeks = content["weeks"]
    sections = {
        "Beside goals": _goals(content),
        "What the detector noticed": _noticed(content),
        "Distributions": _distributions(content),
        "Weeks": _weeks(content),
        "Categories": _categories(content),
        "How often customers come": _visits(content),
    }
    if content["households"]:
        sections["Households beside their truth"] = _households(content)
    sections["Reproduction"] = join(
        [element("p", "Written by"), element("pre", command),
         element("p", f"of cache {content['cache_digest'][:12]}, seed {content['seed']}.")]
    )  # fmt: skip
    return document(
        f"{title}, weeks {weeks[0]}–{weeks[-1]}",
        f"Started after week {content['start']}: {count(content['trips'])} trips of "
        f"{count(content['customers'])} customers with a history, "
        f"{percent(content['absent'], 0)} of whom stay away",
        sections,
    )


def _goals(content: Mapping[str, Any]) -> Markup:
    heads = ["", *columns(content)]
    text = range(len(heads) - len(judged(content)) - 1, len(heads))
    parts = [
        table(title, heads, rows(content, group), text=text) for group, title in TITLES.items()
    ]
    return join([*parts, element("p", MEANING, class_="note")])


MEANING = (
    "Real: what came. Halves: half of the real customers against the other half, which no "
    "simulation can be expected to beat. Previous weeks: each customer's trips of the weeks "
    "before, again. Bootstrap: trips drawn from each customer's own of 26 weeks. KS is the largest "
    "difference between two distribution functions; AUC .5 means that nothing was noticed. Goals "
    "are set for LGSR, weeks 96 to 104."
)


def _noticed(content: Mapping[str, Any]) -> Markup:
    parts = []
    for name, noticed in content["noticed"].items():
        for of, signs in noticed.items():
            auc = _number(content["figures"][name][f"auc.{of}"], fixed)
            parts.append(
                table(
                    f"{name}, by {of}: AUC {auc}",
                    ["", "share of its gain", "mean, real", "mean, simulated", "AUC alone"],
                    [
                        [
                            sign["words"],
                            percent(sign["weight"]),
                            *(_number(sign[side], "{:,.4g}".format) for side in SIDES),
                            _number(sign["alone"], fixed),
                        ]
                        for sign in signs[:SIGNS]
                    ],
                )
            )
    if not parts:
        return element("p", "Without LightGBM there is no detector.")
    return join(parts)


def _distributions(content: Mapping[str, Any]) -> Markup:
    drawn = [
        charts.distribution(
            f"distribution-{name.replace('.', '-')}",
            AXES[name].capitalize(),
            AXES[name],
            found["at"],
            {charts.REAL: found["real"], **found["sets"]},
        )
        for name, found in content["distributions"].items()
    ]
    return join([element("div", *drawn, class_="charts"), element("p", STEPS, class_="note")])


STEPS = (
    "Runs of a set are taken together. The largest vertical distance between a line and the real "
    "one is the KS distance."
)


def _weeks(content: Mapping[str, Any]) -> Markup:
    found, numbers = content["by_week"], content["weeks"]
    real = [sum(column) for column in zip(*found["units"]["real"], strict=True)]
    trips = found["trips"]
    drawn = [
        charts.weeks("weeks-trips", "Trips", "trips", numbers, trips["real"], trips["sets"]),
        charts.weeks("weeks-units", "Units", "units", numbers, real, found["units"]["all"]),
    ]
    return join([element("div", *drawn, class_="charts"), element("p", BANDS, class_="note")])


BANDS = "Bands hold 90 % of what is drawn like the runs. Weeks missing from the files are left out."


def _categories(content: Mapping[str, Any]) -> Markup:
    found, numbers = content["by_week"], content["weeks"]
    names, units = found["categories"], found["units"]
    most = sorted(range(len(names)), key=lambda row: -sum(units["real"][row]))

    def of(row: int, values: Mapping[str, Any]) -> dict[str, Any]:
        return {each: numbers[row] for each, numbers in values.items()}

    drawn = [
        charts.weeks(
            f"category-{place}", names[row], "units", numbers, units["real"][row],
            {name: of(row, values) for name, values in units["sets"].items()},
        )
        for place, row in enumerate(most[:CATEGORIES])
    ]  # fmt: skip
    forecasts = {name: values["mean"] for name, values in units["sets"].items()}
    if units["forecast"]:
        forecasts["LightGBM"] = units["forecast"]
    lines = [
        [
            names[row],
            count(sum(units["real"][row])),
            *(_error(units["real"][row], values[row]) for values in forecasts.values()),
        ]
        for row in most
    ]
    errors = table(
        "Units of all judged weeks, and WMAPE over the weeks",
        ["category", "units", *forecasts],
        lines,
    )
    return join([element("div", *drawn, class_="charts"), errors])


def _error(real: Sequence[float], mean: Sequence[float]) -> str:
    total = sum(real)
    missed = sum(abs(a - b) for a, b in zip(real, mean, strict=True))
    return fixed(missed / total) if total else NONE


def _visits(content: Mapping[str, Any]) -> Markup:
    lines = [
        [name, *(_number(one[key], fixed) for key in ("crps", "likelihood")),
         *(_number(value, fixed) for value in one["by_week"])]
        for name, one in content["visits"].items()
    ]  # fmt: skip
    weeks = [f"week {number}" for number in content["weeks"]]
    return table(
        "Trips of each customer: CRPS (lower is better) and log-likelihood of their number in all "
        "weeks, and CRPS of each week",
        ["", "CRPS", "log-likelihood", *weeks],
        lines,
    )


def _households(content: Mapping[str, Any]) -> Markup:
    found = table("", ["", *household_columns(content)], household_rows(content))
    return join([found, element("p", TRUTH, class_="note")])


TRUTH = (
    "Truth: what each household does in these weeks on average. Sample of it: what as many trips "
    "of these weeks tell as the household made before. Drawn again: the judged weeks by what made "
    "the chain. Means over households by their true number of trips."
)


def _number(value: float | None, show: Callable[[float], str]) -> str:
    return NONE if value is None else show(value)
