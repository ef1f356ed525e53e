"""How long a week of the responsive chain takes, stepped and copied, on one thread.

python -m benchmarks.world --customers 12000
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from typing import Any

import numpy as np

from benchmarks.common import answer, parser, processor
from dbt_project.sample import ChainConfig, World
from trainer.commands.options import whole


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The result for the options of the command line."""
    config = ChainConfig(
        customers=options.customers, products=options.products, weeks=options.weeks + 1
    )
    begun = time.perf_counter()
    world = World(config)
    built = time.perf_counter() - begun
    world.step()
    seconds, copies, items, trips = [], [], 0, 0
    for _ in range(options.weeks):
        begun = time.perf_counter()
        world.copy()
        copied = time.perf_counter()
        result = world.step()
        seconds.append(time.perf_counter() - copied)
        copies.append(copied - begun)
        items, trips = items + result.receipts.product.size, trips + result.trips
    return {
        "benchmark": "world",
        "configuration": {
            "customers": config.customers,
            "households": int(world.memory.lost.size),
            "products": config.products,
            "weeks": options.weeks,
        },
        "build_s": round(built, 2),
        "weeks_s": round(sum(seconds), 2),
        "week_ms_median": round(1e3 * statistics.median(seconds), 2),
        "copy_ms_median": round(1e3 * statistics.median(copies), 2),
        "weeks_per_second": round(1 / statistics.median(seconds), 1),
        "trips": trips,
        "items": items,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "hardware": {"processor": processor(), "cores": os.cpu_count()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    made.add_argument("--customers", type=whole(), default=740, help="default: 740, 999 households")
    made.add_argument("--products", type=whole(62), default=600, help="default: 600")
    made.add_argument("--weeks", type=whole(), default=24, help="default: 24")
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
