"""Substitution clusters: products of which at least half the pairs are substitution pairs.

SQL calls it for the pairs of one sub-commodity (models/intermediate/int_substitution_clusters.sql):
what joins two clusters depends on those joined before, which is a loop and no query.
"""

from __future__ import annotations


def substitution_clusters(first: list[int], second: list[int]) -> list[list[int]]:
    """Clusters of two products or more, each in order, by their lowest products.

    first, second: the keys of each pair's two products, the strongest pair first.

    Products are joined pair by pair. A pair joins the clusters of its two products if at least half
    of all pairs between them are substitution pairs. With connected components, chains of pairs
    would join what has little to do with each other.
    """
    linked: dict[int, set[int]] = {}
    for a, b in zip(first, second, strict=True):
        linked.setdefault(a, set()).add(b)
        linked.setdefault(b, set()).add(a)
    cluster = {product: {product} for product in linked}
    for a, b in zip(first, second, strict=True):
        one, other = cluster[a], cluster[b]
        links = sum(len(linked[product] & other) for product in one)
        if one is not other and 2 * links >= len(one) * len(other):
            one |= other
            cluster.update(dict.fromkeys(other, one))
    found = {id(members): sorted(members) for members in cluster.values() if len(members) > 1}
    return sorted(found.values())
