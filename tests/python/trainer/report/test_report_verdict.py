"""The headline's words say what the intervals bear out, and no more."""

from __future__ import annotations

import math

import pytest

from trainer.evaluation import EvaluationMetrics
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.metrics import GroupMetrics, TaskMetrics
from trainer.report.sections.headline import headline
from trainer.report.verdict import FEWEST_CUSTOMERS, lead


def around(value: float, width: float) -> Estimate:
    return Estimate(value, value - width, value + width, 100)


def group(recall: float, ndcg: float, width: float = 0.01, customers: int = 50) -> GroupMetrics:
    """A model that leads the better rule, P, by these; P has 0.3 and 0.25, G 0.1 and 0.05."""
    rules = {"G": (0.1, 0.05), "P": (0.3, 0.25)}
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


def told(split: str = "test", **groups: GroupMetrics | None) -> str:
    tasks = {name: TaskMetrics(fresh=found, replayed=None) for name, found in groups.items()}
    return headline(EvaluationMetrics(split, (96, 117), 50, 0, "0" * 64, 1.0, tasks))


def lead_of(page: str) -> str:
    return page.partition('<p class="lead">')[2].partition("</p>")[0]


def test_a_clear_win_with_its_figures():
    page = told(next_known=group(0.02, 0.03))
    assert lead_of(page) == (
        "On fresh trips, the model compared with the best baseline: better for the next basket "
        "(mission known)."
    )
    assert "▲</span> Better</p>" in page
    assert (
        "recall@10 0.320, against 0.300 for P: difference +0.0200 [+0.0100, +0.0300], better."
        in page
    )
    assert "NDCG@10 0.280, against 0.250 for P" in page and "1,234 trips of 50 customers" in page


@pytest.mark.parametrize("lead_", [0.005, -0.005, 0.01])  # 0.01: the interval ends at zero
def test_no_clear_difference_where_the_interval_holds_zero(lead_):
    found = group(lead_, lead_)
    exact = lead(found, "recall@10")
    page = told(completion=found)
    if lead_ == 0.01:
        difference = Estimate(0.01, 0.0, 0.02, 100)
        found.model_minus["P"].update({"recall@10": difference, "ndcg@10": difference})
        exact, page = lead(found, "recall@10"), told(completion=found)
    assert exact.verdict == "no clear difference"
    assert lead_of(page).endswith(": no clear difference for basket completion.")
    assert "better" not in page and "worse" not in page and "≈" in page


def test_worse_is_said():
    page = told(next_unknown=group(-0.02, -0.02))
    assert ": worse for the next basket (mission unknown)." in lead_of(page)
    assert "▼</span> Worse</p>" in page and "better" not in page


def test_metrics_that_disagree_and_tasks_that_do():
    page = told(
        next_unknown=group(0, -0.02), next_known=group(0.02, 0.02), completion=group(0.02, 0.02)
    )
    assert lead_of(page) == (
        "On fresh trips, the model compared with the best baseline: no clear difference in "
        "recall@10 but worse in NDCG@10 for the next basket (mission unknown); better for the next "
        "basket (mission known) and basket completion."
    )


def test_no_verdict_on_few_customers_or_without_an_interval():
    few = group(0.02, 0.02, customers=FEWEST_CUSTOMERS - 1)
    assert "too little data to tell" in lead_of(told(completion=few))
    assert "better" not in told(completion=few)
    none = lead(group(0.02, 0.02, width=math.nan), "recall@10")
    assert none.verdict == "too little data to tell"


def test_the_best_rule_is_that_of_the_metric():
    found = group(0.02, 0.02)
    assert found.best("recall@10") == "P"
    found.scorers["G"]["ndcg@10"] = around(0.26, 0.01)
    assert lead(found, "ndcg@10").baseline == "G" and lead(found, "recall@10").baseline == "P"


def test_without_fresh_trips_nothing_is_claimed():
    page = told(next_known=None)
    assert "has no fresh trips" in lead_of(page) and "better" not in page


def test_on_validation_weeks_the_figures_flatter():
    found = group(0.02, 0.02)
    assert "flatter the model" in told("validation", completion=found)
    assert "flatter the model" not in told(completion=found)
