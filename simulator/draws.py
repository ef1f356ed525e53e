"""Random numbers that belong to what they decide.

A number is a hash of a seed and of keys that say what it is drawn for: this customer's visit on
that day, this product in that basket. So it does not depend on the order of draws, on the number of
processes or on what else is drawn, and two scenarios that share a seed draw alike wherever they
ask alike (common random numbers).

The hash is SplitMix64's finaliser, applied to the keys one after the other (Steele, Lea and Flood,
Fast splittable pseudorandom number generators, 2014).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
TO_UNIT = 2.0**-53
GROUPS = 2048
"""At most so many numbers are drawn for a row of `race` before some columns have their own."""


def uniforms(*keys: int | np.ndarray) -> np.ndarray:
    """Numbers in (0, 1), one for each combination of keys, which broadcast: float64."""
    state = np.zeros(1, np.uint64)
    for key in keys:
        key = np.atleast_1d(np.asarray(key)).astype(np.uint64)  # arrays overflow without a warning
        state = _mixed(state ^ _mixed(key + np.uint64(GOLDEN)))
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5) * TO_UNIT


def gumbels(*keys: int | np.ndarray) -> np.ndarray:
    """As `uniforms`, from the standard Gumbel distribution: the largest of log-probabilities with
    one of them added to each is a draw (Gumbel, Statistical theory of extreme values, 1954)."""
    return -np.log(-np.log(uniforms(*keys)))


def race(weights: Tensor, winners: int, *keys: int | np.ndarray) -> Tensor:
    """(n, winners) different columns of each row of weights (n, columns), drawn one after the other
    by weight: those with the largest sums of log-weight and a Gumbel number of the column.

    keys: of `uniforms`, (n,) or one number each. Of more than `GROUPS` columns not each needs its
    number: the largest sum of a group of columns is the logarithm of its weight plus a Gumbel
    number, which is drawn first. The winners are in as many groups, those whose largest sums are
    largest, and only there numbers of columns are drawn, given the largest sum (Kool, van Hoof and
    Welling, Stochastic beams and where to find them, 2019, appendix B). At least as many columns
    need a weight above 0.
    """
    n, columns = weights.shape
    size = -(-columns // GROUPS)
    groups = -(-columns // size)
    weights = F.pad(weights, (0, groups * size - columns)).view(n, groups, size)
    keys = tuple(np.reshape(key, (-1, 1, 1)) for key in keys)
    noise = torch.from_numpy(gumbels(*keys, 0, np.arange(groups)))[:, 0]
    largest, group = (weights.sum(2).log() + noise).topk(min(winners, groups), dim=1)
    column = group[:, :, None] * size + torch.arange(size)
    weights = weights[torch.arange(n)[:, None], group]
    sums = weights.log() + torch.from_numpy(gumbels(*keys, 1, column.numpy()))
    # Shifted on the scale on which sums are exponential, so that the largest is what was drawn.
    below = torch.log1p(-(sums - sums.amax(2, keepdim=True)).exp())
    shift = largest[:, :, None] - sums + below
    sums = largest[:, :, None] - F.relu(shift) - torch.log1p((-shift.abs()).exp())
    sums = sums.masked_fill_(weights == 0, -torch.inf)  # of a group without weight, not a number
    return column.flatten(1).gather(1, sums.flatten(1).topk(winners, dim=1).indices)


def chosen(p: np.ndarray, u: np.ndarray) -> np.ndarray:
    """(n,) a column for each row of probabilities or weights p (n, columns), by uniforms u (n,)."""
    cumulative = p.cumsum(1)
    return (cumulative < u[:, None] * cumulative[:, -1:]).sum(1).clip(max=p.shape[1] - 1)


def _mixed(state: np.ndarray) -> np.ndarray:
    for shift, factor in MIXERS:
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(31))
