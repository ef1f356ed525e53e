"""From values per trip to the means, intervals and differences of a group of trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.baselines.boosting import Boosting
from trainer.evaluation.bootstrap import CustomerBootstrap, Estimate
from trainer.evaluation.metrics import GroupMetrics
from trainer.evaluation.per_trip import METRICS
from trainer.evaluation.scorers import MODEL, ORACLE

GAPS = ("recall@10", "ndcg@10")
"""Metrics whose gap is measured. The likelihoods of rules and boosting are not the best that they
can reach (docs/evaluation.md)."""


@dataclass(frozen=True)
class Grouping:
    """The values measured for n trips in one task."""

    customer: np.ndarray
    """(n,) customers rows."""
    bootstrap: CustomerBootstrap
    """Of the same trips."""
    values: Mapping[str, np.ndarray]
    """scorer -> (n, metrics) as of `METRICS`, NaN where not defined."""
    hidden: np.ndarray
    """(n,) hidden items."""
    unknown: np.ndarray
    """(n,) hidden items outside the vocabulary."""

    def __call__(self, chosen: np.ndarray, metrics: Sequence[str]) -> GroupMetrics | None:
        """Some metrics of the chosen (n,) bool trips; None without any trip."""
        if not chosen.any():
            return None
        columns = [METRICS.index(metric) for metric in metrics]

        def estimates(values: np.ndarray) -> dict[str, Estimate]:
            found = self.bootstrap.estimate(values[:, columns], chosen)
            return {m: e for m, e in zip(metrics, found, strict=True) if e.trips}

        model = self.values.get(MODEL)
        return GroupMetrics(
            trips=int(chosen.sum()),
            customers=len(np.unique(self.customer[chosen])),
            hidden=int(self.hidden[chosen].sum()),
            unknown=int(self.unknown[chosen].sum()),
            scorers={name: estimates(values) for name, values in self.values.items()},
            model_minus={
                name: estimates(model - values)
                for name, values in self.values.items()
                if model is not None and name != MODEL
            },
            gap_closed=self._gap_closed(chosen, metrics),
        )

    def _gap_closed(
        self, chosen: np.ndarray, metrics: Sequence[str]
    ) -> dict[str, dict[str, Estimate]]:
        """See `GroupMetrics`; of `GAPS`, where there are rules and an oracle."""
        rules = [name for name in self.values if name not in (MODEL, ORACLE, Boosting.name)]
        if ORACLE not in self.values or not rules:
            return {}
        found: dict[str, dict[str, Estimate]] = {name: {} for name in self.values if name != ORACLE}
        for metric in set(GAPS) & set(metrics):
            of = {name: part[:, METRICS.index(metric)] for name, part in self.values.items()}
            low = of[max(rules, key=lambda name: of[name][chosen].mean())]
            for name, shares in found.items():
                shares[metric] = self.bootstrap.share(of[name], low, of[ORACLE], chosen)
        return found
