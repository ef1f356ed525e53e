"""Time the model in use on a tensor cache.

    python -m benchmarks.inference --cache cache --preset small --threads 1

- prefill: the model reads a customer's whole past (`WorldModel.encode`).
- observe: the features of a finished trip (`CustomerState.observe`).
- step: the model reads it.
- questions, answer: the next basket, kind unknown and nothing visible; what is known of the plan
  and of earlier purchases, computed by numpy on the CPU, and the model's answer to that.
- all: the same for every customer of the validation weeks, in batches; seconds of one pass.

Medians over customers of the validation weeks. Weights are initial ones: they do not change the
time. A call is timed until its result is computed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.common import answer, device_options, model_options, parser
from benchmarks.timing import backend_option, facts, joined, seconds, use_backend
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.commands.options import whole
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.plans import UNDECLARED
from trainer.features.replay import finished_trips
from trainer.features.shelf_prices import ShelfPrices
from trainer.model.config import PRESETS
from trainer.model.state import CustomerState
from trainer.model.world_model import WorldModel, create_world_model

BATCH, TIMES = 64, 5
"""Customers of a batch; calls per median."""


class Call(NamedTuple):
    """What is timed, and what makes its argument before."""

    run: Callable[[Any], object]
    argument: Callable[[], Any]

    def seconds(self, device: torch.device) -> float:
        """Of one call."""
        argument = self.argument()
        return seconds(lambda: self.run(argument), device)

    def median_ms(self, times: int, device: torch.device) -> float:
        """Median milliseconds, after a call to warm up."""
        return statistics.median([self.seconds(device) for _ in range(times + 1)][1:]) * 1000


def copies(states: Sequence[CustomerState]) -> list[CustomerState]:
    """Of each state."""
    return [state.copy() for state in states]


def calls(
    model: WorldModel, dataset: WorldModelDataset, chain: Chain, chosen: np.ndarray
) -> dict[str, Call]:
    """The calls to time, for the chosen customers as one batch."""
    cache, spans = dataset.cache, dataset.spans[chosen]
    new, last = [], []
    for first, stop in zip(spans.first, spans.stop, strict=True):
        *past, trip = finished_trips(cache, np.arange(first, stop))
        state = CustomerState(chain)
        for earlier in past:
            state.observe(earlier)
        new.append(state)
        last.append(trip)

    def observe(states: Sequence[CustomerState]) -> None:
        for state, trip in zip(states, last, strict=True):
            state.observe(trip)

    known = copies(new)
    model.encode(known)
    waiting = copies(known)
    observe(waiting)
    plans = [replace(trip.plan, kind=UNDECLARED) for trip in last]
    asked = model.questions(known, plans)
    return {
        "prefill": Call(model.encode, lambda: copies(new)),
        "observe": Call(observe, lambda: copies(known)),
        "step": Call(model.encode, lambda: copies(waiting)),
        "questions": Call(lambda states: model.questions(states, plans), lambda: known),
        "answer": Call(lambda asked: model.answer_questions(*asked), lambda: asked),
    }


def figures(
    model: WorldModel, dataset: WorldModelDataset, chain: Chain, chosen: np.ndarray,
    device: torch.device,
) -> dict[str, float]:  # fmt: skip
    """Milliseconds for the chosen customers as one batch."""
    timed = {
        f"{name}_ms": call.median_ms(1 if name == "prefill" else TIMES, device)
        for name, call in calls(model, dataset, chain, chosen).items()
    }
    return {"trips": int((dataset.trips[chosen] - 1).sum())} | timed


def everyone(
    model: WorldModel, dataset: WorldModelDataset, chain: Chain, device: torch.device
) -> dict[str, float]:
    """Seconds for all customers, in batches of similarly long histories."""
    order = np.argsort(-dataset.trips, kind="stable")
    order = order[dataset.trips[order] > 1]
    total: dict[str, float] = defaultdict(float)
    for start in tqdm(range(0, len(order), BATCH), desc="all customers", unit="batch"):
        for name, call in calls(model, dataset, chain, order[start : start + BATCH]).items():
            total[f"{name}_s"] += call.seconds(device)
    return {"customers": len(order), "trips": int((dataset.trips[order] - 1).sum())} | total


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The result for the options of the command line."""
    dataset = WorldModelDataset(TensorCache(options.cache), "validation")
    chain = Chain(
        dataset.cache,
        chain_sales_after(dataset.cache, 0),  # so that a plan may be for any week
        ShelfPrices.from_cache(dataset.cache),
    )
    draw = np.random.default_rng(0).permutation(np.flatnonzero(dataset.trips > 1))
    torch.manual_seed(0)
    with joined(options) as ranks, torch.inference_mode():
        device = ranks.device
        model = create_world_model(options.preset, dataset.cache).eval().to(device)
        backend = use_backend(model.encoder, options.backend, device)
        singles = [
            figures(model, dataset, chain, draw[i : i + 1], device)
            for i in tqdm(range(min(options.customers, len(draw))), desc="one customer")
        ]
        batch = figures(model, dataset, chain, draw[:BATCH], device)
        every = everyone(model, dataset, chain, device)
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
