"""Generate a chain: draw what is fixed, then its weeks, on one or several processes."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.cache.atomic import beside

from .baskets import draw_week, expected_trips
from .catalogue import Catalogue, build_catalogue
from .config import ChainConfig
from .demand import ETA, KAPPA, build_demand
from .draw import stream
from .folder import check, install
from .households import CLASSES, Households, build_households
from .prices import Prices, build_prices
from .replay import REPLAYED, History, merge_weeks, open_history, replay_week, save_week
from .stores import Stores, build_stores
from .truth import truth_tables, write_truth
from .write import FIRST_BASKET, Codes, build_codes, week_table, write_time, write_week


@dataclass(frozen=True)
class Chain:
    """All that stays fixed over the weeks."""

    config: ChainConfig
    catalogue: Catalogue
    stores: Stores
    households: Households
    prices: Prices
    codes: Codes
    basket_ids: int
    """Basket ids set aside for each week."""


def build_chain(config: ChainConfig) -> Chain:
    """Draw what is fixed. The same in every process that does it."""
    catalogue = build_catalogue(config)
    stores = build_stores(config)
    households = build_households(config, catalogue, stores)
    prices = build_prices(config, catalogue, stores.regions)
    busiest = max(expected_trips(households, w) for w in range(1, config.weeks + 1))
    # Twelve standard deviations of a Poisson count above the mean: never reached.
    room = int(busiest + 12 * np.sqrt(busiest)) + 100
    codes = build_codes(catalogue, households, stores)
    return Chain(config, catalogue, stores, households, prices, codes, room)


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
    shuffled = stream(seed, "ids", week).permutation(c.basket_ids)
    ids = FIRST_BASKET + (week - 1) * c.basket_ids + shuffled[: data.household.size]
    table = week_table(
        week, data, ids, c.catalogue, c.households, c.stores, c.codes, c.config.header
    )
    write_week(table, folder, week, c.config.format)
    return {
        "rows": data.product.size,
        "baskets": data.household.size,
        "spend_pence": int(data.spend.sum()),
    }


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


def _weeks(chain: Chain, folder: Path, kept: Path, workers: int) -> Iterator[dict[str, int]]:
    """Write every week in order; replayed ones after all their sources."""
    first = chain.config.replay_from
    if first is None:
        yield from _run(chain, folder, None, False, range(1, chain.config.weeks + 1), workers)
        return
    yield from _run(chain, folder, kept, False, range(1, first), workers)
    merge_weeks(kept)
    yield from _run(chain, folder, kept, True, range(first, chain.config.weeks + 1), workers)


def generate_chain(
    config: ChainConfig,
    out: Path | str,
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict:
    """Write a synthetic chain and its truth into the folder `out`.

    The files depend on `config` only, not on `workers`. `progress` is called with the rows of
    each finished week. Several workers are spawned processes: a script that asks for them keeps
    its calls under `if __name__ == "__main__"`.

    Returns what truth/chain.json holds: sizes, parameters, rows, baskets and spend in pence.
    Raises FolderError when the folder holds anything but a chain of this command (or holds one
    and `overwrite` is not set). Everything is written beside first and moved into place at the
    end, so an interrupted run leaves the folder as it was.
    """
    out = Path(out)
    check(out, overwrite)
    total = {"rows": 0, "baskets": 0, "spend_pence": 0}
    with beside(out / "truth") as staging:
        kept = staging.with_name("kept")
        staging.mkdir()
        kept.mkdir()
        chain = build_chain(config)
        write_time(staging, config.weeks)
        c = chain
        tables = truth_tables(c.catalogue, c.stores, c.households, c.prices, c.codes)
        write_truth(staging / "truth", tables)
        for week in _weeks(chain, staging, kept, workers):
            total = {name: total[name] + week[name] for name in total}
            if progress is not None:
                progress(week["rows"])
        parameters = {
            "eta": ETA,
            "kappa": dict(zip(CLASSES, KAPPA.tolist(), strict=True)),
            "replayed_share": REPLAYED if config.replay_from else 0.0,
        }
        facts = {"config": dataclasses.asdict(config), **total, "parameters": parameters}
        install(staging, out, facts)
    return facts
