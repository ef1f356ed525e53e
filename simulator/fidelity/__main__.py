"""Command line: python -m simulator.fidelity: how real simulated weeks are."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from simulator.fidelity.gate import measure
from simulator.fidelity.simulated import of_receipts, read_simulated
from simulator.fidelity.text_report import report
from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.truth import Truth
from simulator.fidelity.window import Window
from simulator.runs import processes_option, ready_simulator, simulate
from trainer.cache.atomic import new_file
from trainer.cache.json_files import write_json
from trainer.cache.reader import TensorCache
from trainer.cache.split import split_weeks
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_outputs, seed, whole
from trainer.model.checkpoint import load_checkpoint

TITLE = "RetailSim: fidelity"


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m simulator.fidelity",
        description="Measure how real simulated weeks are: against the real weeks, beside each "
        "customer's previous weeks, a bootstrap of their own trips, and real against real. Without "
        "a simulation, the stand-ins alone.",
    )
    add = parser.add_argument
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add(
        "--simulated", type=Path, nargs="+", default=[], metavar="CACHE",
        help="tensor caches of the history with simulated weeks, one for each run",
    )  # fmt: skip
    add(
        "--model", type=Path, metavar="CHECKPOINT",
        help="simulate with this model, whose folder it is, and measure that",
    )  # fmt: skip
    add("--runs", type=whole(), default=20, help="runs of the model (default: 20)")
    processes_option(parser)
    add(
        "--truth", type=Path, metavar="FILE",
        help="of a synthetic chain, by python -m dbt_project.redraw: what its households do on "
        "average, and the judged weeks drawn again",
    )  # fmt: skip
    add(
        "--start", type=whole(), metavar="WEEK",
        help="last week of the history (default: the one before the test weeks, whose first weeks "
        "are then judged; choose on earlier ones)",
    )  # fmt: skip
    add("--weeks", type=whole(), default=9, help="how many weeks are judged (default: 9)")
    add("--json", type=Path, metavar="FILE", help="write everything measured to this file")
    add("--html", type=Path, metavar="FILE", help="write a page with pictures to this file")
    add("--seed", type=seed, default=0, help="of the bootstrap, halves and detectors (default: 0)")
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    check_outputs(
        ("--json", options.json, rb'"simulated beside real": '),
        ("--html", options.html, f"<title>{TITLE}".encode()),
    )
    if options.html:
        try:
            from simulator.fidelity.page import page  # not above: only the page needs matplotlib
        except ModuleNotFoundError as error:
            raise InputError(
                f"--html: charts need {error.name}, which is not installed: "
                "python -m pip install matplotlib"
            ) from None
    if len({folder.resolve() for folder in options.simulated}) < len(options.simulated):
        raise InputError("--simulated: the same folder twice")
    cache = TensorCache(options.cache)
    start = options.start or split_weeks(cache, "test")[0] - 1
    window = Window(cache, start, options.weeks)
    truth = Truth(options.truth, window) if options.truth else None
    simulations = {}
    if options.model:
        simulations["model"] = _simulated(options, window)
    if options.simulated:
        simulations["simulated"] = [read_simulated(folder, window) for folder in options.simulated]
    content = measure(window, simulations, truth=truth, seed=options.seed)
    if options.json:
        with new_file(options.json) as fresh:
            write_json(fresh, content)
    if options.html:
        with new_file(options.html) as fresh:
            fresh.write_text(page(content, TITLE, command), encoding="utf-8")
    print("\n".join(report(content)))


def _simulated(options: argparse.Namespace, window: Window) -> list[TripSet]:
    """Runs of a model, of the customers who are judged."""
    checkpoint = load_checkpoint(options.model)
    simulator = ready_simulator(checkpoint, window.cache, window.start, window.population)
    seeds = range(options.seed, options.seed + options.runs)
    return simulate(
        simulator, options.weeks, seeds, lambda _, found: of_receipts(found, window),
        options.processes, anonymous=False,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = f"python -m simulator.fidelity {shlex.join(arguments)}".rstrip()
    return run_command(_parser(), lambda options: _run(options, command), arguments)


if __name__ == "__main__":
    sys.exit(main())
