"""The headline's words say what the intervals bear out, and no more."""

from __future__ import annotations

import math
import re

import pytest

from trainer.evaluation import EvaluationMetrics
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.metrics import GroupMetrics, TaskMetrics
from trainer.report.sections.headline import headline
from trainer.report.summary import summary
from trainer.report.verdict import FEWEST_CUSTOMERS, comparisons, lead


def around(value: float, width: float) -> Estimate:
    return Estimate(value, value - width, value + width, 100)


def group(
    recall: float, ndcg: float, width: float = 0.01, customers: int = 50,
    boosting: tuple[float, float] | None = None,
) -> GroupMetrics:  # fmt: skip
    """A model that leads the better rule, P, by these; P has 0.3 and 0.25, G 0.1 and 0.05."""
    rules = {"G": (0.1, 0.05), "P": (0.3, 0.25)}
    if boosting:
        rules["gradient boosting"] = boosting
    metrics = ("recall@10", "ndcg@10")
    model = (0.3 + recall, 0.25 + ndcg)
    return GroupMetrics(
        trips=1234,
        customers=customers,
        hidden=5000,
        unknown=0,
        scorers={
            name: {m: around(v, 0.05) for m, v in zip(metrics, values, strict=True)}
            for name, values in {"model": model, **rules}.items()
        },
        model_minus={
            name: {m: around(a - b, width) for m, a, b in zip(metrics, model, v, strict=True)}
            for name, v in rules.items()
        },
    )


def of(split: str = "test", **groups: GroupMetrics | None) -> EvaluationMetrics:
    tasks = {name: TaskMetrics(fresh=found, replayed=None) for name, found in groups.items()}
    return EvaluationMetrics(split, (96, 117), 50, 0, "0" * 64, 1.0, tasks)


def told(split: str = "test", **groups: GroupMetrics | None) -> str:
    return headline(of(split, **groups))


def lead_of(page: str) -> str:
    return page.partition('<p class="lead">')[2].partition("</p>")[0]


def test_a_clear_win_with_its_figures():
    page = told(next_known=group(0.02, 0.03))
    assert lead_of(page) == (
        "On fresh trips, the model compared with the best counting rule: better for the next "
        "basket (mission known)."
    )
    assert "▲</span> Compared with the best counting rule: better</p>" in page
    assert (
        "recall@10 0.320, against 0.300 for P: difference +0.0200 [+0.0100, +0.0300], better."
        in page
    )
    assert "NDCG@10 0.280, against 0.250 for P" in page and "1,234 trips of 50 customers" in page


@pytest.mark.parametrize("lead_", [0.005, -0.005, 0.01])  # 0.01: the interval ends at zero
def test_no_clear_difference_where_the_interval_holds_zero(lead_):
    found = group(lead_, lead_)
    exact = lead(found, "recall@10", "P")
    page = told(completion=found)
    if lead_ == 0.01:
        difference = Estimate(0.01, 0.0, 0.02, 100)
        found.model_minus["P"].update({"recall@10": difference, "ndcg@10": difference})
        exact, page = lead(found, "recall@10", "P"), told(completion=found)
    assert exact.verdict == "no clear difference"
    assert lead_of(page).endswith(": no clear difference for basket completion.")
    assert "better" not in page and "worse" not in page and "≈" in page


def test_worse_is_said():
    page = told(next_unknown=group(-0.02, -0.02))
    assert ": worse for the next basket (mission unknown)." in lead_of(page)
    assert (
        "▼</span> Compared with the best counting rule: worse</p>" in page and "better" not in page
    )


def test_metrics_that_disagree_and_tasks_that_do():
    page = told(
        next_unknown=group(0, -0.02), next_known=group(0.02, 0.02), completion=group(0.02, 0.02)
    )
    assert lead_of(page) == (
        "On fresh trips, the model compared with the best counting rule: no clear difference in "
        "recall@10 but worse in NDCG@10 for the next basket (mission unknown); better for the next "
        "basket (mission known) and basket completion."
    )


def test_no_verdict_on_few_customers_or_without_an_interval():
    few = group(0.02, 0.02, customers=FEWEST_CUSTOMERS - 1)
    assert "too little data to tell" in lead_of(told(completion=few))
    assert "better" not in told(completion=few)
    none = lead(group(0.02, 0.02, width=math.nan), "recall@10", "P")
    assert none.verdict == "too little data to tell"


def test_the_best_rule_is_that_of_the_metric():
    found = group(0.02, 0.02)
    assert found.best("recall@10") == "P"
    found.scorers["G"]["ndcg@10"] = around(0.26, 0.01)
    (leads,) = comparisons(found).values()
    assert [(one.metric, one.baseline) for one in leads] == [("recall@10", "P"), ("ndcg@10", "G")]


def test_boosting_is_compared_as_well():
    found = group(0.02, 0.03, boosting=(0.34, 0.25))
    assert found.best("recall@10") == "gradient boosting"
    page = told(completion=found)
    assert lead_of(page) == (
        "On fresh trips, the model compared with the best counting rule: better for basket "
        "completion. The model compared with gradient boosting: worse in recall@10 but better in "
        "NDCG@10 for basket completion."
    )
    assert "against 0.300 for P: difference +0.0200" in page
    assert "against 0.340 for gradient boosting: difference −0.0200" in page


def test_boosting_alone_is_no_rule():
    found = group(0.02, 0.02, boosting=(0.3, 0.25))
    for name in ("G", "P"):
        del found.model_minus[name]
    assert lead_of(told(completion=found)).startswith(
        "On fresh trips, the model compared with gradient boosting: better"
    )


def test_the_summary_has_a_line_per_task():
    known, completion = group(0.02, 0.02, boosting=(0.4, 0.25)), group(0, 0, boosting=(0.3, 0.25))
    lines = summary(of(next_known=known, completion=completion, next_unknown=None)).splitlines()
    assert [re.split("  +", line) for line in lines[1:]] == [
        [
            "Next basket, mission known", "0.320 / 0.270",
            "0.300 / 0.250: better", "0.400 / 0.250: worse / better",
        ],
        [
            "Basket completion, 15 % hidden, mission known", "0.300 / 0.250",
            "0.300 / 0.250: no clear difference", "0.300 / 0.250: no clear difference",
        ],
    ]  # fmt: skip
    assert re.split("  +", lines[0]) == [
        "test, recall@10 / NDCG@10", "model", "the best counting rule", "gradient boosting",
    ]  # fmt: skip


def test_without_fresh_trips_nothing_is_claimed():
    page = told(next_known=None)
    assert summary(of(next_known=None)).startswith("The split test has no fresh trips")
    assert "has no fresh trips" in lead_of(page) and "better" not in page


def test_on_validation_weeks_the_figures_flatter():
    found = group(0.02, 0.02)
    assert "flatter the model" in told("validation", completion=found)
    assert "flatter the model" not in told(completion=found)
