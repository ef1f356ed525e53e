"""Shelf prices and sales of a chain beside its warehouse: the same bits, week by week too."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.cache.reader import TensorCache
from trainer.features.chain_sales import SalesByWeek, chain_sales_after, item_shares
from trainer.features.shelf_prices import ShelfPrices
from trainer.features.trips import PRICES, read_items

# The macro price_or_fallback, and beside its price that of an earlier week, for a fraction of all
# products, stores and weeks.
PRICE_OR_FALLBACK = """
    with wanted as (
        select products.product_key, stores.store_key, stores.store_region, weeks.week
        from products, stores, weeks
        where (product_key * 31 + store_key * 17 + week) % 101 = 0
    )

    select
        wanted.product_key, wanted.store_key, wanted.week,
        case
            when observed.week is not null then 'observed'
            when region.week is not null then 'region'
            when earlier.week is not null then 'store'
            else 'static'
        end,
        coalesce(
            observed.actual_price_pence, region.price_pence, earlier.actual_price_pence,
            product.price_pence
        )::float,
        coalesce(
            earlier.actual_price_pence, observed.actual_price_pence, region.price_pence,
            product.price_pence
        )::float
    from wanted
    left join prices as observed using (product_key, store_key, week)
    left join price_fallbacks_region as region using (product_key, store_region, week)
    asof left join prices as earlier
        on
            wanted.product_key = earlier.product_key
            and wanted.store_key = earlier.store_key
            and wanted.week > earlier.week
    inner join price_fallbacks_product as product on wanted.product_key = product.product_key
"""


@pytest.fixture(scope="module")
def prices(default_cache) -> ShelfPrices:
    return ShelfPrices.from_cache(default_cache)


def test_all_prices_of_the_warehouse_are_held(prices, warehouse):
    assert len(prices) == warehouse.value("select count(*) from prices")


def test_items_have_the_prices_of_the_cache(prices, default_cache):
    items = read_items(default_cache, np.arange(default_cache.rows("trips")))
    trip = items.trip.numpy()
    store, week = (default_cache[f"trips.{name}"][trip] for name in ("store", "week"))
    found = prices.at(items.token.numpy(), store, week)
    assert np.array_equal(found, items.pence.numpy())
    for column in range(1, len(PRICES)):
        assert (found[:, 0] != found[:, column]).sum() > 1000


def test_planned_trips_have_the_price_or_its_fallback(prices, warehouse):
    *wanted, level, pence, previous = zip(*warehouse.rows(PRICE_OR_FALLBACK), strict=True)
    product, store, week = map(np.array, wanted)
    found = prices.at(product, store - 1, week)
    assert np.array_equal(found[:, :2], np.array([pence, previous], dtype=np.float32).T)
    assert min(level.count(name) for name in ("observed", "region", "store", "static")) > 100


def test_a_stream_of_prices_gives_those_of_the_cache(prices, default_cache):
    """Week by week, with no more in memory than the next week needs."""
    items = read_items(default_cache, np.arange(default_cache.rows("trips")))
    token, trip = items.token.numpy(), items.trip.numpy()
    store, week = (default_cache[f"trips.{name}"][trip] for name in ("store", "week"))
    rows, stream = prices.to_arrays(), ShelfPrices.static(default_cache)
    for current in range(1, default_cache.rows("weeks") + 1):
        now = rows["week"] == current
        stream.observe(*(rows[name][now] for name in ("token", "store", "week", "pence")))
        wanted = week == current
        found = stream.at(token[wanted], store[wanted], week[wanted])
        assert np.array_equal(found, items.pence.numpy()[wanted])
        stream.forget_before(current + 1)
    assert len(stream) < len(prices) / 2


def test_recent_sales_of_every_week_are_those_of_the_stream(default_cache: TensorCache):
    sales = SalesByWeek(default_cache, item_shares(default_cache))
    for week in (1, 40, 81, default_cache.rows("weeks")):
        stream = chain_sales_after(default_cache, week - 1)
        assert np.array_equal(stream.table(), sales.table[week - 1])
        assert np.array_equal(stream.shift(), sales.shift[week - 1])
