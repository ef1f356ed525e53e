"""Time the model in use on a tensor cache, and print JSON.

    python benchmarks/inference.py [--cache cache] [--preset small] [--threads 1]

- prefill: a customer's whole past, per trip.
- step: a finished trip is added to the past of one customer, and of a batch of them.
- query: the next basket of one customer, and of a batch, given their state; what counting knows of
  them (`questions`) and the model's answer apart.

Medians over customers of the validation weeks, weights as drawn: they do not change the time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from trainer.data.batch import Questions
from trainer.data.cache import CacheError, TensorCache
from trainer.data.questions import ask
from trainer.data.ragged import ranges
from trainer.data.timelines import Spans, WorldModelDataset, read
from trainer.evaluate import machine
from trainer.masking import MaskedItems
from trainer.model import PRESETS, WorldModel, create_world_model

BATCH = 64


def median_ms(run: Callable[[], object], times: int) -> float:
    """Median milliseconds of a call, after one to warm up."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) * 1000


def next_basket(dataset: WorldModelDataset, spans: Spans) -> Questions:
    """The wholly hidden last trip of each span, its kind unknown."""
    lengths = spans.stop - spans.first
    rows = ranges(spans.first, lengths)
    trips, items = read(dataset.cache, rows)
    asked = torch.zeros(len(rows), dtype=torch.bool)
    asked[lengths.cumsum() - 1] = True
    target = items.token[asked[items.trip]]
    masked = MaskedItems(
        tokens=torch.full_like(target, dataset.cache.products + 1),
        targets=target,
        price_hidden=torch.ones(len(target), dtype=torch.bool),
        whole=torch.ones(len(spans), dtype=torch.bool),
    )
    week = dataset.cache["trips.week"][rows[asked.numpy()]]
    return ask(
        torch.from_numpy(lengths), trips, items, asked, masked, masked.whole,
        dataset.sales.as_of(week), dataset.cache.products,
    )  # fmt: skip


def figures(model: WorldModel, dataset: WorldModelDataset, chosen: np.ndarray, times: int) -> dict:
    """Milliseconds for the chosen customers together."""
    cache, spans = dataset.cache, dataset.spans[chosen]
    count = len(chosen)
    past = spans.stop - 1 - spans.first
    before = read(cache, ranges(spans.first, past))
    lengths = torch.from_numpy(past)
    last = read(cache, spans.stop - 1)
    questions = next_basket(dataset, spans)
    state = model.prefill(*before, lengths)
    together = Questions(**(vars(questions) | {"trip": torch.arange(count)}))
    return {
        "trips": int(past.sum()),
        "prefill_ms": median_ms(lambda: model.prefill(*before, lengths), max(times // 4, 1)),
        "step_ms": median_ms(lambda: model.step(state, *last), times),
        "questions_ms": median_ms(lambda: next_basket(dataset, spans), times),
        "answer_ms": median_ms(lambda: model.answer(state, last[0], together), times),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder")
    add("--preset", choices=PRESETS, default="small", help="model to time")
    add("--customers", type=int, default=25, help="customers to take the median over")
    add("--threads", type=int, help="CPU threads (default: torch's own choice)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        dataset = WorldModelDataset(TensorCache(options.cache), "validation")
    except CacheError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    torch.manual_seed(0)
    model = create_world_model(options.preset, dataset.cache).eval()
    several = np.flatnonzero(dataset.trips > 1)
    draw = np.random.default_rng(0).permutation(several)
    with torch.inference_mode():
        alone = [
            figures(model, dataset, draw[i : i + 1], 5)
            for i in tqdm(range(options.customers), desc="one customer", unit="customer")
        ]
        batch = figures(model, dataset, draw[:BATCH], 5)
    one = {name: round(statistics.median(row[name] for row in alone), 2) for name in alone[0]}
    print(
        json.dumps(
            {
                "one_customer": one,
                f"batch_of_{len(draw[:BATCH])}": {k: round(v, 1) for k, v in batch.items()},
                "configuration": {
                    "preset": options.preset,
                    "threads": torch.get_num_threads(),
                    "cache_digest": dataset.cache.digest,
                },
            }
            | machine(),
            indent=2,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
