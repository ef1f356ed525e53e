"""Command line: python -m trainer.evaluate."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

import numpy as np
import torch

from trainer.baselines import baselines
from trainer.batches.tasks import TASKS
from trainer.cache.atomic import new_file
from trainer.cache.json_files import write_json
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_outputs, measured_split, seed, whole
from trainer.evaluation import EvaluationMetrics, run_evaluation
from trainer.evaluation.oracle import Oracle
from trainer.evaluation.seeds import SeedMetrics, run_seeds
from trainer.evaluation.seeds_report import seeds_report
from trainer.evaluation.store import BaselineStore
from trainer.evaluation.text_report import report
from trainer.model.encoder.backends import NAMES
from trainer.training.allocator import keep_few_kernels


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m trainer.evaluate",
        description="Measure a trained model beside the baselines it has to beat, on trips "
        "that it was not trained on. What the figures mean: docs/evaluation.md.",
    )
    add = parser.add_argument
    add(
        "checkpoints", type=Path, nargs="*", metavar="CHECKPOINT",
        help="folder of the model; of several that differ in their seed alone, their mean is "
        "compared with boosting and the best rule, in Markdown",
    )  # fmt: skip
    add("--baselines-only", action="store_true", help="measure the baselines alone")
    add(
        "--baselines", nargs="+", metavar="NAME",
        help="baselines to measure, named as in the tables, or none (default: all)",
    )  # fmt: skip
    add(
        "--baseline-results", type=Path, metavar="FOLDER",
        help="where results of baselines are kept and reused by the next evaluation of the same "
        "trips (default: beside the cache, CACHE.baselines)",
    )  # fmt: skip
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add(
        "--oracle", type=Path, metavar="FILE",
        help="true probabilities of a synthetic chain, from python -m dbt_project.oracle: how much "
        "of the way from the best rule to them is gone",
    )  # fmt: skip
    add("--split", type=measured_split, default="test", help="test or validation (default: test)")
    add("--detailed", action="store_true", help="print strata and calibration as well")
    add("--json", type=Path, metavar="FILE", help="write everything measured to this file")
    add(
        "--predictions", type=Path, metavar="FILE",
        help="write what is visible, what is hidden and the first 20 answers of every scorer on "
        "every trip to this Parquet file",
    )  # fmt: skip
    add("--tasks", nargs="+", choices=TASKS, default=TASKS, help="tasks to measure (default: all)")
    add("--customers", type=whole(), metavar="N", help="a fixed sample of customers (default: all)")
    add(
        "--tokens", type=whole(), default=8192, metavar="N",
        help="trips + items of a batch; changes speed and memory only (default: 8192)",
    )  # fmt: skip
    add(
        "--backend", choices=NAMES, default="auto",
        help="of the model's scan: auto takes mamba-ssm on a GPU where it is installed, else "
        "PyTorch",
    )  # fmt: skip
    add("--seed", type=seed, default=0, help="of hidden items and intervals (default: 0)")
    return parser


def measure(options: argparse.Namespace) -> EvaluationMetrics | SeedMetrics:
    """Run the evaluation. Raises InputError for options that contradict each other."""
    checkpoint, *others = options.checkpoints or [None]
    if (checkpoint is None) != options.baselines_only:
        raise InputError("give either a CHECKPOINT or --baselines-only")
    for name in ("oracle", "predictions") if others else ():
        if getattr(options, name):
            raise InputError(f"--{name}: with one CHECKPOINT only, not with {len(others) + 1}")
    scorers = options.baselines
    if scorers == ["none"]:
        if options.baselines_only:
            raise InputError("--baselines none and --baselines-only leave nothing to measure")
        scorers = []
    check_outputs(
        ("--json", options.json, rb'\A\{\s*"checkpoints?": .*"hardware": \{'),
        # Columns, in the file's footer.
        ("--predictions", options.predictions, rb"target.*top20.*scorer.*PAR1\Z"),
    )
    cache = TensorCache(options.cache)
    if options.oracle:
        oracle = Oracle(options.oracle, cache, options.seed)
        if scorers is None:
            scorers = [baseline.name for baseline in baselines(cache)]
        scorers = [*scorers, oracle]
    chosen = {name: getattr(options, name) for name in ("tasks", "customers", "tokens", "seed")}
    if options.baseline_results:
        chosen["store"] = BaselineStore(options.baseline_results)
    chosen |= {"scorers": scorers, "backend": options.backend}
    if others:
        return run_seeds(options.checkpoints, cache, options.split, **chosen)
    return run_evaluation(checkpoint, cache, options.split, options.predictions, **chosen)


def machine() -> dict:
    """Hardware and versions, to be saved beside the figures."""
    cuda = torch.cuda.is_available()
    return {
        "hardware": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name() if cuda else None,
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    keep_few_kernels()
    metrics = measure(options)
    of_seeds = isinstance(metrics, SeedMetrics)
    if options.json:
        names = [str(folder) for folder in options.checkpoints]
        named = {"checkpoints": names} if of_seeds else {"checkpoint": names[0] if names else None}
        with new_file(options.json) as fresh:
            write_json(fresh, named | machine() | metrics.to_dict())
    print((seeds_report if of_seeds else report)(metrics, options.detailed))
    print(f"\n{metrics.seconds:.1f} s, cache {metrics.cache_digest[:12]}")


if __name__ == "__main__":
    sys.exit(main())
