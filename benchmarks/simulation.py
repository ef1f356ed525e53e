"""How long a simulation takes, and how that grows with customers and weeks.

    python -m benchmarks.simulation runs/small/best --cache cache

- laws: what is counted and fitted in the history, and the states of all customers.
- runs: half of the customers, all of them, and all of them for twice the weeks, one run each.

A run has one thread; several runs have a process each.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import answer, parser
from benchmarks.timing import facts
from simulator.runs import ready_simulator
from simulator.simulation import Simulator
from trainer.cache.reader import TensorCache
from trainer.commands.options import whole
from trainer.model.checkpoint import load_checkpoint


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The result for the options of the command line."""
    cache = TensorCache(options.cache)
    start = options.start or cache.split["test"][0] - 1
    begun = time.perf_counter()
    whole_chain = ready_simulator(load_checkpoint(options.checkpoint), cache, start)
    laws = time.perf_counter() - begun
    everyone = whole_chain.customers
    chosen = np.sort(np.random.default_rng(0).permutation(everyone)[: len(everyone) // 2])
    half = Simulator(whole_chain.model, cache, start, chosen)
    found = []
    for simulator, weeks in (
        (half, options.weeks), (whole_chain, options.weeks), (whole_chain, 2 * options.weeks),
    ):  # fmt: skip
        begun = time.perf_counter()
        receipts = simulator.run(weeks, seed=0)
        seconds = time.perf_counter() - begun
        found.append(
            {
                "customers": len(simulator.customers),
                "weeks": weeks,
                "trips": int((receipts.customer >= 0).sum()),
                "anonymous_trips": int((receipts.customer < 0).sum()),
                "seconds": round(seconds, 1),
                "ms_per_trip": round(1e3 * seconds / max(len(receipts.customer), 1), 2),
            }
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    configuration = {"start": start, "cache_digest": cache.digest}
    return facts("simulation", configuration, torch.device("cpu")) | {
        "laws_s": round(laws, 1),
        "runs": found,
        "peak_memory_gb": round(peak, 2),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    add = made.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="folder of the model")
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add(
        "--start", type=whole(), metavar="WEEK",
        help="last week of the history (default: the one before the test weeks)",
    )  # fmt: skip
    add("--weeks", type=whole(), default=2, help="of the shorter runs (default: 2)")
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
