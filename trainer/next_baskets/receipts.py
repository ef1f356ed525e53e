"""Receipts of customers that are in no cache, from a CSV file.

One line per product of a basket, under a header with the names of `REQUIRED` and any of
`KIND_COLUMNS`, in any order; other columns are not read. Lines of one `basket_id` are a trip.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from trainer.cache.schema import CONTEXT
from trainer.commands.errors import InputError
from trainer.features.chain import Chain
from trainer.features.plans import MOST, UNDECLARED, UNKNOWN_STORE, FinishedTrip, TripPlan
from trainer.next_baskets.table import KIND_COLUMNS

OF_TRIP = ("customer_code", "shop_date", "shop_hour", "store_code")
"""The same on all lines of a basket, as are the columns of its kind."""
REQUIRED = ("basket_id", *OF_TRIP, "product_code", "quantity", "spend_pence")


def read_receipts(path: Path, chain: Chain, latest: date) -> dict[str, list[FinishedTrip]]:
    """Finished trips by customer, in order of time, none of them after a day; their prices are the
    chain's.

    Raises InputError, with file, line and column, for what cannot be read, and OSError.
    """
    baskets: dict[str, _Basket] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_header(path, reader.fieldnames or [])
            for values in reader:
                line = _Line(path, reader.line_num, values)
                basket_id = line.text("basket_id")
                if basket_id not in baskets:
                    baskets[basket_id] = _Basket(line)
                baskets[basket_id].add(line, chain)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not CSV in UTF-8, separated by commas ({error})") from None
    if not baskets:
        raise InputError(f"{path}: no receipts below the header")
    trips: dict[str, list[FinishedTrip]] = defaultdict(list)
    finished = [
        (basket.line.text("customer_code"), basket.trip(chain, latest))
        for basket in baskets.values()
    ]
    for customer, trip in sorted(finished, key=lambda pair: (pair[1].plan.date, pair[1].plan.hour)):
        trips[customer].append(trip)
    return dict(trips)


def _check_header(path: Path, columns: list[str]) -> None:
    for name in (*REQUIRED, *KIND_COLUMNS):
        if columns.count(name) > 1 or (name in REQUIRED and name not in columns):
            found = "twice" if name in columns else "not"
            raise InputError(
                f"{path}: column {name} is {found} in the header; needed are "
                f"{', '.join(REQUIRED)}, and where known {', '.join(KIND_COLUMNS)}"
            )


class _Line:
    """A line of the file: its values by column."""

    def __init__(self, path: Path, number: int, values: dict[str, str | None]) -> None:
        self.path, self.number, self.values = path, number, values
        if None in values or None in values.values():
            raise InputError(f"{path}: line {number}: another number of fields than the header")

    def error(self, column: str, expected: str) -> InputError:
        """What is wrong with one of its values."""
        return InputError(
            f"{self.path}: line {self.number}, {column}: {self.values[column]!r}, where "
            f"{expected} is expected"
        )

    def text(self, column: str) -> str:
        """A value that is not empty."""
        if not (value := self.values[column].strip()):
            raise self.error(column, "a value")
        return value

    def whole(self, column: str, lowest: int, highest: int = MOST) -> int:
        """A whole number of a range."""
        value = self.values[column].strip()
        if not re.fullmatch(r"[0-9]{1,10}", value) or not lowest <= int(value) <= highest:
            raise self.error(column, f"a whole number from {lowest} to {highest}")
        return int(value)


@dataclass
class _Basket:
    line: _Line
    """The first of its lines."""
    quantities: dict[int, int] = field(default_factory=dict)
    """Units by token."""
    spend_pence: int = 0

    def add(self, line: _Line, chain: Chain) -> None:
        """Add one of its lines."""
        line.text("customer_code")
        for name in (*OF_TRIP, *KIND_COLUMNS):
            if line.values.get(name) != self.line.values.get(name):
                expected = (
                    f"{self.line.values[name]!r}, as on line {self.line.number} of the basket,"
                )
                raise line.error(name, expected)
        try:
            token = int(chain.tokens([line.text("product_code")])[0])
        except KeyError:
            products = chain.vocabulary.products
            raise line.error("product_code", f"one of the chain's {products} products") from None
        quantity = self.quantities.get(token, 0) + line.whole("quantity", 1)
        self.quantities[token] = min(quantity, MOST)
        self.spend_pence = min(self.spend_pence + line.whole("spend_pence", 0), MOST)

    def trip(self, chain: Chain, latest: date) -> FinishedTrip:
        """The finished trip."""
        line, store = self.line, UNKNOWN_STORE
        if code := line.values["store_code"].strip():
            store = chain.store(code)
            if store == UNKNOWN_STORE:
                known = f"one of the chain's {len(chain.stores)} stores, or nothing,"
                raise line.error("store_code", known)
        plan = TripPlan(
            self._date(chain, latest), line.whole("shop_hour", 0, 23), store, self._kind(chain)
        )
        return FinishedTrip(
            plan, np.array([*self.quantities]), np.array([*self.quantities.values()]),
            self.spend_pence,
        )  # fmt: skip

    def _date(self, chain: Chain, latest: date) -> date:
        text = self.line.text("shop_date")
        try:
            day = date.fromisoformat(text)
            chain.calendar.day(day)
        except ValueError as error:
            reason = f" ({error})" if "calendar" in str(error) else ""
            raise self.line.error("shop_date", f"a day such as 2008-07-01{reason}") from None
        if day > latest:
            raise self.line.error("shop_date", f"a day up to {latest}")
        return day

    def _kind(self, chain: Chain) -> tuple[int, ...]:
        kind = list(UNDECLARED)
        for place, (name, column) in enumerate(zip(CONTEXT, KIND_COLUMNS, strict=True)):
            if label := self.line.values.get(column, "").strip():
                if label not in chain.labels[name]:
                    known = f"one of {', '.join(chain.labels[name])}, or nothing,"
                    raise self.line.error(column, known)
                kind[place] = chain.labels[name].index(label) + 1
        return tuple(kind)
