"""The figures as tables of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulator.fidelity.goals import TITLES, columns, household_columns, household_rows, rows

NOTICED = 6
"""Signs of each detector that are named."""


def report(content: Mapping[str, Any]) -> Iterator[str]:
    """Lines, from what `measure` found."""
    weeks = content["weeks"]
    yield (
        f"Weeks {weeks[0]}-{weeks[-1]}, started after week {content['start']}: "
        f"{content['trips']:,} trips of {content['customers']:,} customers with a history, "
        f"{content['absent']:.0%} of whom stay away"
    )
    heads, lines = columns(content), []
    for group, title in TITLES.items():
        lines.append([title, *[""] * len(heads)])
        lines += [[f"  {words}", *cells] for words, *cells in rows(content, group)]
    yield from table(["", *heads], lines)
    yield from _others(content)
    if content["households"]:
        yield ""
        heads = ["Each household beside its truth", *household_columns(content)]
        yield from table(heads, household_rows(content))
    for name, noticed in content["noticed"].items():
        yield from _noticed(name, noticed)
    if not any(content["noticed"].values()):
        yield ""
        yield "No detectors and no forecast without LightGBM: python -m pip install lightgbm"


def _others(content: Mapping[str, Any]) -> Iterator[str]:
    """What counting and boosting reach, and the error by week."""
    if content["forecast"]:
        wmape, bias = (content["forecast"][name] for name in ("wmape", "bias"))
        yield ""
        yield f"Units, LightGBM on the same history: WMAPE {_short(wmape)}, bias {_short(bias)}"
    yield ""
    yield "Trips of each customer: scores, and CRPS of each week"
    rows = [
        [name, _short(one["crps"]), _short(one["likelihood"]), *map(_short, one["by_week"])]
        for name, one in content["visits"].items()
    ]
    weeks = [str(week) for week in content["weeks"]]
    yield from table(["", "CRPS", "log-likelihood", *weeks], rows)


def _noticed(name: str, noticed: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for of, signs in noticed.items():
        yield ""
        yield f"What the detector noticed, {name}, by {of}"
        rows = [
            [sign["words"], f"{sign['weight']:.0%}", *map(_number, (sign["real"],
             sign["simulated"])), _short(sign["alone"])]
            for sign in signs[:NOTICED]
        ]  # fmt: skip
        yield from table(["", "of its gain", "real", "simulated", "AUC alone"], rows)


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table, the first column to the left and the others to the right."""
    lines = [head, *rows]
    widths = [max(len(row[column]) for row in lines) for column in range(len(head))]
    for row in lines:
        first, *others = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *others]).rstrip()
