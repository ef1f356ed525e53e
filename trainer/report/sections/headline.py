"""The result: the model compared with the best counting rule and with gradient boosting."""

from __future__ import annotations

from trainer.evaluation.metrics import EvaluationMetrics, GroupMetrics
from trainer.evaluation.text_report import TITLES
from trainer.report.figures import count, fixed, interval, signed
from trainer.report.markup import Markup, element, join
from trainer.report.verdict import (
    BETTER,
    FEWEST_CUSTOMERS,
    NAMES,
    NO_DIFFERENCE,
    UNKNOWN,
    WORSE,
    Lead,
    both,
    comparisons,
)

SIGNS = {BETTER: "▲", WORSE: "▼", NO_DIFFERENCE: "≈", UNKNOWN: "?"}
SHORT = {
    "next_unknown": "the next basket (mission unknown)",
    "next_known": "the next basket (mission known)",
    "completion": "basket completion",
}
"""Names of the tasks within a sentence."""
CHOSEN = (
    "The checkpoint was selected on these weeks, so the figures flatter the model. Those of the "
    "test weeks do not."
)
OTHER = "◆"
"""Sign for metrics that disagree."""


def headline(metrics: EvaluationMetrics) -> Markup:
    """A sentence about all tasks, then a card per task with its figures."""
    fresh = {name: task.fresh for name, task in metrics.tasks.items() if task.fresh}
    if not fresh:
        return element(
            "p",
            f"The split {metrics.split} has no fresh trips: all its weeks repeat earlier trips, so "
            "it cannot tell how good the model is.",
            class_="lead",
        )
    compared = {name: comparisons(group) for name, group in fresh.items()}
    cards = (_card(TITLES[name], fresh[name], found) for name, found in compared.items())
    return join(
        [
            element("p", _sentence(compared), class_="lead"),
            element("p", CHOSEN, class_="warning") if metrics.split == "validation" else None,
            element("div", *cards, class_="cards"),
            element("p", _meaning(), class_="note"),
        ]
    )


def _sentence(compared: dict[str, dict[str, list[Lead]]]) -> str:
    """All tasks at once, those with the same verdict together."""
    verdicts: dict[str, dict[str, list[str]]] = {}
    for name, found in compared.items():
        for baseline, leads in found.items():
            verdicts.setdefault(baseline, {}).setdefault(both(leads), []).append(SHORT[name])
    parts = (
        f"compared with {baseline}: "
        + "; ".join(f"{verdict} for {_and(names)}" for verdict, names in tasks.items())
        for baseline, tasks in verdicts.items()
    )
    return f"On fresh trips, the model {'. The model '.join(parts)}."


def _card(title: str, group: GroupMetrics, found: dict[str, list[Lead]]) -> Markup:
    return element(
        "article",
        element("h3", title),
        *(_comparison(baseline, leads) for baseline, leads in found.items()),
        element("p", f"{count(group.trips)} trips of {count(group.customers)} customers",
                class_="note"),
    )  # fmt: skip


def _comparison(baseline: str, leads: list[Lead]) -> Markup:
    verdict = both(leads)
    return join(
        [
            element(
                "p",
                element("span", SIGNS.get(verdict, OTHER), aria_hidden="true"),
                f" Compared with {baseline}: {verdict}",
                class_="verdict",
            ),
            *(element("p", _figures(one)) for one in leads),
        ]
    )


def _figures(one: Lead) -> str:
    return (
        f"{NAMES[one.metric]} {fixed(one.model.value)}, against {fixed(one.best.value)} for "
        f"{one.baseline}: difference {signed(one.difference.value)} "
        f"{interval(one.difference, signed)}, {one.verdict}."
    )


def _meaning() -> str:
    return (
        "Recall@10: the share of a trip's hidden items among the first ten guesses. NDCG@10: the "
        "same with more credit for early guesses; 1 is a perfect order. Both are means over trips. "
        "Brackets hold the 95 % interval of the difference on the same trips, from resampling "
        "customers. The best baseline is the one with the highest mean on these very trips, which "
        f"favours the baseline. “{NO_DIFFERENCE[0].upper()}{NO_DIFFERENCE[1:]}” means that the "
        "interval includes zero, not that the two are equal. No verdict is given on fewer than "
        f"{FEWEST_CUSTOMERS} customers."
    )


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
