"""What the households of a responsive chain remember."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .coupons import Coupons
from .setting import Setting


@dataclass
class Memory:
    """What households carry from week to week. H households, K needs, P pairs of the repertoire."""

    image: np.ndarray
    """(H,) price image: log prices seen, relative to the market's."""
    lost: np.ndarray
    """(H,) whether the household shops elsewhere."""
    reference: np.ndarray
    """(H * K,) float32 log price that the household expects of a need, relative to first prices."""
    pantry: np.ndarray
    """(H * K,) float32 purchases of a need in store, negative where put off."""
    habit: np.ndarray
    """(P,) float32 in 0..1."""
    product: np.ndarray
    """(P,) products of the repertoire, -1 for an empty place."""
    coupons: Coupons
    """Coupons in hand."""

    @classmethod
    def fresh(cls, s: Setting) -> Memory:
        """Before the first week: nothing in store, no habits, first prices expected."""
        count, cells = s.households.rate.size, s.households.rate.size * s.needs
        return cls(
            image=np.zeros(count, np.float32), lost=np.zeros(count, bool),
            reference=np.zeros(cells, np.float32), pantry=np.zeros(cells, np.float32),
            habit=np.zeros(s.repertoire.product.size, np.float32),
            product=s.repertoire.product.copy(), coupons=Coupons.none(),
        )  # fmt: skip

    def copy(self) -> Memory:
        """One that shares nothing with this one."""
        return Memory(**{f.name: getattr(self, f.name).copy() for f in fields(self)})
