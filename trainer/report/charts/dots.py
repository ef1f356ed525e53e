"""Estimates with their intervals, a row each, in panels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.evaluation.bootstrap import Estimate
from trainer.report.charts.axes import figure, x_axis
from trainer.report.charts.glyphs import outline
from trainer.report.charts.scales import Scale, around
from trainer.report.figures import fixed, interval, signed
from trainer.report.markup import Markup, element

WIDTH, LABELS, GAP = 920, 190, 40
"""The chart, the names of the rows, the space between panels."""
ROW, TOP, BELOW = 26, 8, 42


@dataclass(frozen=True)
class Panel:
    """A column of estimates under one axis that holds zero."""

    title: str
    estimates: Sequence[Estimate | None]
    """One per row; None leaves a row empty."""
    difference: bool = False
    """Written with signs, and the zero line is stressed."""


def dots(
    identifier: str, title: str, rows: Sequence[str], panels: Sequence[Panel], stressed: str
) -> Markup:
    """A dot per row and panel, with whiskers to the ends of the interval.

    stressed: the row with a full dot in colour; the others are hollow.
    """
    bottom = TOP + ROW * len(rows)
    names = [
        element(
            "text", row, x=LABELS - 14, y=_middle(i) + 4, text_anchor="end",
            class_="stressed" if row == stressed else None,
        )
        for i, row in enumerate(rows)
    ]  # fmt: skip
    width = (WIDTH - LABELS - GAP * (len(panels) - 1) - 16) / len(panels)
    drawn = []
    for number, panel in enumerate(panels):
        start = LABELS + number * (width + GAP)
        x = Scale(*_range(panel), start, start + width)
        drawn.append(x_axis(x, TOP, bottom, panel.title))
        if panel.difference:
            drawn.append(element("line", x1=x(0), x2=x(0), y1=TOP, y2=bottom, class_="zero"))
        drawn += [
            _dot(row, estimate, panel, x, _middle(i), row == stressed)
            for i, (row, estimate) in enumerate(zip(rows, panel.estimates, strict=True))
            if estimate is not None
        ]
    return figure(
        identifier, title, _description(rows, panels), WIDTH, bottom + BELOW,
        element("g", *names), *drawn,
    )  # fmt: skip


def _middle(row: int) -> float:
    return TOP + ROW * (row + 0.5)


def _range(panel: Panel) -> tuple[float, float]:
    found = [e for e in panel.estimates if e is not None]
    low, high = around([v for e in found for v in (e.value, e.low, e.high)], 0)
    return (low, high) if panel.difference or low < -high * 0.1 else (0.0, high)


def _dot(row: str, estimate: Estimate, panel: Panel, x: Scale, y: float, stressed: bool) -> Markup:
    parts = [element("title", f"{row}, {panel.title}: {_words(estimate, panel)}")]
    if estimate.low == estimate.low:  # not NaN
        low, high = x(estimate.low), x(estimate.high)
        parts.append(element("line", x1=low, x2=high, y1=y, y2=y, class_="whisker"))
        parts += [
            element("line", x1=end, x2=end, y1=y - 4, y2=y + 4, class_="whisker")
            for end in (low, high)
        ]
    parts.append(element("path", d=outline("circle", x(estimate.value), y, 4.5), class_="dot"))
    return element("g", *parts, class_="stressed" if stressed else "other")


def _words(estimate: Estimate, panel: Panel) -> str:
    show = signed if panel.difference else fixed
    return f"{show(estimate.value)} {interval(estimate, show)}"


def _description(rows: Sequence[str], panels: Sequence[Panel]) -> str:
    return " ".join(
        f"{panel.title}: "
        + "; ".join(
            f"{row} {_words(estimate, panel)}"
            for row, estimate in zip(rows, panel.estimates, strict=True)
            if estimate is not None
        )
        + "."
        for panel in panels
    )
