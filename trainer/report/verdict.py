"""Is the model better than the best baseline? In words that the interval supports."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.metrics import GroupMetrics
from trainer.evaluation.scorers import MODEL

COMPARED = ("recall@10", "ndcg@10")
NAMES = {"recall@10": "recall@10", "ndcg@10": "NDCG@10"}
FEWEST_CUSTOMERS = 30
"""With fewer, bootstrap intervals over customers are too narrow to be relied on."""

BETTER, WORSE = "better", "worse"
NO_DIFFERENCE, UNKNOWN = "no clear difference", "too little data to tell"


@dataclass(frozen=True)
class Lead:
    """The model compared with a baseline in one metric, on the same trips."""

    metric: str
    baseline: str
    model: Estimate
    best: Estimate
    difference: Estimate
    """Model minus baseline, paired by trip."""
    customers: int

    @property
    def verdict(self) -> str:
        """One of the four verdicts above."""
        low, high = self.difference.low, self.difference.high
        if self.customers < FEWEST_CUSTOMERS or not low <= high:  # NaN compares as false
            return UNKNOWN
        if low > 0:
            return BETTER
        return WORSE if high < 0 else NO_DIFFERENCE


def lead(group: GroupMetrics, metric: str, baseline: str | None = None) -> Lead:
    """The comparison in one metric, by default with the best baseline of the group."""
    baseline = group.best(metric) if baseline is None else baseline
    return Lead(
        metric=metric,
        baseline=baseline,
        model=group.scorers[MODEL][metric],
        best=group.scorers[baseline][metric],
        difference=group.model_minus[baseline][metric],
        customers=group.customers,
    )


def both(leads: list[Lead]) -> str:
    """The verdicts of several metrics: a single one if they agree."""
    verdicts = {one.verdict for one in leads}
    if len(verdicts) == 1:
        return verdicts.pop()
    return " but ".join(f"{one.verdict} in {NAMES[one.metric]}" for one in leads)
