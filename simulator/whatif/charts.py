"""Pictures of the page: weeks with and without, their difference, bars, and a waterfall."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from simulator.whatif.figures import change, interval, level, scale, verdict
from trainer.report.charts.drawing import INK, SERIES, Chart, in_page_style, look, printable
from trainer.report.markup import Markup

HEIGHT, ROW, REST = 260, 27, 64
"""Of charts by week; of a row, and of the horizontal axis with its title."""
NAME = 24
"""Characters in a line of a row's name."""
FAINT = 0.3
"""Opacity of what is not distinguishable from 0."""
GAIN, LOSS = SERIES[0], SERIES[1]

Figure = Mapping[str, Any]
"""What `content` tells of a measure."""


@in_page_style
def weeks(
    identifier: str, title: str, numbers: Sequence[int], figures: Sequence[Figure], measure: str
) -> Markup:
    """A figure by week, without the change and with it. The vertical axis does not begin at 0."""
    chart = Chart(identifier, HEIGHT)
    handles = []
    for number, name in enumerate(("without", "with")):
        colour, marker = look(number)
        values = [figure[name] * scale(measure) for figure in figures]
        (line,) = chart.axes.plot(numbers, values, color=colour, marker=marker)
        words = (level(figure, measure, name) for figure in figures)
        pairs = zip(numbers, words, strict=True)
        chart.tooltip(line, *(f"{name}, week {week}: {value}" for week, value in pairs))
        handles.append(line)
    by_week(chart.axes)
    chart.legend(handles, ["without the change", "with it"], "lower")
    words = (
        f"week {week}: {level(figure, measure)} and {level(figure, measure, 'with')}"
        for week, figure in zip(numbers, figures, strict=True)
    )
    return chart.markup(title, f"Without the change and with it, {'; '.join(words)}.")


@in_page_style
def differences(
    identifier: str, title: str, numbers: Sequence[int], figures: Sequence[Figure], measure: str
) -> Markup:
    """The difference by week, with the band of its intervals."""
    chart = Chart(identifier, HEIGHT)
    axes, by = chart.axes, scale(measure)
    if figures[0]["low"] is not None:
        low, high = ([figure[end] * by for figure in figures] for end in ("low", "high"))
        if len(numbers) > 1:
            axes.fill_between(numbers, low, high, color=GAIN, alpha=FAINT, linewidth=0)
        else:
            axes.plot([*numbers, *numbers], [*low, *high], "_-", color=GAIN, markersize=8,
                      markeredgewidth=1.8)  # fmt: skip
    (line,) = axes.plot(
        numbers, [figure["change"] * by for figure in figures], color=GAIN, marker="o"
    )
    words = [
        f"week {week}: {_words(figure, measure)}"
        for week, figure in zip(numbers, figures, strict=True)
    ]
    chart.tooltip(line, *words)
    axes.axhline(0, color=INK, linewidth=1, linestyle=(0, (2, 3)))
    by_week(axes)
    return chart.markup(title, f"{'; '.join(words)}.")


@in_page_style
def bars(
    identifier: str, title: str, x_title: str, names: Sequence[str], figures: Sequence[Figure],
    measure: str,
) -> Markup:  # fmt: skip
    """A bar per row from 0 to its change, with its interval; faint where that holds 0."""
    chart = Chart(identifier, REST + ROW * len(names))
    axes, by = chart.axes, scale(measure)
    for row, (name, figure) in enumerate(zip(names, figures, strict=True)):
        colour = GAIN if figure["change"] >= 0 else LOSS
        (bar,) = axes.barh(
            row, figure["change"] * by, height=0.66, color=colour,
            alpha=1 if figure["stands_out"] else FAINT,
        )  # fmt: skip
        chart.tooltip(bar, f"{name}: {_words(figure, measure)}")
        if figure["low"] is not None:
            ends = [figure[end] * by for end in ("low", "high")]
            axes.plot(ends, [row, row], "|-", color=INK, linewidth=1, markersize=6,
                      markeredgewidth=1)  # fmt: skip
    _rows(axes, names, x_title)
    words = (
        f"{name} {_words(figure, measure)}" for name, figure in zip(names, figures, strict=True)
    )
    return chart.markup(title, f"{'; '.join(words)}.")


@in_page_style
def waterfall(
    identifier: str, title: str, x_title: str, names: Sequence[str], figures: Sequence[Figure],
    measure: str,
) -> Markup:  # fmt: skip
    """A bar per part, which begins where the one above it ends; the last row is the whole, from 0.
    Faint where an interval holds 0."""
    chart = Chart(identifier, REST + ROW * len(names))
    axes, by, begin = chart.axes, scale(measure), 0.0
    for row, (name, figure) in enumerate(zip(names, figures, strict=True)):
        is_whole = row == len(names) - 1
        begin = 0.0 if is_whole else begin
        value = figure["change"] * by
        colour = INK if is_whole else GAIN if value >= 0 else LOSS
        (bar,) = axes.barh(
            row, value, left=begin, height=0.66, color=colour,
            alpha=1 if figure["stands_out"] else FAINT,
        )  # fmt: skip
        chart.tooltip(bar, f"{name}: {_words(figure, measure)}")
        axes.annotate(
            change(figure, measure), (max(begin, begin + value), row), (4, 0),
            textcoords="offset points", va="center", color=INK,
        )  # fmt: skip
        begin += value
        if row < len(names) - 2:
            axes.plot([begin, begin], [row, row + 1], color=INK, linewidth=0.8)
    axes.margins(x=0.12)
    _rows(axes, names, x_title)
    words = (
        f"{name} {_words(figure, measure)}" for name, figure in zip(names, figures, strict=True)
    )
    return chart.markup(title, f"{'; '.join(words)}.")


def by_week(axes: Axes) -> None:
    """Whole weeks along the bottom, plain numbers at the side."""
    axes.set(xlabel="week")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(_plain())


def _rows(axes: Axes, names: Sequence[str], x_title: str) -> None:
    """Names to the left of rows, from the top, and a line at 0."""
    wrapped = ["\n".join(textwrap.wrap(printable(name), NAME)[:2]) for name in names]
    axes.set_yticks(range(len(names)), wrapped, linespacing=0.95)
    axes.set(xlabel=x_title, ylim=(len(names) - 0.5, -0.5))
    axes.xaxis.set_major_formatter(_plain())
    axes.grid(visible=False, axis="y")
    axes.spines.left.set_visible(False)
    axes.axvline(0, color=INK, linewidth=1)


def _plain() -> FuncFormatter:
    return FuncFormatter(lambda value, _: f"{value:,g}".replace("-", "−"))


def _words(figure: Figure, measure: str) -> str:
    text = " ".join(filter(None, [change(figure, measure), interval(figure, measure)]))
    return ", ".join(filter(None, [text, verdict(figure)]))
