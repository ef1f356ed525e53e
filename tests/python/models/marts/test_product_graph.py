"""The product graph and what is derived from it, recomputed from the training receipts."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from ledger import HIERARCHY, assert_same

from dbt_project.substitution_clusters import substitution_clusters

PAIR = ["source_key", "target_key"]


@pytest.fixture(scope="module")
def training(build) -> pd.DataFrame:
    """Items of the training weeks."""
    return build.ledger.training(build.vars.train_last_week)


@pytest.fixture(scope="module")
def nodes(build) -> pd.DataFrame:
    """Products by key, then categories from the finest level up, each level in code order."""
    products = build.ledger.products
    nodes = [("product", code) for code in products.product_code]
    for level in HIERARCHY:
        nodes += [(level.replace("product", "prod"), code) for code in sorted(set(products[level]))]
    frame = pd.DataFrame(nodes, columns=["level", "code"])
    return frame.assign(node_key=np.arange(1, len(frame) + 1))


@pytest.fixture(scope="module")
def baskets(build, training) -> np.ndarray:
    """Training trips x products, 1 where bought; products from key 1 in column 0."""
    trips, row = np.unique(training.trip_key, return_inverse=True)
    bought = np.zeros((len(trips), len(build.ledger.products)))
    bought[row, training.product_key - 1] = 1
    return bought


@pytest.fixture(scope="module")
def counts(baskets) -> np.ndarray:
    """Training trips with both products of a pair; with the product on the diagonal."""
    return (baskets.T @ baskets).astype(np.int64)


@pytest.fixture(scope="module")
def edges(build) -> pd.DataFrame:
    """The mart under test."""
    return build.table("product_graph_edges")


@pytest.fixture(scope="module")
def substitutes(build, training) -> pd.DataFrame:
    """All pairs of a sub-commodity, customer by customer, against every condition."""
    v = build.vars
    levels = ["category_1", "category_2"]
    price = build.table("price_fallbacks_product").set_index("product_key").price_pence
    weighed = build.table("products").set_index("product_key").is_random_weight
    lines = training[training.customer_key > 0].merge(
        build.ledger.products[["product_key", *levels]], on="product_key"
    )
    cheapness = 1 - (lines.pence / lines.quantity / lines.product_key.map(price)) ** 2
    lines["gain"] = millionths(
        np.where(lines.product_key.map(weighed), 0.03, np.maximum(cheapness, 0.03))
    )
    beside = lines.groupby(["trip_key", "category_2"]).product_key.transform("size") - 1
    rates = (
        lines.assign(beside=beside)
        .groupby(["customer_key", "product_key", *levels], as_index=False)
        .agg(times=("gain", "size"), gain=("gain", "sum"), beside=("beside", "sum"))
    )
    commodity = rates.groupby(["customer_key", "category_2"]).times.transform("sum")
    rates["others"] = commodity - rates.times
    rates["drawn"] = rates.gain / 1e6 * 3 / (3 + rates.times) / (rates.others + 3)
    rates["joined"] = rates.beside / rates.others.where(rates.others > 0)
    rates["margin"] = millionths(rates.drawn * rates.others)
    bought = rates.groupby("product_key").times.sum()
    whole = rates.groupby("category_2").times.sum()
    margin = rates.groupby("product_key").margin.sum() / 1e6
    trips = lines.groupby("product_key").trip_key.agg(set)
    rows = []
    for _, products in rates.groupby("category_1"):
        customers = dict(iter(products.groupby("product_key")))
        for a, b in itertools.combinations(sorted(customers), 2):
            both = customers[a].merge(customers[b], on="customer_key", suffixes=("_a", "_b"))
            if len(both) < v.substitution_min_customers:
                continue
            b_to_a = millionths(both.drawn_a * both.times_b)
            a_to_b = millionths(both.drawn_b * both.times_a)
            beside_a, beside_b = both.joined_a * both.times_b, both.joined_b * both.times_a
            of = whole[both.category_2_a.iloc[0]]
            independent = margin[a] * bought[b] / (of - bought[a])
            independent += margin[b] * bought[a] / (of - bought[b])
            squares = (b_to_a.astype(float) ** 2 + a_to_b.astype(float) ** 2).sum()
            evidence = (b_to_a.sum() + a_to_b.sum()) / 1e6 - independent
            evidence /= np.sqrt(squares / 1e12 + 0.05)
            expected = millionths((beside_a + beside_b) / 2).sum() / 1e6
            together = len(trips[a] & trips[b])
            excess = (together - expected) / np.sqrt(expected + 1)
            if evidence > v.substitution_min_evidence and excess < v.substitution_max_together:
                rows.append((a, b, evidence, together, expected, len(both)))
    return pd.DataFrame(
        rows, columns=[*PAIR, "weight", "trips_both", "trips_expected", "customers_both"]
    )


def millionths(values) -> np.ndarray:
    """Whole millionths, as the models add them up."""
    return np.floor(np.asarray(values) * 1e6 + 0.5).astype(np.int64)


@pytest.fixture(scope="module")
def cluster(substitutes) -> dict[int, int]:
    """Cluster by product, numbered in the order of each one's lowest product."""
    pairs = {frozenset(p) for p in substitutes[PAIR].itertuples(index=False)}
    parts = [{p} for p in sorted(set().union(*pairs))] if pairs else []
    strongest_first = substitutes.sort_values(["weight", *PAIR], ascending=[False, True, True])
    for pair in strongest_first[PAIR].itertuples(index=False):
        one, other = (next(s for s in parts if p in s) for p in pair)
        between = [frozenset(p) in pairs for p in itertools.product(one, other)]
        if one is not other and np.mean(between) >= 0.5:
            parts = [s for s in parts if s is not one and s is not other] + [one | other]
    found = sorted(sorted(s) for s in parts if len(s) > 1)
    return {p: number for number, members in enumerate(found, start=1) for p in members}


def test_nodes(build, nodes):
    assert_same(build.table("product_graph_nodes"), nodes, ["node_key"])


def test_copurchase_edges(build, edges, baskets, counts):
    """Strongest means the highest lift, of equals the most trips, then the lower key."""
    v = build.vars
    n = len(baskets)
    lift = v.copurchase_min_lift
    significant = v.copurchase_min_chi_square * lift / (lift - 1) ** 2
    fewest = max(v.copurchase_min_share * n, significant)
    rows = []
    for a in range(len(counts)):
        partners = []
        for b in np.flatnonzero(counts[a] >= fewest):
            if a == b:
                continue
            with_a, with_b, both = int(counts[a, a]), int(counts[b, b]), int(counts[a, b])
            observed = np.array(
                [[both, with_a - both], [with_b - both, n - with_a - with_b + both]], dtype=float
            )
            independent = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / n
            chi_square = ((observed - independent) ** 2 / independent).sum()
            lift = both * n / (with_a * with_b)
            if lift > v.copurchase_min_lift and chi_square > v.copurchase_min_chi_square:
                partners.append((-lift, -both, b + 1, chi_square))
        for minus_lift, minus_both, b, chi_square in sorted(partners)[: v.copurchase_top]:
            rows.append((a + 1, b, np.log(-minus_lift), -minus_lift, chi_square, -minus_both))
    expected = pd.DataFrame(
        rows, columns=[*PAIR, "weight", "lift", "chi_square", "trips_both"]
    ).assign(edge_type="copurchase", trips_expected=np.nan, customers_both=np.nan)
    if v.train_last_week > 1:
        assert len(expected) >= 50
        assert expected.groupby("source_key").size().max() == v.copurchase_top
    assert_same(edges[edges.edge_type == "copurchase"], expected, PAIR)


def test_substitution_edges(build, edges, substitutes):
    expected = substitutes.assign(edge_type="substitution", lift=np.nan, chi_square=np.nan)
    if build.vars.train_last_week > 1:
        assert len(expected) >= 50
    assert_same(edges[edges.edge_type == "substitution"], expected, PAIR)


def test_hierarchy_edges(build, edges, nodes):
    """Products that the training weeks lack are nodes without edges."""
    key = nodes.set_index(["level", "code"]).node_key
    levels = ["product", "category_1", "category_2", "category_3", "category_4"]
    expected = {}
    products = build.ledger.products
    for product in products[products.first_week <= build.vars.train_last_week].itertuples():
        path = [product.product_code, *(getattr(product, level) for level in HIERARCHY)]
        steps = [key[level, code] for level, code in zip(levels, path, strict=True)]
        for child, parent, weight in zip(steps, steps[1:], (1, 0.5, 0.25, 0.125), strict=False):
            expected[child, parent] = weight
    expected = pd.DataFrame(
        [(child, parent, float(weight)) for (child, parent), weight in expected.items()],
        columns=[*PAIR, "weight"],
    ).assign(edge_type="hierarchy")
    empty = ["lift", "chi_square", "trips_both", "trips_expected", "customers_both"]
    found = edges[edges.edge_type == "hierarchy"]
    assert found[empty].isna().all(axis=None)
    assert_same(found.drop(columns=empty), expected, PAIR)


def test_clusters_are_joined_where_half_their_pairs_are(build, cluster):
    expected = pd.DataFrame(cluster.items(), columns=["product_key", "cluster"])
    if build.vars.train_last_week > 1:
        assert expected.groupby("cluster").size().max() >= 3
    assert_same(build.table("int_substitution_clusters"), expected, ["product_key"])


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        # 2-3 is one of the four pairs between {1, 2} and {3, 4}.
        ([(1, 2), (3, 4), (2, 3)], [{1, 2}, {3, 4}]),
        # 1-3 and 2-3 are two of two, 3-4 is one of three.
        ([(1, 2), (2, 3), (3, 4), (1, 3)], [{1, 2, 3}]),
        # 2-3 is one of two: enough.
        ([(1, 2), (2, 3)], [{1, 2, 3}]),
        ([], []),
    ],
)
def test_a_chain_of_pairs_is_not_a_cluster(pairs, expected):
    first, second = ([pair[end] for pair in pairs] for end in (0, 1))
    assert substitution_clusters(first, second) == sorted(map(sorted, expected))


def test_a_smallest_lift_of_one_is_refused(dbt, chain):
    """No number of trips would make it significant."""
    refused = dbt(
        "compile", "--select", "int_copurchases", "--vars", "{copurchase_min_lift: 1}", raw=chain
    )
    assert refused.returncode != 0
    assert "copurchase_min_lift must be above 1, not 1" in refused.output


def test_pseudo_brands(build, training, substitutes, cluster):
    """The weekly price of a product is its median over stores."""
    v = build.vars
    price = build.table("price_fallbacks_product").set_index("product_key").price_pence
    prices = build.table("prices")
    prices = prices[prices.week <= v.train_last_week]
    weekly = prices.groupby(["product_key", "week"]).actual_price_pence.median()
    stability = weekly.groupby("product_key").agg(
        lambda price: max(0.0, 1 - price.std(ddof=0) / price.mean())
    )
    units = training.groupby("product_key").quantity.sum()
    ends = pd.concat([substitutes.source_key, substitutes.target_key]).value_counts()
    rows = []
    for code, products in build.ledger.products.groupby("category_1"):
        keys = products.product_key
        learned = keys[keys.isin(units.index)]
        of = price[learned if len(learned) else keys]
        low, high = of.quantile([v.value_percentile, v.premium_percentile])
        total = units.reindex(keys).sum()
        for p in keys:
            tier = "value" if price[p] < low else "premium" if price[p] > high else "mainstream"
            share = units.get(p, 0) / total if total else 0.0
            rows.append(
                (p, tier, cluster.get(p), ends.get(p, 0), price[p] / of.median(),
                 stability.get(p, 1.0), share, (code, tier, cluster.get(p, 0)))
            )  # fmt: skip
    columns = ["product_key", "price_tier", "substitution_cluster", "substitutes", "positioning"]
    expected = pd.DataFrame(rows, columns=[*columns, "price_stability", "volume_share", "brand"])
    number = {brand: n for n, brand in enumerate(sorted(set(expected.brand)), start=1)}
    expected["pseudo_brand_key"] = expected.pop("brand").map(number)
    expected["substitution_cluster"] = expected.substitution_cluster.astype(float)
    assert expected.price_tier.value_counts().min() >= 50
    assert_same(build.table("pseudo_brands"), expected, ["product_key"])
