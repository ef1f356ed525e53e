"""Time the trainer's parts on a tensor cache, and print JSON.

    python benchmarks/model.py [--cache cache] [--presets small base] [--batches 8]

- loader: items per second of one process, and of two workers; padding.
- models: parameters; items per second of forward, loss and backward, per preset.
- encoder: forward and backward over a step per trip, beside a step per item and trip, of the same
  timelines. The ratio is of one run; machines are shared and noisy.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from trainer.data.cache import CacheError, TensorCache
from trainer.data.loader import WorldModelDataLoader, padding_waste
from trainer.data.timelines import WorldModelDataset
from trainer.evaluate import machine
from trainer.losses import WorldModelLoss
from trainer.model import PRESETS, create_world_model
from trainer.objective import targets


def loader_figures(dataset: WorldModelDataset) -> dict:
    """One epoch through the loader, alone."""
    figures = {}
    for workers in (0, 2):
        loader = WorldModelDataLoader(dataset, workers=workers)
        waste, items, start = [], 0, time.perf_counter()
        for batch in tqdm(loader, desc=f"loader, {workers} workers", unit="batch"):
            waste.append(padding_waste(batch))
            items += len(batch.items.token)
        seconds = time.perf_counter() - start
        figures[f"items_per_s_{workers}_workers"] = round(items / seconds)
        figures["padding"] = {
            name: round(statistics.mean(w[name] for w in waste), 4) for name in waste[0]
        }
    return figures | {"batches": len(waste), "items": items}


def model_figures(preset: str, cache: TensorCache, batches: list) -> dict:
    """Forward, loss and backward of some batches, after one to warm up."""
    torch.manual_seed(0)
    model, loss = create_world_model(preset, cache), WorldModelLoss()
    rates = []
    for index, batch in enumerate(tqdm(batches, desc=preset, unit="batch")):
        start = time.perf_counter()
        total, _ = loss(model(batch), targets(batch))
        total.backward()
        model.zero_grad()
        if index:
            rates.append(len(batch.items.token) / (time.perf_counter() - start))
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "items_per_s": round(statistics.median(rates)),
    }


def encoder_figures(preset: str, cache: TensorCache, batches: list) -> dict:
    """The encoder alone: a step per trip, and a step per trip and per item."""
    encoder = create_world_model(preset, cache).encoder
    seconds = {"trip": [], "item": []}
    for batch in tqdm(batches[:4], desc=f"{preset} encoder", unit="batch"):
        steps = {"trip": batch.sequence.numel()}
        steps["item"] = steps["trip"] + len(batch.items.token)
        for kind, count in steps.items():
            rows = len(batch.sequence)
            u = torch.randn(rows, -(-count // rows), encoder.norm_f.weight.numel())
            u.requires_grad_()
            start = time.perf_counter()
            encoder(u).sum().backward()
            seconds[kind].append(time.perf_counter() - start)
    pairs = zip(seconds["item"][1:], seconds["trip"][1:], strict=True)
    return {
        "seconds_per_item_step_over_per_trip": round(statistics.median(i / t for i, t in pairs), 2)
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="tensor cache folder")
    parser.add_argument(
        "--presets", nargs="+", default=["small", "base"], choices=PRESETS, help="models to time"
    )
    parser.add_argument("--batches", type=int, default=8, help="batches per preset")
    options = parser.parse_args()
    try:
        cache = TensorCache(options.cache)
    except CacheError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    dataset = WorldModelDataset(cache)
    loading = loader_figures(dataset)
    batches = [
        batch
        for batch, _ in zip(WorldModelDataLoader(dataset), range(options.batches), strict=False)
    ]
    print(
        json.dumps(
            {
                "loader": loading,
                "models": {p: model_figures(p, cache, batches) for p in options.presets},
                "encoder": {p: encoder_figures(p, cache, batches) for p in options.presets},
                "peak_memory_gb": round(
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2
                ),
                "configuration": {
                    "tokens_per_batch": 8192,
                    "threads": torch.get_num_threads(),
                    "cache_digest": cache.digest,
                },
            }
            | machine(),
            indent=2,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
