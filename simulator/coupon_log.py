"""Receipts of a trial of coupons, as a retailer logs them: who was given what by chance, and all
that cards bought in and shortly before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from simulator.tensor_file import TensorFile, texts
from trainer.commands.errors import InputError

FILE = TensorFile(
    "retailsim.coupon_trial.3", "log of a trial", "python -m simulator.policy trial writes them"
)

SHAPES = {
    "customer": (("cards", "bytes"), "u"), "code": (("products", "bytes"), "u"),
    "product": (("coupons",), "iu"), "week": (("rounds",), "iu"),
    "given": (("rounds", "cards", "coupons"), "b"),
    **dict.fromkeys(("who", "when", "trip", "bought", "units", "paid", "off"), (("items",), "iu")),
}  # fmt: skip
"""Axes and kinds of numbers (`numpy.dtype.kind`) of each array."""
MOST, LARGEST, DEEPEST = 1 << 15, 1 << 53, 0.95
"""Weeks, other whole numbers, and the share that a coupon takes off, at most."""


@dataclass(frozen=True)
class CouponLog:
    """R rounds, H cards, C coupons, I items, N products in the order of their codes."""

    customer: np.ndarray
    """(H, bytes) uint8 codes of cards, padded with 0."""
    code: np.ndarray
    """(N, bytes) uint8 codes of products, likewise."""
    product: np.ndarray
    """(C,) row of the product that each coupon is on."""
    week: np.ndarray
    """(R,) first week of each round's coupons."""
    given: np.ndarray
    """(R, H, C) bool: each with the same chance, independently."""
    who: np.ndarray
    """(I,) card, `when` (I,) week, `trip` (I,) its number, `bought` (I,) product row, `units` (I,),
    `paid` (I,) pence, and `off` (I,), pence that a coupon took off."""
    when: np.ndarray
    trip: np.ndarray
    bought: np.ndarray
    units: np.ndarray
    paid: np.ndarray
    off: np.ndarray
    first: int
    """First week whose items are logged; the last is that before the coupons of the last round run
    out."""
    lasts: int
    """Weeks for which a coupon is good."""
    depth: float
    """Share of the shelf price of one unit that a coupon takes off."""
    chain: str
    """`price_list` of the chain."""

    def save(self, path: Path) -> None:
        """Write the file."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        facts = {name: values.pop(name) for name in ("first", "lasts", "depth", "chain")}
        FILE.write(path, values, facts)

    @classmethod
    def load(cls, path: Path) -> CouponLog:
        """Read what `save` wrote. Raises InputError for any other file, and for a log that cannot
        be: with the file, the array and what is wrong with it."""
        arrays, facts = FILE.read(path)
        found = arrays | (facts if isinstance(facts, dict) else {})
        if odd := sorted({f.name for f in fields(cls)} ^ found.keys()):
            raise InputError(f"{path}: {odd[0]} is missing or unknown: {FILE.made}")
        log = cls(**found)
        if wrong := log._wrong():
            raise InputError(f"{path}: {wrong}: {FILE.made}")
        return log

    @property
    def used(self) -> np.ndarray:
        """(I,) whether a coupon was used."""
        return self.off > 0

    @property
    def last(self) -> int:
        """The last week in which a coupon is good."""
        return int(self.week.max()) + self.lasts - 1

    def _wrong(self) -> str:
        """What is wrong first, of facts, then of shapes, types, codes and numbers; else nothing."""
        for name, (low, high) in {"first": (1, MOST), "lasts": (1, MOST)}.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                return f"{name} is {value!r}, where a whole number from {low} to {high} is expected"
        if type(self.depth) is not float or not 0 < self.depth <= DEEPEST:
            return f"depth is {self.depth!r}, where a share above 0 and up to {DEEPEST} is expected"
        if not isinstance(self.chain, str):
            return "chain is not text"
        sizes: dict[str, int] = {}
        for name, (axes, kinds) in SHAPES.items():
            values = getattr(self, name)
            if values.dtype.kind not in kinds or values.ndim != len(axes):
                return f"{name} is {values.dtype} {list(values.shape)}, as it never is"
            for axis, size in zip(axes, values.shape, strict=True):
                known = sizes.setdefault(name + axis if axis == "bytes" else axis, size)
                if size != known or not size and axis != "items":
                    return f"{name} has {size} {axis}, where " + (
                        f"others have {known}" if size else "some are expected"
                    )
        for name in ("customer", "code"):
            try:
                codes = texts(getattr(self, name))
            except UnicodeDecodeError:
                return f"{name} is not text"
            if len(set(codes)) < len(codes):
                return f"{name} has a code twice"
        limits = {
            "product": (0, sizes["products"] - 1), "bought": (0, sizes["products"] - 1),
            "who": (0, sizes["cards"] - 1), "week": (self.first, MOST),
            "when": (self.first, self.last), "trip": (0, LARGEST), "units": (1, LARGEST),
            "paid": (0, LARGEST), "off": (0, LARGEST),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            values = getattr(self, name)
            if odd := np.flatnonzero((values < low) | (values > high))[:1].tolist():
                return (
                    f"{name}, place {odd[0]}: {values[odd[0]]}, where {low} to {high} are expected"
                )
        for name in ("product", "week"):
            if len(np.unique(getattr(self, name))) < len(getattr(self, name)):
                return f"{name} has a number twice"
        return ""

    def rows(self, customers: Sequence[str], start: int) -> np.ndarray:
        """(H,) where each card stands among codes of customers; -1 for one that does not. Raises
        InputError where that is most of them, and for a trial that ends after the week `start`."""
        if self.last > start:
            raise InputError(f"the trial ends after week {start}, which is the last that is read")
        place = {code: row for row, code in enumerate(customers)}
        found = np.array([place.get(code, -1) for code in texts(self.customer)])
        if (found >= 0).mean() < 0.5:
            raise InputError("the trial's cards are not those of the receipts")
        return found

    def during(self, week: int, values: np.ndarray) -> np.ndarray:
        """(H, N) sums of values (I,) of what each card bought while the coupons of the round that
        begins in a week were good."""
        inside = (self.when >= week) & (self.when < week + self.lasts)
        shape = len(self.customer), len(self.code)
        flat = self.who[inside] * np.int64(shape[1]) + self.bought[inside]
        return np.bincount(flat, values[inside], shape[0] * shape[1]).reshape(shape)
