"""A chain's receipts as data frames, read from the raw files without the warehouse.

Keys follow the documentation: dense from 1, products, customers and stores in the order of their
codes, trips in the order of date, hour and basket id.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

HIERARCHY = ["category_1", "category_2", "category_3", "category_4"]
# Columns that go by other names behind staging. The two segments have two names each, one per
# release of the data.
RENAMED = {
    "seg_1": "price_sensitivity",
    "CUST_PRICE_SENSITIVITY": "price_sensitivity",
    "seg_2": "lifestage",
    "CUST_LIFESTAGE": "lifestage",
    "BASKET_TYPE": "trip_type",
    "BASKET_DOMINANT_MISSION": "trip_focus",
    "BASKET_PRICE_SENSITIVITY": "trip_price_sensitivity",
    **{f"PROD_CODE_{n}0": f"category_{n}" for n in (1, 2, 3, 4)},
}
ITEM = ["trip_key", "product_key", "customer_key", "store_key", "week", "quantity", "pence"]


@dataclass(frozen=True)
class Ledger:
    """Everything the raw files say, one frame per kind of thing."""

    items: pd.DataFrame
    """One row per receipt line, in the order of trips; `customer_key` 0 is anonymous."""
    trips: pd.DataFrame
    products: pd.DataFrame
    stores: pd.DataFrame
    customers: pd.DataFrame
    weeks: pd.DataFrame
    """`date_from` and `date_to` by week."""

    def training(self, last_week: int) -> pd.DataFrame:
        """Items of the training weeks."""
        return self.items[self.items.week <= last_week]


def _keyed(lines: pd.DataFrame, code: str, key: str) -> pd.DataFrame:
    """First line of each code, in the order of weeks, then of codes, with a dense key."""
    first = lines[lines[code] != ""].drop_duplicates(code)
    first = first.sort_values(["week", code], ignore_index=True)
    return first.assign(**{key: np.arange(1, len(first) + 1)})


def read_ledger(folder: Path) -> Ledger:
    """Read a raw folder of CSV files."""
    weeks = pd.read_csv(folder / "time.csv", dtype=str)
    weeks["week"] = np.arange(1, len(weeks) + 1)
    for side in ("date_from", "date_to"):
        weeks[side] = pd.to_datetime(weeks[side], format="%Y%m%d")
    lines = pd.concat(
        pd.read_csv(path, dtype=str, keep_default_na=False)
        for path in sorted(folder.glob("transactions*.csv"))
    ).rename(columns=RENAMED)
    lines = lines.rename(columns=lambda name: name.lower())
    lines["week"] = lines.shop_week.map(dict(zip(weeks.shop_week, weeks.week, strict=True)))
    lines["date"] = pd.to_datetime(lines.shop_date, format="%Y%m%d")
    lines["hour"] = lines.shop_hour.astype(int)
    lines["quantity"] = lines.quantity.astype(int)
    lines["pence"] = (lines.spend.astype(float) * 100).round().astype(np.int64)
    lines = lines.sort_values(["date", "hour", "basket_id"], kind="stable", ignore_index=True)

    products = _keyed(lines, "prod_code", "product_key")
    stores = _keyed(lines, "store_code", "store_key")
    customers = _keyed(lines, "cust_code", "customer_key")
    for name, frame in [("prod", products), ("store", stores), ("cust", customers)]:
        key = frame.columns[-1]
        keys = dict(zip(frame[f"{name}_code"], frame[key], strict=True))
        lines[key] = lines[f"{name}_code"].map(keys).fillna(0).astype(int)
    lines["trip_key"] = lines.basket_id.map(
        {basket: n for n, basket in enumerate(lines.basket_id.unique(), start=1)}
    )
    return Ledger(
        items=lines[ITEM],
        trips=lines.drop_duplicates("trip_key").set_index("trip_key", drop=False),
        products=products[["product_key", "prod_code", *HIERARCHY, "week"]].rename(
            columns={"prod_code": "product_code", "week": "first_week"}
        ),
        stores=stores[["store_key", "store_code", "store_format", "store_region", "week"]].rename(
            columns={"week": "first_week"}
        ),
        customers=customers[["customer_key", "cust_code", "price_sensitivity", "lifestage"]],
        weeks=weeks.set_index("week"),
    )


def table(path: Path, query: str) -> pd.DataFrame:
    """Rows of a query, or of a whole table, as a data frame."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query if " " in query else f"from {query}").df()


def assert_same(found: pd.DataFrame, expected: pd.DataFrame, keys: list[str]) -> None:
    """Same rows by key and the same value in every column; floats to nine digits, nulls alike."""
    assert set(found.columns) == set(expected.columns)
    assert not expected.duplicated(keys).any()
    found = found.sort_values(keys, ignore_index=True)
    expected = expected.sort_values(keys, ignore_index=True)
    both = found[keys].merge(expected[keys], how="outer", indicator="side")
    odd = both[both.side != "both"]
    assert odd.empty, f"{len(odd)} rows only found (left) or expected (right):\n{odd.head(10)}"
    assert len(found) == len(expected)
    for name in expected.columns:
        left, right = found[name], expected[name]
        if pd.api.types.is_numeric_dtype(left) and pd.api.types.is_numeric_dtype(right):
            same = np.isclose(
                left.astype(float), right.astype(float), rtol=1e-9, atol=1e-12, equal_nan=True
            )
        else:
            same = (left == right) | (left.isna() & right.isna())
        wrong = found.loc[~same, keys].assign(found=left[~same], expected=right[~same])
        assert wrong.empty, f"{len(wrong)} of {len(found)} differ in {name}:\n{wrong.head(10)}"
