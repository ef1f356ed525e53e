"""From values per trip to the means, intervals and differences of a group of trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.evaluation.bootstrap import CustomerBootstrap, Estimate
from trainer.evaluation.metrics import GroupMetrics
from trainer.evaluation.per_trip import METRICS
from trainer.evaluation.scorers import MODEL


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
        )
