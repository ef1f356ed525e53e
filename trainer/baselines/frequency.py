"""Weights of earlier purchases: (P,) float32, one for each item of `EarlierItems`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainer.baselines.history import EarlierItems

Weigh = Callable[[EarlierItems], Tensor]


def equally(purchases: EarlierItems) -> Tensor:
    """1 each: sums are numbers of trips."""
    return torch.ones_like(purchases.owner, dtype=torch.float32)


def by_trips(rate: float) -> Weigh:
    """rate^n for a trip that n others follow."""
    return lambda purchases: rate ** purchases.trips_ago.float()


def by_days(days: float) -> Weigh:
    """exp(-d / days) for a trip d days ago."""
    return lambda purchases: (purchases.days_ago.float() / -days).exp()


def share_of_last(trips: int) -> Weigh:
    """1 / min(trips, n) on the last `trips` of n trips, 0 before: sums are shares of these trips.

    User-wise popularity at r (Faggioli, Polato and Aiolli, 2020, equation 2).
    """

    def weigh(purchases: EarlierItems) -> Tensor:
        counted = purchases.trips.clamp(max=trips)[purchases.owner].float()
        return (purchases.trips_ago < trips).float() / counted

    return weigh


def in_groups(groups: int, within: float, between: float) -> Weigh:
    """Mean over groups of trips of the mean within each, both decayed.

    n trips are divided into groups of ceil(n / groups) trips each, from the last one back, so that
    the oldest group may be smaller, and there may be fewer than `groups`. A trip with i trips after
    it in its group, and j groups after this, weighs within^i / size of the group times between^j /
    number of groups (Hu et al., 2020, equations 3 and 4).
    """

    def weigh(purchases: EarlierItems) -> Tensor:
        trips = purchases.trips.clamp(min=1)
        size = (trips + groups - 1) // groups
        number = (trips + size - 1) // size
        of_oldest = trips - (number - 1) * size
        size, number, of_oldest = (part[purchases.owner] for part in (size, number, of_oldest))
        group = purchases.trips_ago // size
        place = purchases.trips_ago % size
        in_group = torch.where(group == number - 1, of_oldest, size)
        decay = within ** place.float() * between ** group.float()
        return decay / (in_group * number)

    return weigh
