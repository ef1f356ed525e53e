"""Fitting `trainer.model.calibration` to what was bought on the trips of an evaluation."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.batches.batch import TimelineBatch
from trainer.batches.tasks import TASKS
from trainer.cache.reader import TensorCache
from trainer.evaluation.ground_truth import GroundTruth
from trainer.evaluation.scorers import MODEL
from trainer.model.calibration import CORNERS, UNCALIBRATED, bent_log_odds, of_items

LOWEST, BINS = -24.0, 121
"""Log-probabilities are counted in steps of 0.2 from here to 0."""
PRIOR = 4.0
"""Standard deviation of the prior of log T, of the log slopes, and of the log-odds of m around 1 %:
so wide that it only matters with less than a handful of purchases."""
SMALL_SHARE_LOG_ODDS = -4.6
"""Log-odds of m in the prior: 1 %."""


class ScoreCounts:
    """Counts of products by the model's log-probability, question by question.

    Fresh trips only. Memory: 1 kB per question and task, whatever the number of products.
    """

    def __init__(self, cache: TensorCache) -> None:
        self._fresh = torch.from_numpy(~cache["weeks.is_replayed"])
        self._week = cache["trips.week"]
        self._counts: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)

    def record(
        self, task: str, scorer: str, batch: TimelineBatch, truth: GroundTruth, scores: Tensor,
        tie: Tensor,
    ) -> None:  # fmt: skip
        """Count one batch of the model's (see `Evaluator.run`)."""
        if scorer != MODEL:
            return
        week = torch.from_numpy(self._week[truth.row.cpu().numpy()].astype(np.int64))
        known = torch.bincount(truth.question, minlength=len(scores))
        chosen = self._fresh[week - 1].to(scores.device) & (known > 0)
        log_p = scores.log_softmax(1)
        place = ((log_p / LOWEST).clamp(0, 1) * (BINS - 1)).round().long()
        products = scores.new_zeros(len(scores), BINS)
        products.scatter_add_(1, place, log_p.isfinite().to(products.dtype))
        bought = torch.zeros_like(products)
        cell = truth.question, place[truth.question, truth.target]
        bought.index_put_(cell, bought.new_ones(len(truth.target)), accumulate=True)
        self._counts[task].append((products[chosen].cpu(), bought[chosen].cpu()))

    def fitted(self) -> Tensor:
        """The values of `Calibration`, a row per task; `UNCALIBRATED` where nothing was counted."""
        return torch.stack([self._fit(task) for task in TASKS])

    def _fit(self, task: str) -> Tensor:
        uncalibrated = torch.tensor(UNCALIBRATED, dtype=torch.float64)
        if not sum(len(products) for products, _ in self._counts[task]):
            return uncalibrated
        times, bought = (torch.cat(part).double() for part in zip(*self._counts[task], strict=True))
        log_p, temperature, evenly = _fit_items(times, bought)
        slopes = _fit_baskets(log_p, times, bought)
        values = torch.cat([temperature, evenly, slopes])
        return values if values.isfinite().all() else uncalibrated


def _fit_items(times: Tensor, bought: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities (Q, BINS), T and m (1,): the likeliest given each item that was bought."""
    scores = torch.linspace(0, LOWEST, BINS, dtype=torch.float64)
    start = torch.tensor([0.0, SMALL_SHARE_LOG_ODDS], dtype=torch.float64)

    def log_p(values: Tensor) -> Tensor:
        return of_items(scores, times, values[:1].exp(), values[1:].sigmoid())

    def loss(values: Tensor) -> Tensor:
        return (_prior(values - start) - (bought * log_p(values)).sum()) / bought.sum()

    found = _minimum(loss, start)
    return log_p(found), found[:1].exp(), found[1:].sigmoid()


def _fit_baskets(log_p: Tensor, times: Tensor, bought: Tensor) -> Tensor:
    """Slopes of greatest likelihood, if each product is in a basket or not independently.

    Probabilities add up to the items of a basket before and after, so there is no shift to fit.
    """
    items = bought.sum(1)

    def loss(values: Tensor) -> Tensor:
        odds = bent_log_odds(log_p, items, values.exp(), times)
        lost = (times * F.softplus(odds) - bought * odds).sum()
        return (lost + _prior(values)) / bought.sum()

    return _minimum(loss, torch.zeros(len(CORNERS) + 1, dtype=torch.float64)).exp()


def _prior(deviation: Tensor) -> Tensor:
    return (deviation / PRIOR).square().sum() / 2


def _minimum(loss, start: Tensor) -> Tensor:
    """Where a smooth function is smallest: L-BFGS (Nocedal and Wright, 2006, algorithm 7.5)."""
    values = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [values], max_iter=50, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss(values)
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(closure)
    return values.detach()
