"""A few bounded numbers that stand for all prices of a week: what learners of policies turn.

Thousands of free prices cannot be learnt from some thousand weeks. A setting has D + 3 knobs from
-1 to 1: the level of each department, at most `SPAN` above or below the base price, and the depth
of promotions for products whose supplier pays nearly all, part, or nothing of it this week (the
last in rotation, a quarter of them at a time).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dbt_project.sample import Actions
from dbt_project.sample.shape import GROUP_DEPARTMENT
from simulator.environments.opening import Episode
from simulator.environments.policies import ROTATION
from simulator.environments.pricing import DEEPEST, Scope

SPAN = 1.2
"""Levels go from 1 / SPAN to SPAN."""
PAID = (0.75, 0.25)
"""Share of a promotion that a supplier pays from which on it is nearly all, and part."""
DEPARTMENTS = int(GROUP_DEPARTMENT.max())
KNOBS = DEPARTMENTS + len(PAID) + 1
STILL = np.r_[np.zeros(DEPARTMENTS), -np.ones(KNOBS - DEPARTMENTS)]
"""Base prices without promotions."""


def chain_scope(opening) -> Scope:
    """All products of an opening, by category."""
    return Scope.of(opening.start()[0].setting.catalogue.group, None)


def turned(scope: Scope, episode: Episode, knobs: np.ndarray) -> Actions:
    """A week's actions. knobs: (KNOBS,) from -1 to 1; what is beyond counts as its end."""
    knobs = np.clip(knobs, -1, 1)
    level = SPAN ** knobs[:DEPARTMENTS][GROUP_DEPARTMENT - 1]
    depth = DEEPEST * (knobs[DEPARTMENTS:] + 1) / 2
    economy = episode.world.setting.economy
    funding = economy.funding[:, episode.world.week - 1]
    turn = (scope.product + episode.passed) % ROTATION == 0
    off = np.where(turn, depth[2], 0.0)
    off = np.where(funding >= PAID[1], depth[1], off)
    off = np.where(funding >= PAID[0], depth[0], off)
    return scope.actions(episode, level[scope.lever], off)


@dataclass(frozen=True)
class Constant:
    """The same knobs every week."""

    scope: Scope
    knobs: np.ndarray

    def __call__(self, episode: Episode) -> Actions:
        return turned(self.scope, episode, self.knobs)
