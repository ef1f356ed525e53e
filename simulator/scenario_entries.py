"""What entries of a scenario file share: codes of a cache, weeks, numbers, and the one line for
what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.scenario import Weeks
from trainer.cache.reader import TensorCache
from trainer.cache.schema import LEVELS
from trainer.commands.errors import InputError
from trainer.features.calendar import Calendar
from trainer.features.categories import category_of_token

LAST = 1 << 15
"""The last week of what is changed for good."""
MOST_PENCE = 1_000_000


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
    """One change, and what to call it in an error."""

    def __init__(self, where: str, values: Any, codes: Codes) -> None:
        self.where, self.codes = where, codes
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

    def number(self, key: str, text: str, low: float, high: float) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise self.error(f"{key}: expected a number from {low:g} to {high:g}, not {text}")
        return value


def _places(codes: np.ndarray) -> dict[str, int]:
    return {code.decode(): row for row, code in enumerate(codes.tolist())}
