"""The chain at the beginning of an episode, drawn and warmed up once for all who start from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dbt_project.sample import Actions, Behaviour, ChainConfig, WeekResult, World
from trainer.commands.errors import InputError

from .books import Books, base_prices

USUAL_WEEKS = 8
"""Weeks of the warm-up whose trips and revenue are the usual ones."""


@dataclass(frozen=True)
class Opening:
    """Which chain, and when episodes begin and end. The same values give the same chain."""

    customers: int = 1000
    """Households with a loyalty card; about a third as many shop without one."""
    products: int = 200
    """Products of the catalogue."""
    stores: int = 10
    """Stores."""
    chain: int = 7
    """Seed of the chain: its products, prices, costs and households, and its first weeks."""
    warm_up: int = 13
    """Weeks that the chain's manager has run it before, in which habits and expectations form."""
    weeks: int = 52
    """Weeks of an episode."""
    behaviour: Behaviour = Behaviour()
    """How strongly shoppers, costs and the manager behave."""

    @classmethod
    def of(cls, config: ChainConfig, behaviour: Behaviour, warm_up: int) -> Opening:
        """Of a chain that was made with a configuration, up to its last week."""
        return cls(
            config.customers, config.products, config.stores, config.seed, warm_up,
            config.weeks - warm_up, behaviour,
        )  # fmt: skip

    def __post_init__(self) -> None:
        """Raises InputError for a span that is none."""
        for name in ("warm_up", "weeks"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")

    def start(self) -> tuple[World, Books]:
        """The chain after the warm-up and what its manager knows, to be copied, not changed.

        Raises InputError where no such chain can be.
        """
        return _start(self)

    def ready(self) -> None:
        """Prepare what episodes share: the chain, and its weeks' fixed weights."""
        tilt = self.start()[0].setting.repertoire.tilt
        for week in range(self.warm_up + 1, self.warm_up + self.weeks + 1):
            tilt(week)

    def config(self) -> ChainConfig:
        """The chain's configuration."""
        return ChainConfig(
            customers=self.customers, products=self.products, stores=self.stores,
            weeks=self.warm_up + self.weeks, seed=self.chain,
        )  # fmt: skip


def price_list(world) -> str:
    """What tells chains apart: SHA-256 of the categories and first prices of all products, the same
    in a chain and in the world that was learned from it."""
    catalogue = world.setting.catalogue
    values = np.stack([catalogue.group, np.rint(catalogue.price)]).astype(np.int64)
    return hashlib.sha256(values.tobytes()).hexdigest()


@lru_cache(maxsize=4)
def _start(opening: Opening) -> tuple[World, Books]:
    world = World(opening.config(), opening.behaviour)
    books, weeks = Books.fresh(world), []
    for _ in range(opening.warm_up):
        base, actions = base_prices(world), world.plan()
        books.note(base, actions, world.step())
        weeks.append((books.trips, books.revenue))
    trips, revenue = np.mean(weeks[-USUAL_WEEKS:], axis=0)
    return world, books.as_usual(trips, revenue)


class Episode:
    """One life of the chain from an opening on.

    Args:
        opening: where it begins.
        run: number of the shoppers' draws; two episodes with the same number differ only by what
            is done in them.
    """

    FEW = 0.2
    """Share of the usual trips; with fewer, smoothed over weeks, nearly all custom is lost."""

    def __init__(self, opening: Opening, run: int) -> None:
        world, books = opening.start()
        self.opening, self.world, self.books = opening, world.copy(run), books.copy()

    def copy(self, run: int | None = None) -> Episode:
        """The same past, to be lived otherwise; with `run`, with other draws."""
        other = object.__new__(Episode)
        other.opening = self.opening
        other.world, other.books = self.world.copy(run), self.books.copy()
        return other

    def step(self, actions: Actions) -> WeekResult:
        """Live a week."""
        base = base_prices(self.world)
        result = self.world.step(actions)
        self.books.note(base, actions, result)
        return result

    @property
    def passed(self) -> int:
        """Weeks of the episode that are lived."""
        return self.books.weeks - self.opening.warm_up

    @property
    def at_its_end(self) -> bool:
        """Whether all weeks are lived."""
        return self.passed >= self.opening.weeks

    @property
    def deserted(self) -> bool:
        """Whether nearly all custom is lost: the chain closes."""
        return bool(self.books.traffic < self.FEW * self.books.usual.trips)

    @property
    def kept(self) -> float:
        """Share of the households that might shop here and are not lost; of the truth, which the
        learned world does not know: not a number there."""
        h, week = self.world.setting.households, self.books.weeks
        here = (h.first_week <= week) & (week <= h.last_week)
        return float(1 - self.world.memory.lost[here].sum() / max(here.sum(), 1))
