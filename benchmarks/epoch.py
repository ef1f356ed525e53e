"""Train for some epochs on a cache: one of the processes that `benchmarks.scaling` starts.

    python -m benchmarks.epoch --cache cache [--epochs 2]
    torchrun --nproc-per-node 2 -m benchmarks.epoch --cache cache

Speed is that of the last epoch; memory the mean over processes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import answer, device_options, model_options, parser
from benchmarks.timing import backend_option, joined, peak_memory_gb, use_backend
from benchmarks.training import longest_phase, ready
from trainer.cache.reader import TensorCache
from trainer.commands.options import whole
from trainer.training import SCHEDULES


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train. All processes return the same, except for the seconds of their last step."""
    cache = TensorCache(options.cache)
    config = longest_phase(options, options.epochs)
    with joined(options) as ranks, tempfile.TemporaryDirectory() as folder:
        trainer = ready(config, cache, Path(folder), ranks)
        use_backend(trainer.model.encoder, options.backend, ranks.device)
        seconds = trainer.fit()[-1]["seconds"]
        (dataset,) = trainer.datasets.values()
        items = int(dataset.items.sum())
        memory = ranks.sum(torch.tensor(peak_memory_gb(ranks.device))) / ranks.count
        return {
            "customers": len(dataset),
            "products": cache.products,
            "items": items,
            "items_per_s": items / seconds,
            "peak_memory_gb": float(memory),
        }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    model_options(made, SCHEDULES)
    add = made.add_argument
    add("--tokens", type=whole(), help="trips + items of a batch (default: the preset's)")
    add("--epochs", type=whole(), default=2, help="epochs, the last of which counts (default: 2)")
    device_options(made)
    backend_option(made)
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
