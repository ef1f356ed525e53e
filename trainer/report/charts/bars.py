"""Bars from zero."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.report.charts.axes import figure, x_axis, y_axis
from trainer.report.charts.scales import Scale
from trainer.report.figures import percent
from trainer.report.markup import Markup, element

WIDTH, HEIGHT = 920, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 904, 34, 206


def bars(
    identifier: str, title: str, x_title: str, unit: str, names: Sequence[str],
    shares: Sequence[float],
) -> Markup:  # fmt: skip
    """A bar per name, shares of 1 drawn as percentages."""
    x = Scale(-0.5, len(names) - 0.5, LEFT, RIGHT)
    y = Scale(0, max(*shares, 0.01) * 105, BOTTOM, TOP)
    width = (x(1) - x(0)) * 0.8
    drawn = [
        element(
            "rect", element("title", f"{name}: {percent(share)}"),
            x=x(i) - width / 2, y=y(100 * share), width=width, height=BOTTOM - y(100 * share),
            class_="mark s1",
        )
        for i, (name, share) in enumerate(zip(names, shares, strict=True))
    ]  # fmt: skip
    told = ", ".join(f"{name}: {percent(share)}" for name, share in zip(names, shares, strict=True))
    return figure(
        identifier, title, f"{told}.", WIDTH, HEIGHT,
        y_axis(y, LEFT, RIGHT, unit), element("g", *drawn),
        x_axis(x, BOTTOM, BOTTOM, x_title, list(enumerate(names))),
    )  # fmt: skip
