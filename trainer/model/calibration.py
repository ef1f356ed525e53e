"""From scores to calibrated probabilities: of one item, and of a whole basket.

Training orders products well, but its probabilities are not calibrated. A few numbers per task,
fitted on validation weeks, correct them without changing the order:

1. One item. p = (1 - m) softmax(score / T) + m / V over the V products that can be the answer:
   a temperature T (Guo et al., On calibration of modern neural networks, 2017) and a share m that
   is spread uniformly, since any product may be bought without a sign of it (Jelinek and Mercer,
   Interpolated estimation of Markov source parameters, 1980).
2. A basket of n items is a set: it holds a product once or not at all, so n p is not the
   probability that it does. Drawing n different products with odds p gives each the probability
   sigmoid(v), v = log p + a, where a makes the sum over products n: the Poisson approximation to
   conditional Bernoulli sampling (Chen, Dempster and Liu, Weighted finite population sampling to
   maximize entropy, Biometrika 1994). For a single item, where the approximation is worst, the
   probability is p itself, and v its log-odds. The log-odds v are then mapped by a continuous
   piecewise linear function, and shifted so that the sum is n again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches.tasks import TASKS

KNOTS = (-7.0, -5.0, -3.0)
"""Log-odds where the slope changes."""
UNCALIBRATED = (1.0, 0.0, *[1.0] * (len(KNOTS) + 1))
"""T, m and the slopes, from the lowest log-odds up, that leave probabilities as they are."""
BRACKET, MAX_STEPS, TOLERANCE = 80.0, 60, 1e-5
"""Newton's method: width of the first interval, number of steps, and the step size at which it
stops; the error is then about the square of it."""


class Calibration(nn.Module):
    """T, m and slopes per task, part of a model's state; `UNCALIBRATED` until fitted."""

    def __init__(self) -> None:
        super().__init__()
        values = torch.tensor([UNCALIBRATED] * len(TASKS), dtype=torch.float64)
        self.register_buffer("values", values)

    def items(self, scores: Tensor, task: str) -> Tensor:
        """Log-probability of each product to be a given hidden item: (Q, V), like the scores.

        scores (Q, V), -inf for what cannot be an answer; task: one of `TASKS`.
        """
        temperature, uniform_share, *_ = self._of(task)
        possible = scores.isfinite()
        log_p = item_log_p(scores, possible.to(scores.dtype), temperature, uniform_share)
        return log_p.masked_fill(~possible, -torch.inf)

    def slopes(self, task: str) -> Tensor:
        """Slopes (knots + 1,) of the log-odds, for `basket_p`."""
        return self._of(task)[2:]

    def _of(self, task: str) -> Tensor:
        return self.values[TASKS.index(task)]


def item_log_p(
    scores: Tensor, counts: Tensor, temperature: Tensor, uniform_share: Tensor
) -> Tensor:
    """Log-probability that an item is a product, for products with these scores: (Q, B).

    scores (Q, B), or (B,) for all questions; counts (Q, B): number of products with each score;
    temperature and uniform_share are T and m. Where the count is 0 the value has no meaning.
    """
    scaled = scores / temperature
    total = (scaled + counts.log()).logsumexp(1, keepdim=True)
    uniform = (uniform_share / counts.sum(1, keepdim=True)).log()
    return torch.logaddexp(scaled - total + (1 - uniform_share).log(), uniform)


def basket_p(log_p: Tensor, items: Tensor, slopes: Tensor, counts: Tensor | None = None) -> Tensor:
    """Probability that a basket holds a product: (Q, B); over products each row adds up to n.

    log_p (Q, B), -inf for what cannot be an answer; items n (Q,), at least 1; slopes
    (knots + 1,); counts as for `item_log_p`, all 1 if left out.
    """
    return basket_log_odds(log_p, items, slopes, counts).sigmoid()


def basket_log_odds(
    log_p: Tensor, items: Tensor, slopes: Tensor, counts: Tensor | None = None
) -> Tensor:
    """The log-odds of `basket_p`. Gradients reach the slopes only."""
    with torch.no_grad():
        drawn = log_p + _offset(log_p, items, counts)
        p = log_p.exp().clamp_max(1 - torch.finfo(log_p.dtype).eps)
        odds = torch.where(items[:, None] == 1, log_p - (-p).log1p(), drawn)
    if (slopes == 1).all() and not slopes.requires_grad:
        return odds
    mapped = slopes[0] * odds
    for knot, change in zip(KNOTS, slopes.diff(), strict=True):
        mapped = mapped + change * F.relu(odds - knot)
    with torch.no_grad():
        shift = _offset(mapped, items, counts)
    return mapped + shift


def _offset(log_odds: Tensor, items: Tensor, counts: Tensor | None) -> Tensor:
    """a, (Q, 1), such that sigmoid(log_odds + a) adds up to n items.

    Newton's method on the logarithm of the sum; a step that would leave the interval known to hold
    a is replaced by bisection. The start is a lower bound, since sigmoid(x) < exp(x).
    """

    def over_products(values: Tensor) -> Tensor:
        counted = values if counts is None else values * counts
        return counted.sum(1, keepdim=True).double()

    n = items[:, None].double()
    weighted = log_odds if counts is None else log_odds + counts.log()
    a = n.log() - weighted.logsumexp(1, keepdim=True).double()
    low, high = a, a + BRACKET
    for _ in range(MAX_STEPS):
        p = (log_odds + a.to(log_odds.dtype)).sigmoid()
        total = over_products(p)
        slope = (total - over_products(p * p)).clamp_min(torch.finfo(total.dtype).tiny)
        low, high = torch.where(total <= n, a, low), torch.where(total >= n, a, high)
        found = a + (n / total).log() * total / slope
        found = torch.where((found > low) & (found < high), found, (low + high) / 2)
        done = bool(((found - a).abs() < TOLERANCE).all())
        a = found
        if done:
            break
    return a.to(log_odds.dtype)
