"""How many products a basket will hold.

The model says which products are likely and how large a trip is likely to be (S, M, L), not how
many products that is. They are counted: the mean number of products of the customer's earlier trips
of a size, towards which the chain's mean counts as `CHAIN_TRIPS` trips more. Where items are in the
basket already, only baskets that hold as many count, with what they hold besides.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import Vocabulary
from trainer.commands.errors import InputError
from trainer.features.customers import CustomerFeatures

CHAIN_TRIPS = 3
"""Trips of the chain's mean basket beside the customer's own, chosen on LGSR's validation weeks."""


@dataclass(frozen=True)
class ExpectedItems:
    """Of n baskets, besides what is visible; their product is the expected number."""

    any: np.ndarray
    """(n,) probability that there is anything more."""
    items: np.ndarray
    """(n,) expected number of products if there is, at least 1."""

    @property
    def mean(self) -> np.ndarray:
        """(n,) expected number of products."""
        return self.any * self.items


class BasketSizes:
    """Number of products of baskets, by size of the trip, of the chain and of its customers.

    Args:
        cache: whose trips are counted.
        last_week: trips of later weeks are not.
    """

    def __init__(self, cache: TensorCache, last_week: int) -> None:
        self._sizes = len(cache.labels["size"])
        self._vocabulary = cache.vocabulary
        counted = cache["trips.week"] <= last_week
        items = np.diff(cache["trips.item_offsets"].astype(np.int64))
        products = _products(self._vocabulary, cache["items.token"], items)
        size = cache["trips.size"][counted].astype(np.int64)
        self._of_chain = functools.cache(functools.partial(self._counts, products[counted], size))
        """`_counts` of the chain's trips by the number of visible products."""

    def expected(
        self, customers: Sequence[CustomerFeatures], size: np.ndarray, visible: int = 0
    ) -> ExpectedItems:
        """Of the next trips of customers (n,), given that so many products are visible: size
        (n, sizes) probability of each size of the trip, code 1 first.

        Sizes of which no trip of the chain held as many are impossible. Raises InputError where
        none is left for a customer.
        """
        chain = self._of_chain(visible)
        chain = chain * (CHAIN_TRIPS / chain[:1].clip(1))
        own = [self._counts(*self._past(customer), visible) for customer in customers]
        _, fitting, more, besides = np.stack([chain + counts for counts in own], axis=1)
        p = np.where(fitting > 0, size, 0)
        if not p.any(1).all():
            raise InputError(
                f"{visible} products in the basket: no recorded trip of that size held as many"
            )
        p = p / p.sum(1, keepdims=True) / np.where(fitting > 0, fitting, 1)
        there_is_more, number = (p * more).sum(1), (p * besides).sum(1)
        items = np.divide(number, there_is_more, out=np.ones(len(p)), where=there_is_more > 0)
        return ExpectedItems(there_is_more, items)

    def _past(self, customer: CustomerFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Products and size of each of a customer's trips."""
        log = customer.log
        products = _products(self._vocabulary, log.tokens, log.trips["items"])
        return products, log.trips["kind"][:, 0].astype(np.int64)

    def _counts(self, products: np.ndarray, size: np.ndarray, visible: int) -> np.ndarray:
        """(4, sizes) of trips (T,) by size: how many there are, with at least as many products as
        are visible, with more, and how many more these hold."""
        besides = products - visible
        columns = np.ones(len(size)), besides >= 0, besides > 0, besides.clip(0)
        return np.stack([np.bincount(size, column, self._sizes + 1)[1:] for column in columns])


def _products(vocabulary: Vocabulary, tokens: np.ndarray, items: np.ndarray) -> np.ndarray:
    """(T,) products of the vocabulary in each basket: tokens of all, items (T,) of each."""
    trip = np.repeat(np.arange(len(items)), items)
    return np.bincount(trip[vocabulary.is_product(tokens)], minlength=len(items))
