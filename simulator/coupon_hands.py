"""Coupons in the hands of a run's customers, and what they do there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulator.coupons import Coupon
from simulator.draws import uniforms
from simulator.price_effects import PriceEffects

NOTICED = 24
"""What a number is drawn for."""
TINY = 1e-9
"""Chance above 0."""


@dataclass(frozen=True)
class Reminders:
    """What comes to mind on trips (n,), beside the choices of customers. P products."""

    share: Tensor
    """(n, P) of the chance of each product's need, by which its own rises; of several products of a
    need, that of all, in proportion to theirs."""
    token: Tensor
    """(P,) of the products, and `need` (P,), numbers of their needs."""
    need: Tensor

    def of(self, rows: np.ndarray) -> Reminders:
        """Those of some trips."""
        return Reminders(self.share[rows], self.token, self.need)

    def added(self, p: Tensor, weights: Tensor) -> Tensor:
        """(n, V) chances p times weights, and beside them what comes to mind, as p has needs."""
        own = p[:, self.token]
        needs = own.new_zeros(2, len(own), int(self.need.max()) + 1)
        each, reminded = needs.index_add_(2, self.need, torch.stack([own, own * (self.share > 0)]))
        times = self.share * each[:, self.need] / reminded[:, self.need].clamp(min=TINY)
        found = p * weights
        found[:, self.token] += own * times
        return found


class Hands:
    """Who still holds which coupons in a run.

    Args:
        coupons: E of them, with their answers.
        effects: of prices on demand; None where nobody knows them, so that coupons are used and
            change nothing else.
        segment: (customers,) price-sensitivity labels of the cache's customers.
        tokens: V, which chances are of.
        seed: of the run.
    """

    def __init__(
        self, coupons: Sequence[Coupon], effects: PriceEffects | None, segment: np.ndarray,
        tokens: int, seed: int,
    ) -> None:  # fmt: skip
        self._coupons, self._effects = coupons, effects
        self._segment, self._tokens = segment, tokens
        self._added: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]] = {}
        everybody = np.arange(len(segment))
        self._held = [
            each.customer & (uniforms(seed, NOTICED, everybody, number) < each.answer.noticed)
            for number, each in enumerate(coupons)
        ]

    def weights(
        self, customers: np.ndarray, stores: np.ndarray, week: int, found: Tensor | None
    ) -> tuple[Tensor | None, Reminders | None]:
        """(n, V) by which chances are multiplied on trips (n,) of customers of a simulation to
        stores: `found`, or 1, times what coupons do; None for None where nobody has one in mind.
        And what coupons remind of, None where they remind of nothing."""
        reminded = None
        for number, coupon in enumerate(self._coupons):
            own = self._holders(number, customers, week)
            if self._effects is None or not own.any():
                continue
            if found is None:
                found = torch.ones(len(customers), self._tokens)
            for store in np.unique(stores[own]):
                rows = np.flatnonzero(own & (stores == store))
                key = number, int(store), week
                if key not in self._added:
                    self._added[key] = self._effects.of_coupon(coupon, int(store), week)
                x, off = self._added[key]
                factor = self._effects.factors[self._segment[customers[rows]]]
                times = 1 + coupon.answer.strength * np.expm1(factor[:, None] * x)
                found[np.ix_(rows, self._effects.token)] *= torch.from_numpy(times).float()
                if coupon.answer.reminds:
                    if reminded is None:
                        reminded = np.zeros((len(customers), len(off)), np.float32)
                    reminded[rows] += coupon.answer.reminded(off)
        if reminded is None:
            return found, None
        token, need = map(torch.from_numpy, (self._effects.token, self._effects.need))
        return found, Reminders(torch.from_numpy(reminded), token, need)

    def used(
        self, customers: np.ndarray, tokens: np.ndarray, pence: np.ndarray, week: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the coupons that are used with lines (n,), from 1, 0 for none, and the pence
        that they take off, (n,). The lines are those of one trip of each customer; pence: (n,) what
        a unit costs. They are gone from then on."""
        which, off = np.zeros((2, len(tokens)), np.int64)
        for number, coupon in enumerate(self._coupons):
            line = np.flatnonzero(
                self._holders(number, customers, week) & coupon.token[tokens] & (which == 0)
            )
            takes = np.rint(coupon.takes(pence[line])).astype(np.int64)
            # Where it saves most, of several.
            line = line[np.lexsort((-takes, customers[line]))]
            who, first = np.unique(customers[line], return_index=True)
            line = line[first]
            which[line] = number + 1
            off[line] = np.rint(coupon.takes(pence[line]))
            self._held[number][who] = False
        return which, off

    def _holders(self, number: int, customers: np.ndarray, week: int) -> np.ndarray:
        """(n,) bool; customers who are new or unknown hold nothing."""
        if not self._coupons[number].good(week):
            return np.zeros(len(customers), bool)
        return (customers >= 0) & self._held[number][np.maximum(customers, 0)]
