"""Marts made by hand: five products, three customers, four weeks around Christmas 2006.

Weeks 1 and 2 are training. Only the columns that the cache models read are there, with the types of
the marts' contracts. Keys follow the codes, as dbt would have it. The cache models on top are the
project's own, compiled by dbt.
"""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb
import yaml
from jinja2 import Template

ROOT = Path(__file__).resolve().parents[4]
Tables = dict[str, list[dict]]

MARTS: dict[str, tuple[str, ...]] = {
    "int_kind_labels": ("kind", "code", "label"),
    "weeks": (
        "week", "shop_week", "split", "date_from", "date_to",
        "trips", "items", "spend_pence", "is_replayed_week",
    ),
    "customers": (
        "customer_key", "customer_code", "price_sensitivity", "lifestage", "first_week",
    ),
    "trips": (
        "trip_key", "basket_id", "customer_key", "store_key", "replay_of", "trip_number", "week",
        "shop_date", "shop_hour", "basket_size", "trip_price_sensitivity", "trip_type",
        "trip_focus", "item_count", "spend_pence", "is_cold_start",
    ),
    "trip_items": ("trip_key", "product_key", "week", "quantity", "spend_pence"),
    "prices": (
        "product_key", "store_key", "week", "actual_price_pence", "previous_price_pence",
        "base_price_pence", "sales",
    ),
    "price_fallbacks_product": ("product_key", "price_pence", "category_price_pence"),
    "products": (
        "product_key", "product_code", "category_1", "category_2", "category_3",
        "category_4", "first_week", "is_random_weight", "is_novel",
    ),
    "pseudo_brands": ("product_key", "price_tier", "price_stability", "volume_share"),
    "product_graph_nodes": ("node_key", "level", "code"),
    "product_graph_edges": ("source_key", "target_key", "edge_type", "weight"),
    "stores": (
        "store_key", "store_code", "store_format", "store_region", "first_week",
        "assortment_breadth", "trips_per_week", "items_per_week", "local_competition",
        "age_weeks", "is_novel",
    ),
    "customer_history": (
        "customer_key", "as_of_week", "trips", "history_weight", "weeks_with_trips",
        "recency_days", "tenure_days", "gap_days_mean", "gap_days_spread",
        "spend_pence_per_trip", "items_per_trip", "units_per_item", "repeat_rate",
        "category_shares",
    ),
    "customer_missions": (
        "customer_key", "as_of_week", "type_shares", "focus_shares", "type_entropy",
        "focus_entropy", "price_sensitivity_mean", "price_sensitivity_spread",
        "basket_size_mean", "basket_size_spread", "consistency",
    ),
    "customer_store_affinity": (
        "customer_key", "as_of_week", "primary_store_key", "stores", "regions",
        "primary_store_share", "top_3_store_share", "store_hhi", "switching_rate",
    ),
    "cache_promotions": ("product_key", "store_key", "week", "display", "mailer"),
}  # fmt: skip
"""Marts, and the labels, with the columns that the cache models read; and one of these models,
which is empty in the layout that the others are compiled for."""


def contracts(*folders: str) -> dict[str, dict[str, str]]:
    """Model -> column -> data type, of the models in these folders with an enforced contract; in
    those that `MARTS` is of if left out."""
    found = {}
    folders = folders or ("intermediate", "marts", "cache")
    for path in [p for f in folders for p in sorted((ROOT / "models" / f).rglob("*.yml"))]:
        for model in yaml.safe_load(path.read_text())["models"]:
            if model.get("config", {}).get("contract", {}).get("enforced"):
                found[model["name"]] = {c["name"]: _type(c) for c in model["columns"]}
    return found


def _type(column: Mapping[str, str]) -> str:
    """DuckDB's, where engines call a type differently."""
    return Template(column["data_type"]).render(target={"type": "duckdb"})


def cache_models() -> dict[str, str]:
    """Name -> SQL of the cache models, as dbt compiles them; relations without their database."""
    with tempfile.TemporaryDirectory() as target:
        subprocess.run(
            [
                Path(sys.executable).with_name("dbt"), "--quiet", "compile",
                "--target", "lint", "--select", "models/cache",
                "--target-path", target, "--log-path", target,
            ],
            cwd=ROOT, check=True,
        )  # fmt: skip
        compiled = (Path(target) / "compiled").rglob("models/cache/*.sql")
        return {path.stem: path.read_text().replace('"memory".', "") for path in compiled}


def _rows(mart: str, text: str) -> list[dict]:
    """One row per line, values separated by spaces in the order of MARTS; `-` is null,
    `~` a space."""
    return [
        dict(zip(MARTS[mart], [None if v == "-" else v.replace("~", " ") for v in line.split()],
                 strict=True))
        for line in text.strip().splitlines()
    ]  # fmt: skip


def tables() -> Tables:
    """The marts, to be changed at will."""
    return copy.deepcopy(_TABLES)


def create(path: Path) -> Path:
    """A database of empty marts, with the cache models on top: it takes seconds."""
    types = contracts()
    with duckdb.connect(str(path)) as connection:
        for mart, columns in MARTS.items():
            described = ", ".join(f"{name} {types[mart][name]}" for name in columns)
            connection.execute(f"create table {mart} ({described})")
        for name, sql in cache_models().items():
            if name not in MARTS:
                connection.execute(f"create view {name} as {sql}")
        # What dbt would have entered of its build; the reader needs one that did not fail.
        connection.execute(
            "create table build_record as select 'model.retailsim.cache_trips' as node, "
            "'model' as kind, 'success' as status, '' as message, '[]' as depends_on, 1 as entry"
        )
    return path


def write(empty: Path, path: Path, marts: Tables) -> Path:
    """Copy a database of empty marts and fill these in."""
    shutil.copy(empty, path)
    with duckdb.connect(str(path)) as connection:
        for mart, rows in marts.items():
            if rows:
                row_of_marks = f"({', '.join('?' * len(MARTS[mart]))})"
                connection.execute(
                    f"insert into {mart} values {', '.join([row_of_marks] * len(rows))}",
                    [row[name] for row in rows for name in MARTS[mart]],
                )
    return path


def change(rows: list[dict], where: dict, **values) -> None:
    """Set values in the rows that match; there must be one."""
    matching = [row for row in rows if all(str(row[k]) == str(v) for k, v in where.items())]
    assert matching, where
    for row in matching:
        row.update(values)


def rebuild_nodes(marts: Tables) -> None:
    """The graph's nodes as dbt would make them of changed products; the edges go."""
    products = marts["products"]
    nodes = [("product", row["product_code"]) for row in products]
    for level in (1, 2, 3, 4):
        codes = sorted({row[f"category_{level}"] for row in products})
        nodes += [(f"category_{level}", code) for code in codes]
    marts["product_graph_nodes"] = [
        {"node_key": key, "level": level, "code": code}
        for key, (level, code) in enumerate(nodes, start=1)
    ]
    marts["product_graph_edges"] = []


def _history() -> Tables:
    """As-of rows: weeks with a trip and week 5, the one after the data."""
    # customer, week, earlier trips, primary store, shares by department (D1 only is of training)
    as_of = [
        (1, 1, 0, None, None), (1, 2, 1, 1, [1.0]), (1, 3, 2, 1, [1.0]), (1, 4, 3, 1, [0.8]),
        (1, 5, 4, 1, [6 / 7]), (2, 2, 0, None, None), (2, 4, 1, 2, [1.0]), (2, 5, 2, 2, [1.0]),
        (3, 3, 0, None, None), (3, 5, 1, 3, [1.0]),
    ]  # fmt: skip
    marts: Tables = {
        "customer_history": [], "customer_missions": [], "customer_store_affinity": [],
    }  # fmt: skip
    for customer, week, trips, store, shares in as_of:
        known = trips > 0
        for mart, given in (
            (
                "customer_history",
                {
                    "trips": trips, "history_weight": trips / 20, "weeks_with_trips": trips,
                    "recency_days": 7 if known else None, "category_shares": shares,
                },
            ),
            (
                "customer_missions",
                {
                    "type_shares": [0.5, 0, 0, 0.5] if known else None,
                    "focus_shares": [0, 0, 0, 1.0, 0] if known else None,
                },
            ),
            (
                "customer_store_affinity",
                {
                    "primary_store_key": store, "stores": int(known), "regions": int(known),
                    "store_hhi": 1.0 if known else None,
                },
            ),
        ):  # fmt: skip
            row = dict.fromkeys(MARTS[mart]) | {"customer_key": customer, "as_of_week": week}
            marts[mart].append(row | given)
    return marts


_TABLES: Tables = {
    "int_kind_labels": _rows("int_kind_labels", """
        size 1 S
        size 2 M
        size 3 L
        sensitivity 1 LA
        sensitivity 2 MM
        sensitivity 3 UM
        type 1 Small~Shop
        type 2 Top~Up
        type 3 Full~Shop
        focus 1 Fresh
        focus 2 Grocery
        focus 3 Mixed
        focus 4 Nonfood
    """),
    "weeks": _rows("weeks", """
        1 200643 train      2006-12-11 2006-12-17 2 4 550 false
        2 200644 train      2006-12-18 2006-12-24 2 2 130 false
        3 200645 validation 2006-12-25 2006-12-31 2 3 610 false
        4 200646 test       2007-01-01 2007-01-07 2 3 270 true
    """),
    # CUST3 first shops in week 3: its lifestage is no label.
    "customers": _rows("customers", """
        1 CUST1 LA YF 1
        2 CUST2 - OF 2
        3 CUST3 LA ZZ 3
    """),
    "stores": _rows("stores", """
        1 STORE1 LS N01 1 3 1.5 2.5 1 2 false
        2 STORE2 SS S01 2 1 1 1 3 1 false
        3 STORE3 XL N01 3 2 1.25 1.75 2 0 true
    """),
    # PRD4 and PRD5 are novel; PRD4 shares nothing with the others, PRD5 all but the sub-commodity.
    "products": _rows("products", """
        1 PRD1 C1 S1 G1 D1 1 false false
        2 PRD2 C1 S1 G1 D1 1 false false
        3 PRD3 C2 S1 G1 D1 2 true  false
        4 PRD4 C3 S2 G2 D2 3 false true
        5 PRD5 C4 S1 G1 D1 4 false true
    """),
    # PRD4 shares nothing with what was sold in training, PRD5 all but the sub-commodity.
    "price_fallbacks_product": _rows("price_fallbacks_product", """
        1 100 150
        2 200 150
        3 50 50
        4 100 100
        5 120 100
    """),
    "pseudo_brands": _rows("pseudo_brands", """
        1 value 0.9 0.75
        2 premium 1 0.25
        3 mainstream 1 1
        4 mainstream 1 0
        5 mainstream 1 0
    """),
    "product_graph_nodes": _rows("product_graph_nodes", """
        1 product PRD1
        2 product PRD2
        3 product PRD3
        4 product PRD4
        5 product PRD5
        6 category_1 C1
        7 category_1 C2
        8 category_1 C3
        9 category_1 C4
        10 category_2 S1
        11 category_2 S2
        12 category_3 G1
        13 category_3 G2
        14 category_4 D1
        15 category_4 D2
    """),
    "product_graph_edges": _rows("product_graph_edges", """
        1 2 substitution 0.25
        1 3 copurchase 0.75
        1 6 hierarchy 1
        2 6 hierarchy 1
        6 10 hierarchy 0.5
    """),
    # Anonymous: trip 1. Trip 8 copies trip 3.
    "trips": _rows("trips", """
        1 9001 - 1 - - 1 2006-12-11 8  S  MM Small~Shop Grocery 2 150 -
        2 9002 1 1 - 1 1 2006-12-11 9  M  LA Top~Up     Fresh   2 400 true
        3 9003 2 2 - 1 2 2006-12-18 23 XX XX XX         XX      1 50 true
        4 9004 1 1 - 2 2 2006-12-20 0  S  UM Small~Shop Nonfood 1 80 true
        5 9005 1 1 - 3 3 2006-12-26 12 L  UM Full~Shop  Mixed   2 400 false
        6 9006 3 3 - 1 3 2006-12-27 12 S  MM Small~Shop Grocery 1 210 true
        7 9007 1 1 - 4 4 2007-01-02 12 S  MM Small~Shop Grocery 2 220 false
        8 9008 2 2 3 2 4 2007-01-07 23 XX XX XX         XX      1 50 true
    """),
    "trip_items": _rows("trip_items", """
        1 1 1 1 90
        1 3 1 1 60
        2 1 1 2 200
        2 2 1 1 200
        3 3 2 1 50
        4 1 2 1 80
        5 1 3 1 100
        5 4 3 1 300
        6 2 3 1 210
        7 1 4 1 100
        7 5 4 3 120
        8 3 4 1 50
    """),
    # Product, store, week, price, price before, base price, receipt lines: PRD1 was 90 and 100 in
    # week 1.
    "prices": _rows("prices", """
        1 1 1 95 - 95 2
        1 1 2 80 95 95 1
        1 1 3 100 80 100 1
        1 1 4 100 100 100 1
        2 1 1 200 - 200 1
        2 3 3 210 - 210 1
        3 1 1 50 - 50 1
        3 2 2 50 - 50 1
        3 2 4 50 50 50 1
        4 1 3 300 - 300 1
        5 1 4 40 - 40 1
    """),
    # Display 3 is code 51, mailer A code 65.
    "cache_promotions": _rows("cache_promotions", """
        1 1 2 51 0
        1 2 1 0 65
        2 1 1 51 65
        1 3 1 0 65
    """),
    **_history(),
}  # fmt: skip
