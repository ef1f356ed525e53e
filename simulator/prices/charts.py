"""Pictures of the page: how elasticities are spread, what they rest on, and how far prices go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter

from trainer.report.charts.drawing import INK, SERIES, Chart, in_page_style, look
from trainer.report.charts.rows import FAINT, plain
from trainer.report.figures import count, fixed
from trainer.report.markup import Markup

HEIGHT = 280
BINS = 24
TAIL = 0.01
"""Share of the values on each side that is drawn at the end of an axis, so that a few do not
squeeze the others."""


@in_page_style
def histogram(
    identifier: str, title: str, x_title: str, groups: Mapping[str, np.ndarray]
) -> Markup:
    """How many products have which value, the groups on top of each other."""
    chart = Chart(identifier, HEIGHT)
    axes, values = chart.axes, np.concatenate(list(groups.values()))
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    low, high = min(low, 0.0), max(high, 0.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    below, handles = np.zeros(BINS), []
    for number, (name, each) in enumerate(groups.items()):
        found, _ = np.histogram(np.clip(each, edges[0], edges[-1]), edges)
        drawn = axes.bar(
            edges[:-1], found, np.diff(edges), below, align="edge", color=look(number)[0]
        )
        for bar, left, right, products in zip(drawn, edges, edges[1:], found, strict=False):
            words = f"{name}, {fixed(left, 2)} to {fixed(right, 2)}: {count(int(products))}"
            chart.tooltip(bar, words)
        below += found
        handles.append(drawn[0])
    axes.axvline(0, color=INK, linewidth=1)
    axes.set(xlabel=x_title, ylabel="products")
    axes.xaxis.set_major_formatter(plain())
    axes.grid(visible=False, axis="x")
    if len(groups) > 1:
        chart.legend(handles, list(groups), "lower")
    quartiles = ", ".join(fixed(q, 2) for q in np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9]))
    return chart.markup(
        title, f"{count(len(values))} products; 10, 25, 50, 75 and 90 % are below {quartiles}."
    )


@in_page_style
def intervals(
    identifier: str, title: str, x_title: str, values: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Markup:
    """All products in the order of their values, each with its interval."""
    chart = Chart(identifier, HEIGHT)
    axes, order = chart.axes, np.argsort(values, kind="stable")
    left, right = np.quantile(np.concatenate([low, high]), [TAIL, 1 - TAIL])
    share = 100 * (np.arange(len(order)) + 0.5) / max(len(order), 1)
    ends = (np.clip(end[order], left, right) for end in (low, high))
    axes.hlines(share, *ends, color=SERIES[0], alpha=FAINT, linewidth=max(0.6, 200 / len(order)))
    axes.plot(np.clip(values[order], left, right), share, color=INK)
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (2, 3)))
    axes.set(xlabel=x_title, ylabel="products up to here", ylim=(0, 100))
    axes.xaxis.set_major_formatter(plain())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    width = np.median(high - low)
    return chart.markup(title, f"Half of the intervals are wider than {fixed(width, 2)}.")


@in_page_style
def evidence(
    identifier: str, title: str, moves: Sequence[np.ndarray], widths: Sequence[np.ndarray],
    names: Sequence[str],
) -> Markup:  # fmt: skip
    """A point per product: in how many weeks its price moved, and how wide its interval is."""
    chart = Chart(identifier, HEIGHT)
    axes, drawn = chart.axes, []
    most = np.quantile(np.concatenate(list(widths)), 1 - TAIL)
    for number, (weeks, wide) in enumerate(zip(moves, widths, strict=True)):
        colour, marker = look(number)
        drawn += axes.plot(
            weeks, np.minimum(wide, most), marker, color=colour, alpha=0.5, markersize=4
        )
    axes.set(xlabel="weeks in which the price moved by 5 %", ylabel="width of the interval")
    axes.set_ylim(bottom=0)
    chart.legend(drawn, names, "lower")
    words = (
        f"{name}: {count(len(wide))} products, in {np.median(weeks):g} weeks (median), width "
        f"{fixed(np.median(wide), 2)} (median)"
        for name, weeks, wide in zip(names, moves, widths, strict=True)
        if len(wide)
    )
    return chart.markup(title, f"{'; '.join(words)}.")
