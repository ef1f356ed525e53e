"""Receipts of a trial of coupons, as a retailer logs them: who was given what by chance, and all
that cards bought in and shortly before it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from trainer.commands.errors import InputError

from .tensor_file import TensorFile

FILE = TensorFile(
    "retailsim.coupon_trial.2", "log of a trial", "python -m simulator.policy trial writes them"
)


@dataclass(frozen=True)
class CouponLog:
    """R rounds, H cards, C coupons, I items."""

    customer: np.ndarray
    """(H, bytes) uint8 codes of cards, padded with 0."""
    product: np.ndarray
    """(C,) row in code order of the product that each coupon is on."""
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
    depth: float
    """Share of the shelf price of one unit that a coupon takes off."""
    chain: str
    """`price_list` of the chain."""

    def save(self, path: Path) -> None:
        """Write the file."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        facts = {name: values.pop(name) for name in ("first", "depth", "chain")}
        FILE.write(path, values, facts)

    @classmethod
    def load(cls, path: Path) -> CouponLog:
        """Read what `save` wrote. Raises InputError for any other file."""
        arrays, facts = FILE.read(path)
        try:
            return cls(**arrays, **facts)
        except TypeError as error:
            raise InputError(f"{path} cannot be read ({error}): {FILE.made}") from None

    @property
    def used(self) -> np.ndarray:
        """(I,) whether a coupon was used."""
        return self.off > 0

    def codes(self) -> list[str]:
        """(H,) codes of cards."""
        return [bytes(code).rstrip(b"\0").decode() for code in self.customer]

    def rows(self, customers: list[str]) -> np.ndarray:
        """(H,) place of each card among customers with these codes, -1 for those that are not."""
        place = {code: row for row, code in enumerate(customers)}
        return np.array([place.get(code, -1) for code in self.codes()])
