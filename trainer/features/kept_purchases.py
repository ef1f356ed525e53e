"""What is kept of everything that a customer bought, so that a question need not scan it anew.

A question reads the scan's output after the last purchase of each product (`PurchaseEncoder`),
which changes only when the product is bought. So outputs are kept, and a finished trip scans again
what was bought on it: a few sequences from the customer's log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.cache.ragged import distinct
from trainer.features.circumstances import Circumstances
from trainer.features.purchase_sequences import PurchaseSequences, purchase_sequences
from trainer.features.trip_log import TripLog


@dataclass(frozen=True)
class KeptPurchases:
    """Of the products, or finest categories, bought on the trips of a customer's log."""

    bought: np.ndarray
    """(n,) int32 products or rows of categories, ascending."""
    outputs: np.ndarray
    """(n, channels) the scan's after the last purchase of each."""

    def __post_init__(self) -> None:
        if self.outputs.ndim != 2 or len(self.outputs) != len(self.bought):
            raise ValueError(f"expected {len(self.bought)} outputs, not {self.outputs.shape}")

    def updated(self, newer: KeptPurchases, remembered: np.ndarray) -> KeptPurchases:
        """With the newer outputs in place of older ones, of what is still remembered: (m,)
        integers from 0, ascending."""
        older = ~_among(newer.bought, self.bought)
        bought = np.concatenate([self.bought[older], newer.bought])
        outputs = np.concatenate([self.outputs[older], newer.outputs])
        order = np.argsort(bought)
        order = order[_among(remembered, bought[order])]
        return KeptPurchases(bought[order].astype(np.int32), outputs[order])


@dataclass(frozen=True)
class LoggedPurchases:
    """The purchases of some products, or categories, on the trips of the logs of n customers."""

    sequences: PurchaseSequences
    owner: np.ndarray
    """(sequences,) customer of each sequence, ascending."""
    bought: np.ndarray
    """(sequences,) what it is of, ascending within a customer."""
    last: np.ndarray
    """(sequences,) its last purchase, an index into `sequences`."""

    @classmethod
    def of(
        cls, logs: Sequence[TripLog], bought: Sequence[np.ndarray], chosen: Sequence[np.ndarray]
    ) -> LoggedPurchases:
        """bought: of each log what its items are purchases of, (items,) integers, -1 of nothing;
        chosen: what is read of each, (m,) ascending."""
        trips = np.concatenate([log.trips for log in logs])
        trip = np.repeat(np.arange(len(trips)), trips["items"])
        owner = np.repeat(np.arange(len(logs)), [len(log.trips) for log in logs])[trip]
        base = 1 + max(int(part.max(initial=0)) for part in bought)
        bought = np.concatenate(bought)
        key = owner * base + bought
        wanted = np.concatenate([n * base + part for n, part in enumerate(chosen)])
        read = (bought >= 0) & _among(wanted, key)
        # A category that is twice in a basket counts once.
        key, trip = np.divmod(distinct(key[read] * len(trips) + trip[read]), len(trips))
        last = np.flatnonzero(np.diff(key, append=-1))
        owner, bought = np.divmod(key[last], base)
        sequences = purchase_sequences(key, key % base, trip, Circumstances.logged(trips))
        return cls(sequences, owner, bought, last)


def purchased(bought: np.ndarray) -> np.ndarray:
    """What items (n,) are purchases of, -1 of nothing: (m,) ascending, each once."""
    return distinct(bought[bought >= 0])


def _among(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Whether values (n,) are among known (m,), ascending: (n,) bool."""
    if not len(known):
        return np.zeros(len(values), dtype=bool)
    return known[np.searchsorted(known, values).clip(max=len(known) - 1)] == values
