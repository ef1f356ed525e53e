"""Command line: python -m trainer.predict: the next basket of every customer as a table."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, whole
from trainer.evaluation.evaluator import ready
from trainer.features.calendar import EPOCH
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.plans import UNKNOWN_STORE, FinishedTrip
from trainer.features.shelf_prices import ShelfPrices
from trainer.model.checkpoint import load_checkpoint
from trainer.model.encoder.backends import NAMES, choose
from trainer.model.state import CustomerState, recorded_states
from trainer.next_baskets.basket_sizes import BasketSizes
from trainer.next_baskets.baskets import NextBaskets, next_baskets
from trainer.next_baskets.likely_visits import Given
from trainer.next_baskets.receipts import read_receipts
from trainer.next_baskets.side_by_side import side_by_side
from trainer.next_baskets.table import MARK, prediction_table
from trainer.training.allocator import keep_few_kernels, keep_freed_memory

BATCH, TRIPS = 64, 8192
"""Customers who are answered about together, and trips of theirs, at most."""
FARTHEST = timedelta(days=366)
"""After the end of the data: a date later than that is a slip of the keyboard."""
SLOW = 3
"""Seconds after which a progress bar appears."""

Part = Callable[[], tuple[list[str], list[CustomerState]]]
"""Makes the states of a few customers; returns their codes, too."""


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m trainer.predict",
        description="Write the likeliest products of each customer's next trip, with calibrated "
        "probabilities, as a Parquet file. What is not given of the trip is the likeliest: "
        "docs/predictions.md.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="folder of the model")
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add("--out", type=Path, required=True, metavar="FILE", help="the Parquet file to write")
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--customers", nargs="+", metavar="CODE",
        help="only these customers of the cache (default: all)",
    )  # fmt: skip
    who.add_argument(
        "--customers-from", type=Path, metavar="FILE", help="only those in this file, a code a line"
    )
    who.add_argument(
        "--receipts", type=Path, metavar="FILE",
        help="the customers of this CSV file of receipts instead, who need not be in the cache",
    )  # fmt: skip
    add("--date", type=_day, metavar="YYYY-MM-DD", help="of the trip, after the end of the data")
    add("--hour", type=whole(0, 23), help="of the trip, 0 to 23")
    add("--store", metavar="CODE", help="of the trip")
    add(
        "--kind", nargs="+", metavar="NAME=LABEL", default=[],
        help=f"of the trip, as far as it is known; names are {', '.join(CONTEXT)}",
    )  # fmt: skip
    add(
        "--basket", nargs="+", metavar="PRODUCT", default=[],
        help="products that are in the basket already: what else will be?",
    )  # fmt: skip
    add(
        "--products", type=whole(), default=10, metavar="N",
        help="products of each customer, at most (default: 10)",
    )  # fmt: skip
    add(
        "--only",
        choices=("repeat", "new"),
        help="list only products that the customer bought before, or never did",
    )
    add(
        "--backend", choices=NAMES, default="auto",
        help="of the model's scan: auto takes mamba-ssm on a GPU where it is installed, else "
        "PyTorch",
    )  # fmt: skip
    return parser


def _day(text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise argparse.ArgumentTypeError(f"expected a day such as 2008-07-15, not {text!r}")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"there is no day {text}") from None


def _run(options: argparse.Namespace) -> None:
    keep_few_kernels()
    keep_freed_memory()
    check_output("--out", options.out, re.escape(MARK).encode())
    backend, cache = choose(options.backend), TensorCache(options.cache)
    checkpoint = load_checkpoint(options.checkpoint)
    model = ready(checkpoint, cache, backend)
    if options.products > cache.products:
        raise InputError(f"--products: the chain has {cache.products} products")
    last_week = int(cache["trips.week"].max())
    until = EPOCH + timedelta(int(cache["days.date"][cache["days.week"] == last_week].max()))
    prices = ShelfPrices.from_cache(cache)
    chain = Chain(cache, chain_sales_after(cache, last_week), prices)
    given, sizes = _given(options, chain, until), BasketSizes(cache, last_week)
    parts = _parts(options, chain, cache, last_week, until)

    def answer(number: int) -> tuple[list[str], NextBaskets]:
        codes, states = parts[number]()
        _check_order(codes, states, given)
        first = until + timedelta(days=1)
        found = next_baskets(model, states, sizes, given, first, options.products, options.only)
        return codes, found

    customers, rows = 0, 0
    with (
        prediction_table(
            options.out, chain, len(given.visible), until, checkpoint.weights_digest
        ) as write,
        side_by_side(answer, len(parts)) as answers,
    ):
        bar = tqdm(
            answers, total=len(parts), desc="customers", unit="part", delay=SLOW, file=sys.stderr
        )
        for codes, found in bar:
            customers, rows = customers + len(codes), rows + write(codes, found)
    print(f"{options.out}: {rows:,} rows of {customers:,} customers, on trips after {until}")


def _given(options: argparse.Namespace, chain: Chain, until: date) -> Given:
    """What the options say of the trip."""
    day, store = options.date, None
    if day is not None:
        if not until < day <= until + FARTHEST:
            raise InputError(
                f"--date: {day} is not within a year after the data, which end on {until}"
            )
        try:
            chain.calendar.day(day)
        except ValueError as error:
            raise InputError(f"--date: {error}") from None
    if options.store is not None:
        store = chain.store(options.store)
        if store == UNKNOWN_STORE:
            examples = [chain.store_code(row) for row in range(min(len(chain.stores), 3))]
            raise InputError(
                f"--store: no store {options.store!r} among the chain's {len(chain.stores)}, such "
                f"as {', '.join(examples)}"
            )
    return Given(day, options.hour, store, _kind(options, chain), _basket(options, chain))


def _kind(options: argparse.Namespace, chain: Chain) -> tuple[int, int, int, int]:
    labels = {}
    for each in options.kind:
        name, _, label = each.partition("=")
        if name not in CONTEXT or name in labels:
            raise InputError(
                f"--kind: expected NAME=LABEL, each name once of {', '.join(CONTEXT)}, not {each!r}"
            )
        labels[name] = label
    try:
        return chain.kind(**labels)
    except ValueError as error:
        raise InputError(f"--kind: {error}") from None


def _basket(options: argparse.Namespace, chain: Chain) -> tuple[int, ...]:
    if len(set(options.basket)) < len(options.basket):
        raise InputError("--basket: the same product twice")
    try:
        return tuple(chain.tokens(options.basket).tolist())
    except KeyError as error:
        products = chain.vocabulary.products
        code = error.args[0].decode()
        raise InputError(
            f"--basket: no product {code!r} among the chain's {products}, such as "
            f"{', '.join(chain.codes(range(1, min(products, 3) + 1)))}"
        ) from None


def _parts(
    options: argparse.Namespace, chain: Chain, cache: TensorCache, last_week: int, until: date
) -> list[Part]:
    """The customers to answer about, a few at a time."""
    if options.receipts:
        strangers = read_receipts(options.receipts, chain, until + FARTHEST)
        codes, lengths = list(strangers), np.array([len(trips) for trips in strangers.values()])
        return [
            partial(_of_receipts, chain, {codes[n]: strangers[codes[n]] for n in chosen})
            for chosen in _alike(lengths)
        ]
    codes = [code.decode() for code in cache["customers.code"].tolist()]
    rows = _chosen(options, codes, cache)
    lengths = np.diff(cache["customers.trip_offsets"].astype(np.int64))[rows]
    if not lengths.all():
        code = codes[rows[lengths.argmin()]]
        raise InputError(f"{code} has no trip in {cache.folder}: nothing is known of the customer")
    return [
        partial(_of_cache, chain, cache, {codes[row]: row for row in rows[chosen]}, last_week)
        for chosen in _alike(lengths)
    ]


def _of_receipts(
    chain: Chain, strangers: dict[str, list[FinishedTrip]]
) -> tuple[list[str], list[CustomerState]]:
    states = [CustomerState(chain) for _ in strangers]
    for state, trips in zip(states, strangers.values(), strict=True):
        for trip in trips:
            state.observe(trip)
    return list(strangers), states


def _of_cache(
    chain: Chain, cache: TensorCache, rows: dict[str, int], last_week: int
) -> tuple[list[str], list[CustomerState]]:
    return list(rows), recorded_states(chain, cache, list(rows.values()), last_week)


def _alike(lengths: np.ndarray) -> list[np.ndarray]:
    """Customers with histories of lengths (n,) in parts of similar ones, which need less padding;
    the longest first, since they take longest."""
    order = np.argsort(-lengths, kind="stable")
    parts, first = [], 0
    for stop in range(1, len(order) + 1):
        trips = lengths[order[first : stop + 1]].sum()
        if stop == len(order) or stop - first == BATCH or trips > TRIPS:
            parts.append(order[first:stop])
            first = stop
    return parts


def _chosen(options: argparse.Namespace, codes: list[str], cache: TensorCache) -> np.ndarray:
    """Rows of the customers that the options name."""
    named = [(f"--customers: {code}", code) for code in options.customers or []]
    if path := options.customers_from:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise InputError(f"{path}: not UTF-8 text, a code a line") from None
        named = [
            (f"{path}: line {number}: {line.strip()}", line.strip())
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
        if not named:
            raise InputError(f"{path}: no customers in it, a code a line")
    row_of = {code: row for row, code in enumerate(codes)}
    for place, code in named:
        if code not in row_of:
            raise InputError(
                f"{place} is none of the {len(codes)} customers of {cache.folder}, such as "
                f"{', '.join(codes[:3])}"
            )
    chosen = sorted({row_of[code] for _, code in named}) if named else range(len(codes))
    return np.array(chosen, dtype=np.int64)


def _check_order(codes: Sequence[str], states: Sequence[CustomerState], given: Given) -> None:
    """A day that is given lies after the data, but perhaps not after a stranger's last trip."""
    for code, state in zip(codes, states, strict=True):
        last, _ = state.features.last
        if given.date is not None and given.date <= last:
            raise InputError(
                f"--date: {given.date} is not after the last trip of {code}, on {last}"
            )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
