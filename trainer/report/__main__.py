"""Command line: python -m trainer.report."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from trainer.cache.atomic import new_file
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, measured_split, whole
from trainer.evaluation import EvaluationMetrics, Evaluator
from trainer.evaluation.store import BaselineStore
from trainer.report.measured import read_evaluation
from trainer.report.run import Run
from trainer.report.simulated import read_simulation
from trainer.report.summary import summary


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m trainer.report",
        description="Write a report on a training run as one HTML file that needs no network and "
        "no script: the data, the training curves, the best checkpoint compared with the "
        "baselines, a map of the products, a few baskets and, where they were simulated, the weeks "
        "to come.",
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder that python -m trainer.fit wrote")
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add("--split", type=measured_split, default="test", help="test or validation (default: test)")
    add("--customers", type=whole(), metavar="N", help="measure a fixed sample (default: all)")
    add(
        "--evaluation", type=Path, metavar="FILE",
        help="take the figures from this file, which python -m trainer.evaluate RUN/best --json "
        "FILE wrote, instead of measuring again",
    )  # fmt: skip
    add(
        "--simulation", type=Path, metavar="FILE",
        help="show the weeks to come: the summary.json that python -m simulator.run RUN/best wrote",
    )  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="page to write (default: RUN/report.html)")
    return parser


def write_report(options: argparse.Namespace, command: str) -> tuple[Path, EvaluationMetrics]:
    """Evaluate, or read an evaluation's figures, and write the page; returns its path and them.

    Raises CacheError, CheckpointError, InputError or OSError for what is missing or does not fit.
    """
    try:
        from trainer.report.page import page  # not above: only a report needs matplotlib
    except ModuleNotFoundError as error:
        raise InputError(
            f"the charts of a report need {error.name}, which is not installed: "
            "python -m pip install matplotlib"
        ) from None
    if options.evaluation and options.customers is not None:
        raise InputError("--customers: not with --evaluation, whose customers have been measured")
    cache = TensorCache(options.cache)
    run = Run.read(options.run, cache, options.split)
    out = options.out or options.run / "report.html"
    check_output("--out", out, rb"<title>RetailSim: run ")
    simulated = read_simulation(options.simulation, run, cache) if options.simulation else None
    if options.evaluation:
        metrics, read_from = read_evaluation(options.evaluation, run, cache, options.split)
    else:
        store = BaselineStore.beside(cache)
        evaluator = Evaluator(cache, options.split, customers=options.customers, store=store)
        metrics, read_from = evaluator.run(run.model), None
    content = page(run, cache, metrics, command, read_from, simulated)
    with new_file(out) as fresh:
        fresh.write_text(content, encoding="utf-8")
    return out, metrics


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    arguments = sys.argv[1:] if arguments is None else arguments

    def run(options: argparse.Namespace) -> None:
        out, metrics = write_report(options, f"python -m trainer.report {shlex.join(arguments)}")
        print(f"{summary(metrics)}\n\nreport: {out}")

    return run_command(_parser(), run, arguments)


if __name__ == "__main__":
    sys.exit(main())
