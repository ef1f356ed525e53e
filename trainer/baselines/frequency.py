"""How a customer's earlier purchases are weighed: weights (P,) float32 of `Purchases`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainer.baselines.history import Purchases

Weigh = Callable[[Purchases], Tensor]


def equally(purchases: Purchases) -> Tensor:
    """1: sums are numbers of trips."""
    return torch.ones_like(purchases.owner, dtype=torch.float32)


def by_trips(rate: float) -> Weigh:
    """rate^a for a trip with a trips after it."""
    return lambda purchases: rate ** purchases.trips_ago.float()


def by_days(days: float) -> Weigh:
    """exp(-d / days) for a trip d days ago."""
    return lambda purchases: (purchases.days_ago.float() / -days).exp()


def share_of_last(trips: int) -> Weigh:
    """1 / min(trips, n) on the last `trips` of n trips, 0 before: sums are shares of these trips.

    User-wise popularity at r (Faggioli, Polato and Aiolli, 2020, equation 2).
    """

    def weigh(purchases: Purchases) -> Tensor:
        among = purchases.trips.clamp(max=trips)[purchases.owner].float()
        return (purchases.trips_ago < trips).float() / among

    return weigh


def in_groups(groups: int, within: float, between: float) -> Weigh:
    """Mean over groups of trips of the mean within each, both decayed.

    n trips are divided into `groups` groups of ceil(n / groups) trips each, from the last one back,
    so that the oldest may hold fewer and some may be left over. A trip weighs within^i / size for
    the i trips after it in its group, times between^j / number of groups for the j groups after it
    (Hu et al., 2020, equations 3 and 4).
    """

    def weigh(purchases: Purchases) -> Tensor:
        trips = purchases.trips.clamp(min=1)
        size = (trips + groups - 1) // groups
        number = (trips + size - 1) // size
        of_oldest = trips - (number - 1) * size
        size, number, of_oldest = (part[purchases.owner] for part in (size, number, of_oldest))
        group = purchases.trips_ago // size
        place = purchases.trips_ago % size
        held = torch.where(group == number - 1, of_oldest, size)
        decay = within ** place.float() * between ** group.float()
        return decay / (held * number)

    return weigh
