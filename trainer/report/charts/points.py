"""Groups of points in two dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from trainer.report.charts.drawing import INK, WIDTH, Chart, in_page_style, look
from trainer.report.markup import Markup

HEIGHT = WIDTH - 40
"""Without the legend."""
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Group:
    """Points of one kind."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@in_page_style
def points(
    identifier: str, title: str, description: str, x_title: str, y_title: str,
    groups: Sequence[Group], *, radius: float, tooltips: Sequence[str] = (),
    logarithmic: bool = False,
) -> Markup:  # fmt: skip
    """Points with a shape and a colour per group; a unit is as long on both axes.

    tooltips: one per point of the first group. logarithmic: both axes span the same powers of ten,
    with a line where y equals x; every value must be positive.
    """
    chart = Chart(identifier, HEIGHT)
    axes = chart.axes
    drawn = []
    for number, group in enumerate(groups):
        colour, marker = look(number)
        drawn += axes.plot(
            group.xs, group.ys, marker, color=colour, alpha=0.72, markersize=2 * radius,
            zorder=2 + 1 / (1 + len(group.xs)),  # large groups would cover small ones
        )  # fmt: skip
    if tooltips:
        chart.tooltip(drawn[0], *tooltips)
    if logarithmic:
        _logarithmic(axes, [v for group in groups for v in (*group.xs, *group.ys)])
    axes.set(xlabel=x_title, ylabel=y_title)
    axes.set_aspect("equal", adjustable="datalim")
    if len(groups) > 1:
        chart.legend(drawn, [group.name for group in groups], "lower")
    return chart.markup(title, description)


def _logarithmic(axes: Axes, values: Sequence[float]) -> None:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    limits = (10.0**low, 10.0 ** max(high, low + 1))
    axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: _power(round(math.log10(value))))
        axis.minorticks_off()
    axes.plot(limits, limits, color=INK, linewidth=1, linestyle=(0, (2, 3)))


def _power(exponent: int) -> str:
    return "1" if exponent == 0 else "10" + str(exponent).translate(SUPERSCRIPT)
