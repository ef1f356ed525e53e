"""Substitution clusters: connected components of the substitution pairs."""

import networkx as nx
import pandas as pd


def model(dbt, session):
    dbt.config(materialized="table")
    pairs = dbt.ref("int_substitutes").project("product_key_a, product_key_b").fetchall()
    graph = nx.Graph(pairs)
    # Clusters are numbered by their lowest product, so that the numbers are the same on every run.
    clusters = sorted(sorted(component) for component in nx.connected_components(graph))
    rows = [
        (product, number) for number, cluster in enumerate(clusters, start=1) for product in cluster
    ]
    return pd.DataFrame(rows, columns=["product_key", "cluster"]).astype("int32")
