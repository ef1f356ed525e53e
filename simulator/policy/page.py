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

from .tables import groups_table, policies_table, sentences
from .values import NOBODY, ORACLE

HEIGHT = 300
DRAWN = 5
"""Policies in a chart by week: the base, the oracle, and those that earn most."""
SMOOTH = 4
"""Weeks whose mean a point is."""
FIGURES = ("profit", "price", "trips")

Chains = Sequence[Mapping[str, Mapping[str, Any]]]


def page(found: Mapping[str, Any], chains: Chains, command: str) -> str:
    """The document, from what `compared` found. command: the command line that made it."""
    rows, base = found["policies"], found["base"]
    best = sorted((n for n in rows if n not in (base, ORACLE)), key=lambda n: -rows[n]["profit"])
    names = [base, *([ORACLE] if ORACLE in rows else []), *best][:DRAWN]
    said = join([element("p", f"{line}.") for line in sentences(found)])
    sections = {
        "In short": join([_table("Policies", policies_table(found), sentence_last=True), said]),
        "Promised and earned": _promised(rows, base),
        "Weeks": _coupon_weeks(names, chains) if base == NOBODY else _price_weeks(names, chains),
        "Who got what": _groups(found),
        "Learning": _curves(chains, base),
        "Reproduction": join([element("p", "Written by"), element("pre", command)]),
    }
    lives = len(chains[0][base]["truth"]["profit"])
    number = f"{len(chains)} chain{'s' * (len(chains) > 1)}"
    return document(
        "RetailSim: policies",
        f"Made in the world learned from receipts, lived in the true one: {number}, {lives} lives "
        "each, all policies on the same draws",
        sections,
    )


def _table(caption: str, rows: Sequence[Sequence[str]], sentence_last: bool = False) -> Markup:
    head, *lines = rows
    return html_table(caption, head, lines, wraps={len(head) - 1} if sentence_last else ())


def _price_weeks(names: Sequence[str], chains: Chains) -> Markup:
    """Weeks of pricing policies."""
    profit, price, trips = (_means(names, chains, figure) for figure in FIGURES)
    return element(
        "div", _weeks("profit", "Profit in the true world, £ a week", profit),
        _weeks("price", "Price level: charged over base prices", price),
        _weeks("trips", "Trips a week", trips), class_="charts",
    )  # fmt: skip


def _coupon_weeks(names: Sequence[str], chains: Chains) -> Markup:
    """Weeks of coupon policies, beside those without coupons."""
    base, *others = names
    if not others:
        return element("p", "No policy here hands out coupons.")
    profit, _, trips = (_means(names, chains, figure) for figure in FIGURES)
    off = {
        name: np.mean([
            life["off"] for chain in chains for life in chain[name]["truth"]["coupons"]
        ], axis=0)
        for name in others
    }  # fmt: skip
    more, came = ({name: x[name] - x[base] for name in others} for x in (profit, trips))
    return element(
        "div", _weeks("profit", f"Profit over {base} in the true world, £ a week", more),
        _weeks("off", "What coupons take off, £ a week", off),
        _weeks("trips", f"Trips a week over {base}", came), class_="charts",
    )  # fmt: skip


def _groups(found: Mapping[str, Any]) -> Markup:
    if groups := groups_table(found):
        said = element("p", FAIR_COUPONS, class_="note")
        return join([_table("Coupons by class of price sensitivity", groups), said])
    return join([_classes(found["policies"]), element("p", FAIR, class_="note")])


FAIR = (
    "What customers with a card paid over the same goods at base prices, by class of price "
    "sensitivity: one price for all is the same offer to everybody, but groups differ in what they "
    "buy of it. The true world's figures."
)

FAIR_COUPONS = (
    "Coupons go to whom a policy chooses, by what they bought and when, never by class; what the "
    "classes got of them is the true world's."
)


@in_page_style
def _promised(rows: Mapping[str, Any], base: str) -> Markup:
    """Coupons are a matter of one per cent: of them, gains are drawn."""
    chart = Chart("promised", HEIGHT)
    axes = chart.axes
    over, keys = "", ("promised", "profit")
    if base == NOBODY:
        over, keys = f" over {base}", ("gain_promised", "gain")
    both = {name: (row[keys[0]], row[keys[1]]) for name, row in rows.items()}
    for number, (name, (promised, earned)) in enumerate(both.items()):
        colour, marker = look(number)
        (point,) = axes.plot(promised, earned, marker, color=colour)
        chart.tooltip(point, f"{name}: promised {promised:,.0f}, earned {earned:,.0f}")
    ends = [min(map(min, both.values())), max(map(max, both.values()))]
    axes.plot(ends, ends, color=INK, linewidth=1, linestyle=(0, (2, 3)))
    axes.set(xlabel="promised in the learned world, £ a week", ylabel="earned in the true one")
    words = "; ".join(f"{name} {one:,.0f} and {two:,.0f}" for name, (one, two) in both.items())
    title = f"Promised and earned{over}, £ a week; on the line both are the same"
    return chart.markup(title, words)


def _means(names: Sequence[str], chains: Chains, figure: str) -> dict[str, np.ndarray]:
    """(W,) of each policy in the true world."""
    return {
        name: np.mean([np.mean(chain[name]["truth"][figure], axis=0) for chain in chains], axis=0)
        for name in names
    }


@in_page_style
def _weeks(name: str, title: str, lines: Mapping[str, np.ndarray]) -> Markup:
    """lines: (W,) of each policy."""
    chart = Chart(f"weeks-{name}", HEIGHT)
    handles = []
    for number, (policy, values) in enumerate(lines.items()):
        whole = len(values) // SMOOTH * SMOOTH
        values = values[:whole].reshape(-1, SMOOTH).mean(1)
        weeks = np.arange(1, len(values) + 1) * SMOOTH
        colour, marker = look(number)
        (line,) = chart.axes.plot(weeks, values, color=colour, marker=marker, markersize=4)
        chart.tooltip(
            line, *(f"{policy}, week {w}: {v:,.2f}" for w, v in zip(weeks, values, strict=True))
        )
        handles.append(line)
    by_week(chart.axes)
    chart.legend(handles, list(lines), "lower")
    return chart.markup(title, f"{title}, means of {SMOOTH} weeks, of {', '.join(lines)}.")


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
def _curves(chains: Chains, base: str) -> Markup:
    figure = "what coupons add" if base == NOBODY else "profit"
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
    chart.axes.set(xlabel="weeks lived in the learned world", ylabel=f"{figure}, £ a week")
    chart.legend(handles, names, "lower")
    return chart.markup("Learning curves of the first chain", f"Of {', '.join(names)}.")
