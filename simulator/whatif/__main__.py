"""Command line: python -m simulator.whatif: what happens if prices or products change.

FOLDER/whatif.html     one page with pictures, without network
FOLDER/whatif.json     the same figures
FOLDER/tables/*.csv    total, week, product, category_1 and so on, customer_group, store, ...
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.command import (
    MOST_RUNS,
    instrument_of,
    instrument_option,
    output_folder,
    page_maker,
    seeds_of,
    simulation_options,
    start_of,
)
from simulator.costs import read_costs
from simulator.coupon_answers import check_trial
from simulator.coupon_log import CouponLog
from simulator.runs import ready_simulator
from simulator.scenario_file import read_scenario
from simulator.whatif.checks import check
from simulator.whatif.compare import what_if
from simulator.whatif.content import content, write_tables
from simulator.whatif.text_report import report
from trainer.cache.atomic import new_folder
from trainer.cache.json_files import write_json
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, whole
from trainer.model.checkpoint import load_checkpoint

PAGE, JSON, TABLES = "whatif.html", "whatif.json", "tables"


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m simulator.whatif",
        description="Simulate the weeks to come with a change and without, on the same chances, "
        "and tell what they differ by: units, trips, customers, spend, what coupons took off and "
        "margin, by week, product, category, customer group and store, with intervals: "
        "docs/whatif.md.",
    )
    add = parser.add_argument
    add(
        "checkpoints", type=Path, nargs="+", metavar="CHECKPOINT",
        help="folder of the model; of several that differ in their seed, intervals hold what they "
        "disagree about",
    )  # fmt: skip
    add("--scenario", type=Path, required=True, metavar="FILE", help="what changes, a YAML file")
    add("--out", type=Path, required=True, metavar="FOLDER", help="a new folder for what is found")
    add(
        "--runs", type=whole(1, MOST_RUNS), default=20, metavar="N",
        help="pairs of runs of each model (default: 20)",
    )  # fmt: skip
    add(
        "--costs", type=Path, metavar="FILE",
        help="CSV or Parquet with product_code and unit_cost_pence (default: margin is left out)",
    )  # fmt: skip
    add(
        "--trial", type=Path, metavar="FILE",
        help="log of a trial of coupons, which tells how they are answered to (default: the "
        "scenario says what share is redeemed)",
    )  # fmt: skip
    instrument_option(parser)
    simulation_options(parser, weeks=9)
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    page = page_maker("simulator.whatif.page")
    if len({path.resolve() for path in options.checkpoints}) < len(options.checkpoints):
        raise InputError("CHECKPOINT: the same folder twice")
    seeds = seeds_of(options, options.runs * len(options.checkpoints))
    cache = TensorCache(options.cache)
    start = start_of(options, cache)
    trial = _trial(options.trial, cache, start) if options.trial else None
    scenario = read_scenario(options.scenario, cache, start, options.weeks, trial)
    text = options.scenario.read_text(encoding="utf-8")
    with _of(options.scenario):  # before models are made ready
        check(cache, scenario, start + 1, start + options.weeks)
    if options.instrument and not (scenario.prices or scenario.coupons):
        raise InputError(
            f"--instrument: {options.scenario} changes no price and has no coupons, so that "
            "nothing answers to prices: leave it out"
        )
    costs = read_costs(options.costs, cache) if options.costs else None
    instrument = instrument_of(options, cache, start)
    with output_folder(options.out):
        checkpoints = [load_checkpoint(path) for path in options.checkpoints]
        digests = [each.weights_digest for each in checkpoints]
        if len(set(digests)) < len(digests):  # intervals would hold a disagreement of none
            raise InputError("CHECKPOINT: the same weights twice: name each model once")
        simulators = [
            ready_simulator(each, cache, start, instrument=instrument) for each in checkpoints
        ]
        with _of(options.scenario):
            found = what_if(simulators, scenario, options.weeks, seeds, costs, options.processes)
        facts = {
            "scenario": options.scenario.name,
            "scenario_text": text,
            "seed": options.seed,
            "cache_digest": cache.digest,
            "weights_digests": digests,
        }
        values = content(found, cache, facts)
        with new_folder(options.out) as fresh:
            write_json(fresh / JSON, values)
            (fresh / PAGE).write_text(page(values, command), encoding="utf-8")
            (fresh / TABLES).mkdir()
            write_tables(found, fresh / TABLES)
    print("\n".join(report(values)))
    print(f"\n{options.out / PAGE}: the page; {JSON} and {TABLES}/ beside it")


def _trial(path: Path, cache: TensorCache, start: int) -> CouponLog:
    trial = CouponLog.load(path)
    with _of(f"--trial: {path}"):
        check_trial(trial, cache, start)
    return trial


@contextmanager
def _of(file: Path | str) -> Iterator[None]:
    """What is wrong within is said to be wrong with a file."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = f"python -m simulator.whatif {shlex.join(arguments)}"
    return run_command(_parser(), lambda options: _run(options, command), arguments)


if __name__ == "__main__":
    sys.exit(main())
