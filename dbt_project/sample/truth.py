"""The truth behind a chain, as Parquet tables beside the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from . import shape
from .catalogue import Catalogue, pairs_of_needs
from .households import CLASSES, Households
from .prices import CHAIN_WIDE, FORMAT_FACTOR, Prices
from .stores import Stores
from .write import Codes, words

TIERS = ("value", "middle", "premium")


def _products(catalogue: Catalogue, codes: Codes) -> pa.Table:
    weighed = catalogue.random_weight
    unit = np.where(weighed, np.rint(catalogue.price * catalogue.portion), catalogue.price)
    return pa.table({
        "product": codes.product,
        "prod_code_10": words(catalogue.cl, codes.cl),
        "prod_code_20": words(catalogue.dep, codes.dep),
        "prod_code_30": words(catalogue.group, codes.group),
        "prod_code_40": words(catalogue.department, codes.department),
        "need": catalogue.need,
        "base_share": catalogue.popularity,
        "base_price_pence": unit.astype(np.int64),
        "price_per_kg_pence": pa.array(catalogue.price, mask=~weighed),
        "portion_kg": pa.array(catalogue.portion, mask=~weighed),
        "random_weight": weighed,
        "tier": words(catalogue.tier, TIERS),
        "first_week": catalogue.first_week,
        "eps": catalogue.elasticity,
    })  # fmt: skip


def _shelf_prices(prices: Prices, codes: Codes) -> pa.Table:
    """Regular price per product, format and span of weeks without a change."""
    changed = np.ones(prices.regular.shape, dtype=bool)
    changed[:, 1:] = prices.regular[:, 1:] != prices.regular[:, :-1]
    product, week = np.nonzero(changed)
    last = np.r_[product[1:] != product[:-1], True]
    until = np.where(last, prices.regular.shape[1], np.r_[week[1:], 0])
    pence = np.rint(prices.regular[product, week][:, None] * FORMAT_FACTOR)
    formats = len(shape.FORMATS)
    return pa.table({
        "product": words(np.repeat(product, formats), codes.product),
        "store_format": words(np.tile(np.arange(formats), product.size), shape.FORMATS),
        "week_from": np.repeat(week + 1, formats),
        "week_to": np.repeat(until, formats),
        "regular_price_pence": np.maximum(pence, 1).astype(np.int64).ravel(),
    })  # fmt: skip


def _promotions(prices: Prices, codes: Codes) -> pa.Table:
    chain = prices.region == CHAIN_WIDE
    return pa.table({
        "product": words(prices.product, codes.product),
        "store_region": words(np.where(chain, 0, prices.region), shape.REGIONS, chain),
        "week_from": prices.week_from,
        "week_to": prices.week_to,
        "depth": prices.depth,
    })  # fmt: skip


def _households(h: Households, codes: Codes) -> dict[str, pa.Table]:
    known = np.arange(h.known)
    segment = np.where(h.quiet, len(CLASSES), h.sensitivity)[known]
    start = h.store_start[known]
    weight = np.append(h.store_weight, 0.0)
    owner = np.repeat(np.arange(h.store_start.size - 1), np.diff(h.store_start))
    best = np.lexsort((-h.store_weight, owner))[start]
    stage = h.lifestage[known]
    pairs = np.arange(h.favourite_start[h.known])
    of = np.repeat(known, np.diff(h.favourite_start)[known])
    return {
        "households": pa.table({
            "customer": codes.customer,
            "price_sensitivity": words(h.sensitivity[known], ("LA", "MM", "UM")),
            "segment": words(segment, (*CLASSES, "DY")),
            "lifestage": words(stage, shape.LIFESTAGES, stage == 0),
            "primary_store": words(h.store[best], codes.store),
            "primary_store_share": weight[best] / np.add.reduceat(h.store_weight, start),
            "store_region": words(h.region[known], shape.REGIONS),
            "trips_per_week": h.rate[known],
            "first_week": h.first_week[known],
            "last_week": h.last_week[known],
            "repertoire_share": h.loyalty[known],
        }),
        "favourites": pa.table({
            "customer": words(of, codes.customer),
            "product": words(h.favourite[pairs], codes.product),
            "weight": h.favourite_weight[pairs],
            "cycle_weeks": h.cycle[pairs],
        }),
    }  # fmt: skip


def truth_tables(
    catalogue: Catalogue, stores: Stores, households: Households, prices: Prices, codes: Codes
) -> dict[str, pa.Table]:
    """All tables of the truth by name; weeks are 1-based and inclusive, money is pence.

    `substitutes` are the pairs of products of one need. `complements`: buying `product` brings
    `partner` into the basket with probability `strength`. `promotions` without a region are
    chain-wide; the promoted price is the format's regular price x (1 - depth), rounded to the
    penny.
    """
    product, rival = pairs_of_needs(catalogue.need)
    once = product < rival
    product, rival = product[once], rival[once]
    paired = np.flatnonzero(catalogue.partner >= 0)
    return {
        "products": _products(catalogue, codes),
        "shelf_prices": _shelf_prices(prices, codes),
        "promotions": _promotions(prices, codes),
        "substitutes": pa.table({
            "product": words(product, codes.product),
            "rival": words(rival, codes.product),
            "need": catalogue.need[product],
        }),
        "complements": pa.table({
            "product": words(paired, codes.product),
            "partner": words(catalogue.partner[paired], codes.product),
            "strength": catalogue.pull[paired],
        }),
        "stores": pa.table({
            "store": codes.store,
            "store_format": words(stores.format, shape.FORMATS),
            "store_region": words(stores.region, shape.REGIONS),
            "size": stores.size,
            "first_week": stores.first_week,
        }),
        **_households(households, codes),
    }  # fmt: skip


def write_truth(folder: Path, tables: dict[str, pa.Table]) -> None:
    """Write one Parquet file per table."""
    folder.mkdir()
    for name, table in tables.items():
        pa.parquet.write_table(table, folder / f"{name}.parquet")
