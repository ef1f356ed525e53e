"""Command line: python -m trainer.ablation: what each part of the model is worth.

    FOLDER/whole-seed0/             the run of the whole model (`trainer.training.folder`), without
                                    `last` once it is complete
    FOLDER/without-PART-seed0/      that of a variant
    FOLDER/.../scores.json          its NDCG@10, added up by customer; written last
    FOLDER/worth.json, worth.md     the table, after every seed

Everything else is the same for all variants: data, order, masks, rates, and product vectors, which
are learnt once per seed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.cache.atomic import new_file
from trainer.cache.json_files import is_intact, read_json, write_json
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, seed, threads, whole
from trainer.evaluation import Evaluator
from trainer.evaluation.evaluator import ready
from trainer.evaluation.worth import TripSums
from trainer.evaluation.worth_table import METRIC, TITLE, WHOLE, markdown, table
from trainer.fit import stretched, train, validation
from trainer.graph import product_embeddings
from trainer.model.checkpoint import load_checkpoint, remove_checkpoint
from trainer.model.config import PRESETS
from trainer.model.encoder.backends import choose
from trainer.model.parts import PARTS
from trainer.training import SCHEDULES, TrainingConfig
from trainer.training.allocator import keep_few_kernels, keep_freed_memory
from trainer.training.folder import BEST, LAST
from trainer.training.ranks import Ranks

LOSSES = {
    "contrastive": ("contrastive",), "auxiliary": ("size", "sensitivity", "mission"),
    "visit": ("visit",),
}  # fmt: skip
"""Parts of the loss that can be left out, and what `LossWeights` calls them."""
NAMES = (*PARTS, *LOSSES)
TOGETHER = "+"
VARIANTS = tuple(name for name in NAMES if name != "trip-encoder")
"""What is left out unless the command line says otherwise: all that baskets depend on."""
SCORES, TABLE, TEXT = "scores.json", "worth.json", "worth.md"
MARK = rf'"metric": "{METRIC}"|{TITLE}'.encode()
"""In the files that the command writes to its folder, so that it replaces no others."""


def variant(text: str) -> str:
    """A type of argparse's options: names of parts, joined by `+`, in one order."""
    parts = text.split(TOGETHER)
    if unknown := [part for part in parts if part not in NAMES]:
        raise argparse.ArgumentTypeError(
            f"expected {', '.join(NAMES)}, or several joined by {TOGETHER}, not {unknown[0]!r}"
        )
    return TOGETHER.join(name for name in NAMES if name in parts)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m trainer.ablation",
        description="Train the whole model and variants that each lack a part, with several seeds, "
        "and write what each part is worth: NDCG@10 on the same validation trips, and the "
        "difference from the whole model. The same command goes on where it was interrupted, and "
        "trains nothing twice; after a change of the code use another --out.",
        epilog="Parts: " + "; ".join(f"{name}: {left}" for name, left in _described().items()),
    )
    add = parser.add_argument
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add(
        "--out", type=Path, default=Path("runs/ablation"), metavar="FOLDER",
        help="folder to write (default: runs/ablation)",
    )  # fmt: skip
    add(
        "--seeds", type=seed, nargs="+", default=[0, 1, 2], metavar="N",
        help="train every variant with each of these (default: 0 1 2)",
    )  # fmt: skip
    add(
        "--parts", type=variant, nargs="+", metavar="PART",
        help=f"what to leave out, several at once joined by {TOGETHER} (default: those that the "
        f"preset has of {' '.join(VARIANTS)})",
    )  # fmt: skip
    add("--preset", choices=SCHEDULES, default="small", help="as of trainer.fit (default: small)")
    add("--epochs", type=whole(), help="most epochs of all phases (default: the preset's)")
    add(
        "--customers", type=whole(), metavar="N",
        help="customers whose validation trips are scored (default: those whose trips choose the "
        "best epoch)",
    )  # fmt: skip
    add("--threads", type=threads, help="CPU threads (default: torch's own choice)")
    return parser


def _described() -> dict[str, str]:
    """What is left without each part."""
    return PARTS | {
        "contrastive": "no contrastive loss on whole baskets",
        "auxiliary": "no losses on the kind of trip",
        "visit": "no loss on the next visit",
    }


@dataclass(frozen=True)
class Run:
    """One variant with one seed."""

    name: str
    """`whole`, or names of parts joined by `+`."""
    config: TrainingConfig
    without: tuple[str, ...]
    """Parts of the model; those of the loss are in the configuration."""
    folder: Path

    @classmethod
    def of(cls, name: str, config: TrainingConfig, seed: int, out: Path) -> Run:
        """For a configuration of the whole model."""
        parts = name.split(TOGETHER)
        silent = {loss: 0.0 for part in parts for loss in LOSSES.get(part, ())}
        phases = tuple(
            replace(phase, losses=replace(phase.losses, **silent)) for phase in config.phases
        )
        title = name if name == WHOLE else f"without-{name}"
        return cls(
            name=name,
            config=replace(config, phases=phases, seed=seed),
            without=tuple(part for part in PARTS if part in parts),
            folder=out / f"{title}-seed{seed}",
        )

    def facts(self, evaluator: Evaluator) -> dict[str, Any]:
        """All that its scores depend on besides the code, as JSON values."""
        sizes = asdict(replace(PRESETS[self.config.model], without=self.without))
        return {
            "cache_digest": evaluator.dataset.cache.digest,
            "customers": [int(row) for row in evaluator.dataset.customers],
            "model": sizes | {"without": list(self.without)},
            "training": self.config.to_dict() | {"phases": [asdict(p) for p in self.config.phases]},
        }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train what has not been trained and write the table; returns its content."""
    config = stretched(SCHEDULES[options.preset], options.epochs)
    cache = TensorCache(options.cache)
    validate = validation(cache, config)
    customers = options.customers or config.validation_customers
    evaluator = Evaluator(cache, "validation", customers=customers, scorers=())
    options.out.mkdir(parents=True, exist_ok=True)
    for name in (TABLE, TEXT):
        check_output("--out", options.out / name, MARK)
    names = [WHOLE, *_parts(options.parts, config)]
    seeds = list(dict.fromkeys(options.seeds))
    scores: dict[str, list[TripSums]] = {name: [] for name in names}
    for done, each in enumerate(seeds, start=1):
        vectors = once(lambda each=each: product_embeddings(cache, seed=each).vectors)
        for number, name in enumerate(names, start=(done - 1) * len(names) + 1):
            run = Run.of(name, config, each, options.out)
            found = _scores(run, evaluator)
            if found is None:
                progress = f"run {number} of {len(names) * len(seeds)}"
                print(f"{progress}: {run.folder.name}", file=sys.stderr)
                found = _trained(run, evaluator, validate, vectors)
            scores[name].append(found)
        content = {"preset": options.preset, "seeds": seeds[:done]} | table(scores, evaluator)
        _write(content, options.out)
    return content


def _parts(asked: Sequence[str] | None, config: TrainingConfig) -> list[str]:
    """What to leave out, each once.

    Raises InputError for a loss that training does not have: nothing would be left out.
    """
    silent = [
        name
        for name, losses in LOSSES.items()
        if not any(getattr(phase.losses, loss) for phase in config.phases for loss in losses)
    ]
    if asked is None:
        return [name for name in VARIANTS if name not in silent]
    for name in silent:
        if any(name in variant.split(TOGETHER) for variant in asked):
            raise InputError(f"--parts: this preset is trained without the loss {name!r} anyway")
    return list(dict.fromkeys(asked))


def _trained(
    run: Run, evaluator: Evaluator, validate: Callable, vectors: Callable[[], Tensor]
) -> TripSums:
    """Train a variant, or the rest of it, and score it."""
    cache = evaluator.dataset.cache
    ranks = Ranks(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    backend = choose("auto", ranks.device)
    curves = train(
        cache, run.config, run.folder, ranks, validate, vectors, backend=backend,
        without=run.without,
    )  # fmt: skip
    checkpoint = load_checkpoint(run.folder / BEST)
    found = evaluator.by_customer(ready(checkpoint, cache, backend), METRIC)
    content = run.facts(evaluator) | {
        "weights_digest": checkpoint.weights_digest,
        "best_epoch": checkpoint.progress["epoch"],
        "epochs": len(curves),
        "seconds": sum(row["seconds"] for row in curves),
        "sums": found.sums.tolist(),
        "trips": found.trips.tolist(),
    }
    with new_file(run.folder / SCORES) as fresh:
        write_json(fresh, content)
    remove_checkpoint(run.folder / LAST)  # the optimiser's state is three quarters of a run
    return found


def _scores(run: Run, evaluator: Evaluator) -> TripSums | None:
    """What an earlier command measured of a run; None where it is not complete.

    Raises InputError where the folder holds a run of something else.
    """
    path = run.folder / SCORES
    if not path.exists():
        return None
    try:
        content = read_json(path)
        facts = run.facts(evaluator)
        intact = is_intact(content)
        changed = [name for name in facts if content.get(name) != facts[name]]
        arrays = [np.array(content[name], dtype=np.float64) for name in ("sums", "trips")]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}): remove {run.folder}") from None
    if not intact:
        raise InputError(f"{path} is damaged (its digest differs): remove {run.folder}")
    if changed:
        raise InputError(
            f"{path} was measured with another {' and '.join(changed)} than this command asks "
            "for: use another --out, or remove that folder"
        )
    return TripSums(*arrays)


def _write(content: Mapping[str, Any], out: Path) -> None:
    with new_file(out / TABLE) as fresh:
        write_json(fresh, content)
    with new_file(out / TEXT) as fresh:
        fresh.write_text("\n".join(markdown(content)) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    stopped = "stopped; the same command goes on from the last checkpoint"
    return run_command(_parser(), _run, arguments, stopped=stopped)


def _run(options: argparse.Namespace) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    keep_few_kernels()
    keep_freed_memory()
    print("\n".join(markdown(measure(options))))


if __name__ == "__main__":
    sys.exit(main())
