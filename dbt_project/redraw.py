"""Command line: python -m dbt_project.redraw, weeks of a synthetic chain as they could have come.

The generator draws weeks of a chain again, with other chances: nothing that simulates them can be
better. And it tells what each household would do on average: trips, and products on a trip.

Shape letters: C customers of the cache, N products of the cache, T trips, I items.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from trainer.cache.atomic import new_file
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.cache.split import split_weeks
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, whole
from trainer.features.calendar import EPOCH

from .known_chain import add_sources, chain_config, places
from .sample import labels
from .sample.baskets import Week, draw_week, trip_rates
from .sample.calendar import monday
from .sample.chain import Chain, build_chain
from .sample.demand import build_demand
from .sample.draw import stream

BATCHES, BATCH = 20, 100
"""So many times, about so many trips of each household tell what is on a trip on average."""


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m dbt_project.redraw",
        description="Draw weeks of a synthetic chain again, from what made it, and write them with "
        "what each household does on average: python -m simulator.fidelity --truth then shows how "
        "close to it a simulation comes. docs/fidelity.md says how.",
    )
    add_sources(parser)
    add = parser.add_argument
    add("--out", type=Path, default=Path("truth.npz"), help="file to write (default: truth.npz)")
    add(
        "--start", type=whole(), metavar="WEEK",
        help="the week before the first that is drawn (default: the one before the test weeks)",
    )  # fmt: skip
    add("--weeks", type=whole(), default=9, help="how many (default: 9)")
    add("--runs", type=whole(), default=20, help="how often (default: 20)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    check_output("--out", options.out, rb"favourite\.npy")
    config = chain_config(options.raw)
    cache = TensorCache(options.cache)
    start = options.start or split_weeks(cache, "test")[0] - 1
    last = start + options.weeks
    if last > config.weeks:
        raise InputError(f"weeks {start + 1}-{last}: {options.raw} ends with week {config.weeks}")
    if config.replay_from is not None and last >= config.replay_from:
        raise InputError(
            f"weeks {start + 1}-{last}: those from {config.replay_from} on are replayed: choose "
            "earlier ones, or make a chain without --replay-from"
        )
    window = _Window(build_chain(config), cache, start, options.weeks)
    with tqdm(total=options.runs + BATCHES + 1, desc="draws", file=sys.stderr) as bar:
        columns = window.columns(options.runs, bar.update)
    with new_file(options.out) as fresh, fresh.open("wb") as file:
        np.savez_compressed(
            file, cache=np.array(cache.digest), start=np.array(start),
            weeks=np.array(options.weeks), **columns,
        )  # fmt: skip
    print(
        f"{options.out}: weeks {start + 1}-{last}, drawn {options.runs} times, "
        f"{len(columns['run']):,} trips"
    )


class _Trips(NamedTuple):
    """Trips in rows and codes of the cache, and their items one trip after the other."""

    customer: np.ndarray
    """(T,)"""
    day: np.ndarray
    """(T,) rows of days."""
    hour: np.ndarray
    store: np.ndarray
    kind: np.ndarray
    """(T, 4)"""
    spend: np.ndarray
    """(T,) pence."""
    items: np.ndarray
    """(T,) how many each has."""
    product: np.ndarray
    """(I,) rows of products."""
    quantity: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[_Trips]) -> _Trips:
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class _Window:
    """Some weeks of a chain whose cache is given."""

    def __init__(self, chain: Chain, cache: TensorCache, start: int, weeks: int) -> None:
        self._chain, self._cache = chain, cache
        codes, h = chain.codes, chain.households
        self._household = places(cache, "customers.code", codes.customer)
        self._customer = _inverse(self._household, h.rate.size)
        self._store = _inverse(places(cache, "stores.code", codes.store), len(codes.store))
        self._product = _inverse(places(cache, "products.code", codes.product), len(codes.product))
        self._weeks = range(start + 1, start + 1 + weeks)
        self._demand = [
            build_demand(chain.catalogue, chain.prices, chain.stores.regions, week)
            for week in self._weeks
        ]
        known = self._customer >= 0
        self._rate = known * sum(trip_rates(h, week) for week in self._weeks)
        self._rate_before = known * sum(trip_rates(h, week) for week in range(1, start + 1))

    def columns(self, runs: int, progress=lambda: None) -> dict[str, np.ndarray]:
        """What the file holds:

        trips (C,) float: trips in these weeks, on average. held (C, N) float32: how many items of
        each product a trip has, on average over `BATCHES * BATCH` trips; 0 without trips.
        sample_trips, sample_held: the same, as far as it can be known from as many trips as the
        household makes up to the start, if nothing ever changed. favourite (C, N) bool: products of
        the household's repertoire.

        run (T,): number of the run in which a trip was drawn, ascending, and of each trip its
        columns and its items, one trip after the other in product and quantity (I,).
        """
        customers, products = self._household, self._cache.products
        times = np.divide(BATCH, self._rate, out=np.zeros_like(self._rate), where=self._rate > 0)
        trips, held = np.zeros(len(customers)), np.zeros((len(customers), products))
        for number in range(BATCHES):
            found = self._drawn(times, number)
            trips += np.bincount(found.customer, minlength=len(customers))
            held += self._held(found)
            progress()
        before = self._rate_before
        sample = self._drawn(before * times / BATCH, BATCHES)
        sampled = np.bincount(sample.customer, minlength=len(customers))
        progress()
        drawn = []
        for number in range(runs):
            drawn.append(self._drawn(np.ones_like(times), BATCHES + 1 + number))
            progress()
        rate, rate_before = self._rate[customers], before[customers]
        return {
            "trips": rate,
            "held": _mean(held, trips),
            "sample_trips": sampled * rate / np.maximum(rate_before, 1e-9),
            "sample_held": _mean(self._held(sample), sampled),
            "favourite": self._favourites(),
            "run": np.repeat(np.arange(runs), [len(each.customer) for each in drawn]),
            **{
                name: column.astype(np.int32)
                for name, column in _Trips.joined(drawn)._asdict().items()
            },
        }

    def _drawn(self, times: np.ndarray, number: int) -> _Trips:
        """The weeks drawn again, the number-th time, with so many times (households,) the trips."""
        c, seed = self._chain, int(stream(self._chain.config.seed, "again", number).integers(2**62))
        households = replace(c.households, rate=c.households.rate * times * (self._customer >= 0))
        return _Trips.joined([
            self._translated(week, draw_week(seed, week, households, c.catalogue, c.stores, demand))
            for week, demand in zip(self._weeks, self._demand, strict=True)
        ])  # fmt: skip

    def _translated(self, week: int, data: Week) -> _Trips:
        """A week in the cache's rows. Items of products that it never saw sold are left out, and so
        are trips to stores that nobody went to."""
        catalogue, dates = self._chain.catalogue, self._cache["days.date"]
        kind = labels.label(
            data.trip, data.household.size, data.quantity, data.spend,
            catalogue.group[data.product], catalogue.mission[data.product],
            catalogue.tier[data.product],
        )  # fmt: skip
        product = self._product[data.product]
        kept = (product >= 0) & (self._store[data.store] >= 0)[data.trip]
        trips, trip = np.unique(data.trip[kept], return_inverse=True)
        first = np.searchsorted(dates, (monday(week) - EPOCH).days)
        return _Trips(
            customer=self._customer[data.household[trips]],
            day=first + data.day[trips],
            hour=data.hour[trips],
            store=self._store[data.store[trips]],
            kind=np.stack([of_cache[code[trips]] for of_cache, code in zip(
                self._label_codes(), kind, strict=True
            )], 1),
            spend=np.bincount(trip, data.spend[kept], len(trips)).astype(np.int64),
            items=np.bincount(trip, minlength=len(trips)),
            product=product[kept], quantity=data.quantity[kept],
        )  # fmt: skip

    def _label_codes(self) -> list[np.ndarray]:
        """For each column of the kind of a trip, the cache's code of each word of `labels`."""
        found = []
        for name, words in zip(
            CONTEXT,
            (labels.SIZES, labels.SENSITIVITIES, labels.TYPES, labels.MISSIONS),
            strict=True,
        ):
            code = {word: number for number, word in enumerate(self._cache.labels[name], start=1)}
            found.append(np.array([code.get(word, 0) for word in words]))
        return found

    def _held(self, trips: _Trips) -> np.ndarray:
        """(C, N) items of each product on all trips of each customer."""
        shape = len(self._household), self._cache.products
        cell = np.repeat(trips.customer, trips.items) * shape[1] + trips.product
        return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)

    def _favourites(self) -> np.ndarray:
        h = self._chain.households
        owner = np.repeat(np.arange(h.rate.size), np.diff(h.favourite_start))
        customer, product = self._customer[owner], self._product[h.favourite]
        found = np.zeros((len(self._household), self._cache.products), bool)
        known = (customer >= 0) & (product >= 0)
        found[customer[known], product[known]] = True
        return found


def _mean(held: np.ndarray, trips: np.ndarray) -> np.ndarray:
    """(C, N) a trip, of sums over trips (C,)."""
    return (held / np.maximum(trips, 1)[:, None]).astype(np.float32)


def _inverse(index: np.ndarray, size: int) -> np.ndarray:
    """(size,) where each number stands in an index, -1 for nowhere."""
    found = np.full(size, -1)
    found[index] = np.arange(len(index))
    return found


if __name__ == "__main__":
    sys.exit(main())
