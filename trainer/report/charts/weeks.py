"""A figure by week: as it was, and as several runs simulate it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trainer.report.charts.drawing import INK, SERIES, SOFT, Chart, in_page_style
from trainer.report.markup import Markup
from trainer.report.simulated import ENOUGH, middle

HEIGHT = 290
FAINT = 0.25
"""Opacity of the band; of single runs three times that."""


@in_page_style
def weeks(
    identifier: str, title: str, first: int, before: Sequence[float], runs: np.ndarray,
    show: Callable[[float], str],
) -> Markup:  # fmt: skip
    """A line of the weeks before `first`, and from there on the mean of the runs.

    before: a value per week; NaN leaves a gap. runs: (runs, weeks); around their mean lies the
    middle 90 %, or each run as a thin line where they are fewer than `ENOUGH`. show: a value as
    text. The vertical axis does not begin at zero: it covers the values.
    """
    chart = Chart(identifier, HEIGHT)
    axes = chart.axes
    past = np.arange(first - len(before), first)
    future = np.arange(first, first + runs.shape[1])
    mean, (low, high) = runs.mean(0), middle(runs)
    colour = SERIES[0]
    around = {}
    if len(runs) >= ENOUGH:
        # Half a week further on either side, so that a single week has a width too.
        edges = np.concatenate([[first - 0.5], future, [future[-1] + 0.5]])
        top, bottom = (np.pad(end, 1, mode="edge") for end in (high, low))
        look = {"color": colour, "alpha": FAINT}
        axes.fill([*edges, *edges[::-1]], [*top, *bottom[::-1]], linewidth=0, **look)
        around = {"middle 90 % of the runs": Line2D([], [], linewidth=9, **look)}
    elif len(runs) > 1:
        look = {"color": colour, "alpha": 3 * FAINT, "linewidth": 1, "markersize": 3}
        around = {"single runs": axes.plot(future, runs.T, "o-", **look)[0]}
    known = [(week, value) for week, value in zip(past, before, strict=True) if value == value]
    (was,) = axes.plot(past, before, "o-", color=SOFT, markersize=4)
    chart.tooltip(was, *(f"week {week}: {show(value)}" for week, value in known))
    (will,) = axes.plot(future, mean, "s-", color=colour, markersize=5)
    words = [f"week {week}: {_words(row, show)}" for week, row in zip(future, runs.T, strict=True)]
    chart.tooltip(will, *(f"simulated, {text}" for text in words))
    axes.axvline(first - 0.5, color=INK, linewidth=1, linestyle=(0, (5, 4)))
    axes.text(
        first - 0.5, 1.02, "simulation starts", ha="center", transform=axes.get_xaxis_transform()
    )
    axes.set(xlabel="week", xlim=(past[0] - 0.5, future[-1] + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    one = "mean of the runs" if len(runs) > 1 else "one run"
    named = {"as it was": was, one: will} | around
    chart.legend([*named.values()], [*named], "lower")
    course = "; ".join(f"week {week}: {show(value)}" for week, value in known[:1] + known[-1:])
    return chart.markup(title, f"As it was, {course}. Simulated, {one}, {'; '.join(words)}.")


def _words(values: np.ndarray, show: Callable[[float], str]) -> str:
    """Of one week: the mean of the runs, and what lies around it."""
    text = show(float(values.mean()))
    if len(values) < ENOUGH:
        return text
    low, high = map(float, middle(values))
    return f"{text} [{show(low)}, {show(high)}]"
