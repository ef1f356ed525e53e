"""The product graph as networkx sees it, from a database made by hand."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dbt_project.graph import product_graph


@pytest.fixture
def database(tmp_path) -> Path:
    """Two apples and a pear in one sub-commodity: rivals 1 and 2, 1 and 3 bought together."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            create table products as
            select * from (values
                (1, 'P1', 'C', 'D', 'G', 'T', false), (2, 'P2', 'C', 'D', 'G', 'T', false),
                (3, 'P3', 'C', 'D', 'G', 'T', true), (4, 'P4', 'C', 'D', 'G', 'T', false)
            ) as t (
                product_key, product_code, category_1, category_2, category_3,
                category_4, is_random_weight
            );
            create table pseudo_brands as
            select * from (values
                (1, 'value', 2, 0.5::double), (2, 'premium', 1, 0.3::double),
                (3, 'mainstream', 3, 0.2::double), (4, 'mainstream', 3, 0.0::double)
            ) as t (product_key, price_tier, pseudo_brand_key, volume_share);
            create table product_graph_nodes as
            select * from (values
                (1, 'product', 'P1'), (2, 'product', 'P2'), (3, 'product', 'P3'),
                (4, 'product', 'P4'), (5, 'category_1', 'C')
            ) as t (node_key, level, code);
            create table product_graph_edges as
            select
                source_key, target_key, edge_type, weight::double as weight, lift::double as lift,
                chi_square::double as chi_square, trips_both::integer as trips_both,
                trips_expected::double as trips_expected, customers_both::integer as customers_both
            from (values
                (1, 3, 'copurchase', 0.75, 2.125, 40.5, 60, null, null),
                (3, 1, 'copurchase', 0.75, 2.125, 40.5, 60, null, null),
                (3, 2, 'copurchase', 0.5, 1.625, 20.0, 55, null, null),
                (1, 2, 'substitution', 0.5, null, null, 0, 1.5, 7),
                (2, 3, 'substitution', 0.75, null, null, 4, 3.25, 9),
                (1, 5, 'hierarchy', 1.0, null, null, null, null, null),
                (2, 5, 'hierarchy', 1.0, null, null, null, null, null),
                (3, 5, 'hierarchy', 1.0, null, null, null, null, null)
            ) as t (
                source_key, target_key, edge_type, weight, lift, chi_square, trips_both,
                trips_expected, customers_both
            );
            """
        )
    return path


def test_nodes_carry_codes_and_product_attributes(database):
    graph = product_graph(database)
    assert sorted(graph) == [1, 2, 3, 4, 5]
    assert graph.nodes[3] == {
        "level": "product", "code": "P3",
        "category_1": "C", "category_2": "D",
        "category_3": "G", "category_4": "T",
        "is_random_weight": True,
        "price_tier": "mainstream", "pseudo_brand_key": 3, "volume_share": 0.2,
    }  # fmt: skip
    assert graph.nodes[5] == {"level": "category_1", "code": "C"}
    assert graph.graph == {}


def test_a_category_does_not_take_the_attributes_of_a_product_with_its_key(database):
    with duckdb.connect(str(database)) as connection:
        connection.execute("insert into products values (5, 'P5', 'C', 'D', 'G', 'T', true)")
    assert "is_random_weight" not in product_graph(database).nodes[5]


def test_one_edge_per_pair_and_type(database):
    graph = product_graph(database)
    pairs = [(frozenset(ends), key) for *ends, key in graph.edges(keys=True)]
    assert len(pairs) == len(set(pairs)) == 7
    assert set(graph[2][3]) == {"copurchase", "substitution"}
    assert not graph.is_directed()
    assert graph.degree(4) == 0


@pytest.mark.parametrize(
    ("ends", "edge_type", "attributes"),
    [
        (
            (3, 1),
            "copurchase",
            {"weight": 0.75, "lift": 2.125, "chi_square": 40.5, "trips_both": 60},
        ),
        (
            (2, 1),
            "substitution",
            {"weight": 0.5, "trips_both": 0, "trips_expected": 1.5, "customers_both": 7},
        ),
        ((5, 1), "hierarchy", {"weight": 1.0}),
    ],
)
def test_edges_carry_what_their_type_has_from_either_end(database, ends, edge_type, attributes):
    graph = product_graph(str(database))
    assert graph.edges[*ends, edge_type] == attributes
    assert graph.edges[*reversed(ends), edge_type] == attributes


def test_the_database_can_be_written_afterwards(database):
    graph = product_graph(database)
    with duckdb.connect(str(database)) as connection:
        connection.execute("drop table product_graph_edges")
    assert graph.number_of_edges() == 7
    with pytest.raises(ValueError, match="no table product_graph_edges: run dbt build"):
        product_graph(database)
    # An error leaves it closed too.
    with duckdb.connect(str(database)) as connection:
        connection.execute("drop table pseudo_brands")


def test_missing_tables_are_named(tmp_path):
    path = tmp_path / "empty.duckdb"
    duckdb.connect(str(path)).close()
    with pytest.raises(ValueError, match="product_graph_nodes, product_graph_edges.*dbt build"):
        product_graph(path)


def test_a_missing_file_is_named_and_not_created(tmp_path):
    path = tmp_path / "nowhere.duckdb"
    with pytest.raises(FileNotFoundError, match="nowhere.duckdb does not exist: run dbt build"):
        product_graph(path)
    assert not path.exists()
