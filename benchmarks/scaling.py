"""Time and memory of training against the number of customers, of products and of processes.

    python -m benchmarks.scaling [--customers 60] [--times 1 2 4 8] [--ranks 1 2]
    python -m benchmarks.scaling --customers 400 --products 5000 99999 --ranks 1
    python -m benchmarks.scaling --caches A B C D

Generates synthetic chains of 1, 2, ... times --customers, or of some numbers of products, with
their warehouses (`dbt run`) and caches, in a temporary folder, and trains on each: two epochs in a
separate process, of which the second counts. On the largest chain, training is also run with
several processes that share every batch: on a CPU with --threads threads each, on GPUs with one
process per GPU. Figures are medians over rounds; each round runs every case once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.common import answer, dbt, device_options, measure, parser
from benchmarks.timing import backend_option, facts, joined
from trainer.cache.reader import TensorCache
from trainer.commands.options import whole
from trainer.model.encoder.backends import choose
from trainer.training import SCHEDULES


def make_cache(customers: int, products: int | None, folder: Path) -> Path:
    """The cache of a new synthetic chain; everything is written into `folder`.

    products: as many as the chain has by default if left out.
    """
    raw, cache = folder / "raw", folder / "cache"
    python = [sys.executable, "-m"]
    command, environment = dbt(raw, folder)
    number = str(customers)
    sample = ["dbt_project.sample", "--customers", number, "--out", str(raw), "--workers", "1"]
    sample += ["--products", str(products)] if products else []
    measure([*python, *sample], {})
    measure([*command, "run"], environment)
    measure([*python, "dbt_project.export", "--out", str(cache)], environment)
    return cache


def train(
    cache: Path, ranks: int, options: argparse.Namespace, device: torch.device
) -> dict[str, Any]:
    """The result of `benchmarks.epoch` in `ranks` processes."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = ["benchmarks.epoch", "--cache", str(cache.resolve()), "--json", str(result)]
        command += ["--preset", options.preset, "--device", device.type]
        command += ["--backend", options.backend]
        command += ["--tokens", str(options.tokens)] if options.tokens else []
        command += ["--threads", str(options.threads)] if options.threads else []
        if ranks > 1:
            several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
            command = [*several, "-m", *command]
        measure([sys.executable, "-m", *command], {})
        return json.loads(result.read_text(encoding="utf-8"))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The result for the options of the command line."""
    with joined(options) as ranks:
        device = ranks.device
    gpus = torch.cuda.device_count() if device.type == "cuda" else 2
    counts = sorted(set(options.ranks or (1, gpus)))
    for cache in options.caches or ():
        TensorCache(cache)
    with tempfile.TemporaryDirectory() as folder:
        chains = [(options.customers * times, None) for times in sorted(options.times)]
        if options.products:
            chains = [(options.customers, products) for products in sorted(options.products)]
        caches = options.caches or [
            make_cache(*chain, Path(folder) / str(number))
            for number, chain in enumerate(tqdm(chains, desc="chains", unit="chain"))
        ]
        runs = [(number, 1) for number in range(len(caches))]
        runs += [(len(caches) - 1, count) for count in counts if count > 1]
        found: dict[tuple[int, int], list[dict[str, Any]]] = {key: [] for key in runs}
        for number, count in tqdm(runs * options.rounds, desc="training", unit="run"):
            found[number, count].append(train(caches[number], count, options, device))
    medians = {
        key: {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        for key, rows in found.items()
    }
    return facts(
        "scaling",
        {
            "preset": options.preset,
            "tokens_per_batch": options.tokens or SCHEDULES[options.preset].tokens,
            "rounds": options.rounds,
            "threads_per_process": options.threads,
            "backend": choose(options.backend, device).name,
        },
        device,
    ) | summary(medians)


def summary(found: dict[tuple[int, int], dict[str, Any]]) -> dict[str, Any]:
    """Figures by (number of the cache, processes), as ratios to the first cache and to one process.

    Most memory is torch's, so besides the peak per process the result has the bytes that each
    further item added between the smallest and the largest cache.
    """
    sizes = [figures for (_, ranks), figures in sorted(found.items()) if ranks == 1]
    first, last = sizes[0], sizes[-1]
    rates = [size["items_per_s"] for size in sizes]
    added = last["items"] - first["items"]
    more = (last["peak_memory_gb"] - first["peak_memory_gb"]) * 1e9
    most = max(number for number, _ in found)
    return {
        "sizes": [
            _rounded(size)
            | {
                "us_per_item": round(1e6 / size["items_per_s"], 2),
                "time_per_item_over_first": round(first["items_per_s"] / size["items_per_s"], 3),
                "memory_over_first": round(size["peak_memory_gb"] / first["peak_memory_gb"], 3),
            }
            for size in sizes
        ],
        "time_per_item_max_over_min": round(max(rates) / min(rates), 3),
        "bytes_per_added_item": round(more / added) if added else None,
        "ranks": [
            _rounded(figures)
            | {"ranks": ranks, "over_one": round(figures["items_per_s"] / last["items_per_s"], 3)}
            for (number, ranks), figures in sorted(found.items())
            if number == most
        ],
    }


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    memory = round(figures["peak_memory_gb"], 3)
    return figures | {"items_per_s": round(figures["items_per_s"]), "peak_memory_gb": memory}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    add = made.add_argument
    add("--customers", type=whole(), default=60, help="of the smallest chain (default: 60)")
    add(
        "--times",
        type=whole(),
        nargs="+",
        default=[1, 2, 4, 8],
        help="its multiples (default: 1 2 4 8)",
    )
    add("--products", type=whole(), nargs="+", help="of chains of --customers, in place of --times")
    add("--caches", type=Path, nargs="+", help="caches to train on instead, the smallest first")
    add("--preset", choices=SCHEDULES, default="small", help="what to train (default: small)")
    add("--tokens", type=whole(), help="trips + items of a batch (default: the preset's)")
    add("--ranks", type=whole(), nargs="+", help="processes (default: 1 and 2, or 1 and all GPUs)")
    add("--rounds", type=whole(), default=2, help="rounds to take medians of (default: 2)")
    device_options(made, default_threads=1)
    backend_option(made)
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
