"""What every chain is made of, and how a week of it becomes a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .baskets import Week, expected_trips
from .catalogue import Catalogue, build_catalogue
from .config import ChainConfig
from .draw import stream
from .households import Households, build_households
from .prices import Prices, build_prices
from .stores import Stores, build_stores
from .write import FIRST_BASKET, Codes, build_codes, week_table, write_week


@dataclass(frozen=True)
class Chain:
    """All that stays fixed over the weeks."""

    config: ChainConfig
    catalogue: Catalogue
    stores: Stores
    households: Households
    prices: Prices
    """Prices that nothing explains."""
    codes: Codes
    basket_ids: int
    """Basket ids set aside for each week."""


def build_chain(config: ChainConfig) -> Chain:
    """Draw what is fixed. The same in every process that does it."""
    catalogue = build_catalogue(config)
    stores = build_stores(config)
    households = build_households(config, catalogue, stores)
    prices = build_prices(config, catalogue, stores.regions)
    busiest = max(expected_trips(households, w) for w in range(1, config.weeks + 1))
    if config.behaviour == "responsive":
        busiest *= 2  # low prices bring more trips
    # Twelve standard deviations of a Poisson count above the mean: never reached.
    room = int(busiest + 12 * np.sqrt(busiest)) + 100
    codes = build_codes(catalogue, households, stores)
    return Chain(config, catalogue, stores, households, prices, codes, room)


def write_data(chain: Chain, folder: Path, week: int, data: Week) -> dict[str, int]:
    """Write a week's receipts; returns its rows, baskets and spend in pence."""
    c = chain
    shuffled = stream(c.config.seed, "ids", week).permutation(c.basket_ids)
    ids = FIRST_BASKET + (week - 1) * c.basket_ids + shuffled[: data.household.size]
    table = week_table(
        week, data, ids, c.catalogue, c.households, c.stores, c.codes, c.config.header
    )
    write_week(table, folder, week, c.config.format)
    return {
        "rows": data.product.size,
        "baskets": data.household.size,
        "spend_pence": int(data.spend.sum()),
    }
