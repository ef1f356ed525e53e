"""Bars from zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trainer.report.charts.drawing import SERIES, Chart, in_page_style
from trainer.report.figures import percent
from trainer.report.markup import Markup

HEIGHT = 260
MOST_NAMES = 13
"""Names that fit below the bars; of more, only every second, third, ... is written."""


@in_page_style
def bars(
    identifier: str, title: str, x_title: str, unit: str, names: Sequence[str],
    shares: Sequence[float],
) -> Markup:  # fmt: skip
    """A bar per name; shares of 1 are drawn as percentages."""
    chart = Chart(identifier, HEIGHT)
    drawn = chart.axes.bar(range(len(names)), [100 * share for share in shares], color=SERIES[0])
    words = [f"{name}: {percent(share)}" for name, share in zip(names, shares, strict=True)]
    for bar, text in zip(drawn, words, strict=True):
        chart.tooltip(bar, text)
    step = math.ceil(len(names) / MOST_NAMES)
    named = range(len(names))[::-step]  # the last one always
    chart.axes.set_xticks(named, [names[i] for i in named])
    chart.axes.set(xlabel=x_title, ylabel=unit)
    chart.axes.grid(visible=False, axis="x")
    chart.axes.margins(x=0.01)
    return chart.markup(title, f"{', '.join(words)}.")
