"""Price of a product at a store in a week, whether it was sold there or not.

The price is the first of

1. the price observed at the store in that week,
2. the median of the prices observed in that week at the stores of its region,
3. the price last observed at the store in an earlier week,
4. the static price: the product's median of the training weeks, or its category's.

The previous price is the one last observed at the store in an earlier week, or the price itself
where there was none. The base price is the highest of the price and those observed at the store in
the trailing weeks. Nothing of a later week is read. These are the definitions of the marts `prices`
and `price_fallbacks_*` and of the macro `price_or_fallback`.

A product sold by weight has no shelf price to observe: it has one stable price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import Vocabulary
from trainer.cache.writer import smallest_unsigned
from trainer.features.plans import UNKNOWN_STORE

TOKEN_BITS, STORE_BITS, WEEK_BITS = 27, 20, 16
"""Bits of the sortable int64 key of a product, store and week."""
CELLS_AT_ONCE = 1 << 20
"""Bound on the memory of regional medians."""


@dataclass(frozen=True)
class ShelfPriceSettings:
    """Constants of the prices; other values change the meaning of learned weights."""

    base_price_weeks: int = 4
    """Trailing weeks, the current one included, whose highest price is the base price: the dbt
    variable of the same name."""


class ShelfPrices:
    """Observed shelf prices, with a fallback for every product, store and week.

    Holds 12 bytes per product, store and week observed. After `forget_before` that is at most
    products x stores x `base_price_weeks`, and what was observed since.

    Args:
        product_pence: (N,) static prices of products.
        category_pence: (C,) static prices of categories, for their fallback tokens.
        has_stable_price: (N,) bool, products sold by weight whose static price is their stable
            price: those sold in the training weeks.
        region: (stores,) label of each store's region; stores with label 0 share no prices.
    """

    def __init__(
        self,
        product_pence: np.ndarray,
        category_pence: np.ndarray,
        has_stable_price: np.ndarray,
        region: np.ndarray,
        settings: ShelfPriceSettings = ShelfPriceSettings(),
    ) -> None:
        if len(product_pence) >> TOKEN_BITS or len(region) >> STORE_BITS:
            raise ValueError(f"{len(product_pence)} products, {len(region)} stores: too many")
        self.settings = settings
        self.first_week = 1
        """The earliest week that it answers for."""
        self._vocabulary = Vocabulary(len(product_pence), len(category_pence))
        static_pence = np.concatenate([[0], product_pence, [0, 0], category_pence])
        self._static_pence = static_pence.astype(np.float32)  # by input token
        self._has_stable_price = np.pad(has_stable_price, (1, 2 + len(category_pence)))
        self._region = np.append(region.astype(np.int64), 0)  # the last stands for unknown stores
        self._stores_of_region = _stores_of_region(self._region)
        # Observed prices, ascending by key. The first is no product's, so that a search for the
        # last key up to another one always finds a row.
        self._key = np.array([-1])
        self._pence = np.zeros(1, dtype=np.float32)

    @classmethod
    def static(
        cls, vocabulary: TensorCache, settings: ShelfPriceSettings = ShelfPriceSettings()
    ) -> ShelfPrices:
        """Nothing observed yet: the static prices of a cache, or of a checkpoint's vocabulary."""
        return cls(
            vocabulary["products.pence"],
            vocabulary["categories.pence"],
            vocabulary["products.is_random_weight"] & ~vocabulary["products.is_novel"],
            vocabulary["stores.region"],
            settings,
        )

    @classmethod
    def from_cache(
        cls, cache: TensorCache, settings: ShelfPriceSettings = ShelfPriceSettings(),
        last_week: int | None = None,
    ) -> ShelfPrices:  # fmt: skip
        """All prices of a cache: those of its items, and those that anonymous trips alone show.

        last_week: those of later weeks are left out.
        """
        prices = cls.static(cache, settings)
        items = np.diff(cache["trips.item_offsets"].astype(np.int64))
        is_product = cache["items.token"] <= cache.products
        of_items = (
            cache["items.token"],
            np.repeat(cache["trips.store"], items),
            np.repeat(cache["trips.week"], items),
            cache["shelf_prices.pence"][cache["items.price"]],
        )
        of_others = (
            cache["anonymous_prices.product"].astype(np.int64) + 1,
            cache["anonymous_prices.store"],
            cache["anonymous_prices.week"],
            cache["anonymous_prices.pence"],
        )
        for columns in ((values[is_product] for values in of_items), of_others):
            token, store, week, pence = columns
            known = slice(None) if last_week is None else week <= last_week
            prices._insert(token[known], store[known], week[known], pence[known])
        return prices

    def __len__(self) -> int:
        """Number of observed prices held."""
        return len(self._key) - 1

    def observe(
        self, token: np.ndarray, store: np.ndarray, week: np.ndarray, pence: np.ndarray
    ) -> None:
        """Take in prices of one unit of products (n,) at stores (n,) in weeks (n,).

        A further price of the same product, store and week replaces the one before, also within a
        call. Fallback tokens are skipped, as they are no product. A product sold by weight keeps
        its stable price, whatever a portion cost; one first sold after the training weeks has none
        yet, and is taken at the price given. Every call copies what is held: observe many at once.

        Raises ValueError for tokens of no item, stores out of range, weeks before 1, and prices
        that are negative or not finite.
        """
        token, store, week, pence = np.broadcast_arrays(token, store, week, pence)
        self._check(token, store, week)
        if not (np.isfinite(pence) & (pence >= 0)).all():
            raise ValueError("pence: expected finite prices from 0")
        pence = np.where(self._has_stable_price[token], self._static_pence[token], pence)
        is_product = self._vocabulary.is_product(token)
        self._insert(*(values[is_product] for values in (token, store, week, pence)))

    def at(self, token: np.ndarray, store: np.ndarray, week: np.ndarray) -> np.ndarray:
        """Price, previous price and base price of products at stores in weeks.

        token, store, week: (n,), or broadcast to it; at an `UNKNOWN_STORE` prices are static.
        Returns (n, 3) float32 in pence, the columns `trainer.features.trips.PRICES`; 3 is the last
        dimension for inputs of any shape.

        Raises ValueError for tokens of no item, stores out of range, and weeks before `first_week`.
        """
        token, store, week = np.broadcast_arrays(token, store, week)
        self._check(token, np.where(store == UNKNOWN_STORE, 0, store), week)
        store = np.where(store == UNKNOWN_STORE, len(self._region) - 1, store)
        if week.size and week.min() < self.first_week:
            raise ValueError(
                f"week: expected {self.first_week} or later, found {week.min()}: "
                "prices of earlier weeks were forgotten"
            )
        key = _keys(token, store, week)
        newest = np.searchsorted(self._key, key, side="right") - 1
        is_observed = self._key[newest] == key
        earlier = newest - is_observed
        has_earlier = self._key[earlier] >> WEEK_BITS == key >> WEEK_BITS

        pence = np.where(has_earlier, self._pence[earlier], self._static_pence[token])
        regional = self._regional_median(*(v[~is_observed] for v in (token, store, week)))
        pence[~is_observed] = np.where(np.isnan(regional), pence[~is_observed], regional)
        pence = np.where(is_observed, self._pence[newest], pence)

        previous = np.where(has_earlier, self._pence[earlier], pence)
        base = pence
        weeks = self.settings.base_price_weeks
        first = key - np.minimum(week.astype(np.int64) - 1, weeks - 1)
        for back in range(weeks):
            row = np.maximum(newest - back, 0)
            base = np.where(self._key[row] >= first, np.maximum(base, self._pence[row]), base)
        return np.stack([pence, previous, base], axis=-1)

    def forget_before(self, week: int) -> None:
        """Drop all that is not needed to answer for `week` and later weeks.

        What is left of each product and store: prices of the trailing base weeks, else the last.
        """
        shelf = self._key >> WEEK_BITS  # product and store
        week_of = self._key & ((1 << WEEK_BITS) - 1)
        is_old = week_of <= week - self.settings.base_price_weeks
        # The next price of the shelf is the one last observed, unless it is of a week to come.
        has_next = np.append((shelf[1:] == shelf[:-1]) & (week_of[1:] < week), False)
        kept = ~(is_old & has_next)
        self._key, self._pence = self._key[kept], self._pence[kept]
        self.first_week = max(self.first_week, week)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything but the settings, as plain arrays."""
        key, products = self._key[1:], slice(1, self._vocabulary.products + 1)
        parts = {
            "token": key >> STORE_BITS + WEEK_BITS,
            "store": key >> WEEK_BITS & (1 << STORE_BITS) - 1,
            "week": key & (1 << WEEK_BITS) - 1,
        }
        return {
            **{name: smallest_unsigned(values) for name, values in parts.items()},
            "pence": self._pence[1:],
            "product_pence": self._static_pence[products],
            "category_pence": self._static_pence[self._vocabulary.size :],
            "has_stable_price": self._has_stable_price[products],
            "region": smallest_unsigned(self._region[:-1]),
            "first_week": np.array(self.first_week, dtype=np.int64),
        }

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, np.ndarray],
        settings: ShelfPriceSettings = ShelfPriceSettings(),
    ) -> ShelfPrices:
        """The inverse of `to_arrays`."""
        prices = cls(
            arrays["product_pence"], arrays["category_pence"], arrays["has_stable_price"],
            arrays["region"], settings,
        )  # fmt: skip
        prices._insert(*(arrays[name] for name in ("token", "store", "week", "pence")))
        prices.first_week = int(arrays["first_week"])
        return prices

    def _check(self, token: np.ndarray, store: np.ndarray, week: np.ndarray) -> None:
        for name, values, lowest, highest in (
            ("token", token, 1, len(self._static_pence) - 1),
            ("store", store, 0, len(self._region) - 2),
            ("week", week, 1, (1 << WEEK_BITS) - 1),
        ):
            outside = values[(values < lowest) | (values > highest)]
            if outside.size:
                raise ValueError(f"{name}: expected {lowest}..{highest}, found {outside[0]}")
        if np.isin(token, self._vocabulary.specials).any():
            raise ValueError("token: [MASK] and [EOS] have no price")

    def _insert(
        self, token: np.ndarray, store: np.ndarray, week: np.ndarray, pence: np.ndarray
    ) -> None:
        """Merge prices in; the last of several with the same key counts."""
        key = np.concatenate([self._key, _keys(token, store, week)])
        pence = np.concatenate([self._pence, pence.astype(np.float32)])
        order = np.argsort(key, kind="stable")
        key = key[order]
        is_last = np.append(key[1:] != key[:-1], True)
        self._key, self._pence = key[is_last], pence[order[is_last]]

    def _regional_median(
        self, token: np.ndarray, store: np.ndarray, week: np.ndarray
    ) -> np.ndarray:
        """Median over the prices at all stores of the region of each store, (n,) float64; NaN where
        there are none."""
        cells, index = np.unique(_keys(token, self._region[store], week), return_inverse=True)
        medians = np.empty(len(cells))
        step = max(CELLS_AT_ONCE // self._stores_of_region.shape[1], 1)
        for start in range(0, len(cells), step):
            part = cells[start : start + step]
            stores = self._stores_of_region[part >> WEEK_BITS & (1 << STORE_BITS) - 1]
            key = part[:, None] & ~(((1 << STORE_BITS) - 1) << WEEK_BITS) | stores << WEEK_BITS
            row = np.searchsorted(self._key, key, side="right") - 1
            is_observed = (stores >= 0) & (self._key[row] == key)
            # NaN sorts last, and is what the middle of an empty row turns out to be.
            pence = np.sort(np.where(is_observed, self._pence[row].astype(np.float64), np.nan))
            count = is_observed.sum(axis=1, keepdims=True)
            middle = [
                np.take_along_axis(pence, at, 1)[:, 0] for at in ((count - 1) // 2, count // 2)
            ]
            medians[start : start + step] = (middle[0] + middle[1]) / 2
        return medians[index]


def _keys(token: np.ndarray, store: np.ndarray, week: np.ndarray) -> np.ndarray:
    token, store, week = (values.astype(np.int64) for values in (token, store, week))
    return (token << STORE_BITS | store) << WEEK_BITS | week


def _stores_of_region(region: np.ndarray) -> np.ndarray:
    """Stores of each region label, (labels, most stores) int64, the rest -1; label 0 has none."""
    labels = np.unique(region[region > 0])
    counts = np.bincount(region[region > 0], minlength=region.max(initial=0) + 1)
    stores = np.full((len(counts), max(counts.max(initial=0), 1)), -1)
    for label in labels:
        stores[label, : counts[label]] = np.flatnonzero(region == label)
    return stores
