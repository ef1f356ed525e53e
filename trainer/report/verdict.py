"""Is the model better than the best baseline? In words that the interval bears out."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.metrics import GroupMetrics
from trainer.evaluation.scorers import MODEL

COMPARED = ("recall@10", "ndcg@10")
NAMES = {"recall@10": "recall@10", "ndcg@10": "NDCG@10"}
FEWEST_CUSTOMERS = 30
"""Below, intervals from drawing customers again are too narrow to judge by."""

BETTER, WORSE = "better", "worse"
NO_DIFFERENCE, UNKNOWN = "no clear difference", "too little data to tell"


@dataclass(frozen=True)
class Lead:
    """The model beside the baseline with the highest mean of a metric on the same trips."""

    metric: str
    rule: str
    model: Estimate
    best: Estimate
    difference: Estimate
    """Model less rule, paired by trip."""
    customers: int

    @property
    def verdict(self) -> str:
        """One of the four words above."""
        low, high = self.difference.low, self.difference.high
        if self.customers < FEWEST_CUSTOMERS or not low <= high:  # NaN compares as false
            return UNKNOWN
        if low > 0:
            return BETTER
        return WORSE if high < 0 else NO_DIFFERENCE


def lead(group: GroupMetrics, metric: str, rule: str | None = None) -> Lead:
    """The comparison in one metric, with the best rule of the group if none is named."""
    rule = group.best(metric) if rule is None else rule
    return Lead(
        metric=metric,
        rule=rule,
        model=group.scorers[MODEL][metric],
        best=group.scorers[rule][metric],
        difference=group.model_minus[rule][metric],
        customers=group.customers,
    )


def both(leads: list[Lead]) -> str:
    """The verdicts of several metrics: one word where they agree."""
    verdicts = {one.verdict for one in leads}
    if len(verdicts) == 1:
        return verdicts.pop()
    return " but ".join(f"{one.verdict} in {NAMES[one.metric]}" for one in leads)
