"""Command line: python -m trainer.fit."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.cache.reader import CacheError, TensorCache
from trainer.cache.split import MOVE_SPLIT
from trainer.commands.command import run_command
from trainer.commands.options import CommandParser, positive, seed, threads, whole
from trainer.evaluation import Evaluator
from trainer.evaluation.calibration_fit import ScoreCounts
from trainer.graph import product_embeddings
from trainer.model.encoder.backends import NAMES, Backend, choose
from trainer.model.world_model import WorldModel, create_world_model
from trainer.training import SCHEDULES, Trainer, TrainingConfig
from trainer.training.allocator import keep_few_kernels, keep_freed_memory
from trainer.training.folder import BEST, LAST, run_folder
from trainer.training.precision import PRECISIONS
from trainer.training.ranks import Ranks, join_ranks
from trainer.training.shards import open_cache


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m trainer.fit",
        description="Train the world model on a tensor cache. Everything is written to one "
        "folder; the same command goes on where it was interrupted.",
        epilog="Several processes: torchrun --nproc-per-node 2 -m trainer.fit ...; several "
        "machines: docs/cache.md.",
    )
    add = parser.add_argument
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add(
        "--out", type=Path, default=Path("runs/small"), help="folder to write (default: runs/small)"
    )
    add(
        "--preset", choices=SCHEDULES, default="small",
        help="tiny: tests; demo: small in three epochs; small: CPU (default); base: GPU; original: "
        "base with rates of 5e-5 and less, which under-train it",
    )  # fmt: skip
    add("--epochs", type=whole(), help="most epochs of all phases (default: the preset's)")
    add("--learning-rate", type=positive, help="highest rate (default: the preset's)")
    add("--tokens", type=whole(), help="trips + items of a batch, over all processes")
    add("--seed", type=seed, help="of weights, order and masks (default: 0)")
    add(
        "--patience", type=whole(),
        help="epochs without improvement after which a phase ends, and after the last one training",
    )  # fmt: skip
    add(
        "--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="auto takes a GPU where there is one",
    )  # fmt: skip
    add(
        "--backend", choices=NAMES, default="auto",
        help="of the scan: auto takes mamba-ssm on a GPU where it is installed, else PyTorch",
    )  # fmt: skip
    add(
        "--precision", choices=PRECISIONS, default="auto",
        help="of large matrix products; auto: bfloat16 where the device supports it natively",
    )  # fmt: skip
    add("--threads", type=threads, help="CPU threads of each process (default: torch's own choice)")
    add("--fresh", action="store_true", help="start anew: remove the run that --out holds")
    return parser


def configuration(options: argparse.Namespace) -> TrainingConfig:
    """The preset with what the command line changes."""
    config = stretched(SCHEDULES[options.preset], options.epochs)
    if options.learning_rate is not None:
        factor = options.learning_rate / max(phase.learning_rate for phase in config.phases)
        config = replace(
            config,
            phases=tuple(
                replace(
                    phase,
                    learning_rate=phase.learning_rate * factor,
                    final_rate=phase.final_rate * factor,
                )
                for phase in config.phases
            ),
        )
    changes = {
        name: getattr(options, name)
        for name in ("tokens", "seed", "patience", "precision")
        if getattr(options, name) is not None
    }
    return replace(config, **changes)


def stretched(config: TrainingConfig, epochs: int | None) -> TrainingConfig:
    """The configuration with this many epochs, its phases in the same proportions; one that gets
    none is left out. As it is for None."""
    if epochs is None:
        return config
    phases, given, so_far = [], 0, 0
    for phase in config.phases:
        so_far += phase.epochs
        upto = round(epochs * so_far / config.epochs)
        if upto > given:
            phases.append(replace(phase, epochs=upto - given))
        given = max(given, upto)
    return replace(config, phases=tuple(phases))


def validation(cache: TensorCache, config: TrainingConfig):
    """A function that scores a model: NDCG@10 on fresh validation trips, mean over tasks.

    It also fits the model's calibration to these trips, which changes no ranking. Raises CacheError
    where there are no such trips.
    """
    evaluator = Evaluator(
        cache, "validation", customers=config.validation_customers, progress=False, scorers=()
    )

    if not evaluator.has_fresh_trips:
        first, last = cache.split["validation"]
        raise CacheError(
            f"{cache.folder}: no trip of the validation weeks {first}-{last} lies outside replayed "
            f"weeks, and copies cannot tell a better epoch: {MOVE_SPLIT}"
        )

    def validate(model: WorldModel) -> tuple[float, dict[str, float]]:
        counts = ScoreCounts(cache)
        metrics = evaluator.run(model, counts.record)
        model.calibration.values.copy_(counts.fitted())
        figures = {
            f"{task}_{name}": metrics.value(task, "model", name)
            for task in metrics.tasks
            for name in ("recall@10", "ndcg@10")
        }
        scores = [value for name, value in figures.items() if name.endswith("ndcg@10")]
        return sum(scores) / len(scores), figures

    return validate


def train(
    cache: TensorCache,
    config: TrainingConfig,
    folder: Path,
    ranks: Ranks,
    validate: Callable[[WorldModel], tuple[float, dict[str, float]]] | None,
    vectors: Callable[[], Tensor],
    *,
    backend: Backend,
    fresh: bool = False,
    without: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Train a model in a folder, or go on with what was begun there; returns the curves.

    validate: as of `Trainer`. vectors: learns the product vectors, which only a new model needs.
    fresh: start anew whatever the folder holds. without: parts of the model that are left out.
    Raises FolderError where the folder is another's, and what `Trainer.resume` and `Trainer.fit`
    raise.
    """
    with run_folder(folder, ranks):
        begun = not fresh and (folder / LAST).exists()
        learnt = None if begun else vectors()
        torch.manual_seed(config.seed)
        model = create_world_model(config.model, cache, learnt, without=tuple(without))
        model.encoder.use(backend)
        if ranks.is_first:
            print(backend.reason, file=sys.stderr)
        trainer = Trainer(model, cache, config, folder, validate, ranks)
        if fresh:
            trainer.start_over()
        elif trainer.resume() and ranks.is_first:
            print(f"going on after epoch {trainer.epoch} of {folder / LAST}", file=sys.stderr)
        return trainer.fit()


def run(options: argparse.Namespace, ranks: Ranks) -> None:
    """Train as the command line says."""
    config = configuration(options)
    backend = choose(options.backend, ranks.device)
    cache = open_cache(options.cache, ranks)
    validate = validation(cache, config) if ranks.is_first else None

    def vectors() -> Tensor:
        return product_embeddings(cache, seed=config.seed, progress=ranks.is_first).vectors

    curves = train(
        cache, config, options.out, ranks, validate, vectors, backend=backend, fresh=options.fresh
    )
    if ranks.is_first and curves:
        best = max(curves, key=lambda row: row["score"])
        epochs = "1 epoch" if len(curves) == 1 else f"{len(curves)} epochs"
        print(
            f"{epochs}; best validation score {best['score']:.4f} after epoch "
            f"{best['epoch']}; evaluate it: python -m trainer.evaluate {options.out / BEST} "
            f"--cache {options.cache}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    stopped = "stopped; the same command goes on from the last checkpoint"
    return run_command(_parser(), _run, arguments, stopped=stopped)


def _run(options: argparse.Namespace) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    keep_few_kernels()
    keep_freed_memory()
    with join_ranks(options.device) as ranks:
        run(options, ranks)


if __name__ == "__main__":
    sys.exit(main())
