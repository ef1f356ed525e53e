"""Receipts of a run as sums by product, week, store and so on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simulator.coupons import Coupon
from simulator.receipts import Receipts
from simulator.whatif.parts import AFTERWARDS, CHANGED, PARTS, Parts
from trainer.cache.reader import TensorCache
from trainer.cache.schema import LEVELS
from trainer.features.categories import category_of_token

MEASURES = ("units", "trips", "customers", "spend_pence", "coupon_pence", "margin_pence")
"""What is counted of every cell. Trips and customers are those with anything in it: one may be in
several cells. Anonymous trips count everywhere but in customers. Spend is what customers paid, what
coupons took off not among it; margin is spend less what products cost."""
ADDITIVE = ("units", "spend_pence", "coupon_pence", "margin_pence")
"""Of which cells add up to the total."""
ANONYMOUS = -1
DURING, AFTER = "in the weeks of the change", "afterwards"


class Lines:
    """The lines of a run, (lines,) each, with what is known of their trips.

    costs (V,): pence of a unit by product row, NaN where unknown.
    """

    def __init__(self, receipts: Receipts, costs: np.ndarray | None) -> None:
        self.trip = np.repeat(np.arange(len(receipts.items)), receipts.items)
        self.customer = receipts.customer[self.trip]
        self.store = receipts.store[self.trip]
        self.week = receipts.week[self.trip]
        self.token = receipts.token
        self.coupon, off = np.zeros((2, len(self.token)), np.int64)
        """Numbers of coupons that were used, from 1; 0 for none."""
        self.coupon[receipts.coupon_line] = receipts.coupon
        off[receipts.coupon_line] = receipts.coupon_pence
        spend = receipts.pence - off
        self.sums = {"units": receipts.quantity, "spend_pence": spend, "coupon_pence": off}
        """What adds up, by measure."""
        if costs is not None:
            # Products without a cost count nowhere in margins, rather than with a cost of 0.
            cost = receipts.quantity * costs[self.token - 1]
            self.sums["margin_pence"] = np.nan_to_num(spend - cost)


@dataclass(frozen=True)
class Breakdown:
    """Cells into which lines are sorted."""

    keys: Mapping[str, np.ndarray]
    """Columns that name the cells, (cells,) each."""
    place: Callable[[Lines], np.ndarray]
    """(lines,) the cell of each line; -1 for none."""

    @cached_property
    def cells(self) -> int:
        return len(next(iter(self.keys.values())))

    def count(self, lines: Lines, measures: Sequence[str]) -> np.ndarray:
        """(cells, measures) float64."""
        cell = self.place(lines)
        inside = cell >= 0
        cell, known = cell[inside], lines.customer[inside] != ANONYMOUS
        found = {
            name: np.bincount(cell, each[inside], self.cells) for name, each in lines.sums.items()
        }
        found["trips"] = _different(cell, lines.trip[inside], self.cells)
        found["customers"] = _different(cell[known], lines.customer[inside][known], self.cells)
        return np.stack([found[name] for name in measures], axis=1).astype(np.float64)


def breakdowns(
    cache: TensorCache, first: int, last: int, parts: Parts | None, coupons: Sequence[Coupon] = ()
) -> dict[str, Breakdown]:
    """By name: total, week, product, categories by level, customer group, store, and, where
    products change, parts and changed products, and coupons by number."""
    found = {
        "total": Breakdown({"name": np.array(["total"])}, lambda lines: np.zeros_like(lines.week)),
        "week": Breakdown({"week": np.arange(first, last + 1)}, lambda lines: lines.week - first),
        "product": Breakdown(_product_keys(cache, parts), lambda lines: lines.token - 1),
        **_categories(cache),
        "customer_group": _customer_groups(cache),
        **_stores(cache),
    }
    if parts is not None:
        found["part"] = Breakdown(
            {"part": np.array([*PARTS])},
            lambda lines: parts.of(lines.token, lines.store, lines.week),
        )
        found["changed_product"] = _changed_products(cache, parts)
    if coupons:
        keys = {
            "coupon": np.arange(1, len(coupons) + 1),
            "holders": np.array([each.customer.sum() for each in coupons]),
        }
        found["coupon"] = Breakdown(keys, lambda lines: lines.coupon - 1)
    return found


def _product_keys(cache: TensorCache, parts: Parts | None) -> dict[str, np.ndarray]:
    role = np.full(cache.products, "other", "<U7")
    if parts is not None:
        product = slice(1, cache.products + 1)
        role[parts.changed[product]], role[parts.rivals[product]] = "changed", "rival"
    categories = np.append(_texts(cache["categories.code"]), "")
    row = category_of_token(cache)[1 : cache.products + 1]
    return {"product": _texts(cache["products.code"]), LEVELS[0]: categories[row], "role": role}


def _categories(cache: TensorCache) -> dict[str, Breakdown]:
    """A breakdown for each level. A simulation sells products alone, no tokens of categories."""
    parent = np.append(cache["categories.parent"].astype(np.int64), -1)
    level = np.append(cache["categories.level"].astype(np.int64), -1)
    found, row = {}, category_of_token(cache)[: cache.products + 1]
    for number, name in enumerate(LEVELS):
        rows = np.flatnonzero(level == number)
        cell = np.where(level[row] == number, np.searchsorted(rows, row), -1)
        keys = {name: _texts(cache["categories.code"][rows])}
        found[name] = Breakdown(keys, lambda lines, cell=cell: cell[lines.token])
        row = np.where(level[row] == number, parent[row], row)
    return found


def _customer_groups(cache: TensorCache) -> Breakdown:
    """Price sensitivity of customers; who has no segment, who is new, who is anonymous."""
    labels = ["unknown", *cache.labels["price_sensitivity"], "new since the start", "anonymous"]
    segment = cache["customers.price_sensitivity"].astype(np.int64)
    last = len(labels) - 1

    def place(lines: Lines) -> np.ndarray:
        own = segment[np.maximum(lines.customer, 0)]
        new = np.where(lines.customer == ANONYMOUS, last, last - 1)
        return np.where(lines.customer >= 0, own, new)

    return Breakdown({"customer_group": np.array(labels)}, place)


def _stores(cache: TensorCache) -> dict[str, Breakdown]:
    """Stores, and their formats and regions; the last store, row -1, is any that is unknown."""
    found, columns = {}, {"store": np.append(_texts(cache["stores.code"]), "unknown")}
    for name in ("store_format", "store_region"):
        code = np.append(cache[name.replace("_", "s.")].astype(np.int64), 0)
        labels = np.array(["unknown", *cache.labels[name]])
        columns[name] = labels[code]
        found[name] = Breakdown({name: labels}, lambda lines, code=code: code[lines.store])
    stores = len(columns["store"])
    return {"store": Breakdown(columns, lambda lines: lines.store % stores)} | found


def _changed_products(cache: TensorCache, parts: Parts) -> Breakdown:
    """Products that change, in the weeks of the change where it is, and everywhere afterwards."""
    token = np.flatnonzero(parts.changed[: cache.products + 1])
    of_token = np.full(cache.vocabulary.input_size, -1)
    of_token[token] = np.arange(len(token))
    codes = _texts(cache["products.code"])[token - 1]
    phases = np.array([DURING, AFTER])

    def place(lines: Lines) -> np.ndarray:
        part = parts.of(lines.token, lines.store, lines.week)
        product = of_token[lines.token]
        phase = np.select([part == CHANGED, part == AFTERWARDS], [0, 1], -1)
        return np.where((product >= 0) & (phase >= 0), 2 * product + phase, -1)

    keys = {"product": np.repeat(codes, 2), "when": np.tile(phases, len(token))}
    return Breakdown(keys, place)


def _different(cell: np.ndarray, who: np.ndarray, cells: int) -> np.ndarray:
    """(cells,) how many different whos each cell has."""
    pairs = np.unique((who - who.min(initial=0)) * cells + cell)
    return np.bincount(pairs % cells, minlength=cells)


def _texts(codes: np.ndarray) -> np.ndarray:
    return np.array([code.decode() for code in codes.tolist()])
