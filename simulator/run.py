"""Command line: python -m simulator.run: the weeks to come, as till receipts.

FOLDER/run-00/          receipts of one run in the LGSR layout (`simulator.lgsr`)
FOLDER/run-01/ ...      of others, which differ by chance alone
FOLDER/summary.json     trips, items and spend by week and run, beside the weeks before; written
                        last, and what `python -m trainer.report --simulation` shows
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from simulator.command import (
    MOST_RUNS,
    output_folder,
    seeds_of,
    simulation_options,
    start_of,
)
from simulator.lgsr import write_receipts
from simulator.receipts import Receipts
from simulator.runs import ready_simulator, simulate
from simulator.scenario import AS_IT_IS
from simulator.scenario_file import read_scenario
from simulator.summary import SUMMARY, by_week, lines, summary
from trainer.cache.atomic import new_file
from trainer.cache.json_files import write_json
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, whole
from trainer.model.checkpoint import load_checkpoint


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m simulator.run",
        description="Simulate the weeks after the end of the data, or after an earlier week: who "
        "comes when and where, what they buy and what they pay. Writes till receipts in the LGSR "
        "layout, several runs of the same weeks: docs/simulation.md.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="folder of the model")
    add("--out", type=Path, required=True, metavar="FOLDER", help="a new folder for the runs")
    add(
        "--scenario", type=Path, metavar="FILE", help="what changes, a YAML file (default: nothing)"
    )
    add(
        "--runs", type=whole(1, MOST_RUNS), default=1, metavar="N",
        help="how many runs, each with a seed of its own: some 20 show how sure it is (default: 1)",
    )  # fmt: skip
    simulation_options(parser, weeks=4)
    return parser


def _run(options: argparse.Namespace) -> None:
    seeds = seeds_of(options, options.runs)
    cache = TensorCache(options.cache)
    start = start_of(options, cache)
    scenario = (
        read_scenario(options.scenario, cache, start, options.weeks)
        if options.scenario
        else AS_IT_IS
    )
    if scenario.coupons:
        raise InputError(
            f"{options.scenario}: coupons: the layout LGSR has no place for what they take off: "
            "python -m simulator.whatif tells what they change"
        )
    with output_folder(options.out):
        checkpoint = load_checkpoint(options.checkpoint)
        simulator = ready_simulator(checkpoint, cache, start)
        digits = max(2, len(str(options.runs - 1)))

        def written(number: int, receipts: Receipts) -> dict[str, list[int]]:
            write_receipts(receipts, cache, options.out / f"run-{number:0{digits}}")
            return by_week(receipts, start, options.weeks)

        found = simulate(simulator, options.weeks, seeds, written, options.processes, scenario)
        name = options.scenario.name if options.scenario else None
        content = summary(cache, checkpoint.weights_digest, start, name, options.seed, found)
        with new_file(options.out / SUMMARY) as fresh:
            write_json(fresh, content)
        print("\n".join(lines(content)))
        print(
            f"{options.out}: weeks {start + 1}-{start + options.weeks}, runs: {options.runs}; "
            f"python -m trainer.report RUN --simulation {options.out / SUMMARY} draws them"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    stopped = "stopped; the runs that are complete are in the folder"
    return run_command(_parser(), _run, arguments, stopped=stopped)


if __name__ == "__main__":
    sys.exit(main())
