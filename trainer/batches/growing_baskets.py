"""Questions about baskets that grow, one visible item at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trainer.batches.batch import Questions
from trainer.batches.packing import pack_baskets, pack_queries
from trainer.cache.ragged import distinct
from trainer.features.customers import CustomerFeatures
from trainer.features.purchase_history import LIKENESS
from trainer.features.purchases import HISTORY_TRIPS

COSINE = LIKENESS.index("cosine")


class GrowingBaskets:
    """n baskets that hold k products each, k from 0 on.

    What is known of the customers' earlier trips is gathered once; per item only what depends on
    the visible ones is worked out again.

    Args:
        questions: about n plans without visible items (`plan_questions`).
        customers: of the same n plans.
    """

    def __init__(self, questions: Questions, customers: Sequence[CustomerFeatures]) -> None:
        count = len(questions.trip)
        if len(questions.token) != count:
            raise ValueError("questions: expected baskets without visible items")
        self.questions = questions
        self._mask = questions.token[:1]
        self._token = questions.token.new_empty(count, 0)
        self._pence = questions.pence.new_empty(count, 0, questions.pence.shape[1])
        bought = questions.history.products
        self._base = int(bought.token.max()) + 1 if len(bought.token) else 1
        # Entries ascend by question, then by token; purchases of an entry, its pairs.
        self._key = (bought.question * self._base + bought.token).numpy()
        order = np.argsort(bought.entry.numpy(), kind="stable")
        self._pair = bought.pair.numpy()[order]
        self._first = np.searchsorted(bought.entry.numpy()[order], np.arange(len(self._key) + 1))
        self._sizes = np.concatenate([_different_items(customer) for customer in customers])
        self._both = np.zeros(len(self._sizes))

    def add(self, token: Tensor, pence: Tensor) -> None:
        """One more product in each basket: token (n,), not in it yet; pence (n, 3) its prices."""
        self._token = torch.cat([self._token, token[:, None]], 1)
        self._pence = torch.cat([self._pence, pence[:, None]], 1)
        count, k = self._token.shape
        self._both[self._pairs_with(token.numpy())] += 1
        history = self.questions.history
        likeness = history.trips.likeness.clone()
        cosine = self._both / np.sqrt(np.maximum(k * self._sizes, 1))
        likeness[:, COSINE] = torch.from_numpy(cosine.astype(np.float32))
        lengths = np.full(count, k + 1)
        first = torch.arange(count) * (k + 1)
        hidden = torch.zeros(count, k + 1, dtype=torch.bool)
        hidden[:, 0] = True
        self.questions = replace(
            self.questions,
            fully_hidden=torch.zeros(count, dtype=torch.bool),
            token=torch.cat([self._mask.expand(count, 1), self._token], 1).flatten(),
            question=torch.arange(count).repeat_interleave(k + 1),
            pence=torch.cat([self._pence.new_zeros(count, 1, 3), self._pence], 1).flatten(0, 1),
            price_hidden=hidden.flatten(),
            baskets=pack_baskets(lengths),
            query_baskets=pack_queries(lengths, np.arange(count)),
            history=replace(history, trips=replace(history.trips, likeness=likeness)),
            logit=first,
        )

    def _pairs_with(self, token: np.ndarray) -> np.ndarray:
        """The pairs of a basket and an earlier trip that has its new product."""
        wanted = np.arange(len(token)) * self._base + token
        wanted = wanted[token < self._base]
        place = np.searchsorted(self._key, wanted)
        place = place[np.append(self._key, -1)[place] == wanted]
        return np.concatenate(
            [
                np.empty(0, np.int64),
                *(self._pair[self._first[e] : self._first[e + 1]] for e in place),
            ]
        )


def _different_items(customer: CustomerFeatures) -> np.ndarray:
    """(trips,) number of different items of each of the last trips, as `PurchaseIndex.sizes`."""
    log = customer.log
    trip = np.repeat(np.arange(len(log.trips)), log.trips["items"])
    base = int(log.tokens.max(initial=0)) + 1
    found = distinct(trip * base + log.tokens.astype(np.int64)) // base
    return np.bincount(found, minlength=len(log.trips))[-HISTORY_TRIPS:]
