"""What entries of a scenario file share: codes of a cache, weeks, numbers, and the one line for
what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simulator.scenario import Weeks
from trainer.cache.reader import TensorCache
from trainer.cache.schema import LEVELS
from trainer.commands.errors import InputError
from trainer.commands.options import plain_number
from trainer.features.calendar import Calendar
from trainer.features.categories import category_of_token

LAST = 1 << 15
"""The last week of what is changed for good."""
MOST_PENCE = 1_000_000
LARGEST = 64 << 20
"""Bytes of the largest list of codes that is read."""


class Codes:
    """Where the codes of a cache stand, and which weeks are simulated."""

    def __init__(self, cache: TensorCache, start: int, weeks: int) -> None:
        self.cache = cache
        self.start, self.simulated = start, Weeks(start + 1, start + weeks)
        self.products = _places(cache["products.code"])
        self.stores = _places(cache["stores.code"])
        self.categories = _places(cache["categories.code"])
        parent = cache["categories.parent"].astype(np.int64)
        self._above = [np.arange(len(parent))]
        for _ in LEVELS:
            row = self._above[-1]
            self._above.append(np.where(parent[row] < 0, row, parent[row]))
        self._category = category_of_token(cache)[: cache.vocabulary.size]

    def in_category(self, row: int) -> np.ndarray:
        """(V,) bool: tokens of its products, of whatever level it is."""
        category = self._category.clip(max=len(self._above[0]) - 1)
        inside = np.any([above[category] == row for above in self._above], axis=0)
        return inside & self.all_products()

    def all_products(self) -> np.ndarray:
        return self.cache.vocabulary.is_product(np.arange(self.cache.vocabulary.size))

    def known_customers(self) -> np.ndarray:
        """(customers,) bool: those with a trip up to the start."""
        trips = np.diff(self.cache["customers.trip_offsets"].astype(np.int64))
        customer = np.repeat(np.arange(len(trips)), trips)
        return np.bincount(customer, self.cache["trips.week"] <= self.start, len(trips)) > 0

    def days(self) -> range:
        """The simulated ones, in days since 1970-01-01."""
        calendar = Calendar(self.cache)
        first, last = self.simulated.first, self.simulated.last
        return range(calendar.first_day(first), calendar.first_day(last + 1))

    def last_sale(self, token: int) -> int:
        """The last week up to the start in which a product was sold to customers; 0 if never."""
        line = np.flatnonzero(self.cache["items.token"] == token)
        trip = np.searchsorted(self.cache["trips.item_offsets"], line, side="right") - 1
        return self._last(self.cache["trips.week"][trip])

    def last_visit(self, store: int) -> int:
        """As `last_sale`, of customers in a store."""
        return self._last(self.cache["trips.week"][self.cache["trips.store"] == store])

    def _last(self, weeks: np.ndarray) -> int:
        return int(weeks[weeks <= self.start].max(initial=0))


class Entry:
    """One change, and what to call it in an error.

    Every method that reads a value raises InputError, in one line with the entry and the key, for
    one that cannot be.
    """

    def __init__(self, where: str, values: Any, codes: Codes, folder: Path) -> None:
        self.where, self.codes, self._folder = where, codes, folder
        if not isinstance(values, Mapping):
            raise InputError(f"{where}: expected keys and values")
        self.values = values

    def error(self, message: str) -> InputError:
        return InputError(f"{self.where}: {message}")

    def only(self, *known: str) -> None:
        if unknown := [key for key in self.values if key not in known]:
            raise self.error(f"unknown key {unknown[0]}. Known are {', '.join(known)}")

    def text(self, key: str, what: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key}: expected {what}")
        return value.strip()

    def texts(self, key: str) -> list[str]:
        value = self.values[key]
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise self.error(f"{key}: expected a list, such as [A, B]")
        return value

    def place(self, key: str, code: str, known: Mapping[str, int]) -> int:
        if code not in known:
            examples = ", ".join(list(known)[:3])
            raise self.error(
                f"{key}: {code} is none of the chain's {len(known)}, such as {examples}"
            )
        return known[code]

    def flag(self, key: str) -> bool:
        """Of a key that may be left out."""
        if key not in self.values:
            return False
        value = self.text(key, "yes or no")
        if value not in ("yes", "true", "no", "false"):
            raise self.error(f"{key}: expected yes or no, not {value}")
        return value in ("yes", "true")

    def products(self) -> np.ndarray:
        """(input tokens,) bool: those of `products` and `categories`, or all."""
        codes, vocabulary = self.codes, self.codes.cache.vocabulary
        token = np.zeros(vocabulary.input_size, bool)
        named = [key for key in ("products", "categories") if key in self.values]
        for key in named:
            for code in self.texts(key):
                if key == "products":
                    token[1 + self.place(key, code, codes.products)] = True
                else:
                    token[: vocabulary.size] |= codes.in_category(
                        self.place(key, code, codes.categories)
                    )
        if not named:
            token[: vocabulary.size] = codes.all_products()
        return token

    def weeks(self) -> Weeks:
        text = self.text("weeks", "weeks, such as 97-100, 97 or 97-")
        match = re.fullmatch(r"(\d{1,4})(-(\d{1,4})?)?", text)
        if not match:
            raise self.error(f"weeks: expected weeks such as 97-100, 97 or 97-, not {text}")
        first = int(match[1])
        last = first if match[2] is None else int(match[3] or LAST)
        if last < first:
            raise self.error(f"weeks: {text} ends before it begins")
        simulated = self.codes.simulated
        if last < simulated.first or first > simulated.last:
            raise self.error(
                f"weeks: {text} holds none of the simulated weeks, {simulated.first}-"
                f"{simulated.last}"
            )
        return Weeks(first, last)

    def pence(self, key: str) -> float:
        """Of an amount of money, such as 1.25."""
        text = self.text(key, "an amount, such as 1.25")
        pence = 100 * self.number(key, text, 0.01, MOST_PENCE / 100)
        if abs(pence - round(pence)) > 1e-6:
            raise self.error(f"{key}: expected at most two decimals, not {text}")
        return float(round(pence))

    def percent(self, key: str, low: float, high: float) -> float:
        """Of a percentage from low to high, as a share."""
        text = self.text(key, "a percentage, such as 20%")
        if not text.endswith("%"):
            raise self.error(f"{key}: expected a percentage, such as 20%, not {text}")
        return self.number(key, text[:-1], low, high) / 100

    def listed(self, key: str, codes: np.ndarray, known: np.ndarray) -> np.ndarray:
        """(n,) bool: which of codes (n,) a file beside the scenario lists, one a line. known: (n,)
        bool, those that may stand there."""
        path = self._folder / self.text(key, "a file, such as codes.txt")
        if not path.is_file():
            raise self.error(f"{key}: {path}: there is no such file")
        if path.stat().st_size > LARGEST:
            raise self.error(f"{key}: {path}: larger than {LARGEST >> 20} MB")
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise self.error(f"{key}: {path}: not text in UTF-8 ({error})") from None
        place, found = _places(codes), np.zeros(len(codes), bool)
        for number, line in enumerate(lines, start=1):
            code = line.strip()
            row = place.get(code, -1)
            if code and (row < 0 or not known[row]):
                raise self.error(
                    f"{key}: {path}, line {number}: {code} is no customer with a trip up to week "
                    f"{self.codes.start}"
                )
            found[row] |= bool(code)
        return found

    def number(self, key: str, text: str, low: float, high: float) -> float:
        value = plain_number(text)
        if not low <= value <= high:
            raise self.error(f"{key}: expected a number from {low:g} to {high:g}, not {text}")
        return value


def _places(codes: np.ndarray) -> dict[str, int]:
    return {code.decode(): row for row, code in enumerate(codes.tolist())}
