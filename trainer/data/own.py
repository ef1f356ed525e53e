"""What counting knows: how often a customer bought each product before, from the trips themselves.

For every question and every product that the customer bought on an earlier trip of the timeline,
a few counts. Of a trip s that lies a = t - 1 - s trips before the last one before trip t:

- decayed counts: the sum over earlier trips with the product of rate^a, for several rates
  (exponential smoothing; with rate 1 the number of trips with it);
- neighbours: trips weigh 0.95^a exp(6 c), c the cosine of the trip's items with what is visible of
  the basket that is asked about; scaled so that without visible items it is the decayed count of
  rate 0.95.
"""

from __future__ import annotations

import numpy as np
import torch

from trainer.data.batch import OwnProducts
from trainer.data.ragged import offsets

RATES = (1.0, 0.98, 0.95, 0.8, 0.5)
NEIGHBOUR_RATE, NEIGHBOUR_GAIN = 0.95, 6.0
COUNTS = len(RATES) + 1
"""Counts per question and product: one per rate, then the neighbours'."""


def own_products(
    timelines: np.ndarray,
    trip: np.ndarray,
    token: np.ndarray,
    asked: np.ndarray,
    seen_trip: np.ndarray,
    seen_token: np.ndarray,
    products: int,
) -> OwnProducts:
    """Counts for the asked trips of a batch of timelines.

    timelines (n,) trips of each; trip (I,) and token (I,) the true items, by trip; asked (T,) bool;
    seen_trip (S,) and seen_token (S,) what is visible of the asked baskets, by trip. Products
    without a token of their own (token > products) are left out.
    """
    question = asked.cumsum() - 1
    first_trip = offsets(timelines)
    item_range = np.searchsorted(trip, first_trip)
    seen_range = np.searchsorted(seen_trip, first_trip)
    parts = []
    for index, (start, stop) in enumerate(zip(first_trip[:-1], first_trip[1:], strict=True)):
        items = slice(item_range[index], item_range[index + 1])
        seen = slice(seen_range[index], seen_range[index + 1])
        parts.append(
            _of_timeline(
                int(stop - start),
                trip[items] - start, token[items],
                seen_trip[seen] - start, seen_token[seen],
                asked[start:stop], question[start:stop], products,
            )
        )  # fmt: skip
    questions, tokens, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return OwnProducts(*(torch.from_numpy(part) for part in (questions, tokens, counts)))


def _of_timeline(trips, trip, token, seen_trip, seen_token, asked, question, products):
    """Questions (E,), tokens (E,) and counts (E, COUNTS) of one timeline."""
    own, slot = np.unique(token, return_inverse=True)
    bought = np.zeros((trips, len(own)), dtype=np.float32)
    bought[trip, slot] = 1
    rows = np.flatnonzero(asked)
    age = rows[:, None] - 1 - np.arange(trips)
    earlier = age >= 0
    age = np.where(earlier, age, 0)

    counts = [(np.where(earlier, _powers(rate, trips)[age], 0) @ bought) for rate in RATES]
    weight = np.where(earlier, _powers(NEIGHBOUR_RATE, trips)[age], 0)
    near = weight * _overlap_gain(trips, bought, seen_trip, seen_token, own)[rows]
    scale = weight.sum(1) / np.maximum(near.sum(1), np.finfo(np.float32).tiny)
    counts.append((near * scale[:, None]) @ bought)

    entry, column = np.nonzero((counts[0] > 0) & (own <= products))
    return (
        question[rows[entry]],
        own[column].astype(np.int64),
        np.stack([count[entry, column] for count in counts], axis=1),
    )


def _overlap_gain(trips, bought, seen_trip, seen_token, own) -> np.ndarray:
    """exp(gain x cosine) of what is visible of each trip (rows) with each trip (columns)."""
    visible = np.zeros_like(bought)
    place = np.searchsorted(own, seen_token).clip(max=len(own) - 1)
    known = own[place] == seen_token
    visible[seen_trip[known], place[known]] = 1
    lengths = np.bincount(seen_trip, minlength=trips)[:, None] * bought.sum(1)
    cosine = (visible @ bought.T) / np.sqrt(np.maximum(lengths, 1, dtype=np.float32))
    return np.exp(NEIGHBOUR_GAIN * cosine, dtype=np.float32)


def _powers(rate: float, count: int) -> np.ndarray:
    return rate ** np.arange(count, dtype=np.float32)
