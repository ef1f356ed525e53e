"""Shelf prices, promotions and fallbacks against the receipts."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from ledger import HIERARCHY, assert_same

SHELF = ["product_key", "store_key", "week"]


@pytest.fixture(scope="module")
def weighed(build) -> set[int]:
    """Keys of the random-weight products. Which ones they are is tested elsewhere."""
    products = build.table("select product_key from products where is_random_weight")
    return set(products.product_key)


@pytest.fixture(scope="module")
def stable(build, weighed) -> dict[int, float]:
    """One price for each weighed product: the median training portion, else its category's."""
    training = build.ledger.training(build.vars.train_last_week)
    portions = training[training.product_key.isin(weighed)].merge(build.ledger.products)
    portions["price"] = portions.pence / portions.quantity
    own = portions.groupby("product_key").price.median()
    category = portions.groupby("category_1").price.median()
    sub_commodity = build.ledger.products.set_index("product_key").category_1
    return {p: own.get(p, category.get(sub_commodity[p])) for p in weighed}


@pytest.fixture(scope="module")
def actual(build, stable) -> pd.DataFrame:
    """Actual price, lines and units by product, store and week."""
    items = build.ledger.items
    items = items.assign(price=items.pence / items.quantity)
    rows = items.groupby(SHELF).agg(
        actual_price_pence=("price", "median"), sales=("price", "size"), units=("quantity", "sum")
    )
    rows = rows.reset_index()
    one_price = rows.product_key.map(stable)
    return rows.assign(
        imputation_level=np.where(one_price.notna(), "stable", "observed"),
        actual_price_pence=one_price.fillna(rows.actual_price_pence),
    )


@pytest.fixture(scope="module")
def price_level(build, actual) -> pd.Series:
    """How dear each store is, from the training prices on which stores differ."""
    rows = actual[actual.imputation_level == "observed"]
    prices = rows[rows.week <= build.vars.train_last_week]
    of_week = prices.groupby(["product_key", "week"]).actual_price_pence
    relative = prices.actual_price_pence / of_week.transform("median")
    relative = relative[of_week.transform("min") < of_week.transform("max")]
    by_store = relative.groupby(prices.store_key)
    levels = by_store.median()[by_store.size() >= build.vars.price_level_min_prices]
    return levels.reindex(build.ledger.stores.store_key, fill_value=1.0)


@pytest.fixture(scope="module")
def regular(build, actual, price_level) -> dict[tuple[int, int], float]:
    """The chain's regular price by product and week: each week's fades in the weeks that follow."""
    v = build.vars
    rows = actual[actual.imputation_level == "observed"]
    rows = rows.assign(price=rows.actual_price_pence / rows.store_key.map(price_level))
    weekly = rows.groupby(["product_key", "week"]).price.median().reset_index()
    before = weekly.groupby("product_key").price.shift()
    moved = before.notna() & (weekly.week <= v.train_last_week)
    rose = moved & (weekly.price * (1 - v.promotion_min_depth) > before)
    fade = min(v.regular_price_fade * (moved.sum() + 10) / (rose.sum() + 1), 1)
    found = {}
    for product, sold in weekly.groupby("product_key"):
        prices = sold.price.to_numpy()
        for n, week in enumerate(sold.week):
            faded = prices[: n + 1] * np.exp(-fade * np.arange(n, -1, -1))
            found[product, week] = round(faded.max(), 6)
    return found


def test_store_price_levels(build, price_level):
    found = build.table("int_store_price_levels").set_index("store_key").price_level
    # A store that is missing is as dear as the chain.
    assert (found.reindex(price_level.index, fill_value=1) == price_level).all()
    assert set(found.index) <= set(price_level.index)
    if build.vars.train_last_week == 80:
        # Formats differ by 2 and 5 %, and few stores have enough prices.
        assert ((found > 1.01) & (found < 1.06)).sum() >= 5


def test_prices(build, actual, price_level, regular):
    v = build.vars
    expected = actual.sort_values(SHELF, ignore_index=True)
    base, missing, variation = [], [], []
    for _, shelf in expected.groupby(["product_key", "store_key"]):
        weeks = shelf.week.to_numpy()
        prices = shelf.actual_price_pence.to_numpy()
        for n, week in enumerate(weeks):
            trailing = (weeks > week - v.base_price_weeks) & (weeks <= week)
            so_far = prices[: n + 1]
            base.append(prices[trailing].max())
            span = week - weeks[0] + 1
            missing.append((span - (n + 1)) / span)
            variation.append(so_far.std() / so_far.mean())
    earlier = expected.groupby(["product_key", "store_key"]).actual_price_pence
    expected["previous_price_pence"] = earlier.shift()
    expected["base_price_pence"] = base
    at_chain = [
        regular.get(key, 0.0) for key in zip(expected.product_key, expected.week, strict=True)
    ]
    # Halves upwards, as SQL rounds.
    at_store = np.floor(at_chain * expected.store_key.map(price_level) * 1e4 + 0.5) / 1e4
    expected["regular_price_pence"] = np.maximum(at_store, expected.actual_price_pence)
    # Quotients of whole numbers, not 1 - quotient: 1 - 0.7 is above 0.3, 3 / 10 is not.
    expected["discount_depth"] = (
        expected.regular_price_pence - expected.actual_price_pence
    ) / expected.regular_price_pence
    expected["missing_share"] = missing
    expected["price_variation"] = variation
    expected["is_promotion"] = expected.discount_depth > v.promotion_min_depth
    expected["is_price_not_positive"] = expected.actual_price_pence <= 0
    expected["is_price_high"] = expected.actual_price_pence >= v.doubtful_price_pence
    expected["is_discount_deep"] = expected.discount_depth > v.doubtful_depth
    expected["is_often_missing"] = expected.missing_share > v.doubtful_missing_share
    expected["is_price_volatile"] = expected.price_variation > v.doubtful_variation

    found = build.table("prices")
    assert_same(found, expected, SHELF)
    assert found.is_promotion.sum() > 1000
    assert (found.imputation_level == "stable").sum() > 1000
    if v.doubtful_price_pence < 1000:
        for flag in ["is_price_high", "is_discount_deep", "is_often_missing", "is_price_volatile"]:
            assert 100 < found[flag].sum() < len(found) - 100


def test_region_fallbacks(build, actual):
    stores = build.ledger.stores[["store_key", "store_region"]]
    keys = ["product_key", "store_region", "week"]
    expected = actual.merge(stores).groupby(keys).actual_price_pence.agg(["median", "size"])
    expected = expected.set_axis(["price_pence", "stores"], axis=1).reset_index()
    assert (expected.stores > 1).sum() > 1000
    assert_same(build.table("price_fallbacks_region"), expected, keys)


def test_product_fallbacks(build, actual):
    """A product's training median, else the median over those of its finest category."""
    training = actual[actual.week <= build.vars.train_last_week]
    own = training.groupby("product_key").actual_price_pence.median()
    products = build.ledger.products.set_index("product_key")
    rows = []
    for key, product in products.iterrows():
        basis, category_price = "chain", own.median()
        for level in HIERARCHY:
            siblings = own[products.loc[own.index, level] == product[level]]
            if len(siblings):
                basis, category_price = level.replace("product", "prod"), siblings.median()
                break
        price = category_price
        if key in own.index:
            basis, price = "product", own[key]
        rows.append((key, basis, price, category_price))
    expected = pd.DataFrame(
        rows, columns=["product_key", "price_basis", "price_pence", "category_price_pence"]
    )
    if build.vars.train_last_week == 1:
        assert expected.price_basis.nunique() == 6
    assert_same(build.table("price_fallbacks_product"), expected, ["product_key"])


def test_price_or_fallback_takes_the_first_level_that_knows(first_build, dbt, chain, tmp_path):
    """The macro on some rows of each level, and what looking them up one by one gives."""
    build = first_build
    prices = build.table("prices").set_index(SHELF)
    region = build.table("price_fallbacks_region")
    region = region.set_index(["product_key", "store_region", "week"])
    seen = build.table("prices").sort_values("week").groupby(["product_key", "store_key"])
    seen = {key: list(zip(rows.week, rows.actual_price_pence, strict=True)) for key, rows in seen}
    product = build.table("price_fallbacks_product").set_index("product_key")
    region_of = build.ledger.stores.set_index("store_key").store_region

    def look_up(row: tuple[int, int, int]) -> tuple[str, float]:
        p, s, week = row
        if row in prices.index:
            found = prices.loc[row]
            return found.imputation_level, found.actual_price_pence
        if (p, region_of[s], week) in region.index:
            return "region", region.price_pence[p, region_of[s], week]
        earlier = [price for seen_week, price in seen.get((p, s), []) if seen_week < week]
        if earlier:
            return "store", earlier[-1]
        return product.price_basis[p], product.price_pence[p]

    rng = np.random.default_rng(1)
    keys = [build.ledger.products.product_key, build.ledger.stores.store_key, range(1, 118)]
    drawn = zip(*(rng.choice(k, 20_000).tolist() for k in keys), strict=True)
    wanted = {row: look_up(row) for row in dict.fromkeys(drawn)}
    by_level = {}
    for row, (level, _) in wanted.items():
        by_level.setdefault(level, []).append(row)
    assert by_level.keys() == {
        "observed", "stable", "region", "store", "product", "chain",
        "category_1", "category_2", "category_3", "category_4",
    }  # fmt: skip
    chosen = [row for rows in by_level.values() for row in rows[:12]]

    copy = tmp_path / "warehouse.duckdb"
    shutil.copy(build.path, copy)
    values = ", ".join(map(str, chosen))
    shown = dbt(
        "--quiet",
        "show",
        "--output",
        "json",
        "--limit",
        str(len(chosen) + 1),
        "--inline",
        f"with wanted_prices as (from (values {values}) as rows_(product_key, store_key, week))"
        " {{ price_or_fallback('wanted_prices') }}",
        raw=chain,
        environment={"RETAILSIM_DB": str(copy)},
    )
    assert shown.returncode == 0, shown.output
    found = json.loads(shown.output[shown.output.index("{") :])["show"]
    assert len(found) == len(chosen)
    for row in found:
        level, price = wanted[row["product_key"], row["store_key"], row["week"]]
        assert (row["imputation_level"], row["price_pence"]) == (level, pytest.approx(price))
