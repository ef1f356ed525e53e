"""Reading a scenario: codes, labels and percentages of a YAML file into rows of a cache.

prices:
  - products: [PRD0900121]     # or categories: [DEP00001], of any level; all if left out
    regions: [E02]             # or stores, or formats; all if left out
    weeks: 97-100              # 97 alone, or 97- for good
    change: -20%               # or price: 1.25
    display: yes               # and mailer: what is announced, with a price or alone
stores:
  - {close: STORE00012, weeks: 98-}
  - {open: STORE00761, like: STORE00001, weeks: 98-}
products:
  - {delist: PRD0900121, weeks: 98-}
  - {launch: PRD0904999, like: PRD0900121, weeks: 98-}
days:
  - {closed: 2008-03-23}
customers:
  - {new: 20, weeks: 96-104}   # a week
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from simulator.planned_prices import PriceChange
from simulator.scenario import Opening, Scenario, Weeks
from trainer.cache.reader import TensorCache
from trainer.cache.schema import LEVELS
from trainer.commands.errors import InputError
from trainer.commands.yaml_files import read_yaml
from trainer.features.calendar import EPOCH, Calendar
from trainer.features.categories import category_of_token
from trainer.features.chain_sales import ChainSalesSettings

LAST = 1 << 15
"""The last week of what is changed for good."""
MOST_PENCE, MOST_NEW = 1_000_000, 100_000


def read_scenario(path: Path, cache: TensorCache, start: int, weeks: int) -> Scenario:
    """A scenario for so many weeks after the start.

    Raises InputError in one line, with the file, the part and the number of its entry; also for an
    entry that would change nothing in these weeks.
    """
    content = read_yaml(path)
    readers: dict[str, Callable[[_Entry], tuple[str, Any]]] = {
        "prices": _price, "stores": _store, "products": _product, "days": _day,
        "customers": _customers,
    }  # fmt: skip
    if unknown := [key for key in content if key not in readers]:
        raise InputError(f"{path}: unknown part {unknown[0]}. Known are {', '.join(readers)}")
    found: dict[str, list] = {}
    codes = _Codes(cache, start, weeks)
    for part, entries in content.items():
        if not isinstance(entries, list):
            raise InputError(f"{path}: {part}: expected a list of changes, each after a dash")
        for number, values in enumerate(entries, start=1):
            entry = _Entry(f"{path}: {part}, entry {number}", values, codes)
            name, value = readers[part](entry)
            found.setdefault(name, []).append(value)
    closed = frozenset(found.pop("closed_days", ()))
    return Scenario(**{name: tuple(values) for name, values in found.items()}, closed_days=closed)


class _Codes:
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


class _Entry:
    """One change, and what to call it in an error."""

    def __init__(self, where: str, values: Any, codes: _Codes) -> None:
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

    def number(self, key: str, text: str, low: float, high: float) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise self.error(f"{key}: expected a number from {low:g} to {high:g}, not {text}")
        return value


def _price(entry: _Entry) -> tuple[str, PriceChange]:
    entry.only(
        "products", "categories", "stores", "regions", "formats", "weeks", "change", "price",
        "display", "mailer",
    )  # fmt: skip
    codes, cache = entry.codes, entry.codes.cache
    token = np.zeros(cache.vocabulary.input_size, bool)
    named = [key for key in ("products", "categories") if key in entry.values]
    for key in named:
        for code in entry.texts(key):
            if key == "products":
                token[1 + entry.place(key, code, codes.products)] = True
            else:
                inside = codes.in_category(entry.place(key, code, codes.categories))
                token[: len(inside)] |= inside
    if not named:
        token[: cache.vocabulary.size] = codes.all_products()
    stores = np.ones(len(codes.stores), bool)
    for key, column in (("regions", "region"), ("formats", "format")):
        if key in entry.values:
            labels = {
                label: code for code, label in enumerate(cache.labels[f"store_{column}"], start=1)
            }
            wanted = [entry.place(key, label, labels) for label in entry.texts(key)]
            stores &= np.isin(cache[f"stores.{column}"], wanted)
    if "stores" in entry.values:
        rows = [entry.place("stores", code, codes.stores) for code in entry.texts("stores")]
        stores &= np.isin(np.arange(len(stores)), rows)
    if not stores.any():
        raise entry.error("no store is all of what it says")
    weeks = entry.weeks()
    announced = {key: entry.flag(key) for key in ("display", "mailer")}
    if any(announced.values()) and not entry.values.keys() & {"change", "price"}:
        return "prices", PriceChange(token, stores, *_ends(weeks), **announced)
    if ("change" in entry.values) == ("price" in entry.values):
        raise entry.error("expected either change, such as -20%, or price, such as 1.25")
    if "price" in entry.values:
        text = entry.text("price", "a price")
        pence = 100 * entry.number("price", text, 0.01, MOST_PENCE / 100)
        if abs(pence - round(pence)) > 1e-6:
            raise entry.error(f"price: expected at most two decimals, not {text}")
        return "prices", PriceChange(
            token, stores, *_ends(weeks), pence=float(round(pence)), **announced
        )
    text = entry.text("change", "a change, such as -20%")
    if not text.endswith("%"):
        raise entry.error(f"change: expected a percentage, such as -20%, not {text}")
    factor = 1 + entry.number("change", text[:-1], -99, 1000) / 100
    return "prices", PriceChange(token, stores, *_ends(weeks), factor=factor, **announced)


def _store(entry: _Entry) -> tuple[str, Any]:
    if "open" in entry.values:
        codes = entry.codes
        return "opened_stores", _opening(entry, "open", codes.stores, 0, codes.last_visit)
    entry.only("close", "weeks")
    code = entry.text("close", "a store, or use open")
    return "closed_stores", (entry.place("close", code, entry.codes.stores), entry.weeks())


def _product(entry: _Entry) -> tuple[str, Any]:
    if "launch" in entry.values:
        codes = entry.codes
        return "launched", _opening(entry, "launch", codes.products, 1, codes.last_sale)
    entry.only("delist", "weeks")
    code = entry.text("delist", "a product, or use launch")
    return "delisted", (1 + entry.place("delist", code, entry.codes.products), entry.weeks())


def _opening(
    entry: _Entry, key: str, known: Mapping[str, int], shift: int, last: Callable[[int], int]
) -> Opening:
    """shift: what to add to rows; last: the last week in which it was sold or visited."""
    entry.only(key, "like", "weeks")
    row = entry.place(key, entry.text(key, "a code"), known)
    like = entry.place("like", entry.text("like", "the code of one to begin like"), known)
    if row == like:
        raise entry.error("like: expected another one")
    weeks = entry.weeks()
    if weeks.last != LAST:
        raise entry.error(f"weeks: expected {weeks.first}-, since what opens stays")
    codes = entry.codes
    if weeks.first not in codes.simulated:
        raise entry.error(f"weeks: expected a first week of {codes.simulated.first} or later")
    lately = max(codes.start - ChainSalesSettings().max_weeks_absent, 0)
    if (week := last(row + shift)) > lately:
        raise entry.error(f"{key}: customers know it already, as of week {week}")
    if last(like + shift) <= lately:
        raise entry.error(f"like: nobody was there or bought it after week {lately}")
    return Opening(row + shift, like + shift, weeks.first)


def _day(entry: _Entry) -> tuple[str, int]:
    entry.only("closed")
    text = entry.text("closed", "a day, such as 2008-03-23")
    try:
        day = (date.fromisoformat(text) - EPOCH).days
    except ValueError:
        raise entry.error(f"closed: expected a day such as 2008-03-23, not {text}") from None
    if day not in (days := entry.codes.days()):
        first, last = (EPOCH + timedelta(each) for each in (days[0], days[-1]))
        raise entry.error(f"closed: {text} is none of the simulated days, {first} to {last}")
    return "closed_days", day


def _customers(entry: _Entry) -> tuple[str, tuple[int, Weeks]]:
    entry.only("new", "weeks")
    text = entry.text("new", "customers a week")
    if not re.fullmatch(r"\d{1,6}", text) or int(text) > MOST_NEW:
        raise entry.error(f"new: expected customers a week, up to {MOST_NEW}, not {text}")
    return "new_customers", (int(text), entry.weeks())


def _ends(weeks: Weeks) -> tuple[int, int]:
    return weeks.first, weeks.last


def _places(codes: np.ndarray) -> dict[str, int]:
    return {code.decode(): row for row, code in enumerate(codes.tolist())}
