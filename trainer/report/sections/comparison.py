"""The model and the baselines, task by task; replayed weeks separate from fresh trips."""

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
                f"{_size(task.replayed)}. They measure memory of single trips, not prediction",
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
    """The means of a metric, and the model's differences from the baselines."""
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
    """Items bought before and new ones; the kind of trip where it was hidden."""
    best = {name: group.scorers[name] for name in best_scorers(group)}
    columns = {
        name: metric
        for name, metric in PARTS.items()
        if any(metric in found for found in best.values())
    }
    rows = [
        [scorer, *(with_interval(found.get(metric)) for metric in columns.values())]
        for scorer, found in best.items()
    ]
    caption = (
        "Fresh trips, the model and the best baselines: items the customer bought before (repeat) "
        "and new ones (explore); accuracy for the kind of trip, where it was hidden"
    )
    return table(caption, ["", *columns], rows, marked=(0,))


def _strata(task: TaskMetrics) -> Markup:
    """The model and the baselines that are best over all fresh trips, group by group."""
    baselines = {metric: task.fresh.best(metric) for metric in COMPARED}
    rows = []
    for name, groups in task.strata.items():
        for label, group in groups.items():
            row = [f"{name}: {label}", count(group.trips), count(group.customers)]
            for metric, baseline in baselines.items():
                if metric not in group.scorers[MODEL]:
                    row += [NONE] * 3
                    continue
                one = lead(group, metric, baseline)
                row += [
                    fixed(one.model.value),
                    fixed(one.best.value),
                    with_interval(one.difference, signed),
                ]
            rows.append(row)
    heads = ["", "trips", "customers"]
    for metric, baseline in baselines.items():
        heads += [f"{NAMES[metric]}, model", baseline, "difference"]
    return table(
        "Fresh trips by group, with the baselines that are best over all of them", heads, rows
    )


def _value(found: dict, metric: str) -> str:
    return fixed(found[metric].value) if metric in found else NONE


def _meaning() -> str:
    return (
        "R: recall; P: precision; hit: at least one correct guess; MRR: 1 / rank of the first "
        "correct guess; NLL: negative log-likelihood per hidden item in nats, lower is better. "
        "G-TopFreq ranks products by the chain's sales, P-TopFreq by how often the customer bought "
        "them, GP-TopFreq likewise and then by the chain's sales. With “.95” each trip weighs .95 "
        "of the next one, with “120 days” a trip of that age weighs 1/e. UP-CF and TIFU-KNN add "
        "the purchases of similar customers. “x context” multiplies by a product's lift given the "
        "kind of trip, “x co-occurrence” by its lifts with the visible items. “own trips” weighs "
        "the customer's earlier trips by their overlap with the visible items. Gradient boosting "
        "learns from all of these. Settings were chosen on LGSR's validation weeks; where a chain "
        "has enough customers, that of gradient boosting on its own. Intervals come from "
        "resampling customers 1,000 times. With so many groups, some intervals exclude zero by "
        f"chance, and those of fewer than {FEWEST_CUSTOMERS} customers are too narrow."
    )
