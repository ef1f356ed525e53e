"""Command line: python -m trainer.visits: how well the next visit is predicted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trainer.cache.atomic import new_file
from trainer.cache.json_files import write_json
from trainer.cache.reader import TensorCache
from trainer.cache.split import split_weeks
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, measured_split, seed
from trainer.evaluation.evaluator import ready
from trainer.evaluation.visits import COUNTS, VisitEvaluator, report, table
from trainer.model.checkpoint import load_checkpoint
from trainer.model.encoder.backends import NAMES, choose
from trainer.training.allocator import keep_few_kernels


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m trainer.visits",
        description="Measure how well trained models predict the next visit of each customer, its "
        "day, store, hour and kind, beside counts, on trips that they were not trained on.",
    )
    add = parser.add_argument
    add(
        "checkpoints", type=Path, nargs="+", metavar="CHECKPOINT",
        help="folders of models; the first is compared with the others as well",
    )  # fmt: skip
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add("--split", type=measured_split, default="test", help="test or validation (default: test)")
    add("--json", type=Path, metavar="FILE", help="write everything measured to this file")
    add(
        "--backend", choices=NAMES, default="auto",
        help="of the model's scan: auto takes mamba-ssm on a GPU where it is installed, else "
        "PyTorch",
    )  # fmt: skip
    add("--seed", type=seed, default=0, help="of the intervals (default: 0)")
    return parser


def _run(options: argparse.Namespace) -> None:
    keep_few_kernels()
    check_output("--json", options.json, rb'"ahead of counts": ')
    names = [str(folder) for folder in options.checkpoints]
    if len({folder.resolve() for folder in options.checkpoints}) < len(names):
        raise InputError("CHECKPOINT: the same folder twice")
    if COUNTS in names:
        raise InputError(
            f"CHECKPOINT: {COUNTS} is another row of the table: write the folder's whole path"
        )
    backend, cache = choose(options.backend), TensorCache(options.cache)
    first_week, _ = split_weeks(cache, options.split)
    models = [
        ready(load_checkpoint(each), cache, backend, first_week) for each in options.checkpoints
    ]
    evaluator = VisitEvaluator(cache, options.split, options.seed)
    scores = {COUNTS: evaluator.counts()}
    for name, model in zip(names, models, strict=True):
        scores[name] = evaluator.model(model)
    content = table(scores, evaluator)
    if options.json:
        with new_file(options.json) as fresh:
            write_json(fresh, content)
    print("\n".join(report(content)))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
