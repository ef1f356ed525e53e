"""The mart of predictions: from a file of the trainer's to keys, and files that do not fit."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainer.next_baskets.table import SCHEMA

DAY = dt.date(2008, 7, 6)


def write(path, *rows, drop=()):
    """A file of predictions; rows are changes of one good row."""
    good = {
        "customer_code": "stranger", "product_rank": 1, "product_code": None, "probability": 0.5,
        "is_repeat": True, "expected_items": 2.0, "visible_items": 0, "data_until": DAY,
        "trip_date": DAY + dt.timedelta(1), "trip_date_probability": 0.25, "trip_hour": 11,
        "trip_hour_probability": None, "store_code": None, "store_probability": None,
        "basket_size": "M", "trip_price_sensitivity": None, "trip_type": "Top Up",
        "trip_focus": None, "kind_probability": None,
    }  # fmt: skip
    table = pa.Table.from_pylist([good | row for row in rows], schema=SCHEMA)
    pq.write_table(table.drop(list(drop)), path)
    return {"RETAILSIM_PREDICTIONS": str(path)}


@pytest.fixture
def mart(dbt, chain, warehouse, tmp_path):
    """`mart(environment)` builds the mart in a copy of the default chain's warehouse."""

    def build(environment):
        copied = type(warehouse)(tmp_path / "warehouse.duckdb")
        copied.path.write_bytes(warehouse.path.read_bytes())
        return dbt(
            "build", "--select", "stg_predictions+", raw=chain, into=copied, environment=environment
        )

    return build


@pytest.fixture(scope="module")
def codes(warehouse):
    """A customer, two products and a store: code and key of each."""
    return [
        warehouse.rows(f"select {name}_code, {name}_key from {name}s order by 2 limit 2")
        for name in ("customer", "product", "store")
    ]


def test_without_a_file_the_mart_is_empty(warehouse):
    assert warehouse.value("select count(*) from predictions") == 0


def test_keys_and_every_column(mart, codes, tmp_path):
    (customer, _), (first, second), (store, _) = codes
    rows = [
        {"customer_code": customer[0], "product_code": second[0], "store_code": store[0]},
        {"customer_code": customer[0], "product_code": first[0], "store_code": store[0],
         "product_rank": 2, "probability": 0.25},
        {"product_code": first[0]},
    ]  # fmt: skip
    result = mart(write(tmp_path / "any name.parquet", *rows))
    assert result.returncode == 0, result.output
    found = result.rows(
        "select customer_key, product_rank, product_key, store_key, probability from predictions"
    )
    assert found == [
        (customer[1], 1, second[1], store[1], 0.5),
        (customer[1], 2, first[1], store[1], 0.25),
        (None, 1, first[1], None, 0.5),
    ]
    trip = result.rows(
        "select distinct data_until, trip_date, trip_date_probability, trip_hour, basket_size, "
        "trip_type, expected_items, visible_items, kind_probability from predictions"
    )
    assert trip == [(DAY, DAY + dt.timedelta(1), 0.25, 11, "M", "Top Up", 2.0, 0, None)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"product_code": "of another chain"}], "which is none of this chain. Predict anew"),
        ([{}, {"product_rank": 3}], "predictions_fall_with_their_rank"),
        ([{"probability": 0.1}, {"product_rank": 2}], "predictions_fall_with_their_rank"),
        ([{"expected_items": 0.4}], "predictions_fall_with_their_rank"),
        ([{"trip_date": DAY}], "predictions_are_of_trips_after_the_data"),
        ([{}, {}], "unique_combination_predictions"),
    ],
)
def test_what_contradicts_itself_is_found(mart, codes, tmp_path, rows, said):
    products = [{"product_code": code} for code, _ in codes[1]]
    rows = [product | row for product, row in zip(products, rows, strict=False)]
    result = mart(write(tmp_path / "predictions.parquet", *rows))
    assert result.returncode == 1 and said in result.output


def test_files_that_cannot_be_read(mart, codes, tmp_path):
    result = mart({"RETAILSIM_PREDICTIONS": str(tmp_path / "nowhere.parquet")})
    assert result.returncode != 0 and "there is no such file. Write it with" in result.output
    row = {"product_code": codes[1][0][0]}
    result = mart(write(tmp_path / "less.parquet", row, drop=["probability"]))
    assert result.returncode != 0 and "less.parquet: column probability missing" in result.output
