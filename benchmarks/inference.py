"""Time the model in use on a tensor cache.

    python -m benchmarks.inference --cache cache --preset small --threads 1

- prefill: a customer's whole past, per trip.
- step: a finished trip is added to the past of one customer, and of a batch of them.
- query: the next basket of one customer, and of a batch, given their state; preparing the
  questions with the earlier purchases (`questions`) and the model's `answer` separately.
- all: the same for every customer of the validation weeks, in batches; seconds of one pass.

Medians over customers of the validation weeks. Weights are initial ones: they do not change the
time. Inputs are on the device already; a call is timed until its result is computed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.common import answer, device_options, model_options, parser
from benchmarks.timing import backend_option, facts, joined, seconds, use_backend
from trainer.batches.batch import Questions
from trainer.batches.masking import MaskedItems
from trainer.batches.questions import build_questions
from trainer.batches.timelines import Spans, WorldModelDataset
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.commands.options import whole
from trainer.features.circumstances import Circumstances
from trainer.features.trips import read
from trainer.model.config import PRESETS
from trainer.model.world_model import WorldModel, create_world_model

BATCH, TIMES = 64, 5
"""Customers of a batch; calls per median."""


def median_ms(run: Callable[[], object], times: int, device: torch.device) -> float:
    """Median milliseconds of a call, after one to warm up."""
    return statistics.median([seconds(run, device) for _ in range(times + 1)][1:]) * 1000


def next_basket(dataset: WorldModelDataset, spans: Spans) -> Questions:
    """The fully hidden last trip of each span, its kind unknown."""
    lengths = spans.stop - spans.first
    rows = ranges(spans.first, lengths)
    trips, items = read(dataset.cache, rows)
    is_target = torch.zeros(len(rows), dtype=torch.bool)
    is_target[lengths.cumsum() - 1] = True
    target = items.token[is_target[items.trip]]
    masked = MaskedItems(
        tokens=torch.full_like(target, dataset.cache.vocabulary.mask),
        targets=target,
        price_hidden=torch.ones(len(target), dtype=torch.bool),
        fully_hidden=torch.ones(len(spans), dtype=torch.bool),
    )
    week = dataset.cache["trips.week"][rows[is_target.numpy()]]
    return build_questions(
        torch.from_numpy(lengths), Circumstances.of(trips), items, is_target, masked,
        masked.fully_hidden,
        dataset.sales.as_of(week), dataset.cache.vocabulary, dataset.categories,
    )  # fmt: skip


def calls(
    model: WorldModel, dataset: WorldModelDataset, chosen: np.ndarray, device: torch.device
) -> dict[str, Callable[[], object]]:
    """The calls to time, for the chosen customers as one batch."""
    cache, spans = dataset.cache, dataset.spans[chosen]
    past = spans.stop - 1 - spans.first
    before = [part.to(device) for part in read(cache, ranges(spans.first, past))]
    last = [part.to(device) for part in read(cache, spans.stop - 1)]
    lengths = torch.from_numpy(past).to(device)
    state = model.prefill(*before, lengths)
    questions = replace(next_basket(dataset, spans), trip=torch.arange(len(chosen))).to(device)
    return {
        "prefill": lambda: model.prefill(*before, lengths),
        "step": lambda: model.step(state, *last),
        "questions": lambda: next_basket(dataset, spans),
        "answer": lambda: model.answer_questions(last[0], questions),
    }


def figures(
    model: WorldModel, dataset: WorldModelDataset, chosen: np.ndarray, device: torch.device
) -> dict[str, float]:
    """Milliseconds for the chosen customers as one batch."""
    timed = {
        f"{name}_ms": median_ms(run, 1 if name == "prefill" else TIMES, device)
        for name, run in calls(model, dataset, chosen, device).items()
    }
    return {"trips": int((dataset.trips[chosen] - 1).sum())} | timed


def everyone(
    model: WorldModel, dataset: WorldModelDataset, device: torch.device
) -> dict[str, float]:
    """Seconds for all customers, in batches of similarly long histories."""
    order = np.argsort(-dataset.trips, kind="stable")
    order = order[dataset.trips[order] > 1]
    total: dict[str, float] = defaultdict(float)
    for start in tqdm(range(0, len(order), BATCH), desc="all customers", unit="batch"):
        for name, run in calls(model, dataset, order[start : start + BATCH], device).items():
            total[f"{name}_s"] += seconds(run, device)
    return {"customers": len(order), "trips": int((dataset.trips[order] - 1).sum())} | total


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The result for the options of the command line."""
    dataset = WorldModelDataset(TensorCache(options.cache), "validation")
    draw = np.random.default_rng(0).permutation(np.flatnonzero(dataset.trips > 1))
    torch.manual_seed(0)
    with joined(options) as ranks, torch.inference_mode():
        device = ranks.device
        model = create_world_model(options.preset, dataset.cache).eval().to(device)
        backend = use_backend(model.encoder, options.backend, device)
        singles = [
            figures(model, dataset, draw[i : i + 1], device)
            for i in tqdm(range(min(options.customers, len(draw))), desc="one customer")
        ]
        batch = figures(model, dataset, draw[:BATCH], device)
        every = everyone(model, dataset, device)
    single = {name: statistics.median(row[name] for row in singles) for name in singles[0]}
    return facts(
        "inference",
        {
            "preset": options.preset,
            "customers": len(singles),
            "batch": len(draw[:BATCH]),
            "backend": backend,
            "cache_digest": dataset.cache.digest,
        },
        device,
    ) | {
        "one_customer": {name: round(value, 2) for name, value in single.items()},
        "batch": {name: round(value, 2) for name, value in batch.items()},
        "all": {name: round(value, 2) for name, value in every.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    model_options(made, PRESETS)
    made.add_argument(
        "--customers", type=whole(), default=25,
        help="customers to take the median over (default: 25)",
    )  # fmt: skip
    device_options(made)
    backend_option(made)
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
