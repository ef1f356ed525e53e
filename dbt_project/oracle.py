"""Command line: python -m dbt_project.oracle, the true probabilities of a synthetic chain."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from trainer.batches.masking import evaluation_mask, mask_keys
from trainer.batches.tasks import TASKS
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, measured_split, seed, whole
from trainer.evaluation.evaluator import evaluated
from trainer.evaluation.oracle import write_oracle

from .known_chain import add_sources, chain_config, places
from .sample import labels
from .sample.answers import SAMPLES, Answers, Kind
from .sample.chain import Chain, build_chain
from .sample.demand import build_demand
from .sample.draw import stream
from .sample.law import Law, basket_laws

LEARNT = 400
"""Trips from whose laws it is learnt where to draw."""


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m dbt_project.oracle",
        description="Write the true probability of every product on the trips of an evaluation, "
        "for the three tasks, from what made a synthetic chain: python -m trainer.evaluate "
        "--oracle then measures how close to it a model comes. docs/evaluation.md says what it "
        "knows.",
    )
    add_sources(parser)
    add = parser.add_argument
    add("--out", type=Path, default=Path("oracle.npz"), help="file to write (default: oracle.npz)")
    add("--split", type=measured_split, default="test", help="test or validation (default: test)")
    add("--customers", type=whole(), metavar="N", help="a fixed sample of customers (default: all)")
    add("--seed", type=seed, default=0, help="of hidden items (default: 0)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    check_output("--out", options.out, rb"next_unknown\.npy")
    config = chain_config(options.raw)
    cache = TensorCache(options.cache)
    chain = build_chain(config)
    trips = Trips.of(chain, cache, options.split, options.customers, options.seed)
    with tqdm(total=len(trips.row), unit="trip", desc="oracle", file=sys.stderr) as bar:
        log_p = true_log_p(chain, trips, bar.update)
    log_p = {task: p[:, trips.product] for task, p in log_p.items()}
    write_oracle(options.out, cache, trips.row, options.seed, log_p)
    print(f"true probabilities of {len(trips.row):,} trips written to {options.out}")


@dataclass(frozen=True)
class Trips:
    """The n trips of an evaluation, in the indices of the chain."""

    row: np.ndarray
    """(n,) rows of the cache's trips."""
    week: np.ndarray
    household: np.ndarray
    store: np.ndarray
    kind: list[Kind]
    visible: list[np.ndarray]
    """Products that completion shows of each."""
    product: np.ndarray
    """(N,) the chain's index of each product of the cache."""

    @classmethod
    def of(
        cls, chain: Chain, cache: TensorCache, split: str, customers: int | None, seed: int
    ) -> Trips:
        """The trips that `Evaluator` would measure with the same arguments.

        Raises InputError where the cache is not of this chain, or trips of the split are replayed.
        """
        dataset = evaluated(cache, split, customers)
        spans = dataset.spans
        count = spans.stop - spans.first_target
        row = ranges(spans.first_target, count)
        week = cache["trips.week"][row].astype(int)
        replayed = chain.config.replay_from
        if replayed is not None and week.max() >= replayed:
            raise InputError(
                f"weeks from {replayed} on are replayed, and their trips have no probabilities: "
                "choose another --split, or make a chain without --replay-from"
            )
        codes = chain.codes
        household = places(cache, "customers.code", codes.customer)
        store = places(cache, "stores.code", codes.store)
        product = places(cache, "products.code", codes.product)
        visible = [product[tokens - 1] for tokens in _visible(cache, row, seed)]
        return cls(
            row, week, np.repeat(household[dataset.customers], count),
            store[cache["trips.store"][row]], _kinds(cache, row), visible, product,
        )  # fmt: skip


def _kinds(cache: TensorCache, row: np.ndarray) -> list[Kind]:
    """The kind of each trip. What the cache has no label for is the last one, XX."""
    parts = []
    for name, words in (
        ("size", labels.SIZES), ("sensitivity", labels.SENSITIVITIES), ("type", labels.TYPES),
        ("focus", labels.MISSIONS),
    ):  # fmt: skip
        code = np.array([len(words) - 1, *map(words.index, cache.labels[name])])
        parts.append(code[cache[f"trips.{name}"][row]].tolist())
    return list(zip(*parts, strict=True))


def _visible(cache: TensorCache, row: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Tokens that completion shows of each trip."""
    offsets = cache["trips.item_offsets"].astype(np.int64)
    for trip in row:
        token = torch.from_numpy(
            cache["items.token"][offsets[trip] : offsets[trip + 1]].astype(int)
        )
        key = torch.from_numpy(mask_keys(cache["trips.basket_id"][trip : trip + 1]))
        hidden = evaluation_mask(token, torch.zeros_like(token), key, seed=seed)
        yield token[~hidden].numpy()


def true_log_p(
    chain: Chain, trips: Trips, progress=lambda count: None, samples: int = SAMPLES
) -> dict[str, np.ndarray]:
    """The oracle's log-probabilities by task, (n, products of the chain) float32.

    progress: called with the number of trips done. samples: draws for an answer (`Answers`).
    """
    products, seed = chain.catalogue.need.size, chain.config.seed
    rng = stream(seed, "oracle")
    learnt = rng.choice(len(trips.row), min(LEARNT, len(trips.row)), replace=False)
    laws = [law for _, law in _laws(chain, trips, learnt)]
    answers = Answers(chain.catalogue, laws, rng, samples)
    found = {task: np.empty((len(trips.row), products), np.float32) for task in TASKS}
    for trip, law in _laws(chain, trips, np.arange(len(trips.row))):
        # By trip, so that its answers do not depend on which others there are.
        rng = stream(seed, "oracle", int(trips.row[trip]))
        visible = np.zeros(products, bool)
        visible[trips.visible[trip]] = True
        unknown = answers.next_basket(law, rng)
        known = answers.next_basket(law, rng, trips.kind[trip])
        # Nothing visible: the question is that of the next basket.
        rest = answers.completion(law, rng, trips.kind[trip], visible) if visible.any() else known
        for task, p in zip(TASKS, (unknown, known, rest), strict=True):
            found[task][trip] = np.log(np.maximum(p, 1e-30))
        progress(1)
    return found


def _laws(chain: Chain, trips: Trips, chosen: np.ndarray) -> Iterator[tuple[int, Law]]:
    """Chosen trips, by week, with the laws of their baskets."""
    c = chain
    for week in np.unique(trips.week[chosen]):
        of = chosen[trips.week[chosen] == week]
        demand = build_demand(c.catalogue, c.prices, c.stores.regions, int(week))
        formats = c.stores.format[trips.store[of]]
        laws = basket_laws(
            int(week), c.households, c.catalogue, demand, trips.household[of], formats
        )
        yield from zip(of.tolist(), laws, strict=True)


if __name__ == "__main__":
    sys.exit(main())
