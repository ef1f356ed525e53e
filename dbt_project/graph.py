"""The product graph of a finished `dbt build` as a networkx graph."""

from __future__ import annotations

from pathlib import Path

import duckdb
import networkx as nx

from trainer.commands.errors import InputError

_TABLES = ("product_graph_nodes", "product_graph_edges", "products", "pseudo_brands")

_NODES = """
    select
        nodes.node_key, nodes.level, nodes.code,
        products.category_1, products.category_2,
        products.category_3, products.category_4,
        products.is_random_weight,
        pseudo_brands.price_tier, pseudo_brands.pseudo_brand_key, pseudo_brands.volume_share
    from product_graph_nodes as nodes
    left join products on nodes.level = 'product' and nodes.node_key = products.product_key
    left join pseudo_brands on products.product_key = pseudo_brands.product_key
    order by nodes.node_key
"""

# A co-purchase pair may be listed from both ends, with the same figures; adding it a second time to
# an undirected graph under the same key changes nothing.
_EDGES = """
    select
        source_key, target_key, edge_type,
        weight, lift, chi_square, trips_both, trips_expected, customers_both
    from product_graph_edges
    order by edge_type, source_key, target_key
"""


def product_graph(database: Path | str) -> nx.MultiGraph:
    """Read the product graph from a warehouse file.

    The file is opened read-only and closed again before this returns.

    Nodes are keyed by `node_key`; the key of a product is its `product_key`. Attributes:

    - `level`: `product`, or `category_1` (sub-commodity) to `category_4` (department);
    - `code`: product or category code as in the raw data.

    Products also have

    - `category_1` to `category_4`: codes of their categories;
    - `is_random_weight`: whether it is sold by weight;
    - `price_tier`: `value`, `mainstream` or `premium` within the sub-commodity;
    - `pseudo_brand_key`: sub-commodity x price tier x substitution cluster;
    - `volume_share`: its share of the sub-commodity's units in the training weeks, 0 to 1.

    Edges are undirected. Their key is the type, `copurchase`, `substitution` or `hierarchy`, so
    that a pair has at most one of each; a co-purchase pair listed from both ends is one edge.
    Attributes, each only where the type has it:

    - `weight`: from 0, comparable within a type only (docs/product_graph.md);
    - `lift`: P(both) / (P(one) P(other)) over trips, 1 if independent (co-purchase);
    - `chi_square`: of the 2 x 2 table, one degree of freedom (co-purchase);
    - `trips_both`: trips with both products (co-purchase; substitution, identified customers only);
    - `trips_expected`: what that would be, did customers not avoid or seek both at once
      (substitution);
    - `customers_both`: identified customers who bought both (substitution).

    Edges come from training weeks only: what was first sold later is a node without edges. The
    vars that the edges were filtered by are not in the database, so the graph itself has no
    attributes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the database lacks one of the tables.
        duckdb.IOException: not a DuckDB file, or another process is writing it.
    """
    path = Path(database)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: run dbt build in a checkout first")
    with duckdb.connect(str(path), read_only=True) as warehouse:
        present = {
            name
            for (name,) in warehouse.execute("select table_name from duckdb_tables()").fetchall()
        }
        missing = [name for name in _TABLES if name not in present]
        if missing:
            raise InputError(f"{path} has no table {', '.join(missing)}: run dbt build first")
        nodes = _records(warehouse.execute(_NODES))
        edges = _records(warehouse.execute(_EDGES))

    graph = nx.MultiGraph()
    for attributes in nodes:
        graph.add_node(attributes.pop("node_key"), **attributes)
    for attributes in edges:
        ends = attributes.pop("source_key"), attributes.pop("target_key")
        graph.add_edge(*ends, key=attributes.pop("edge_type"), **attributes)
    return graph


def _records(result: duckdb.DuckDBPyConnection) -> list[dict]:
    """Rows by column name, without their nulls."""
    names = [column[0] for column in result.description]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in result.fetchall()
    ]
