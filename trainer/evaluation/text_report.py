"""An evaluation as tables of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trainer.baselines.boosting import Boosting
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.calibration_table import CalibrationRow
from trainer.evaluation.metrics import EvaluationMetrics, GroupMetrics, TaskMetrics
from trainer.evaluation.scorers import MODEL, ORACLE

TITLES = {
    "next_unknown": "Next basket, mission unknown",
    "next_known": "Next basket, mission known",
    "completion": "Basket completion, 15 % hidden, mission known",
}
HEADLINE = {
    "R@10": "recall@10", "R@20": "recall@20", "P@10": "precision@10", "NDCG@10": "ndcg@10",
    "hit@10": "hit@10", "MRR": "mrr", "NLL": "nll",
}  # fmt: skip
WITH_INTERVAL = ("R@10", "NDCG@10")
PARTS = {
    "repeat R@10": "repeat_recall@10", "explore R@10": "explore_recall@10",
    "size": "size_accuracy", "sensitivity": "sensitivity_accuracy", "type": "type_accuracy",
    "focus": "focus_accuracy",
}  # fmt: skip


def report(metrics: EvaluationMetrics, detailed: bool = False) -> str:
    """Tables per task, fresh trips first; detailed adds strata and calibration."""
    first, last = metrics.weeks
    lines = [f"{metrics.split}, weeks {first}-{last}, {metrics.customers:,} customers"]
    for name, task in metrics.tasks.items():
        lines += ["", f"# {TITLES[name]}"]
        for title, group in (
            ("fresh", task.fresh),
            ("replayed weeks (copies of earlier trips)", task.replayed),
        ):
            if group:
                lines += ["", f"{title}: {_size(group)}", *_headline(group), *_gap_closed(group)]
        if task.boosting:
            lines += ["", f"{Boosting.name}: {task.boosting}"]
        if detailed:
            lines += _details(task)
    return "\n".join(lines)


def _headline(group: GroupMetrics) -> Iterator[str]:
    """A row per scorer; intervals where they decide; the model's lead over the row."""
    compared = {f"model - row, {name}": HEADLINE[name] for name in WITH_INTERVAL}
    compared = compared if group.model_minus else {}
    rows = [["", *HEADLINE, *compared]]
    for scorer, found in group.scorers.items():
        lead = group.model_minus.get(scorer, {})
        rows.append(
            [scorer]
            + [_cell(found, metric, name in WITH_INTERVAL) for name, metric in HEADLINE.items()]
            + [_cell(lead, metric, True, "+") for metric in compared.values()]
        )
    return aligned(rows)


def _gap_closed(group: GroupMetrics) -> Iterator[str]:
    """A row per scorer that is no rule, where the oracle is known."""
    rows = [
        [scorer, *(_cell(group.gap_closed[scorer], HEADLINE[name], True) for name in WITH_INTERVAL)]
        for scorer in (MODEL, Boosting.name)
        if scorer in group.gap_closed
    ]
    if rows:
        yield from ("", "share of the way from the best rule to the oracle")
        yield from aligned([["", *WITH_INTERVAL], *rows])


def best_scorers(group: GroupMetrics) -> list[str]:
    """The model, the baselines that are best in the metrics with an interval, each once, and the
    oracle if it is there.

    Without a model all scorers: none of them is what the others are compared with.
    """
    if not group.model_minus:
        return [*group.scorers]
    best = (group.best(HEADLINE[name]) for name in WITH_INTERVAL)
    return list(dict.fromkeys([MODEL, *best, *(name for name in group.scorers if name == ORACLE)]))


def _details(task: TaskMetrics) -> Iterator[str]:
    """Fresh trips only."""
    if not task.fresh:
        return
    yield from ("", "fresh: items bought before and new ones; guesses of the trip context")
    listed = {name: task.fresh.scorers[name] for name in best_scorers(task.fresh)}
    columns = {
        name: metric
        for name, metric in PARTS.items()
        if any(metric in found for found in listed.values())
    }
    rows = [
        [scorer, *(_cell(found, metric, True) for metric in columns.values())]
        for scorer, found in listed.items()
    ]
    yield from aligned([["", *columns], *rows])
    for name in WITH_INTERVAL:
        if any(task.strata.values()):
            yield from ("", f"fresh, by kind of trip: {name}")
            yield from _strata(task, HEADLINE[name])
    if task.calibration:
        model = task.fresh.scorers[MODEL]
        yield from (
            "",
            "fresh: purchases the model expects in tenths, and those observed; NLL "
            f"{_cell(model, 'nll', False)}, as trained {_cell(model, 'raw_nll', False)}",
        )
        yield from aligned(calibration_rows(task.calibration, task.raw_calibration))


def _strata(task: TaskMetrics, metric: str) -> Iterator[str]:
    """A row per kind of trip: the model, the best baseline over all trips, and the difference; with
    an oracle, how much of the gap the model closes."""
    oracle = [ORACLE] if ORACLE in task.fresh.scorers else []
    if task.fresh.model_minus:
        listed = [MODEL, best := task.fresh.best(metric), *oracle]
        heads = [*listed, "model - baseline", *(["model's share of the gap"] if oracle else [])]
    else:
        listed, heads, best = [*task.fresh.scorers], [*task.fresh.scorers], None
    rows = [["", "trips", *heads]]
    for name, groups in task.strata.items():
        for label, group in groups.items():
            row = [f"{name}: {label}", f"{group.trips:,}"]
            row += [_cell(group.scorers[scorer], metric, False) for scorer in listed]
            if best is not None:
                row.append(_cell(group.model_minus[best], metric, True, "+"))
                row += [_cell(group.gap_closed.get(MODEL, {}), metric, True)] * bool(oracle)
            rows.append(row)
    yield from aligned(rows)


def calibration_rows(
    calibration: Sequence[CalibrationRow], raw: Sequence[CalibrationRow]
) -> list[list[str]]:
    """A table, heads first, of a model's calibration and of what it is as trained."""
    heads = ["", "pairs", "expected", "observed", "ratio", "ratio as trained"]
    return [heads] + [
        [
            str(number), f"{row.pairs:,}", f"{row.expected:,.1f}", f"{row.observed:,}",
            f"{row.ratio:.2f}", f"{as_trained.ratio:.2f}",
        ]
        for number, (row, as_trained) in enumerate(zip(calibration, raw, strict=True), start=1)
    ]  # fmt: skip


def _size(group: GroupMetrics) -> str:
    text = f"{group.trips:,} trips of {group.customers:,} customers, {group.hidden:,} hidden items"
    return text + (f", {group.unknown:,} of unknown products" if group.unknown else "")


def _cell(found: Mapping[str, Estimate], metric: str, interval: bool, sign: str = "") -> str:
    if metric not in found:
        return ""
    estimate = found[metric]
    return with_interval(estimate, sign) if interval else fixed(estimate.value, sign)


def with_interval(estimate: Estimate, sign: str = "") -> str:
    """A value and its interval."""
    value, low, high = (
        fixed(number, sign) for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def fixed(number: float, sign: str = "") -> str:
    """Three decimals, without a zero before the point."""
    text = f"{number:{sign}.3f}"
    return text.replace("0.", ".", 1) if abs(number) < 1 else text


def aligned(rows: list[list[str]]) -> Iterator[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()
