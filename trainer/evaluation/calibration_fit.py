"""Fitting `trainer.model.calibration` to what was bought on the trips of an evaluation."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.batches.tasks import TASKS
from trainer.cache.reader import TensorCache
from trainer.evaluation.ground_truth import GroundTruth
from trainer.evaluation.scorers import MODEL
from trainer.model.calibration import KNOTS, UNCALIBRATED, basket_log_odds, item_log_p

LOWEST, BINS = -24.0, 121
"""Log-probabilities are binned in steps of 0.2 from here to 0."""
PRIOR_DEVIATION = 4.0
"""Standard deviation of a normal prior on log T, on the log slopes (means 0) and on the log-odds of
m: weak, so that it matters only with a handful of purchases."""
PRIOR_LOG_ODDS = -4.6
"""Prior mean of the log-odds of m: m is 1 %."""


class ScoreCounts:
    """Histograms of products by the model's log-probability, one per question.

    Of fresh trips only. Memory: 1 kB per question and task, whatever the number of products.
    """

    def __init__(self, cache: TensorCache) -> None:
        self._fresh = torch.from_numpy(~cache["weeks.is_replayed"])
        self._week = cache["trips.week"]
        self._counts: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)

    def record(
        self, task: str, scorer: str, truth: GroundTruth, scores: Tensor, tie: Tensor
    ) -> None:
        """Count some answers of the model's (see `Evaluator.run`)."""
        if scorer != MODEL:
            return
        week = torch.from_numpy(self._week[truth.row.cpu().numpy()].astype(np.int64))
        targets = torch.bincount(truth.question, minlength=len(scores))
        chosen = self._fresh[week - 1].to(scores.device) & (targets > 0)
        log_p = scores.log_softmax(1)
        index = ((log_p / LOWEST).clamp(0, 1) * (BINS - 1)).round().long()
        products = scores.new_zeros(len(scores), BINS)
        products.scatter_add_(1, index, log_p.isfinite().to(products.dtype))
        bought = torch.zeros_like(products)
        cell = truth.question, index[truth.question, truth.target]
        bought.index_put_(cell, bought.new_ones(len(truth.target)), accumulate=True)
        self._counts[task].append((products[chosen].cpu(), bought[chosen].cpu()))

    def fitted(self) -> Tensor:
        """`Calibration.values`, a row per task; `UNCALIBRATED` where nothing was counted."""
        return torch.stack([self._fit(task) for task in TASKS])

    def _fit(self, task: str) -> Tensor:
        uncalibrated = torch.tensor(UNCALIBRATED, dtype=torch.float64)
        if not sum(len(products) for products, _ in self._counts[task]):
            return uncalibrated
        parts = zip(*self._counts[task], strict=True)
        products, bought = (torch.cat(part).double() for part in parts)
        log_p, temperature, uniform_share = _fit_items(products, bought)
        slopes = _fit_baskets(log_p, products, bought)
        values = torch.cat([temperature, uniform_share, slopes])
        return values if values.isfinite().all() else uncalibrated


def _fit_items(products: Tensor, bought: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities (Q, BINS), T and m (1,): maximum a posteriori, each bought item by itself.

    products, bought (Q, BINS): number of products, and of bought ones, by score.
    """
    scores = torch.linspace(0, LOWEST, BINS, dtype=torch.float64)
    start = torch.tensor([0.0, PRIOR_LOG_ODDS], dtype=torch.float64)

    def log_p(values: Tensor) -> Tensor:
        return item_log_p(scores, products, values[:1].exp(), values[1:].sigmoid())

    def loss(values: Tensor) -> Tensor:
        return (_prior(values - start) - (bought * log_p(values)).sum()) / bought.sum()

    found = _minimum(loss, start)
    return log_p(found), found[:1].exp(), found[1:].sigmoid()


def _fit_baskets(log_p: Tensor, products: Tensor, bought: Tensor) -> Tensor:
    """Slopes: maximum a posteriori, if products are in a basket independently of each other.

    Probabilities add up to the number of items whatever the slopes, so the shift needs no gradient.
    """
    items = bought.sum(1)

    def loss(values: Tensor) -> Tensor:
        odds = basket_log_odds(log_p, items, values.exp(), products)
        nll = (products * F.softplus(odds) - bought * odds).sum()
        return (nll + _prior(values)) / bought.sum()

    return _minimum(loss, torch.zeros(len(KNOTS) + 1, dtype=torch.float64)).exp()


def _prior(deviation: Tensor) -> Tensor:
    """Negative log density of the prior, but for a constant."""
    return (deviation / PRIOR_DEVIATION).square().sum() / 2


def _minimum(loss, start: Tensor) -> Tensor:
    """Minimum of a smooth function, by L-BFGS (Nocedal and Wright, 2006, algorithm 7.5)."""
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
