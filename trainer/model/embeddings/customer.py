"""T1: the customer as of a week."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from trainer.cache.reader import TensorCache
from trainer.cache.totals import over_customers
from trainer.features.columns import (
    AFFINITY_COLUMNS,
    HISTORY_COLUMNS,
    training_customer_weeks,
)
from trainer.model.checks import expect_flags, expect_integers, expect_numbers
from trainer.model.embeddings.layers import number_map
from trainer.model.embeddings.standardiser import Standardiser, logged, moments

SEGMENT, HISTORY, AFFINITY = 32, 96, 32


class CustomerEmbedding(nn.Module):
    """T1 (192): segments 64, history 96, affinity 32.

    - segments: price sensitivity 32 and lifestage 32, embeddings; code 0 = unknown is learned.
      Scaled by 1 - b.
    - history: the standardised columns of `HISTORY_COLUMNS` through a small network. Scaled by b.
    - affinity: the standardised columns of `AFFINITY_COLUMNS` and whether the trip is at the
      primary store, through a small network. Zero without earlier trips.

    b = min(1, trips / 20) is the cold-start weight. The linear map that follows sums the parts, so
    that it blends segments and history: at b = 0 segments count alone, at b = 1 history.

    Embeddings start at N(0, 1), networks at unit variance.

    Args:
        price_sensitivities, lifestages: number of labels, unknown not counted.
        history, affinity: standardisers of the two groups of columns.
    """

    WIDTH = 2 * SEGMENT + HISTORY + AFFINITY

    def __init__(
        self,
        price_sensitivities: int,
        lifestages: int,
        history: Standardiser,
        affinity: Standardiser,
    ) -> None:
        super().__init__()
        self.price_sensitivity = nn.Embedding(price_sensitivities + 1, SEGMENT)
        self.lifestage = nn.Embedding(lifestages + 1, SEGMENT)
        self.history_scale = history
        self.history_map = number_map(history.columns, HISTORY)
        self.affinity_scale = affinity
        self.affinity_map = number_map(affinity.columns + 1, AFFINITY)

    @classmethod
    def from_cache(cls, cache: TensorCache) -> CustomerEmbedding:
        """For the labels of a cache; constants from its training weeks."""
        parts = customer_moments(cache)
        history, affinity = (logged(cache, part) for part in (HISTORY_COLUMNS, AFFINITY_COLUMNS))
        return cls(
            len(cache.labels["price_sensitivity"]),
            len(cache.labels["lifestage"]),
            Standardiser.of_moments(history, parts[..., : len(history)]),
            Standardiser.of_moments(affinity, parts[..., len(history) :]),
        )

    def forward(
        self,
        segments: Tensor,
        history: Tensor,
        affinity: Tensor,
        at_primary: Tensor,
        history_weight: Tensor,
        has_history: Tensor,
    ) -> Tensor:
        """The customers of T trips, (T, 192).

        segments (T, 2) integers: price sensitivity, lifestage; history (T, F) and affinity (T, F)
        raw, from `read_numbers`; at_primary (T,) bool: the trip's store is the primary store;
        history_weight (T,): b; has_history (T,) bool: there are earlier trips. Raises ValueError
        for other shapes or dtypes, IndexError on a CPU for codes out of range.
        """
        trips = len(segments)
        expect_integers("segments", segments, (trips, 2))
        expect_numbers("history", history, (trips, self.history_scale.columns))
        expect_numbers("affinity", affinity, (trips, self.affinity_scale.columns))
        expect_flags("at_primary", at_primary, (trips,))
        expect_numbers("history_weight", history_weight, (trips,))
        expect_flags("has_history", has_history, (trips,))

        price_sensitivity, lifestage = segments.long().unbind(1)
        segment_part = torch.cat(
            [self.price_sensitivity(price_sensitivity), self.lifestage(lifestage)], dim=1
        )
        history_part = self.history_map(self.history_scale(history))
        stores = self.affinity_scale(affinity)
        stores = torch.cat([stores, at_primary.to(stores.dtype)[:, None]], dim=1)
        affinity_part = self.affinity_map(stores).masked_fill(~has_history[:, None], 0)
        b = history_weight[:, None]
        return torch.cat([(1 - b) * segment_part, b * history_part, affinity_part], dim=1)


@over_customers
def customer_moments(cache: TensorCache) -> np.ndarray:
    """The `moments` of the history's and the affinity's columns over the rows that constants are
    fitted to, (shards, 5, F): of a shard in its own place, 0 in those of others."""
    own = moments(cache, HISTORY_COLUMNS + AFFINITY_COLUMNS, training_customer_weeks(cache))
    parts = np.zeros((cache.shards, *own.shape))
    parts[cache.shard or 0] = own
    return parts
