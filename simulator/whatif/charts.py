"""Pictures of the page: weeks with and without, their difference, and rows of changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from simulator.whatif.figures import change, interval, level, scale, verdict
from trainer.report.charts.drawing import INK, Chart, in_page_style, look
from trainer.report.charts.rows import FAINT, GAIN, Bar, plain
from trainer.report.markup import Markup

HEIGHT = 260

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


def rows(names: Sequence[str], figures: Sequence[Figure], measure: str) -> list[Bar]:
    """Changes as rows of a chart, faint where an interval holds 0."""
    by = scale(measure)
    return [
        Bar(
            name, figure["change"] * by, _words(figure, measure),
            None if figure["low"] is None else (figure["low"] * by, figure["high"] * by),
            figure["stands_out"], change(figure, measure),
        )
        for name, figure in zip(names, figures, strict=True)
    ]  # fmt: skip


def by_week(axes: Axes) -> None:
    """Whole weeks along the bottom, plain numbers at the side."""
    axes.set(xlabel="week")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(plain())


def _words(figure: Figure, measure: str) -> str:
    text = " ".join(filter(None, [change(figure, measure), interval(figure, measure)]))
    return ", ".join(filter(None, [text, verdict(figure)]))
