"""Lines over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.report.charts.axes import figure, x_axis, y_axis
from trainer.report.charts.glyphs import legend, outline, shape, style
from trainer.report.charts.scales import Scale, around, round_step
from trainer.report.figures import fixed
from trainer.report.markup import Markup, element, px

WIDTH, HEIGHT = 450, 290
LEFT, RIGHT, TOP, BOTTOM = 46, 440, 72, 246
LEGEND, PHASES = 12, 64
"""Heights of the legend and of the names of the phases; the unit stands between them."""


@dataclass(frozen=True)
class Series:
    """One line: a value per epoch that has one."""

    name: str
    epochs: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True)
class Epochs:
    """What the charts of one run share."""

    phases: Sequence[tuple[str, int, int]]
    """Name, first and last epoch of each phase so far, in order."""
    best: int | None
    """The epoch of the checkpoint."""

    @property
    def last(self) -> int:
        return self.phases[-1][2]


def lines(
    identifier: str, title: str, unit: str, series: Sequence[Series], epochs: Epochs
) -> Markup:
    """A line per series; dashed borders between phases, a mark at the checkpoint's epoch.

    The axis of values does not begin at zero: it spans what happened.
    """
    x = Scale(0.5, epochs.last + 0.5, LEFT, RIGHT)
    y = Scale(*around(v for one in series for v in one.values), BOTTOM, TOP)
    step = max(1, round(round_step(epochs.last / 8)))
    whole = [(float(epoch), str(epoch)) for epoch in range(step, epochs.last + 1, step)]
    return figure(
        identifier,
        title,
        _description(series, epochs),
        WIDTH,
        HEIGHT,
        legend([one.name for one in series], LEFT, LEGEND),
        x_axis(x, TOP, BOTTOM, "epoch", whole),
        y_axis(y, LEFT, RIGHT, unit, TOP - 42),
        _phases(epochs, x),
        *(_line(number, one, x, y) for number, one in enumerate(series)),
    )


def _line(number: int, series: Series, x: Scale, y: Scale) -> Markup:
    places = [(x(e), y(v)) for e, v in zip(series.epochs, series.values, strict=True)]
    path = "M" + "L".join(f"{px(a)},{px(b)}" for a, b in places)
    marks = [
        element(
            "path",
            element("title", f"{series.name}, epoch {epoch}: {fixed(value, 4)}"),
            d=outline(shape(number), *place, 3),
            class_="mark",
        )
        for epoch, value, place in zip(series.epochs, series.values, places, strict=True)
    ]
    return element("g", element("path", d=path, class_="line"), *marks, class_=style(number))


def _phases(epochs: Epochs, x: Scale) -> Markup:
    parts = []
    for name, first, last in epochs.phases:
        middle = x((first + last) / 2)
        parts.append(
            element("text", name, x=middle, y=PHASES, text_anchor="middle", class_="phase")
        )
        if first > 1:
            border = x(first - 0.5)
            parts.append(
                element("line", x1=border, x2=border, y1=PHASES - 10, y2=BOTTOM, class_="border")
            )
    if epochs.best is not None:
        best = x(epochs.best)
        told = element("title", f"checkpoint: epoch {epochs.best}")
        parts.append(element("line", told, x1=best, x2=best, y1=TOP, y2=BOTTOM, class_="best"))
    return element("g", *parts)


def _description(series: Sequence[Series], epochs: Epochs) -> str:
    told = [
        f"{one.name} goes from {fixed(one.values[0])} in epoch {one.epochs[0]} to "
        f"{fixed(one.values[-1])} in epoch {one.epochs[-1]}"
        for one in series
    ]
    spans = [f"{name} is epochs {first} to {last}" for name, first, last in epochs.phases]
    return f"{'; '.join(told)}. Phases: {', '.join(spans)}."
