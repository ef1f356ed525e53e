"""Lives of the chain under a policy, and what they are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dbt_project.sample import Actions

from .opening import Episode, Opening

Policy = Callable[[Episode], Actions]
"""What is done in the coming week, given an episode."""
Progress = Callable[[], object]
"""Called after each week."""

FITTED = 2**31
"""Number of the first life by which policies are fitted; those that judge count from 0."""


@dataclass(frozen=True)
class Life:
    """An episode under a policy. W weeks of the opening; after the chain is deserted, zeros."""

    profits: np.ndarray
    """(W,) pounds."""
    units: np.ndarray
    """(W,)"""
    trips: np.ndarray
    """(W,)"""
    kept: float
    """Share of the households that might shop here and are not lost at the end."""

    @property
    def profit(self) -> float:
        """Of all weeks, pounds."""
        return float(self.profits.sum())


def live(policy: Policy, opening: Opening, run: int, week: Progress) -> Life:
    """One life, with the draws of a number."""
    episode = Episode(opening, run)
    figures = np.zeros((3, opening.weeks))
    while not (episode.at_its_end or episode.deserted):
        at = episode.passed
        result = episode.step(policy(episode))
        figures[:, at] = result.profit.sum() / 100, result.units.sum(), result.trips
        week()
    return Life(*figures, episode.kept)


def worth(policy: Policy, opening: Opening, lives: int, week: Progress) -> float:
    """Mean profit of lives of the chain by which policies are fitted, pounds."""
    return float(np.mean([live(policy, opening, FITTED + i, week).profit for i in range(lives)]))
