"""What customers do about products that a scenario takes off sale, and about launched ones.

Chances of what goes into a basket next sum to 1, so that without more all who would have bought a
missing product would buy another one, anything. Instead, its rivals get the share c of its chance
(`simulator.prices.absences`), in proportion to their own, and 1 - c is nobody's: baskets get
smaller by that. A launched product takes the share c of its chance from its rivals, and baskets
grow by the rest. c is the same for all customers; whom a change concerns is not, since chances are
the customer's own.

Rivals are the products of its need; of its finest category, where needs cannot be told or it sells
too little to be in one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from simulator.prices.absences import UNTOLD, Instead
from simulator.prices.demand_response import DemandResponse
from trainer.cache.reader import TensorCache
from trainer.features.categories import category_of_token

TINY = 1e-9
"""Chance above 0."""


class Substitution:
    """Which products replace each other, and how often they do.

    Args:
        cache: the receipts.
        response: how demand answers, or None where no product sells enough to tell.
    """

    def __init__(self, cache: TensorCache, response: DemandResponse | None) -> None:
        self.instead: Instead = UNTOLD if response is None else response.instead
        self._category = category_of_token(cache)[: cache.vocabulary.size].astype(np.int64)
        self._need = np.full(len(self._category), -1)
        if response is not None and response.products.switches:
            self._need[response.products.panel.token] = response.products.need

    def moved(self, p: Tensor, on_sale: np.ndarray, missing: np.ndarray, new: np.ndarray) -> Tensor:
        """(n, V) chances, of any sum, from chances p (n, V) of all that is on sale or missing.

        on_sale, missing, new: (V,) bool, tokens; new ones are on sale.
        """
        p = p.clone()
        for tokens, rivals in self._groups(new, on_sale & ~new):
            total, own = p.sum(1, keepdim=True), p[:, tokens].sum(1, keepdim=True)
            p *= total / (total - own).clamp(min=TINY)  # others as they were without them
            taken = self.instead.value * p[:, tokens].sum(1, keepdim=True)
            left = p[:, rivals].sum(1, keepdim=True).clamp(min=TINY)
            p[:, rivals] *= (1 - taken / left).clamp(min=0)
        for tokens, rivals in self._groups(missing, on_sale):
            lost = self.instead.value * p[:, tokens].sum(1, keepdim=True)
            left = p[:, rivals].sum(1, keepdim=True).clamp(min=TINY)
            p[:, rivals] *= 1 + lost / left
        p[:, torch.from_numpy(missing)] = 0
        return p

    def _groups(
        self, changed: np.ndarray, others: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Changed tokens that have the same rivals, and these among others, (V,) bool each."""
        alone = np.where(self._need < 0, self._category, -1)
        for own, theirs in ((self._need, self._need), (alone, self._category)):
            for each in np.unique(own[changed & (own >= 0)]):
                yield (
                    np.flatnonzero(changed & (own == each)),
                    np.flatnonzero(others & (theirs == each)),
                )
