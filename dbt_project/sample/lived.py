"""The weeks of a responsive chain: lived one after another, written by any number of processes."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from .baskets import Week
from .behaviour import Behaviour
from .chain import Chain, build_chain, write_data
from .config import ChainConfig
from .record import Record
from .replay import REPLAYED, merge_weeks, open_history, replay_week, save_week
from .response import week_elasticities
from .world import World
from .world_truth import world_tables

MEASURED, FEWEST = 8, 3
"""Weeks in the middle in which elasticities are measured, of small chains and of large ones."""
ENOUGH = 8000
"""Weeks of households from which on they are few."""
WAITING = 3
"""Weeks for each process that may wait to be written."""

# What a worker process builds once for all its weeks.
_worker: dict = {}


def _start(config: ChainConfig, folder: Path) -> None:
    _worker.update(chain=build_chain(config), folder=folder)


def _work(week: int, data: Week) -> dict[str, int]:
    return write_data(week=week, data=data, **_worker)


class Lived:
    """The weeks of a responsive chain under its own plan."""

    def __init__(self, chain: Chain, behaviour: Behaviour | None = None) -> None:
        self.chain = chain
        self.world = World(chain.config, behaviour)
        self.record = Record()
        wanted = int(np.clip(ENOUGH // chain.households.rate.size, FEWEST, MEASURED))
        self.measured = max(min(wanted, chain.config.weeks // 4), 1)
        self.midway = self.world

    def write(self, folder: Path, kept: Path, workers: int) -> Iterator[dict[str, int]]:
        """Live and write every week in order."""
        if workers == 1:
            for week, data in self._weeks(kept):
                yield write_data(self.chain, folder, week, data)
            return
        # Arrow has started threads by now, which a forked process would not survive.
        context = multiprocessing.get_context("spawn")
        arguments = (self.chain.config, folder)
        with ProcessPoolExecutor(workers, context, _start, arguments) as pool:
            waiting: deque[Future] = deque()
            for week, data in self._weeks(kept):
                waiting.append(pool.submit(_work, week, data))
                if len(waiting) > WAITING * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _weeks(self, kept: Path) -> Iterator[tuple[int, Week]]:
        """Receipts of each week, with copies in place of trips from the week of replays on."""
        config, known = self.chain.config, self.chain.households.known
        history = None
        for week in range(1, config.weeks + 1):
            if week == 1 + (config.weeks - self.measured) // 2:
                self.midway = self.world.copy()
            actions = self.world.plan()
            result = self.world.step()
            self.record.add(actions, result)
            data = result.receipts
            if config.replay_from is not None:
                if week < config.replay_from:
                    save_week(kept, week, data, known)
                else:
                    if history is None:
                        merge_weeks(kept)
                        history = open_history(kept, known)
                    data = replay_week(config.seed, week, data, history)
            yield week, data

    def truth(self) -> dict[str, pa.Table]:
        """Tables of the truth, by name."""
        elasticities = week_elasticities(self.midway, self.measured)
        return world_tables(self.world.setting, self.chain.codes, self.record, elasticities)

    def parameters(self) -> dict:
        """What chain.json says of how the weeks were drawn."""
        return dataclasses.asdict(self.world.setting.behaviour) | {
            "replayed_share": REPLAYED if self.chain.config.replay_from else 0.0,
        }
