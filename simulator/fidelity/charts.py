"""Pictures of the page: distributions of real and simulated trips, and weeks with their bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator

from trainer.report.charts.drawing import INK, Chart, in_page_style, look
from trainer.report.figures import count, percent
from trainer.report.markup import Markup

HEIGHT = 280
REAL = "real"
STYLES = ("-", (0, (5, 2)), (0, (2, 2)), (0, (7, 2, 2, 2)))
"""Lines of distributions lie close together: they differ in their dashes too."""


@in_page_style
def distribution(
    identifier: str, title: str, x_title: str, at: Sequence[float],
    reached: Mapping[str, Sequence[float]],
) -> Markup:  # fmt: skip
    """Distribution functions: the share of values up to each of `at`, a line per name, the real one
    in the colour of text. Their largest vertical distance is the KS distance."""
    chart = Chart(identifier, HEIGHT)
    handles = []
    for number, (name, shares) in enumerate(reached.items()):
        colour = INK if name == REAL else look(number - 1)[0]
        (line,) = chart.axes.step(
            at, [100 * share for share in shares], where="post", color=colour,
            linestyle=STYLES[number % len(STYLES)],
        )  # fmt: skip
        chart.tooltip(line, name)
        handles.append(line)
    if at[-1] > 20 * max(at[len(at) // 2], 1e-9):
        chart.axes.set_xscale("symlog", linthresh=max(at[len(at) // 2], 1e-9))
        chart.axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        chart.axes.minorticks_off()
    chart.axes.set(xlabel=x_title, ylabel="% up to this", ylim=(0, 101))
    chart.legend(handles, list(reached), "lower")
    middle = len(at) // 2
    words = "; ".join(f"{name} {percent(shares[middle])}" for name, shares in reached.items())
    return chart.markup(title, f"Shares of values up to {at[middle]:,g}: {words}.")


@in_page_style
def weeks(
    identifier: str, title: str, y_title: str, numbers: Sequence[int], real: Sequence[float],
    sets: Mapping[str, Mapping[str, Any]],
) -> Markup:  # fmt: skip
    """A line per set over weeks, with its band where there is one; what came in the colour of text.

    sets: by name, `mean` and perhaps `low` and `high`, a value a week each.
    """
    chart = Chart(identifier, HEIGHT)
    axes = chart.axes
    handles = []
    for number, (name, values) in enumerate(sets.items()):
        colour, marker = look(number)
        if "low" in values:
            axes.fill_between(
                numbers, values["low"], values["high"], color=colour, alpha=0.18, lw=0
            )
        (line,) = axes.plot(numbers, values["mean"], color=colour, marker=marker)
        pairs = zip(numbers, values["mean"], strict=True)
        chart.tooltip(line, *(f"{name}, week {week}: {value:,.0f}" for week, value in pairs))
        handles.append(line)
    (line,) = axes.plot(numbers, real, color=INK, marker="o", linewidth=2.4)
    chart.tooltip(
        line, *(f"{REAL}, week {w}: {count(v)}" for w, v in zip(numbers, real, strict=True))
    )
    axes.set(xlabel="week", ylabel=y_title)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    chart.legend([*handles, line], [*sets, REAL], "lower")
    words = "; ".join(
        f"{name} {sum(values['mean']):,.0f}"
        for name, values in [*sets.items(), (REAL, {"mean": real})]
    )
    return chart.markup(title, f"In all weeks together: {words}.")
