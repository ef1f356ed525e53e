"""What is the same for all customers of a chain: products, stores, calendar, sales, prices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.features.as_of import department_of_token, store_order
from trainer.features.calendar import Calendar
from trainer.features.categories import category_of_token
from trainer.features.chain_sales import ChainSales
from trainer.features.plans import UNKNOWN_STORE, TripPlan
from trainer.features.settings import FeatureSettings
from trainer.features.shelf_prices import ShelfPrices
from trainer.features.stores import Stores
from trainer.features.trips import PRICES


class Chain:
    """What all customers share. Their states refer to it.

    Args:
        cache: a tensor cache, or the vocabulary of a checkpoint: static tables and calendar.
        sales: recent sales.
        prices: shelf prices; the static prices of the vocabulary if left out.
    """

    def __init__(
        self, cache: TensorCache, sales: ChainSales, prices: ShelfPrices | None = None
    ) -> None:
        self.labels, self.label_counts = cache.labels, cache.label_counts
        self.settings = FeatureSettings.of(cache)
        self.vocabulary = cache.vocabulary
        self.calendar, self.stores = Calendar(cache), Stores(cache)
        self.sales = sales
        # Not `or`: prices of which none is observed yet have length 0.
        if prices is None:
            prices = ShelfPrices.static(cache, self.settings.shelf_prices)
        self.prices = prices
        self.departments = department_of_token(cache)
        """(input tokens,) department label of each token, 0 none."""
        self.categories = category_of_token(cache)
        """(input tokens,) row of each token's finest category."""
        self.store_order = store_order(cache)
        """(stores,) place of each store in the order of codes."""
        self._token_of = {code: row + 1 for row, code in enumerate(cache["products.code"].tolist())}
        self._code_of = {token: code.decode() for code, token in self._token_of.items()}
        self._store_of = {code: row for row, code in enumerate(cache["stores.code"].tolist())}
        self._store_codes = [code.decode() for code in self._store_of]

    def tokens(self, codes: Sequence[str]) -> np.ndarray:
        """Tokens of product codes, (n,) int64. Raises KeyError with the first unknown code."""
        return np.array([self._token_of[code.encode()] for code in codes], dtype=np.int64)

    def codes(self, tokens: Iterable[int]) -> list[str]:
        """Product codes of tokens 1 to N, the inverse of `tokens`. KeyError for any other."""
        return [self._code_of[int(token)] for token in tokens]

    def purchases(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What items (n,) are purchases of, (n,) each: products, -1 for those outside the
        vocabulary, and rows of finest categories."""
        is_product = self.vocabulary.is_product(tokens)
        return np.where(is_product, tokens, -1), self.categories[tokens]

    def store(self, code: str) -> int:
        """Row of a store, or `UNKNOWN_STORE` for one outside the vocabulary."""
        return self._store_of.get(code.encode(), UNKNOWN_STORE)

    def store_code(self, row: int) -> str | None:
        """Code of a row of the stores, None for `UNKNOWN_STORE`; the inverse of `store`."""
        return None if row == UNKNOWN_STORE else self._store_codes[row]

    def segments(self, price_sensitivity: str, lifestage: str) -> tuple[int, int]:
        """Codes of a customer's segments; 0 for labels that did not occur in training."""
        return (
            _code(self.labels["price_sensitivity"], price_sensitivity),
            _code(self.labels["lifestage"], lifestage),
        )

    def check_segments(self, segments: tuple[int, int]) -> tuple[int, int]:
        """The same as a tuple of int. Raises ValueError for codes that the chain does not have."""
        codes = [len(self.labels[name]) for name in ("price_sensitivity", "lifestage")]
        try:
            given = tuple(map(index, segments))
        except TypeError:
            given = ()
        if len(given) != 2 or not all(0 <= code <= n for code, n in zip(given, codes, strict=True)):
            raise ValueError(
                f"segments: expected two codes, from 0 to {codes[0]} and {codes[1]} "
                f"(Chain.segments), not {segments!r}"
            )
        return given

    def check_items(self, name: str, tokens: np.ndarray) -> None:
        """Raise ValueError unless tokens (n,) are those of a basket: of products, each of them
        once, or of fallbacks."""
        if not len(tokens):
            return
        is_item = self.vocabulary.is_item(tokens)
        if not is_item.all():
            raise ValueError(
                f"{name}: expected tokens of products or fallbacks, found {tokens[~is_item][0]}"
            )
        products, times = np.unique(tokens[self.vocabulary.is_product(tokens)], return_counts=True)
        if (times > 1).any():
            raise ValueError(f"{name}: product {products[times > 1][0]} is there more than once")

    def item_prices(
        self, plan: TripPlan, tokens: np.ndarray, pence: np.ndarray | None
    ) -> np.ndarray:
        """Prices of items (n,) on a trip, (n, 3) float32: those given, or the chain's if None."""
        if pence is not None:
            return pence
        if not len(tokens):
            return np.empty((0, len(PRICES)), np.float32)
        return self.prices.at(tokens, plan.store, self.calendar.day(plan.date).week)

    def kind(self, **labels: str) -> tuple[int, int, int, int]:
        """Codes of a kind of trip from labels: size, sensitivity, type, focus; 0 where left out.

        Raises ValueError for an unknown label, TypeError for an unknown name.
        """
        if unknown := labels.keys() - set(CONTEXT):
            raise TypeError(f"kind: expected {', '.join(CONTEXT)}, not {unknown}")
        for name, label in labels.items():
            if label not in self.labels[name]:
                choices = ", ".join(self.labels[name])
                raise ValueError(f"{name}: expected one of {choices}, not {label!r}")
        return tuple(_code(self.labels[name], labels.get(name, "")) for name in CONTEXT)

    def check_kind(self, kind: Sequence[int]) -> None:
        """Raise ValueError for codes of a kind of trip that the chain does not have."""
        for code, (name, codes) in zip(kind, self.label_counts.codes.items(), strict=True):
            if not 0 <= code < codes:
                raise ValueError(f"kind: {name} is a code from 0 to {codes - 1}, not {code}")


def _code(labels: Sequence[str], label: str) -> int:
    return list(labels).index(label) + 1 if label in labels else 0
