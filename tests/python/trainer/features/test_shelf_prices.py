"""Shelf prices: the order of their sources by hand, and the same as a slow and obvious look-up."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np
import pytest
from toy import WEEKS, toy_columns, toy_manifest

from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.features.shelf_prices import ShelfPrices, ShelfPriceSettings
from trainer.features.trips import PRICES

# Three products, the third sold by weight, and one category, token 6. Stores 0 to 2 are of one
# region, 3 of another, 4 and 5 of none that is known.
STATIC = [100.0, 200.0, 300.0]
CATEGORY = 150.0
REGIONS = np.array([1, 1, 1, 2, 0, 0])


def by_hand(*observed: tuple[int, int, int, float], **settings: int) -> ShelfPrices:
    """Rows of product, store, week, pence."""
    prices = ShelfPrices(
        np.array(STATIC),
        np.array([CATEGORY]),
        np.array([False, False, True]),
        REGIONS,
        ShelfPriceSettings(**settings),
    )
    if observed:
        prices.observe(*(np.array(column) for column in zip(*observed, strict=True)))
    return prices


def at(prices: ShelfPrices, *wanted: int) -> list[float]:
    """Price, previous price and base price at product, store, week."""
    return prices.at(*(np.array(value) for value in wanted)).tolist()


def test_the_static_price_answers_where_nothing_was_observed():
    assert at(by_hand(), 2, 0, 1) == [200, 200, 200]
    assert at(by_hand((1, 0, 1, 90.0)), 2, 0, 5) == [200, 200, 200]


def test_the_price_last_observed_at_the_store_comes_before_the_static_one():
    prices = by_hand((1, 0, 2, 90.0), (1, 0, 4, 95.0))
    assert at(prices, 1, 0, 1) == [100, 100, 100]  # both are of later weeks
    assert at(prices, 1, 0, 3) == [90, 90, 90]
    assert at(prices, 1, 0, 50) == [95, 95, 95]
    assert at(prices, 1, 1, 3) == [100, 100, 100]  # of another store and week


def test_the_region_of_the_week_comes_before_the_store_s_past():
    prices = by_hand((1, 0, 2, 90.0), (1, 1, 3, 70.0), (1, 2, 3, 81.0), (1, 3, 3, 10.0))
    assert at(prices, 1, 0, 3) == [75.5, 90, 90]  # median of 70 and 81; 90 is the previous one
    assert at(prices, 1, 0, 4) == [90, 90, 90]  # nobody of the region sold it in week 4


def test_the_store_s_price_of_the_week_comes_first():
    prices = by_hand((1, 0, 3, 90.0), (1, 1, 3, 70.0), (1, 2, 3, 81.0))
    assert at(prices, 1, 0, 3) == [90, 90, 90]
    assert at(prices, 1, 1, 3) == [70, 70, 70]


def test_stores_without_a_known_region_share_no_prices():
    assert at(by_hand((1, 4, 3, 70.0)), 1, 5, 3) == [100, 100, 100]


def test_the_base_price_is_the_highest_of_four_weeks():
    """As in the unit test of the mart: 100, 80, none, 80, 80, 95. Week 1 counts until week 4."""
    of_week = {1: 100, 2: 80, 4: 80, 5: 80, 6: 95}
    observed = [(1, 0, week, pence) for week, pence in of_week.items()]
    prices = by_hand(*observed)
    found = [at(prices, 1, 0, week) for week in range(1, 12)]
    assert [pence for pence, _, _ in found] == [100, 80, 80, 80, 80, 95, 95, 95, 95, 95, 95]
    assert [previous for _, previous, _ in found] == [100, 100, 80, 80, 80, 80, 95, 95, 95, 95, 95]
    assert [base for _, _, base in found] == [100, 100, 100, 100, 80, 95, 95, 95, 95, 95, 95]
    two_weeks = by_hand(*observed, base_price_weeks=2)
    assert [at(two_weeks, 1, 0, week)[2] for week in (1, 2, 3, 4)] == [100, 100, 80, 80]


def test_a_base_price_outlives_the_store_s_sales():
    """Week 3 has the region's price, 60, below the one at the store two weeks before."""
    prices = by_hand((1, 0, 1, 100.0), (1, 1, 3, 60.0), (1, 1, 5, 60.0))
    assert at(prices, 1, 0, 3) == [60, 100, 100]
    assert at(prices, 1, 0, 5) == [60, 100, 60]


def test_neighbours_in_the_order_of_keys_are_not_mixed_up():
    prices = by_hand((1, 0, 65535, 1.0), (1, 1, 2, 2.0), (1, 3, 1, 3.0), (2, 0, 1, 4.0))
    assert at(prices, 1, 1, 1) == [100, 100, 100]
    assert at(prices, 1, 1, 2) == [2, 2, 2]
    assert at(prices, 1, 4, 1) == [100, 100, 100]
    assert at(prices, 2, 0, 1) == [4, 4, 4]
    assert at(prices, 2, 3, 65535) == [200, 200, 200]


def test_products_sold_by_weight_keep_their_stable_price():
    prices = by_hand((3, 0, 1, 20.0), (3, 0, 2, 900.0))
    assert [at(prices, 3, 0, week) for week in (1, 2, 3)] == [[300] * 3] * 3


def test_fallback_tokens_have_the_price_of_their_category():
    prices = by_hand((6, 0, 1, 20.0), (1, 0, 1, 90.0))
    assert len(prices) == 1
    assert at(prices, 6, 0, 1) == [CATEGORY] * 3


def test_a_further_price_replaces_the_one_before():
    prices = by_hand((1, 0, 1, 90.0), (1, 0, 1, 91.0))
    assert at(prices, 1, 0, 1)[0] == 91
    prices.observe(1, 0, 1, 92.0)
    assert at(prices, 1, 0, 1)[0] == 92
    assert len(prices) == 1


def test_what_has_no_price_is_refused():
    prices = by_hand()
    for wanted, message in (
        ((0, 0, 1), r"token: expected 1\.\.6, found 0"),
        ((7, 0, 1), r"token: expected 1\.\.6, found 7"),
        ((4, 0, 1), r"token: \[MASK\] and \[EOS\] have no price"),
        ((1, 6, 1), r"store: expected 0\.\.5, found 6"),
        ((1, -2, 1), r"store: expected 0\.\.5, found -2"),
        ((1, 0, 0), r"week: expected 1\.\.65535, found 0"),
    ):
        with pytest.raises(ValueError, match=message):
            at(prices, *wanted)
        with pytest.raises(ValueError, match=message):
            prices.observe(*wanted, 10.0)
    for pence in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="pence: expected finite prices from 0"):
            prices.observe(1, 0, 1, pence)
    assert not len(prices)


def test_what_later_weeks_need_is_not_forgotten():
    """Of product 1, week 5 is the last price before week 9, and weeks 6 to 8 are base weeks. Of
    product 2, weeks 6 and 8 are both; the prices before them are not needed."""
    prices = by_hand(
        (1, 0, 4, 40.0), (1, 0, 5, 50.0), (1, 0, 9, 90.0), (1, 0, 10, 10.0),
        (2, 0, 5, 95.0), (2, 0, 6, 60.0), (2, 0, 8, 80.0),
    )  # fmt: skip
    prices.forget_before(9)
    assert prices.to_arrays()["week"].tolist() == [5, 9, 10, 6, 8]
    assert at(prices, 1, 0, 9) == [90, 50, 90]
    assert at(prices, 2, 0, 9) == [80, 80, 80]
    with pytest.raises(ValueError, match="week: expected 9 or later, found 8"):
        at(prices, 1, 0, 8)
    prices.observe(1, 0, 4, 41.0)  # too late to change an answer
    assert at(prices, 1, 0, 9) == [90, 50, 90]


Rows = dict[tuple[int, int, int], float]
"""Price by token, store and week."""


def look_up(
    rows: Rows, static: np.ndarray, region: np.ndarray, token: int, store: int, week: int
) -> list[float]:
    """Price, previous price and base price, found one by one."""
    stores = range(len(region))
    at_store = {w: rows[token, store, w] for w in range(1, week + 1) if (token, store, w) in rows}
    in_region = [
        rows[token, s, week]
        for s in stores
        if region[s] == region[store] > 0 and (token, s, week) in rows
    ]
    earlier = [at_store[w] for w in at_store if w < week]
    if week in at_store:
        pence = at_store[week]
    elif in_region:
        pence = median(in_region)
    elif earlier:
        pence = earlier[-1]
    else:
        pence = float(static[token - 1])
    base = max([pence, *(p for w, p in at_store.items() if w > week - 4)])
    return [pence, earlier[-1] if earlier else pence, base]


def chain_with_prices(folder: Path, changed_from: int = WEEKS + 1) -> tuple[TensorCache, Rows]:
    """A toy cache with the prices of a chain, and all of these: its items show only a part of them.

    From week `changed_from` on, prices are twice as high.
    """
    columns = toy_columns(customers=25, stores=12)
    region, static = np.arange(12) // 4, columns["products.pence"]  # four stores each, 0 is unknown
    is_stable = columns["products.is_random_weight"] & ~columns["products.is_novel"]
    items = np.diff(columns["trips.item_offsets"])
    store, week = (
        np.repeat(columns[f"trips.{name}"], items).tolist() for name in ("store", "week")
    )
    sold = list(zip(columns["items.token"].tolist(), store, week, strict=True))
    draw = np.random.default_rng(3)
    drawn = draw.integers([1, 0, 1], [41, 12, WEEKS + 1], (900, 3)).tolist()
    others = sorted({tuple(key) for key in drawn} - set(sold))
    # Thirds: most prices have no exact binary value.
    factors = draw.choice([0.7, 0.9, 1.0, 1.1], (41, 12, WEEKS + 1)) / 3
    factors[:, :, changed_from:] *= 2
    factors[1:][is_stable] = 1
    rows = {key: float(np.float32(static[key[0] - 1] * factors[key])) for key in (*sold, *others)}
    prices = [look_up(rows, static, region, *key) for key in sold]
    columns |= {
        "stores.region": region,
        "items.price": np.arange(len(sold)),
        **{f"shelf_prices.{n}": v for n, v in zip(PRICES, np.transpose(prices), strict=True)},
        "anonymous_prices.product": np.array([token - 1 for token, _, _ in others]),
        "anonymous_prices.store": np.array([store for _, store, _ in others]),
        "anonymous_prices.week": np.array([week for _, _, week in others]),
        "anonymous_prices.pence": np.array([rows[key] for key in others]),
    }
    write_cache(folder, columns, toy_manifest())
    return TensorCache(folder), rows


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> tuple[TensorCache, Rows]:
    return chain_with_prices(tmp_path_factory.mktemp("chain") / "cache")


def price_rows(cache: TensorCache) -> tuple[np.ndarray, ...]:
    """Token, store and week (items,) of the items of a cache, and their prices (items, 3)."""
    items = np.diff(cache["trips.item_offsets"].astype(int))
    store, week = (np.repeat(cache[f"trips.{name}"], items) for name in ("store", "week"))
    prices = [cache[f"shelf_prices.{name}"][cache["items.price"]] for name in PRICES]
    return cache["items.token"], store, week, np.stack(prices, axis=1)


def every_question(cache: TensorCache, first_week: int = 1) -> tuple[np.ndarray, ...]:
    """Every product at every store in every week from one on."""
    grid = np.indices((cache.products, cache.rows("stores"), WEEKS - first_week + 1))
    token, store, week = grid.reshape(3, -1)
    return token + 1, store, week + first_week


def test_items_of_a_cache_have_the_prices_of_the_cache(chain):
    cache, rows = chain
    prices = ShelfPrices.from_cache(cache)
    assert len(prices) == len(rows)
    *wanted, expected = price_rows(cache)
    assert np.array_equal(prices.at(*wanted), expected)
    assert (expected[:, 0] != expected[:, 1]).sum() > 300 < (expected[:, 0] != expected[:, 2]).sum()


def test_a_slow_and_obvious_look_up_agrees(chain):
    cache, rows = chain
    token, store, week = every_question(cache)
    chosen = np.random.default_rng(4).choice(len(token), 2000, replace=False)
    wanted = token[chosen], store[chosen], week[chosen]
    statics = cache["products.pence"], cache["stores.region"]
    expected = [look_up(rows, *statics, *key) for key in zip(*wanted, strict=True)]
    found = ShelfPrices.from_cache(cache).at(*wanted)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.array(expected, dtype=np.float32))


def test_week_by_week_is_all_weeks_at_once(chain):
    """Prices are observed week by week, old ones forgotten, the rest stored and read again."""
    cache, rows = chain
    at_once, stream = ShelfPrices.from_cache(cache), ShelfPrices.static(cache)
    token, store, week = every_question(cache)
    keys, pence = np.array(list(rows)), np.array(list(rows.values()))
    for current in range(1, WEEKS + 1):
        now = keys[:, 2] == current
        stream.observe(*keys[now].T, pence[now])
        wanted = week == current
        queries = token[wanted], store[wanted], week[wanted]
        assert np.array_equal(stream.at(*queries), at_once.at(*queries))
        stream.forget_before(current + 1)
        stream = ShelfPrices.from_arrays(stream.to_arrays())
        assert len(stream) <= cache.products * cache.rows("stores") * 4
    assert len(stream) < len(rows) / 3


def test_forgetting_changes_no_later_answer(chain):
    cache, _ = chain
    complete, bounded = ShelfPrices.from_cache(cache), ShelfPrices.from_cache(cache)
    bounded.forget_before(18)
    assert len(bounded) < len(complete)
    wanted = every_question(cache, first_week=18)
    assert np.array_equal(bounded.at(*wanted), complete.at(*wanted))
    with pytest.raises(ValueError, match="week: expected 18 or later, found 17"):
        bounded.at(1, 0, 17)
    assert ShelfPrices.from_arrays(bounded.to_arrays()).first_week == 18


def test_prices_of_later_weeks_do_not_enter(chain, tmp_path):
    cache, _ = chain
    changed, _ = chain_with_prices(tmp_path / "changed", changed_from=15)
    token, store, week = every_question(cache)
    one, other = (ShelfPrices.from_cache(c).at(token, store, week) for c in (cache, changed))
    assert np.array_equal(one[week < 15], other[week < 15])
    assert (one != other).any(axis=1)[week == 15].sum() > 10


def test_a_vocabulary_answers_with_static_prices(chain):
    cache, _ = chain
    prices = ShelfPrices.static(cache)
    assert not len(prices)
    categories = cache.rows("categories")
    token = np.array([1, 40, 43, 42 + categories])
    expected = np.concatenate(
        [cache["products.pence"][[0, 39]], cache["categories.pence"][[0, -1]]]
    )
    assert np.array_equal(prices.at(token, 3, 20), np.stack([expected] * 3, axis=1))


def test_arrays_are_plain_and_small(chain, tmp_path):
    prices = ShelfPrices.from_cache(chain[0])
    arrays = prices.to_arrays()
    np.savez(tmp_path / "prices.npz", **arrays)
    with np.load(tmp_path / "prices.npz", allow_pickle=False) as stored:
        again = ShelfPrices.from_arrays(stored)
    for name, values in again.to_arrays().items():
        assert np.array_equal(values, arrays[name]) and values.dtype == arrays[name].dtype
    assert sum(arrays[name].nbytes for name in ("token", "store", "week")) == 3 * len(prices)
