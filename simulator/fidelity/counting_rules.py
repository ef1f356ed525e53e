"""How often customers come, by counting: what a simulation's visits are compared with.

Shape letters: P customers with a history, H judged weeks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from simulator.fidelity.visits import HALF, VisitScores, of_mean, of_runs
from simulator.fidelity.window import Window

RATE_WEEKS = 13
RECENT = (4, 13, 26, 52)
"""Weeks over which the regression takes a customer's own rates."""
POISSON = 8.0
"""Logarithm of the largest shape: counts that spread less than a Poisson distribution's have no
best one, and a search would not end."""
ORIGINS = 4
"""Earlier starts, a window apart, that the regression learns from."""
DRAWS = 200
"""Of what a customer is like, from which the forecast of BG/NBD is made."""


class CountingRules:
    """What counting says of how often customers come; reads nothing after the start."""

    def __init__(self, window: Window) -> None:
        weeks = window.recent(len(window.recorded))
        history = window.history
        cell = window.place[history.customer] * len(weeks)
        cell += np.searchsorted(weeks, window.day_week[history.day])
        size = len(window.population) * len(weeks)
        self._trips = np.bincount(cell, minlength=size).reshape(-1, len(weeks))
        self._first = (self._trips > 0).argmax(1)
        self._window, self._real = window, window.trips_by_week(window.real)

    def scores(self, seed: int) -> Mapping[str, VisitScores]:
        """Of each rule that the history is long enough for, by name. seed: of draws."""
        found = {f"Poisson, own rate of {RATE_WEEKS} weeks": of_mean(self._real, self._own_rate())}
        regression = self._regression()
        if regression:
            found["negative binomial regression"] = of_mean(self._real, *regression)
        found["BG/NBD"] = of_runs(self._real, self._dropout(seed))
        return found

    def _own_rate(self) -> np.ndarray:
        recent = self._trips[:, -RATE_WEEKS:]
        return np.maximum(recent.sum(1), HALF) * self._real.shape[1] / recent.shape[1]

    def _regression(self) -> tuple[np.ndarray, float] | None:
        """Mean (P,) and shape of counts of the judged weeks: a log-linear negative binomial
        regression (Hilbe, Negative binomial regression, 2011), fitted to earlier windows."""
        weeks, known = self._real.shape[1], self._trips.shape[1]
        ends = [known - weeks * n for n in range(1, ORIGINS + 1)]
        ends = [end for end in ends if end >= RATE_WEEKS]
        if not ends:
            return None
        seen = [self._first < end for end in ends]
        features = np.concatenate([self._rates(end)[s] for end, s in zip(ends, seen, strict=True)])
        counts = np.concatenate(
            [self._trips[s, end : end + weeks].sum(1) for end, s in zip(ends, seen, strict=True)]
        )
        centre, scale = features.mean(0), features.std(0)
        centre[0], scale[0] = 0, 1  # the constant
        scale[scale == 0] = 1
        inputs = torch.from_numpy((features - centre) / scale)
        target = torch.from_numpy(counts).double()

        def loss(weights: Tensor) -> Tensor:
            log_shape, log_mean = weights[-1].clamp(max=POISSON), inputs @ weights[:-1]
            shape = log_shape.exp()
            odds = (shape + log_mean.exp()).log()
            return -(
                torch.lgamma(shape + target) - torch.lgamma(shape)
                + target * (log_mean - odds) + shape * (log_shape - odds)
            ).mean()  # fmt: skip

        weights = minimised(loss, [0.0] * (features.shape[1] + 1)).numpy()
        inputs = (self._rates(known) - centre) / scale
        return np.exp(inputs @ weights[:-1]), float(np.exp(min(weights[-1], POISSON)))

    def _rates(self, end: int) -> np.ndarray:
        """(P, features) float64: logarithms of own rates before a week, and of weeks since the
        last trip and the first."""
        before = self._trips[:, :end]
        columns = [np.ones(len(before))]
        for weeks in RECENT:
            recent = before[:, -weeks:]
            columns.append(np.log((recent.sum(1) + HALF) / (recent.shape[1] + 1)))
        came = before > 0
        columns.append(np.log1p(came[:, ::-1].argmax(1)))
        columns.append(np.log(np.maximum(end - self._first, 1)))
        return np.stack(columns, 1)

    def _dropout(self, seed: int) -> np.ndarray:
        """(DRAWS, P, H) draws of trips after BG/NBD, in weeks that have trips."""
        window, history = self._window, self._window.history
        week = window.day_week[history.day]
        into_week = history.day - np.searchsorted(window.day_week, week)
        time = np.searchsorted(window.recent(len(window.recorded)), week) + into_week / 7
        trips = np.bincount(window.place[history.customer])
        last = trips.cumsum() - 1
        first = last - trips + 1
        habits = Dropout(trips - 1, time[last] - time[first], self._trips.shape[1] - time[first])
        return habits.draw(self._real.shape[1], DRAWS, np.random.default_rng(seed))


class Dropout:
    """BG/NBD: customers come at a rate of their own, which is gamma distributed, and after each
    trip stay away for good with a chance of their own, which is beta distributed (Fader, Hardie and
    Lee, "Counting your customers" the easy way, 2005).

    Args:
        repeats: (P,) trips after the first one.
        recency: (P,) weeks from the first trip to the last.
        age: (P,) weeks from the first trip to the start.

    Attributes:
        parameters: shape and rate of the gamma distribution, and both parameters of the beta one,
            fitted to these customers.
    """

    def __init__(self, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray) -> None:
        self._repeats, self._recency, self._age = (
            torch.from_numpy(np.asarray(each, float)) for each in (repeats, recency, age)
        )

        def loss(logs: Tensor) -> Tensor:
            there, left, shared = self._likelihoods(logs.exp())
            return -(torch.logaddexp(there, left) + shared).mean()

        self._logs = minimised(loss, [0.0, 0.0, -1.0, 1.0])
        self.parameters: tuple[float, ...] = tuple(self._logs.exp().tolist())

    def _likelihoods(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(P,) each: log-likelihoods of being there still and of having left, less what they
        share, and that."""
        shape, rate, leaves, stays = parameters
        repeats = self._repeats
        beta = torch.lgamma(leaves) + torch.lgamma(stays) - torch.lgamma(leaves + stays)
        after = torch.lgamma(leaves + stays + repeats) + beta
        there = torch.lgamma(leaves) + torch.lgamma(stays + repeats) - after
        there = there - (shape + repeats) * (rate + self._age).log()
        left = torch.lgamma(leaves + 1) + torch.lgamma(stays + repeats.clamp(min=1) - 1) - after
        left = left - (shape + repeats) * (rate + self._recency).log()
        left = left.masked_fill(repeats == 0, -torch.inf)
        return there, left, torch.lgamma(shape + repeats) - torch.lgamma(shape) + shape * rate.log()

    def draw(self, weeks: int, draws: int, draw: np.random.Generator) -> np.ndarray:
        """(draws, P, weeks) int64 trips of each week after the start."""
        shape, rate, leaves, stays = self.parameters
        there, left, _ = self._likelihoods(self._logs.exp())
        size, repeats, age = (draws, len(self._repeats)), self._repeats.numpy(), self._age.numpy()
        is_there = draw.random(size) < torch.sigmoid(there - left).numpy()
        own_rate = draw.gamma(shape + repeats, 1 / (rate + age), size)
        chance = draw.beta(leaves, stays + repeats, size)
        until = np.where(is_there, draw.geometric(np.maximum(chance, 1e-9)), 0)
        trips = draw.poisson(own_rate, (weeks, *size)).cumsum(0)
        return np.diff(np.minimum(trips, until), axis=0, prepend=0).transpose(1, 2, 0)


def minimised(loss: Callable[[Tensor], Tensor], start: Sequence[float]) -> Tensor:
    """Where a smooth function of (n,) float64 is smallest, near a start; by L-BFGS."""
    weights = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [weights],
        max_iter=100,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def step() -> Tensor:
        search.zero_grad()
        value = loss(weights)
        value.backward()
        return value

    search.step(step)
    return weights.detach()
