"""The comparison as a page with pictures that needs no network and no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dbt_project.sample.households import CLASSES
from simulator.whatif.charts import by_week
from trainer.report.charts.drawing import INK, SERIES, Chart, in_page_style, look
from trainer.report.document import document
from trainer.report.markup import Markup, element, join
from trainer.report.tables import table as html_table

from .values import ORACLE, PLAN, table

HEIGHT = 300
DRAWN = 5
"""Policies in a chart by week: the plan, the oracle, and those that earn most."""
SMOOTH = 4
"""Weeks whose mean a point is."""

Chains = Sequence[Mapping[str, Mapping[str, Any]]]


def page(found: Mapping[str, Any], chains: Chains, command: str) -> str:
    """The document, from what `compared` found. command: the command line that made it."""
    rows = found["policies"]
    best = sorted((n for n in rows if n not in (PLAN, ORACLE)), key=lambda n: -rows[n]["profit"])
    names = [PLAN, *([ORACLE] if ORACLE in rows else []), *best][:DRAWN]
    head, _, *lines = (line.strip("| ").split(" | ") for line in table(found)[: len(rows) + 2])
    said = join([element("p", f"{line}.") for line in table(found)[-3:] if line])
    sections = {
        "In short": join([html_table("Policies", head, lines), said]),
        "Promised and earned": _promised(rows),
        "Weeks": element(
            "div", _weeks("profit", "Profit in the true world, £ a week", names, chains),
            _weeks("price", "Price level: charged over base prices", names, chains),
            _weeks("trips", "Trips a week", names, chains), class_="charts",
        ),
        "Who got what": join([_classes(rows), element("p", FAIR, class_="note")]),
        "Learning": _curves(chains),
        "Reproduction": join([element("p", "Written by"), element("pre", command)]),
    }  # fmt: skip
    lives = len(chains[0][PLAN]["truth"]["profit"])
    number = f"{len(chains)} chain{'s' * (len(chains) > 1)}"
    return document(
        "RetailSim: policies",
        f"Made in the world learned from receipts, lived in the true one: {number}, {lives} lives "
        "each, all policies on the same draws",
        sections,
    )


FAIR = (
    "What customers with a card paid over the same goods at base prices, by class of price "
    "sensitivity: one price for all is the same offer to everybody, but groups differ in what they "
    "buy of it. The true world's figures."
)


@in_page_style
def _promised(rows: Mapping[str, Any]) -> Markup:
    chart = Chart("promised", HEIGHT)
    axes = chart.axes
    for number, (name, row) in enumerate(rows.items()):
        colour, marker = look(number)
        (point,) = axes.plot(row["promised"], row["profit"], marker, color=colour)
        words = f"{name}: promised {row['promised']:,.0f}, earned {row['profit']:,.0f}"
        chart.tooltip(point, words)
    ends = [min(min(r["promised"], r["profit"]) for r in rows.values()),
            max(max(r["promised"], r["profit"]) for r in rows.values())]  # fmt: skip
    axes.plot(ends, ends, color=INK, linewidth=1, linestyle=(0, (2, 3)))
    axes.set(xlabel="promised in the learned world, £ a week", ylabel="earned in the true one")
    words = "; ".join(
        f"{name} {row['promised']:,.0f} and {row['profit']:,.0f}" for name, row in rows.items()
    )
    return chart.markup("Promised and earned, £ a week; on the line both are the same", words)


@in_page_style
def _weeks(figure: str, title: str, names: Sequence[str], chains: Chains) -> Markup:
    chart = Chart(f"weeks-{figure}", HEIGHT)
    handles = []
    for number, name in enumerate(names):
        values = np.mean(
            [np.mean(chain[name]["truth"][figure], axis=0) for chain in chains], axis=0
        )
        whole = len(values) // SMOOTH * SMOOTH
        values = values[:whole].reshape(-1, SMOOTH).mean(1)
        weeks = np.arange(1, len(values) + 1) * SMOOTH
        colour, marker = look(number)
        (line,) = chart.axes.plot(weeks, values, color=colour, marker=marker, markersize=4)
        chart.tooltip(
            line, *(f"{name}, week {w}: {v:,.2f}" for w, v in zip(weeks, values, strict=True))
        )
        handles.append(line)
    by_week(chart.axes)
    chart.legend(handles, list(names), "lower")
    return chart.markup(title, f"{title}, means of {SMOOTH} weeks, of {', '.join(names)}.")


@in_page_style
def _classes(rows: Mapping[str, Any]) -> Markup:
    chart = Chart("classes", HEIGHT)
    axes, width = chart.axes, 0.8 / len(CLASSES)
    names = list(rows)
    for label, name in enumerate(CLASSES):
        places = np.arange(len(names)) + (label - 1) * width
        values = [100 * (rows[n]["paid"][label] - 1) for n in names]
        bars = axes.barh(places, values, height=width, color=SERIES[label])
        for bar, policy, value in zip(bars, names, values, strict=True):
            chart.tooltip(bar, f"{policy}, {name}: {value:+.1f} %")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="paid over base prices, %: most, middling and least price-sensitive class")
    axes.axvline(0, color=INK, linewidth=1)
    words = "; ".join(
        f"{policy}: " + ", ".join(f"{100 * (value - 1):+.1f} %" for value in rows[policy]["paid"])
        for policy in names
    )
    return chart.markup("What classes of customers paid", words)


@in_page_style
def _curves(chains: Chains) -> Markup:
    chart, handles, names = Chart("curves", HEIGHT), [], []
    for name, worlds in chains[0].items():
        curve = worlds["model"]["curve"]
        if len(curve) < 2 or name == ORACLE:
            continue
        colour, marker = look(len(names))
        weeks, profit = zip(*curve, strict=True)
        (line,) = chart.axes.plot(weeks, profit, color=colour, marker=marker, markersize=4)
        chart.tooltip(line, *(f"{name}, {w:,} weeks: {p:,.0f}" for w, p in curve))
        handles.append(line)
        names.append(name)
    if not names:
        return element("p", "No policy here was trained.")
    by_week(chart.axes)
    chart.axes.set(xlabel="weeks lived in the learned world", ylabel="profit, £ a week")
    chart.legend(handles, names, "lower")
    return chart.markup("Learning curves of the first chain", f"Of {', '.join(names)}.")
