"""Where episodes in the learned world begin: after the history that it was learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from dbt_project.sample.config import RANGES
from trainer.commands.errors import InputError

from ..books import Books
from ..opening import USUAL_WEEKS
from .knowledge import Knowledge
from .world import LearnedWorld


@dataclass(frozen=True)
class LearnedOpening:
    """The learned world after its history; what `Opening` is to the chain."""

    checkpoint: str
    """File that `python -m simulator.policy learn` wrote."""
    weeks: int = 52
    """Weeks of an episode."""

    def __post_init__(self) -> None:
        """Raises InputError for a span that is none."""
        most = RANGES["weeks"][1]
        if type(self.weeks) is not int or not 1 <= self.weeks <= most:
            raise InputError(f"weeks must be a whole number from 1 to {most}, not {self.weeks}")

    @cached_property
    def warm_up(self) -> int:
        """Weeks of the history."""
        return self.start()[0].known.start

    def start(self) -> tuple[LearnedWorld, Books]:
        """The world after the history and what its manager knows, to be copied, not changed.

        Raises InputError for a file that is no learned world.
        """
        path = Path(self.checkpoint)
        changed = path.stat().st_mtime_ns if path.exists() else 0
        return _start(self, changed)

    def ready(self) -> None:
        """Prepare what episodes share."""
        self.start()


@lru_cache(maxsize=4)
def _start(opening: LearnedOpening, changed: int) -> tuple[LearnedWorld, Books]:
    known = Knowledge.load(Path(opening.checkpoint))
    world = LearnedWorld(known, opening.weeks)
    books = Books.fresh(world)
    level = np.log(known.regular * (1 - known.depth) / known.listed[:, None])
    level -= np.log(known.cost / known.cost[:, :1])
    for week in range(known.start):
        books.units, books.depth = known.units[:, week], known.depth[:, week]
        books.level, first = level[:, week], week == 0
        books.smooth = books.smoothed(books.smooth, books.units, first)
        books.trips, books.revenue = int(known.trips[week]), known.revenue[week]
        books.traffic = books.smoothed(books.traffic, books.trips, first)
    books.regular = np.rint(known.regular[:, -1])
    books.weeks, books.last_trip = known.start, known.last_trip.copy()
    books.spend = known.spend.copy()
    np.maximum.at(books.bought.T, known.need, known.bought.T)
    last = slice(-USUAL_WEEKS, None)
    return world, books.as_usual(known.trips[last].mean(), known.revenue[last].mean())
