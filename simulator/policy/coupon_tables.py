"""Coupon policies: who gets which coupon of the trial, every four weeks, within a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dbt_project.sample import Actions
from dbt_project.sample.coupons import LASTS
from simulator.environments.chain_env import observed
from simulator.environments.coupons import SEGMENTS as GROUPS
from simulator.environments.coupons import Menu, Segments
from simulator.environments.learned import NO_COUPONS
from simulator.environments.learned.coupon_response import segment
from simulator.environments.learned.knowledge import Knowledge
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.opening import Episode, Opening
from trainer.commands.errors import InputError

from .limits import Limits
from .networks import Layers

NEVER_STOPS = 10_000


class CouponPolicy:
    """Coupons of a file of `train`, for episodes from an opening; prices are the manager's.

    arrays: `product` (C,) rows, `depth` (1,), `used` (C, segments of `coupon_response`), the share
    of coupons that is used; and `gives`, a table of the same shape with a last week `stops` (1,),
    or the weights of a network that decides for the segments of `CouponsEnv`.
    """

    def __init__(
        self, opening: Opening | LearnedOpening, limits: Limits, arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Raises InputError where the learned world does not know these coupons."""
        world, _ = opening.start()
        self.limits, self.used = limits, arrays["used"]
        product, depth = arrays["product"], float(arrays["depth"][0])
        if isinstance(opening, LearnedOpening):
            known = learned_menu(world.known)
            if not (np.isin(product, known.product).all() and np.isclose(depth, known.depth)):
                raise InputError(
                    f"{opening.checkpoint} was learned from a trial of other coupons than the "
                    "policy's: train it there"
                )
        self.menu = Menu(product, world.setting.catalogue.need[product], depth)
        self.chosen = (
            Table(self.menu.need, arrays["gives"], int(arrays["stops"][0]))
            if "gives" in arrays
            else GroupNetwork(self.menu, Segments.of(opening), Layers.of(arrays))
        )

    def __call__(self, episode: Episode) -> Actions:
        if episode.passed % LASTS:
            return episode.world.plan()
        given = self.chosen(episode)
        return handed(episode, self.menu, given, self.used, self.limits)


@dataclass(frozen=True)
class Table:
    """gives: (C, segments of `coupon_response`) bool; stops: weeks after which nobody gets any."""

    need: np.ndarray
    """(C,) of the coupons."""
    gives: np.ndarray
    stops: int

    def __call__(self, episode: Episode) -> np.ndarray:
        """(H, C) who gets which."""
        cell = segments(episode, self.need)
        return self.gives[_each(cell), cell] & (episode.passed < self.stops)


@dataclass(frozen=True)
class GroupNetwork:
    """A network that decides for the segments of `CouponsEnv`, from what that observes."""

    menu: Menu
    segments: Segments
    layers: Layers

    def __call__(self, episode: Episode) -> np.ndarray:
        """(H, C) who gets which: where giving is the likelier action."""
        group = self.segments.group(episode.books)
        seen = self.segments.seen(episode.books, self.menu, group, GROUPS)
        logits = self.layers(observed(episode, seen))
        return (logits > 0).reshape(GROUPS, -1)[group]


def learned_menu(known: Knowledge) -> Menu:
    """All coupons that a learned world knows; raises InputError where it knows none."""
    if not known.coupon.size:
        raise InputError(NO_COUPONS)
    return Menu(known.coupon, known.need[known.coupon], float(known.coupon_depth[0]))


def segments(episode: Episode, need: np.ndarray) -> np.ndarray:
    """(H, C) segment of each card for coupons of some needs (C,)."""
    books = episode.books
    return segment(books.weeks - books.last_trip, books.weeks - books.bought[:, need])


def handed(
    episode: Episode, menu: Menu, given: np.ndarray, used: np.ndarray, limits: Limits
) -> Actions:
    """The manager's plan and coupons, as many as the budget allows. given: (H, C) bool; used: as of
    `CouponPolicy`."""
    cell = segments(episode, menu.need)
    expected = used[_each(cell), cell] * face_value(episode, menu)
    return menu.actions(episode.world, limits.afford(given, expected, episode))


def face_value(episode: Episode, menu: Menu) -> np.ndarray:
    """(C,) pence that each coupon takes off this week."""
    plan, setting = episode.world.plan(), episode.world.setting
    price = (np.atleast_2d(plan.regular) * (1 - np.atleast_2d(plan.depth))).mean(0)
    of_unit = price / setting.catalogue.price * setting.unit_price
    return menu.depth * of_unit[menu.product]


def _each(cell: np.ndarray) -> np.ndarray:
    """(C,) positions of coupons, to index a table by coupon and cell (H, C)."""
    return np.arange(cell.shape[1])
