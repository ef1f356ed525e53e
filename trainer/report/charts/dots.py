"""Estimates with their intervals, a row each."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from trainer.evaluation.bootstrap import Estimate
from trainer.report.charts.drawing import ACCENT, INK, PAPER, SOFT, Chart, in_page_style
from trainer.report.figures import fixed, interval, signed
from trainer.report.markup import Markup

ROW, REST = 29, 50
"""Heights of a row and of the horizontal axis."""
LABEL, LINE = 28, 13
"""Characters in a line of a row's name, and the line's height."""


@in_page_style
def dots(
    identifier: str, title: str, x_title: str, rows: Sequence[str],
    estimates: Sequence[Estimate | None], highlighted: str, *, difference: bool = False,
) -> Markup:  # fmt: skip
    """A dot per row, with whiskers to the ends of its interval; the axis includes zero.

    estimates: one per row; None leaves the row empty. highlighted: the row with a full dot in
    colour; the others are hollow. difference: values have signs, and the zero line is drawn.
    """
    chart = Chart(identifier, REST + ROW * len(rows))
    axes = chart.axes
    show = signed if difference else fixed
    words = []
    for i, (row, estimate) in enumerate(zip(rows, estimates, strict=True)):
        colour, fill = (ACCENT, ACCENT) if row == highlighted else (SOFT, PAPER)
        lines = textwrap.wrap(row, LABEL, break_on_hyphens=False)
        for n, line in enumerate(lines):
            axes.annotate(
                line, (0, i), (-8, LINE * ((len(lines) - 1) / 2 - n)),
                xycoords=("axes fraction", "data"), textcoords="offset points",
                ha="right", va="center", color=INK if row == highlighted else SOFT,
                weight="bold" if row == highlighted else "normal",
            )  # fmt: skip
        if estimate is None:
            continue
        words.append(f"{row} {show(estimate.value)} {interval(estimate, show)}")
        drawn = axes.plot(
            estimate.value, i, "o", color=fill, markersize=8, markeredgecolor=colour,
            markeredgewidth=1.8, zorder=3,
        )  # fmt: skip
        if math.isfinite(estimate.low):
            drawn += axes.plot(
                [estimate.low, estimate.high], [i, i], "|-", color=colour, markersize=8,
                markeredgewidth=1.8,
            )  # fmt: skip
        for artist in drawn:
            chart.tooltip(artist, words[-1])
    axes.grid(visible=False, axis="y")
    axes.set(xlabel=x_title, yticks=[], ylim=(len(rows) - 0.5, -0.5))
    axes.spines.left.set_visible(False)
    if difference:
        axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (2, 3)))
    else:
        axes.set_xlim(left=0)
    return chart.markup(title, f"{x_title}: {'; '.join(words)}.")
