"""Groups of points in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.report.charts.axes import figure, x_axis, y_axis
from trainer.report.charts.glyphs import legend, outline, shape, style
from trainer.report.charts.scales import Scale
from trainer.report.markup import Markup, element

LEFT, TOP, BELOW = 58, 34, 44
LEGEND, LINE = 24, 18
"""Space left of the legend, and its line height."""


@dataclass(frozen=True)
class Axis:
    """A range of values under a title, stretched over so many pixels."""

    title: str
    low: float
    high: float
    pixels: float
    logarithmic: bool = False


@dataclass(frozen=True)
class Group:
    """Points of one kind."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


def points(
    identifier: str, title: str, description: str, x: Axis, y: Axis, groups: Sequence[Group],
    *, radius: float, notes: Sequence[str] = (), diagonal: bool = False, legend_width: float = 0,
) -> Markup:  # fmt: skip
    """Points with a shape and a colour per group.

    radius: of the points, pixels. notes: what pointing at each point of the first group shows; the
    points of a group without notes are one path, which keeps large maps small. diagonal: where y
    equals x, drawn over the whole range of both axes, which must be the same. legend_width: pixels
    to the right for the names of the groups; 0 for none.
    """
    right, bottom = LEFT + x.pixels, TOP + y.pixels
    across = Scale(x.low, x.high, LEFT, right, x.logarithmic)
    up = Scale(y.low, y.high, bottom, TOP, y.logarithmic)
    drawn = [y_axis(up, LEFT, right, y.title), x_axis(across, TOP, bottom, x.title)]
    if diagonal:
        drawn.append(
            element(
                "line", x1=across(x.low), y1=up(x.low), x2=across(x.high), y2=up(x.high),
                class_="zero",
            )
        )  # fmt: skip
    # The largest first: they would cover the others.
    for number, group in sorted(enumerate(groups), key=lambda pair: -len(pair[1].xs)):
        outlines = [
            outline(shape(number), across(a), up(b), radius)
            for a, b in zip(group.xs, group.ys, strict=True)
        ]
        if notes:
            marks = [
                element("path", element("title", note), d=d, class_="mark")
                for d, note in zip(outlines, notes, strict=True)
            ]
        else:
            marks = [element("path", d="".join(outlines), class_="mark")]
        drawn.append(element("g", *marks, class_=f"{style(number)} points"))
    if legend_width:
        drawn.append(legend([group.name for group in groups], right + LEGEND, TOP + 6, LINE))
    return figure(
        identifier, title, description, right + (legend_width or 16), bottom + BELOW, *drawn
    )
