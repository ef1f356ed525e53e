"""What both environments are made of: episodes, rewards, ends, seeds, pictures."""

from __future__ import annotations

from dataclasses import replace
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium
import numpy as np

from dbt_project.sample import Actions, WeekResult
from dbt_project.sample.calendar import WEEKS_A_YEAR
from trainer.commands.errors import InputError

from .opening import Episode, Opening
from .picture import draw

if TYPE_CHECKING:
    from .learned.opening import LearnedOpening

LARGEST = 10.0
"""Observations are cut off at this size."""
CHAIN_FIGURES = 6
"""Figures of the whole chain in an observation, after those of a subclass."""


class ChainEnv(gymnasium.Env):
    """A week of the synthetic chain per step.

    - **Reward**: the chain's profit of the week in pounds: what customers paid, coupons taken off,
      less unit costs, plus what suppliers pay of promotions. Tens to thousands: scale it to learn.
    - **Terminated** when nearly all custom is lost (`Episode.deserted`), and with it what
      it would have brought. **Truncated** when the opening's weeks are over, though the chain
      goes on: a learner should value what it leaves behind.
    - **Seeds**: `reset(seed=)` numbers the draws of all shoppers. The same seed and actions give
      the same episode. The chain itself stays; `reset(options={"chain": 8})` draws another one,
      which stays as well.
    - **Info**: `week`, `units`, `revenue`, `cost`, `profit` (pounds), `trips`, `seen` (cards of
      the last four weeks), `price` (charged over base prices) and `kept`, the share of households
      that are not lost: that one is of the truth, to judge by, and no observation has it. The
      learned world does not know it and has none.
    - **Worlds**: `world="chain"`, the synthetic chain itself, or `world="model"`, what was learnt
      of it from receipts, in the file `checkpoint` that `python -m simulator.policy learn` wrote.

    Every other keyword argument but `render_mode` is a field of `Opening` (of `LearnedOpening` with
    `world="model"`: `weeks` alone) or of the subclass.
    Rendering (`rgb_array`) draws prices, units and profit by week.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(
        self, render_mode: str | None = None, world: str = "chain", **opening: Any
    ) -> None:
        """Raises InputError where no such chain can be, and for a file that is no learned world."""
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be None or rgb_array, not {render_mode!r}")
        self.render_mode = render_mode
        self.opening = _opening(world, opening)
        self.opening.start()
        self.episode: Episode | None = None
        self._weeks: list[dict[str, float]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; returns an observation and what is known of the week before it.

        options: `chain`, the seed of another chain from now on; raises InputError in the learned
        world.
        """
        super().reset(seed=seed)
        opening = self.opening
        if options and "chain" in options:
            if not isinstance(opening, Opening):
                raise InputError("chain: the learned world is of one chain; learn it from another")
            opening = replace(opening, chain=index(options["chain"]))
        self._begin(opening)  # first, so that a chain that cannot be changes nothing
        self.opening = opening
        self.episode = Episode(self.opening, run=int(self.np_random.integers(2**31)))
        self._weeks = []
        books = self.episode.books
        return self._observed(), {"week": books.weeks, "trips": books.trips, "seen": books.seen(4)}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Live a week; returns observation, reward, terminated, truncated and info.

        Raises InputError for an action of another shape than the space's, or with NaN in it.
        """
        action, shape = np.asarray(action), self.action_space.shape
        if action.shape != shape or action.dtype.kind not in "biuf" or np.isnan(action).any():
            raise InputError(f"an action must be numbers of the shape {shape}, without NaN")
        episode = self.episode
        result = episode.step(self._actions(action))
        info = self._info(result)
        self._weeks.append(info)
        over = episode.deserted
        return self._observed(), info["profit"], over, episode.at_its_end and not over, info

    def render(self) -> np.ndarray | None:
        """(height, width, 3) bytes: the episode so far; None without `render_mode`."""
        return draw(self._weeks, self.opening.weeks) if self.render_mode else None

    def _begin(self, opening: Opening) -> None:
        """What a subclass prepares for episodes from an opening."""

    def _actions(self, action: Any) -> Actions:
        """What is done in the coming week."""
        raise NotImplementedError

    def _seen(self) -> np.ndarray:
        """The subclass's part of the observation."""
        raise NotImplementedError

    def _observed(self) -> np.ndarray:
        return observed(self.episode, self._seen())

    def _info(self, result: WeekResult) -> dict[str, float]:
        kept = self.episode.kept
        return {
            "week": result.week,
            "units": int(result.units.sum()),
            "revenue": float(result.revenue.sum()) / 100,
            "cost": float(result.cost.sum()) / 100,
            "profit": float(result.profit.sum()) / 100,
            "trips": result.trips,
            "seen": self.episode.books.seen(4),
            "price": self._price(),
        } | ({} if np.isnan(kept) else {"kept": kept})

    def _price(self) -> float:
        """Price level of the last week: charged over base prices, by usual revenue."""
        books = self.episode.books
        weight = books.usual.units * self.episode.world.setting.unit_price + 1e-9
        return float(np.exp(np.average(books.level, weights=weight)))


def observed(episode: Episode, seen: np.ndarray) -> np.ndarray:
    """An observation: a subclass's part of it, then six figures of the whole chain."""
    books, usual = episode.books, episode.books.usual
    angle = 2 * np.pi * (books.weeks + 1) / WEEKS_A_YEAR
    chain = [
        np.sin(angle), np.cos(angle), 1 - episode.passed / episode.opening.weeks,
        np.log((books.trips + 1) / (usual.trips + 1)),
        np.log((books.revenue + 1) / (usual.revenue + 1)),
        books.seen(4) / max(usual.seen, 1),
    ]  # fmt: skip
    return np.clip(np.concatenate([seen.ravel(), chain]), -LARGEST, LARGEST).astype(np.float32)


def _opening(world: str, values: dict[str, Any]) -> Opening | LearnedOpening:
    if world not in ("chain", "model"):
        raise InputError(f"world must be chain or model, not {world}")
    if world == "chain":
        if "checkpoint" in values:
            raise InputError("checkpoint is of world=model, the learned world")
        return Opening(**values)
    if unknown := sorted(values.keys() - {"checkpoint", "weeks"}):
        raise InputError(f"{unknown[0]} is the chain's: the learned world is as its file says")
    if "checkpoint" not in values:
        raise InputError("world=model needs checkpoint, a file of python -m simulator.policy learn")
    from .learned.opening import LearnedOpening  # needs torch, which the chain does not

    return LearnedOpening(**values)
