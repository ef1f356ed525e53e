"""Horizontal bars, a row each: from zero, one after the other, or in parts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from trainer.report.charts.drawing import INK, SERIES, Chart, in_page_style, look, printable
from trainer.report.markup import Markup

ROW, REST, LEGEND = 27, 64, 24
"""Heights of a row, of the horizontal axis with its title, and of a legend."""
NAME = 24
"""Characters in a line of a row's name."""
FAINT = 0.3
"""Opacity of what is not distinguishable from 0."""
GAIN, LOSS = SERIES[0], SERIES[1]


@dataclass(frozen=True)
class Bar:
    """A row."""

    name: str
    value: float
    words: str
    """What pointing at it says, after its name."""
    ends: tuple[float, float] | None = None
    """Of its interval."""
    is_clear: bool = True
    """Otherwise it is faint."""
    label: str = ""
    """At its end, in a waterfall."""

    def __str__(self) -> str:
        return f"{self.name} {self.words}"


@in_page_style
def bars(
    identifier: str, title: str, x_title: str, rows: Sequence[Bar], *, losses: bool = True
) -> Markup:
    """A bar per row from 0, with its interval; losses: whether what is below 0 has a colour of its
    own."""
    chart = Chart(identifier, REST + ROW * len(rows))
    axes = chart.axes
    for row, each in enumerate(rows):
        colour = LOSS if losses and each.value < 0 else GAIN
        (bar,) = axes.barh(
            row, each.value, height=0.66, color=colour, alpha=1 if each.is_clear else FAINT
        )
        chart.tooltip(bar, f"{each.name}: {each.words}")
        if each.ends is not None:
            axes.plot(each.ends, [row, row], "|-", color=INK, linewidth=1, markersize=6,
                      markeredgewidth=1)  # fmt: skip
    _rows(axes, [each.name for each in rows], x_title)
    return chart.markup(title, f"{'; '.join(map(str, rows))}.")


@in_page_style
def waterfall(identifier: str, title: str, x_title: str, rows: Sequence[Bar]) -> Markup:
    """A bar per part, which begins where the one above it ends; the last is the whole."""
    chart = Chart(identifier, REST + ROW * len(rows))
    axes, begin = chart.axes, 0.0
    for row, each in enumerate(rows):
        is_whole = row == len(rows) - 1
        begin = 0.0 if is_whole else begin
        colour = INK if is_whole else GAIN if each.value >= 0 else LOSS
        (bar,) = axes.barh(
            row, each.value, left=begin, height=0.66, color=colour,
            alpha=1 if each.is_clear else FAINT,
        )  # fmt: skip
        chart.tooltip(bar, f"{each.name}: {each.words}")
        axes.annotate(
            each.label, (max(begin, begin + each.value), row), (4, 0),
            textcoords="offset points", va="center", color=INK,
        )  # fmt: skip
        begin += each.value
        if row < len(rows) - 2:
            axes.plot([begin, begin], [row, row + 1], color=INK, linewidth=0.8)
    axes.margins(x=0.12)
    _rows(axes, [each.name for each in rows], x_title)
    return chart.markup(title, f"{'; '.join(map(str, rows))}.")


@in_page_style
def stacks(
    identifier: str, title: str, x_title: str, names: Sequence[str],
    parts: Mapping[str, Sequence[int]],
) -> Markup:  # fmt: skip
    """A bar per row that is made of parts: how many of each (names,)."""
    chart = Chart(identifier, REST + LEGEND + ROW * len(names))
    left, handles, words = [0] * len(names), [], []
    for number, (part, counts) in enumerate(parts.items()):
        drawn = chart.axes.barh(
            range(len(names)), counts, left=left, height=0.66, color=look(number)[0], label=part
        )
        for bar, name, count in zip(drawn, names, counts, strict=True):
            words.append(f"{name}, {part}: {count:,}")
            chart.tooltip(bar, words[-1])
        left = [a + b for a, b in zip(left, counts, strict=True)]
        handles.append(drawn[0])
    _rows(chart.axes, names, x_title)
    chart.legend(handles, list(parts), "lower")
    return chart.markup(title, f"{'; '.join(words)}.")


def plain() -> FuncFormatter:
    """Numbers of an axis as the page writes them."""
    return FuncFormatter(lambda value, _: f"{value:,g}".replace("-", "−"))


def _rows(axes: Axes, names: Sequence[str], x_title: str) -> None:
    """Names to the left of rows, from the top, and a line at 0."""
    wrapped = ["\n".join(textwrap.wrap(printable(name), NAME)[:2]) for name in names]
    axes.set_yticks(range(len(names)), wrapped, linespacing=0.95)
    axes.set(xlabel=x_title, ylim=(len(names) - 0.5, -0.5))
    axes.xaxis.set_major_formatter(plain())
    axes.grid(visible=False, axis="y")
    axes.spines.left.set_visible(False)
    axes.axvline(0, color=INK, linewidth=1)
