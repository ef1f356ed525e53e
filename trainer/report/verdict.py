"""Is the model better than the baselines? In words that the interval supports."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.baselines.boosting import Boosting
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.metrics import GroupMetrics
from trainer.evaluation.scorers import MODEL, ORACLE

COMPARED = ("recall@10", "ndcg@10")
NAMES = {"recall@10": "recall@10", "ndcg@10": "NDCG@10"}
FEWEST_CUSTOMERS = 30
"""With fewer, bootstrap intervals over customers are too narrow to be relied on."""

BETTER, WORSE = "better", "worse"
NO_DIFFERENCE, UNKNOWN = "no clear difference", "too little data to tell"

BEST_RULE, BOOSTING = "the best counting rule", Boosting.name
"""What the headline compares the model with."""


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


def lead(group: GroupMetrics, metric: str, baseline: str) -> Lead:
    """The comparison with one baseline in one metric."""
    return Lead(
        metric=metric,
        baseline=baseline,
        model=group.scorers[MODEL][metric],
        best=group.scorers[baseline][metric],
        difference=group.model_minus[baseline][metric],
        customers=group.customers,
    )


def comparisons(group: GroupMetrics) -> dict[str, list[Lead]]:
    """The model compared, in each metric of `COMPARED`, with the best counting rule, the one with
    the highest mean of that metric, and with gradient boosting; what was not measured is left
    out."""
    found = {}
    if set(group.model_minus) - {BOOSTING, ORACLE}:
        found[BEST_RULE] = [lead(group, name, group.best(name, but=BOOSTING)) for name in COMPARED]
    if BOOSTING in group.model_minus:
        found[BOOSTING] = [lead(group, name, BOOSTING) for name in COMPARED]
    return found


def both(leads: list[Lead]) -> str:
    """The verdicts of several metrics: a single one if they agree."""
    verdicts = {one.verdict for one in leads}
    if len(verdicts) == 1:
        return verdicts.pop()
    return " but ".join(f"{one.verdict} in {NAMES[one.metric]}" for one in leads)
