"""The purchases of each product by each customer in their order, packed for a scan.

Shape letters: n purchases, B rows, L steps per row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.features.circumstances import Circumstances
from trainer.features.tensors import TensorRecord

ROW = 512
"""About how many purchases a row holds: many short rows are scanned side by side."""
CHUNK = 32
"""Steps per chunk of the scan; rows are whole chunks."""
CIRCUMSTANCES = ("size", "sensitivity", "type", "focus", "hour", "weekday")
"""Names of the columns of `PurchaseSequences.circumstances`."""


@dataclass(frozen=True)
class PurchaseSequences(TensorRecord):
    """n purchases, those of one customer and product one after the other, by time."""

    token: Tensor
    """(n,) int64 what was bought."""
    gaps: Tensor
    """(n, 2) float32 days and trips since the customer's purchase before of the same; -1 at the
    first."""
    circumstances: Tensor
    """(n, 6) int64 codes of the trip, the columns of `CIRCUMSTANCES`."""
    step: Tensor
    """(n,) int64 place of each purchase in the flattened rows (B * L)."""
    sequence: Tensor
    """(B, L) int32 number of the sequence of each step; 0 for padding."""


def purchase_sequences(
    key: np.ndarray, token: np.ndarray, trip: np.ndarray, trips: Circumstances
) -> PurchaseSequences:
    """key (n,) ascending: equal for the purchases of a sequence; token (n,) and trip (n,) of each,
    trips ascending within a sequence; trips: of the batch."""
    start = np.flatnonzero(np.diff(key, prepend=-1))
    is_first = np.zeros(len(key), dtype=bool)
    is_first[start] = True
    day = trips.day[trip]
    gaps = np.stack([np.diff(day, prepend=0), np.diff(trip, prepend=0)], axis=1)
    gaps[is_first] = -1
    # A sequence lies in the row in which it starts.
    number = np.cumsum(is_first) - 1
    row = (start // ROW)[number]
    _, first, row = np.unique(row, return_index=True, return_inverse=True)
    place = np.arange(len(key)) - first[row]
    rows, longest = max(len(first), 1), int(place.max(initial=0)) + 1
    length = -(-longest // CHUNK) * CHUNK
    step = row * length + place
    sequence = np.zeros(rows * length, dtype=np.int32)
    sequence[step] = number + 1
    codes = np.column_stack([trips.kind[trip], trips.hour[trip], day % 7])
    return PurchaseSequences(
        token=torch.from_numpy(token),
        gaps=torch.from_numpy(gaps.astype(np.float32)),
        circumstances=torch.from_numpy(codes.astype(np.int64)),
        step=torch.from_numpy(step),
        sequence=torch.from_numpy(sequence.reshape(rows, length)),
    )
