"""Lines over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from trainer.report.charts.drawing import INK, SOFT, Chart, in_page_style, look, printable
from trainer.report.figures import fixed
from trainer.report.markup import Markup

HEIGHT = 280


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


@in_page_style
def lines(
    identifier: str, title: str, unit: str, series: Sequence[Series], epochs: Epochs
) -> Markup:
    """A line per series; dashed borders between phases, a solid line at the checkpoint's epoch.

    The vertical axis does not begin at zero: it covers the values.
    """
    chart = Chart(identifier, HEIGHT)
    axes = chart.axes
    handles = []
    for number, one in enumerate(series):
        colour, marker = look(number)
        (line,) = axes.plot(one.epochs, one.values, color=colour, marker=marker)
        pairs = zip(one.epochs, one.values, strict=True)
        chart.tooltip(line, *(f"{one.name}, epoch {e}: {fixed(v, 4)}" for e, v in pairs))
        handles.append(line)
    for name, first, last in epochs.phases:
        axes.text(
            (first + last) / 2, 1.02, printable(name), ha="center",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
        if first > 1:
            axes.axvline(first - 0.5, color=SOFT, linewidth=1, linestyle=(0, (5, 4)))
    if epochs.best is not None:
        best = axes.axvline(epochs.best, color=INK, linewidth=1.5)
        chart.tooltip(best, f"checkpoint: epoch {epochs.best}")
    axes.set(xlabel="epoch", ylabel=unit, xlim=(0.5, epochs.phases[-1][2] + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    chart.legend(handles, [one.name for one in series], "upper")
    return chart.markup(title, _description(series, epochs))


def _description(series: Sequence[Series], epochs: Epochs) -> str:
    courses = [
        f"{one.name} goes from {fixed(one.values[0])} in epoch {one.epochs[0]} to "
        f"{fixed(one.values[-1])} in epoch {one.epochs[-1]}"
        for one in series
    ]
    spans = [f"{name} is epochs {first} to {last}" for name, first, last in epochs.phases]
    return f"{'; '.join(courses)}. Phases: {', '.join(spans)}."
