"""Reading a scenario: codes, labels and percentages of a YAML file into rows of a cache.

prices:
  - products: [PRD0900121]     # or categories: [DEP00001], of any level; all if left out
    regions: [E02]             # or stores, or formats; all if left out
    weeks: 97-100              # 97 alone, or 97- for good
    change: -20%               # or price: 1.25
    display: yes               # and mailer: what is announced, with a price or alone
coupons:
  - products: [PRD0900121]     # or categories: one unit of any of them, once for each customer
    groups: [LA]               # of price sensitivity; or customers: codes.txt; all if left out
    weeks: 97-100
    off: 20%                   # or an amount: 0.50
    redeemed: 12%              # of the customers; left out where a trial tells
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

from simulator.coupon_log import CouponLog
from simulator.coupons import Coupon
from simulator.planned_prices import PriceChange
from simulator.scenario import Opening, Scenario, Weeks
from simulator.scenario_entries import LAST, Codes, Entry
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.commands.yaml_files import read_yaml
from trainer.features.calendar import EPOCH
from trainer.features.chain_sales import ChainSalesSettings

MOST_NEW = 100_000
"""Customers a week."""
MOST_OFF = 95
"""Per cent that a coupon takes off."""


def read_scenario(
    path: Path, cache: TensorCache, start: int, weeks: int, trial: CouponLog | None = None
) -> Scenario:
    """A scenario for so many weeks after the start.

    trial: of coupons, which tells how those are answered to of which the file does not say what
    share is redeemed. Raises InputError in one line, with the file, the part and the number of its
    entry; also for an entry that would change nothing in these weeks, and for a trial that nothing
    asks for.
    """
    content = read_yaml(path)
    readers: dict[str, Callable[[Entry], tuple[str, Any]]] = {
        "prices": _price, "stores": _store, "products": _product, "days": _day,
        "customers": _customers, "coupons": _coupon,
    }  # fmt: skip
    if unknown := [key for key in content if key not in readers]:
        raise InputError(f"{path}: unknown part {unknown[0]}. Known are {', '.join(readers)}")
    found: dict[str, list] = {}
    codes = Codes(cache, start, weeks)
    for part, entries in content.items():
        if not isinstance(entries, list):
            raise InputError(f"{path}: {part}: expected a list of changes, each after a dash")
        for number, values in enumerate(entries, start=1):
            entry = Entry(f"{path}: {part}, entry {number}", values, codes, path.parent)
            name, value = readers[part](entry)
            found.setdefault(name, []).append(value)
    closed = frozenset(found.pop("closed_days", ()))
    if trial is not None and all(each.redeemed for each in found.get("coupons", ())):
        raise InputError(f"{path}: no coupon asks for the trial: each says what share is redeemed")
    parts = {name: tuple(values) for name, values in found.items()}
    return Scenario(**parts, closed_days=closed, trial=trial)


def _price(entry: Entry) -> tuple[str, PriceChange]:
    entry.only(
        "products", "categories", "stores", "regions", "formats", "weeks", "change", "price",
        "display", "mailer",
    )  # fmt: skip
    codes, cache = entry.codes, entry.codes.cache
    token = entry.products()
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
        pence = entry.pence("price")
        return "prices", PriceChange(token, stores, *_ends(weeks), pence=pence, **announced)
    factor = 1 + entry.percent("change", -99, 1000)
    return "prices", PriceChange(token, stores, *_ends(weeks), factor=factor, **announced)


def _store(entry: Entry) -> tuple[str, Any]:
    if "open" in entry.values:
        codes = entry.codes
        return "opened_stores", _opening(entry, "open", codes.stores, 0, codes.last_visit)
    entry.only("close", "weeks")
    code = entry.text("close", "a store, or use open")
    return "closed_stores", (entry.place("close", code, entry.codes.stores), entry.weeks())


def _product(entry: Entry) -> tuple[str, Any]:
    if "launch" in entry.values:
        codes = entry.codes
        return "launched", _opening(entry, "launch", codes.products, 1, codes.last_sale)
    entry.only("delist", "weeks")
    code = entry.text("delist", "a product, or use launch")
    return "delisted", (1 + entry.place("delist", code, entry.codes.products), entry.weeks())


def _opening(
    entry: Entry, key: str, known: Mapping[str, int], shift: int, last: Callable[[int], int]
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


def _day(entry: Entry) -> tuple[str, int]:
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


def _customers(entry: Entry) -> tuple[str, tuple[int, Weeks]]:
    entry.only("new", "weeks")
    text = entry.text("new", "customers a week")
    if not re.fullmatch(r"\d{1,6}", text) or int(text) > MOST_NEW:
        raise entry.error(f"new: expected customers a week, up to {MOST_NEW}, not {text}")
    return "new_customers", (int(text), entry.weeks())


def _coupon(entry: Entry) -> tuple[str, Coupon]:
    entry.only("products", "categories", "groups", "customers", "weeks", "off", "redeemed")
    if not entry.values.keys() & {"products", "categories"}:
        raise entry.error("expected products or categories")
    weeks, simulated = entry.weeks(), entry.codes.simulated
    if weeks.first not in simulated or weeks.last not in simulated:
        raise entry.error(
            f"weeks: expected some of the simulated ones, {simulated.first}-{simulated.last}, the "
            "last in which it is good among them"
        )
    text = entry.text("off", "a part of the price, such as 20%, or an amount, such as 0.50")
    if text.endswith("%"):
        off: dict[str, float] = {"share": entry.percent("off", 1, MOST_OFF)}
    else:
        off = {"pence": entry.pence("off")}
    redeemed = entry.percent("redeemed", 0.01, 100) if "redeemed" in entry.values else None
    return "coupons", Coupon(
        entry.products(), _holders(entry), weeks.first, weeks.last, **off, redeemed=redeemed
    )


def _holders(entry: Entry) -> np.ndarray:
    """(customers,) bool: of those with a trip up to the start, the ones of groups and of a file."""
    cache, known = entry.codes.cache, entry.codes.known_customers()
    found = known.copy()
    if "groups" in entry.values:
        names = ["unknown", *cache.labels["price_sensitivity"]]
        labels = {name: label for label, name in enumerate(names)}
        wanted = [entry.place("groups", name, labels) for name in entry.texts("groups")]
        found &= np.isin(cache["customers.price_sensitivity"], wanted)
    if "customers" in entry.values:
        found &= entry.listed("customers", cache["customers.code"], known)
    if not found.any():
        raise entry.error("no customer is all of what it says")
    return found


def _ends(weeks: Weeks) -> tuple[int, int]:
    return weeks.first, weeks.last
