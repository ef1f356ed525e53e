"""The model beside the baselines: task by task, fresh trips and replayed weeks apart."""

from __future__ import annotations

from trainer.evaluation.metrics import EvaluationMetrics, GroupMetrics, TaskMetrics
from trainer.evaluation.scorers import MODEL
from trainer.evaluation.text_report import HEADLINE, PARTS, TITLES, best_scorers
from trainer.report.charts.dots import dots
from trainer.report.figures import NONE, count, fixed, signed, with_interval
from trainer.report.markup import Markup, element, join
from trainer.report.tables import table
from trainer.report.verdict import COMPARED, FEWEST_CUSTOMERS, NAMES, lead


def comparison(metrics: EvaluationMetrics) -> Markup:
    """Charts and tables per task."""
    tasks = (_task(name, task) for name, task in metrics.tasks.items())
    return join([*tasks, element("p", _meaning(), class_="note")])


def _task(name: str, task: TaskMetrics) -> Markup:
    parts = [element("h3", TITLES[name])]
    if task.fresh:
        charts = [chart for metric in COMPARED for chart in _charts(name, metric, task.fresh)]
        parts.append(element("div", *charts, class_="charts"))
        parts += [
            _table(f"Fresh trips: {_size(task.fresh)}", task.fresh),
            _parts(task.fresh),
            _strata(task),
        ]
    else:
        parts.append(element("p", "No fresh trips in this split."))
    if task.replayed:
        parts.append(
            _table(
                "Replayed weeks, whose trips are mostly copies of earlier ones: "
                f"{_size(task.replayed)}. They measure memory of single trips, not foresight",
                task.replayed,
            )
        )
    return join(parts)


def _size(group: GroupMetrics) -> str:
    unknown = f", {count(group.unknown)} of unknown products" if group.unknown else ""
    return (
        f"{count(group.trips)} trips of {count(group.customers)} customers, "
        f"{count(group.hidden)} hidden items{unknown}"
    )


def _charts(task: str, metric: str, group: GroupMetrics) -> list[Markup]:
    """The means, and what the model has more than each baseline."""
    rows = [*group.scorers]
    values = [group.scorers[row].get(metric) for row in rows]
    differences = [group.model_minus.get(row, {}).get(metric) for row in rows]
    name = NAMES[metric]
    identifier = f"{metric.partition('@')[0]}-{task}"
    return [
        dots(
            identifier, f"{name} on fresh trips, with 95 % intervals", f"{name}, mean over trips",
            rows, values, MODEL,
        ),
        dots(
            f"{identifier}-difference", f"{name}, model − baseline", f"difference in {name}",
            rows, differences, MODEL, difference=True,
        ),
    ]  # fmt: skip


def _table(caption: str, group: GroupMetrics) -> Markup:
    rows = []
    for scorer, found in group.scorers.items():
        minus = group.model_minus.get(scorer, {})
        rows.append(
            [scorer]
            + [
                with_interval(found.get(metric)) if metric in COMPARED else _value(found, metric)
                for metric in HEADLINE.values()
            ]
            + [with_interval(minus.get(metric), signed) for metric in COMPARED]
        )
    heads = ["", *HEADLINE, *(f"model − row, {NAMES[metric]}" for metric in COMPARED)]
    return table(caption, heads, rows, marked=(0,))


def _parts(group: GroupMetrics) -> Markup:
    """Items bought before and new ones; guesses of the kind of trip."""
    shown = {name: group.scorers[name] for name in best_scorers(group)}
    columns = {
        name: metric
        for name, metric in PARTS.items()
        if any(metric in found for found in shown.values())
    }
    rows = [
        [scorer, *(with_interval(found.get(metric)) for metric in columns.values())]
        for scorer, found in shown.items()
    ]
    caption = (
        "Fresh trips, the model and the best rules: items the customer bought before (repeat) and "
        "new ones (explore); share of right guesses of the kind of trip, where it was hidden"
    )
    return table(caption, ["", *columns], rows, marked=(0,))


def _strata(task: TaskMetrics) -> Markup:
    """The model and the rules that are best over all fresh trips, by kind of trip."""
    rules = {metric: task.fresh.best(metric) for metric in COMPARED}
    rows = []
    for name, groups in task.strata.items():
        for label, group in groups.items():
            row = [f"{name}: {label}", count(group.trips), count(group.customers)]
            for metric, rule in rules.items():
                if metric not in group.scorers[MODEL]:
                    row += [NONE] * 3
                    continue
                one = lead(group, metric, rule)
                row += [
                    fixed(one.model.value),
                    fixed(one.best.value),
                    with_interval(one.difference, signed),
                ]
            rows.append(row)
    heads = ["", "trips", "customers"]
    for metric, rule in rules.items():
        heads += [f"{NAMES[metric]}, model", rule, "difference"]
    return table("Fresh trips by kind, with the rules that are best over all of them", heads, rows)


def _value(found: dict, metric: str) -> str:
    return fixed(found[metric].value) if metric in found else NONE


def _meaning() -> str:
    return (
        "R: recall, P: precision, hit: at least one right guess, MRR: 1 / rank of the first right "
        "guess, NLL: surprise per hidden item in nats, less is better. G-TopFreq is the chain's "
        "popularity, P-TopFreq the customer's own counts, GP-TopFreq own counts filled up by "
        "popularity, .95 the weight of each trip back, 120 days the time after which a trip weighs "
        "1/e, UP-CF and TIFU-KNN add customers who buy alike, x context the lift of each product "
        "given the kind of trip, x co-occurrence its lifts with what is visible, own trips those "
        "that overlap with it; gradient boosting learns from all of these. Settings were chosen on "
        "LGSR's validation weeks. Intervals come from drawing customers 1,000 "
        "times. Of many kinds of trips, some intervals leave out zero by chance, and "
        f"those of fewer than {FEWEST_CUSTOMERS} customers are too narrow."
    )
