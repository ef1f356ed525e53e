"""Models trained with several seeds beside boosting and the best rule, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trainer.baselines.boosting import Boosting
from trainer.evaluation.evaluator import OF_STRATA
from trainer.evaluation.seeds import Lead, SeedFigures, SeedGroup, SeedMetrics, SeedTask
from trainer.evaluation.text_report import HEADLINE, TITLES, calibration_rows, fixed, with_interval

COLUMNS = {title: metric for title, metric in HEADLINE.items() if metric in OF_STRATA}
SHORT_TITLES = {
    "next_unknown": "next basket, mission unknown",
    "next_known": "next basket, mission known",
    "completion": "completion, 15 % hidden",
}
LARGE = 500
"""Kinds of trips with more of them are named where the models are behind."""


def seeds_report(metrics: SeedMetrics, detailed: bool = False) -> str:
    """A table of all tasks; detailed adds strata and calibration."""
    return "\n".join(_lines(metrics, detailed))


def _lines(metrics: SeedMetrics, detailed: bool) -> Iterator[str]:
    (first, last), fresh = metrics.weeks, next(iter(metrics.tasks.values())).fresh
    yield (
        f"`{metrics.preset}`, {fresh.trips:,} fresh trips of {fresh.customers:,} customers in "
        f"{metrics.split} weeks {first}-{last}. Model: mean of seeds "
        f"{', '.join(map(str, metrics.training_seeds))} (and each); 95 % intervals hold customers "
        "and seeds."
    )
    rows = [["task", "", *COLUMNS]]
    for name, task in metrics.tasks.items():
        titles = [SHORT_TITLES[name]]
        for title, cells in _headline(task.fresh):
            rows.append([titles.pop() if titles else "", title, *cells])
    yield ""
    yield from _table(rows, left=len(rows[0]))
    for name, task in metrics.tasks.items():
        if task.boosting:
            yield from ("", f"{Boosting.name}, {SHORT_TITLES[name]}: {task.boosting}")
    if detailed:
        for name, task in metrics.tasks.items():
            yield from ("", f"### {TITLES[name]}")
            if task.fresh.metrics[OF_STRATA[0]].boosting:
                yield from _strata(task)
            yield from _calibration(task, metrics.training_seeds)


def _headline(group: SeedGroup) -> Iterator[tuple[str, list[str]]]:
    """Titles of rows, and a cell for each metric."""

    def row(title: str, cell: Callable[[SeedFigures], str]) -> tuple[str, list[str]]:
        return title, [cell(group.metrics[metric]) for metric in COLUMNS.values()]

    some = next(iter(group.metrics.values()))
    yield row("model", lambda of: f"{fixed(of.model)} ({', '.join(map(fixed, of.seeds))})")
    if some.boosting:
        yield row(Boosting.name, lambda of: fixed(of.boosting.value))
    if some.rule:
        yield row("best rule", lambda of: f"{fixed(of.rule.value)} ({of.rule.baseline})")
    if some.boosting:
        yield row("model / boosting", lambda of: fixed(of.boosting.ratio))
        yield row("model - boosting", lambda of: _difference(of.boosting))
    if some.rule:
        yield row("model - best rule", lambda of: _difference(of.rule))


def _strata(task: SeedTask) -> Iterator[str]:
    """The models beside boosting by kind of trip, and where they are behind."""
    rows = [["fresh trips", "trips"]]
    rows[0] += [head for title in COLUMNS for head in (f"model {title}", "model - boosting")]
    behind = []
    for name, groups in task.strata.items():
        for label, group in groups.items():
            kind, below = f"{name}: {label}", []
            rows.append([kind, f"{group.trips:,}"])
            for title, metric in COLUMNS.items():
                found = group.metrics[metric]
                rows[-1] += [fixed(found.model), _difference(found.boosting)]
                if (lead := found.boosting.difference.value) < 0:
                    below.append(f"{title} {fixed(lead, '+')}")
            if below and group.trips > LARGE:
                behind.append(f"{kind} ({', '.join(below)})")
    yield ""
    yield from _table(rows)
    yield ""
    yield f"Behind boosting, of kinds with more than {LARGE} trips: {'; '.join(behind) or 'none'}."


def _calibration(task: SeedTask, seeds: tuple[int, ...]) -> Iterator[str]:
    for seed, fitted, raw in zip(seeds, task.calibration, task.raw_calibration, strict=True):
        if fitted:
            title = f"Purchases that seed {seed} expects in tenths, and those observed:"
            yield from ("", title, "")
            yield from _table(calibration_rows(fitted, raw))


def _difference(lead: Lead) -> str:
    return with_interval(lead.difference, "+")


def _table(rows: list[list[str]], left: int = 1) -> Iterator[str]:
    """A table in Markdown, heads first, that is aligned as text too: the first columns to the left,
    the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    to_left, to_right = widths[:left], widths[left:]

    def line(cells: list[str]) -> str:
        first = map(str.ljust, cells[:left], to_left)
        return f"| {' | '.join([*first, *map(str.rjust, cells[left:], to_right)])} |"

    yield line(rows[0])
    yield line(["-" * width for width in to_left] + ["-" * (width - 1) + ":" for width in to_right])
    yield from map(line, rows[1:])
