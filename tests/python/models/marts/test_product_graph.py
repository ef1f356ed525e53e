"""The product graph and what is derived from it, recomputed from the training receipts."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from ledger import HIERARCHY, assert_same

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
def substitutes(build, training, counts, baskets) -> pd.DataFrame:
    """All pairs of a sub-commodity, one by one, against every condition."""
    v = build.vars
    known = training[training.customer_key > 0]
    customers = known.groupby("product_key").customer_key.agg(set).to_dict()
    price = build.table("price_fallbacks_product").set_index("product_key").price_pence
    rows = []
    for _, products in build.ledger.products.groupby("category_1"):
        for a, b in combinations(sorted(products.product_key), 2):
            either = customers.get(a, set()) | customers.get(b, set())
            if not either or not counts[a - 1, a - 1] or not counts[b - 1, b - 1]:
                continue
            jaccard = len(customers.get(a, set()) & customers.get(b, set())) / len(either)
            both = counts[a - 1, b - 1]
            lift = both * len(baskets) / (counts[a - 1, a - 1] * counts[b - 1, b - 1])
            gap = abs(price[a] - price[b]) / max(price[a], price[b])
            if (
                jaccard > v.substitution_min_jaccard
                and lift < v.substitution_max_lift
                and gap < v.substitution_max_price_gap
            ):
                weight = jaccard * (1 - lift / v.substitution_max_lift)
                rows.append((a, b, weight, lift, jaccard, gap, both))
    return pd.DataFrame(
        rows, columns=[*PAIR, "weight", "lift", "jaccard", "price_gap", "trips_both"]
    )


@pytest.fixture(scope="module")
def cluster(substitutes) -> dict[int, int]:
    """Cluster by product: union-find, numbered in the order of each one's lowest product."""
    parent: dict[int, int] = {}

    def root(p):
        while parent.setdefault(p, p) != p:
            p = parent[p]
        return p

    for a, b in zip(substitutes.source_key, substitutes.target_key, strict=True):
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    number = {r: n for n, r in enumerate(sorted({root(p) for p in parent}), start=1)}
    return {p: number[root(p)] for p in parent}


def test_nodes(build, nodes):
    assert_same(build.table("product_graph_nodes"), nodes, ["node_key"])


def test_copurchase_edges(build, edges, baskets, counts):
    """Strongest means the highest lift, of equals the most trips, then the lower key."""
    v = build.vars
    n = len(baskets)
    rows = []
    for a in range(len(counts)):
        partners = []
        for b in np.flatnonzero(counts[a] >= v.copurchase_min_trips):
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
    ).assign(edge_type="copurchase", jaccard=np.nan, price_gap=np.nan)
    if v.train_last_week > 1:
        assert len(expected) >= 50
        assert expected.groupby("source_key").size().max() == v.copurchase_top
    assert_same(edges[edges.edge_type == "copurchase"], expected, PAIR)


def test_substitution_edges(build, edges, substitutes):
    expected = substitutes.assign(edge_type="substitution", chi_square=np.nan)
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
    empty = ["lift", "chi_square", "jaccard", "price_gap", "trips_both"]
    found = edges[edges.edge_type == "hierarchy"]
    assert found[empty].isna().all(axis=None)
    assert_same(found.drop(columns=empty), expected, PAIR)


def test_clusters_are_connected_components(build, cluster):
    expected = pd.DataFrame(cluster.items(), columns=["product_key", "cluster"])
    if build.vars.train_last_week > 1:
        assert expected.groupby("cluster").size().max() > 3
    assert_same(build.table("int_substitution_clusters"), expected, ["product_key"])


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
