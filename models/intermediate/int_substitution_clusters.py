"""Substitution clusters: products of which at least half the pairs are substitution pairs."""

import pandas as pd


def model(dbt, session):
    dbt.config(materialized="table")
    pairs = dbt.ref("int_substitutes").order("evidence desc, product_key_a, product_key_b")
    found = clusters(pairs.project("product_key_a, product_key_b").fetchall())
    # Clusters are numbered by their lowest product, so that the numbers are the same on every run.
    rows = [
        (product, number)
        for number, cluster in enumerate(sorted(map(sorted, found)), start=1)
        for product in cluster
    ]
    return pd.DataFrame(rows, columns=["product_key", "cluster"]).astype("int32")


def clusters(pairs: list[tuple[int, int]]) -> list[set[int]]:
    """Join products pair by pair, the strongest pair first.

    A pair joins the clusters of its two products if at least half of all pairs between them are
    substitution pairs. With connected components, chains of pairs would join what has little to do
    with each other.
    """
    linked: dict[int, set[int]] = {}
    for a, b in pairs:
        linked.setdefault(a, set()).add(b)
        linked.setdefault(b, set()).add(a)
    cluster = {product: {product} for product in linked}
    for a, b in pairs:
        one, other = cluster[a], cluster[b]
        links = sum(len(linked[product] & other) for product in one)
        if one is not other and 2 * links >= len(one) * len(other):
            one |= other
            cluster.update(dict.fromkeys(other, one))
    return list({id(members): members for members in cluster.values() if len(members) > 1}.values())
