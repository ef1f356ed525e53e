"""What the commands that simulate weeks to come share: options, start, seeds, the output folder."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from simulator.costs import read_weekly_costs
from simulator.runs import processes_option
from simulator.simulation import check_start
from trainer.cache.locks import take_lock
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.commands.options import LARGEST_SEED, CommandParser, seed, whole

MOST_WEEKS, MOST_RUNS = 520, 10_000


def history_options(parser: CommandParser) -> None:
    """`--cache` and `--start`."""
    add = parser.add_argument
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add(
        "--start", type=whole(), metavar="WEEK",
        help="last week of the history; nothing later is read (default: the last with trips that "
        "are no copies of earlier ones)",
    )  # fmt: skip


def simulation_options(parser: CommandParser, weeks: int) -> None:
    """`history_options`, `--weeks` with its default, `--seed` and `--processes`."""
    history_options(parser)
    add = parser.add_argument
    add(
        "--weeks", type=whole(1, MOST_WEEKS), default=weeks, metavar="N",
        help=f"how many weeks (default: {weeks})",
    )  # fmt: skip
    add(
        "--seed", type=seed, default=0, metavar="N",
        help="of the first run; two scenarios with the same seed share their chances (default: 0)",
    )  # fmt: skip
    processes_option(parser)


def instrument_option(parser: CommandParser) -> None:
    """`--instrument`."""
    parser.add_argument(
        "--instrument", type=Path, metavar="FILE",
        help="CSV or Parquet of product_code, week (or shop_week) and unit_cost_pence, what "
        "suppliers charged: find out whether prices followed demand, and take that out of "
        "elasticities; weeks after --start are not read",
    )  # fmt: skip


def instrument_of(options: argparse.Namespace, cache: TensorCache, start: int) -> np.ndarray | None:
    """`--instrument` as `read_weekly_costs` reads it, or None."""
    return read_weekly_costs(options.instrument, cache, start) if options.instrument else None


def seeds_of(options: argparse.Namespace, runs: int) -> range:
    """Those of so many runs. Raises InputError where they go beyond the largest."""
    if options.seed + runs - 1 > LARGEST_SEED:
        raise InputError(f"--seed: {runs} runs from there go beyond {LARGEST_SEED}")
    return range(options.seed, options.seed + runs)


def start_of(options: argparse.Namespace, cache: TensorCache) -> int:
    """`--start` or its default. Raises InputError for one that cannot be."""
    start = options.start or last_fresh_week(cache)
    check_start(cache, start)
    return start


def last_fresh_week(cache: TensorCache) -> int:
    """The last one with trips that are not mostly copies: whoever repeats them learns nothing."""
    week = np.unique(cache["trips.week"]).astype(np.int64)
    fresh = week[~cache["weeks.is_replayed"][week - 1]]
    return int(fresh[-1] if len(fresh) else week[-1])


def page_maker(module: str) -> Callable[[Mapping[str, Any], str], str]:
    """`page` of a module. Raises InputError where matplotlib, which only pages need, is missing."""
    try:
        return import_module(module).page
    except ModuleNotFoundError as error:
        raise InputError(
            f"the page needs {error.name}, which is not installed: python -m pip install matplotlib"
        ) from None


@contextmanager
def output_folder(path: Path) -> Iterator[None]:
    """Make it before the work, which takes minutes, and have it to oneself; an error leaves none
    that is empty. Raises InputError where it holds anything, and where another process is about to
    write there, one of which would replace what the other has found."""
    there = InputError(f"--out: {path} is there already: name a new folder")
    if path.exists() and not path.is_dir():
        raise there
    path.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDONLY)
    try:
        try:
            take_lock(lock)
        except BlockingIOError:
            raise InputError(
                f"--out: another process writes to {path}: name a new folder"
            ) from None
        if any(path.iterdir()):  # now that nobody else writes
            raise there
        try:
            yield
        finally:
            with suppress(OSError):  # it holds something
                path.rmdir()
    finally:
        os.close(lock)
