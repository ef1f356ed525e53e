"""From scores to probabilities that hold: of one item, and of a whole basket.

Training orders products well and leaves the sizes of its probabilities where they fall. A few
numbers per task, fitted on validation weeks, put them right without changing any order:

1. One item. p = (1 - m) softmax(score / T) + m / V over the V products that can be the answer:
   a temperature T (Guo et al., On calibration of modern neural networks, 2017) and a share m that
   is spread evenly, since every product is bought where nothing spoke for it (Jelinek and Mercer,
   Interpolated estimation of Markov source parameters, 1980).
2. A basket of n items is a set: it holds a product once or not at all, so n p is not the chance
   that it does. Drawing n different products with odds p gives each the probability
   sigmoid(v), v = log p + a, where a makes the sum over products n: the Poisson approximation to
   conditional Bernoulli sampling (Chen, Dempster and Liu, Weighted finite population sampling to
   maximize entropy, Biometrika 1994). Of a single item the chance is p itself, and v its log-odds:
   there the approximation is at its worst, and not needed. The log-odds v are then bent in
   straight pieces, each with a slope of its own, and shifted so that the sum is n again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches.tasks import TASKS

CORNERS = (-7.0, -5.0, -3.0)
"""Log-odds where the slope changes."""
UNCALIBRATED = (1.0, 0.0, *[1.0] * (len(CORNERS) + 1))
"""T, m and the slopes, from the least likely on, of a model that was not fitted."""
FARTHEST, STEPS, TOLERANCE = 80.0, 60, 1e-5
"""Of Newton's method: the widest interval, the most steps, and the step that is the last. The next
one would be about its square."""


class Calibration(nn.Module):
    """T, m and slopes per task, part of a model's state; as it is until they are fitted."""

    def __init__(self) -> None:
        super().__init__()
        values = torch.tensor([UNCALIBRATED] * len(TASKS), dtype=torch.float64)
        self.register_buffer("values", values)

    def items(self, scores: Tensor, task: str) -> Tensor:
        """Log-probabilities that one hidden item is a product: (Q, V), like the scores.

        scores (Q, V), -inf for what cannot be an answer; task of `TASKS`.
        """
        temperature, evenly, *_ = self._of(task)
        possible = scores.isfinite()
        log_p = of_items(scores, possible.to(scores.dtype), temperature, evenly)
        return log_p.masked_fill(~possible, -torch.inf)

    def slopes(self, task: str) -> Tensor:
        """Slopes (corners + 1,) of the log-odds, for `of_baskets`."""
        return self._of(task)[2:]

    def _of(self, task: str) -> Tensor:
        return self.values[TASKS.index(task)]


def of_items(scores: Tensor, times: Tensor, temperature: Tensor, evenly: Tensor) -> Tensor:
    """Log-probability of each product with these scores: (Q, B).

    scores (Q, B), or (B,) for all questions; times (Q, B): how many products have each score;
    temperature and evenly are T and m. Without products of a score the value means nothing.
    """
    cold = scores / temperature
    total = (cold + times.log()).logsumexp(1, keepdim=True)
    spread = (evenly / times.sum(1, keepdim=True)).log()
    return torch.logaddexp(cold - total + (1 - evenly).log(), spread)


def of_baskets(log_p: Tensor, items: Tensor, slopes: Tensor, times: Tensor | None = None) -> Tensor:
    """Probabilities that a basket holds a product: (Q, B), each row's sum over products is n.

    log_p (Q, B), -inf for what cannot be an answer; items n (Q,), at least 1; slopes
    (corners + 1,); times as for `of_items`, one each if left out.
    """
    return bent_log_odds(log_p, items, slopes, times).sigmoid()


def bent_log_odds(
    log_p: Tensor, items: Tensor, slopes: Tensor, times: Tensor | None = None
) -> Tensor:
    """The log-odds of `of_baskets`. Gradients reach the slopes only."""
    with torch.no_grad():
        drawn = log_p + _offset(log_p, items, times)
        p = log_p.exp().clamp_max(1 - torch.finfo(log_p.dtype).eps)
        odds = torch.where(items[:, None] == 1, log_p - (-p).log1p(), drawn)
    if (slopes == 1).all() and not slopes.requires_grad:
        return odds
    bent = slopes[0] * odds
    for corner, change in zip(CORNERS, slopes.diff(), strict=True):
        bent = bent + change * F.relu(odds - corner)
    with torch.no_grad():
        shift = _offset(bent, items, times)
    return bent + shift


def _offset(log_odds: Tensor, items: Tensor, times: Tensor | None) -> Tensor:
    """a, (Q, 1): sigmoid(log_odds + a) adds up to n items.

    Newton's method on the logarithm of the sum, halving the interval where it would leave it. It
    starts from below: sigmoid(x) < exp(x).
    """

    def add(values: Tensor) -> Tensor:
        counted = values if times is None else values * times
        return counted.sum(1, keepdim=True).double()

    n = items[:, None].double()
    weighed = log_odds if times is None else log_odds + times.log()
    a = n.log() - weighed.logsumexp(1, keepdim=True).double()
    low, high = a, a + FARTHEST
    for _ in range(STEPS):
        chance = (log_odds + a.to(log_odds.dtype)).sigmoid()
        total = add(chance)
        slope = (total - add(chance * chance)).clamp_min(torch.finfo(total.dtype).tiny)
        low, high = torch.where(total <= n, a, low), torch.where(total >= n, a, high)
        found = a + (n / total).log() * total / slope
        found = torch.where((found > low) & (found < high), found, (low + high) / 2)
        done = bool(((found - a).abs() < TOLERANCE).all())
        a = found
        if done:
            break
    return a.to(log_odds.dtype)
