"""The weeks of an independent chain: drawn and written in any order, by any number of processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa

from .baskets import draw_week
from .chain import Chain, build_chain, write_data
from .config import ChainConfig
from .demand import ETA, KAPPA, build_demand
from .households import CLASSES
from .replay import REPLAYED, History, merge_weeks, open_history, replay_week, save_week
from .truth import truth_tables


def generate_week(
    chain: Chain, folder: Path, week: int, kept: Path | None, history: History | None
) -> dict[str, int]:
    """Draw and write one week; returns its rows, baskets and spend in pence.

    `kept` is the folder where trips are kept for replay, None if this week's are not needed;
    `history` holds them once the replayed weeks begin.
    """
    c, seed = chain, chain.config.seed
    demand = build_demand(c.catalogue, c.prices, c.stores.regions, week)
    data = draw_week(seed, week, c.households, c.catalogue, c.stores, demand)
    if kept is not None:
        save_week(kept, week, data, c.households.known)
    if history is not None:
        data = replay_week(seed, week, data, history)
    return write_data(chain, folder, week, data)


# What a worker process builds once for all its weeks.
_worker: dict = {}


def _start(config: ChainConfig, folder: Path, kept: Path | None, replay: bool) -> None:
    chain = build_chain(config)
    history = open_history(kept, chain.households.known) if replay else None
    _worker.update(chain=chain, folder=folder, kept=None if replay else kept, history=history)


def _work(week: int) -> dict[str, int]:
    return generate_week(week=week, **_worker)


def _run(chain, folder, kept, replay, weeks, workers) -> Iterator[dict[str, int]]:
    if workers == 1 or len(weeks) < 2:
        history = open_history(kept, chain.households.known) if replay else None
        for week in weeks:
            yield generate_week(chain, folder, week, None if replay else kept, history)
        return
    # Arrow has started threads by now, which a forked process would not survive.
    context = multiprocessing.get_context("spawn")
    arguments = (chain.config, folder, kept, replay)
    with ProcessPoolExecutor(min(workers, len(weeks)), context, _start, arguments) as pool:
        yield from pool.map(_work, weeks)


class Independent:
    """The weeks of an independent chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def write(self, folder: Path, kept: Path, workers: int) -> Iterator[dict[str, int]]:
        """Write every week in order; replayed ones after all their sources."""
        chain, weeks = self.chain, self.chain.config.weeks
        first = chain.config.replay_from
        if first is None:
            yield from _run(chain, folder, None, False, range(1, weeks + 1), workers)
            return
        yield from _run(chain, folder, kept, False, range(1, first), workers)
        merge_weeks(kept)
        yield from _run(chain, folder, kept, True, range(first, weeks + 1), workers)

    def truth(self) -> dict[str, pa.Table]:
        """Tables of the truth, by name."""
        c = self.chain
        return truth_tables(c.catalogue, c.stores, c.households, c.prices, c.codes)

    def parameters(self) -> dict:
        """What chain.json says of how the weeks were drawn."""
        return {
            "eta": ETA,
            "kappa": dict(zip(CLASSES, KAPPA.tolist(), strict=True)),
            "replayed_share": REPLAYED if self.chain.config.replay_from else 0.0,
        }
