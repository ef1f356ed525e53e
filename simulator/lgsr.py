"""Receipts as files in the layout LGSR (docs/raw_data.md), which the warehouse reads like any."""

from __future__ import annotations

import gzip
import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from simulator.receipts import Receipts
from trainer.cache.atomic import new_folder
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT, LEVELS
from trainer.commands.errors import InputError
from trainer.features.plans import UNKNOWN_STORE

COLUMNS = (
    "SHOP_WEEK", "SHOP_DATE", "SHOP_WEEKDAY", "SHOP_HOUR", "QUANTITY", "SPEND", "PROD_CODE",
    "PROD_CODE_10", "PROD_CODE_20", "PROD_CODE_30", "PROD_CODE_40", "CUST_CODE",
    "CUST_PRICE_SENSITIVITY", "CUST_LIFESTAGE", "BASKET_ID", "BASKET_SIZE",
    "BASKET_PRICE_SENSITIVITY", "BASKET_TYPE", "BASKET_DOMINANT_MISSION", "STORE_CODE",
    "STORE_FORMAT", "STORE_REGION",
)  # fmt: skip
CALENDAR_COLUMNS = ("shop_week", "date_from", "date_to")
UNCLASSIFIED = "XX"
THURSDAY = 5
"""1 is Sunday. 1970-01-01 was a Thursday."""


class Calendar(NamedTuple):
    """Weeks 1, 2, ... in rows."""

    shop_week: np.ndarray
    """(weeks,) as the chain codes them, ascending."""
    first: np.ndarray
    """(weeks,) days since 1970-01-01."""
    last: np.ndarray


def write_receipts(receipts: Receipts, cache: TensorCache, folder: Path) -> None:
    """Write a run's receipts, one `transactions_YYYYWW.csv.gz` a week with any, and `time.csv`.

    cache: whose rows, tokens, labels and weeks the receipts name. Weeks after its calendar follow
    it, with seven days each. Baskets get ids that the warehouse knows simulated ones by, in the
    order of the receipts within a week: SIM200803-0000001. Customers who are new are
    CUSTSIM0000001 for -2, CUSTSIM0000002 for -3 and so on, without segments; a store that the
    cache lacks is STORESIM. A token of a category is a product of its own in that category,
    PRDSIM1-CL00035 for one of the first level. A label that is unknown is XX, a segment empty.

    The folder is written in one step. Raises InputError where it holds anything, or a code or label
    holds what the layout cannot; ValueError for receipts that contradict themselves or the cache.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder} is there already: name another folder, or delete it")
    _check_lengths(receipts)
    calendar = calendar_of(cache, int(receipts.week.max(initial=0)))
    _check_days(receipts, calendar)
    of_trips = _trip_columns(receipts, cache)
    products, product = _product_columns(receipts.token, cache)
    trip_of_line = np.repeat(np.arange(len(receipts.items)), receipts.items)
    week_of_line = receipts.week[trip_of_line]
    with new_folder(folder) as fresh:
        for week in np.unique(receipts.week).tolist():
            shop_week = int(calendar.shop_week[week - 1])
            trips = np.flatnonzero(receipts.week == week)
            ids = [f"SIM{shop_week}-{n:07d}" for n in range(1, len(trips) + 1)]
            lines = np.flatnonzero(week_of_line == week)
            trip = trip_of_line[lines]
            _write_table(
                fresh / f"transactions_{shop_week}.csv.gz",
                {
                    "SHOP_WEEK": pa.repeat(shop_week, len(lines)),
                    "QUANTITY": pa.array(receipts.quantity[lines]),
                    "SPEND": _pounds(receipts.pence[lines]),
                    "BASKET_ID": pa.array(ids).take(pa.array(np.searchsorted(trips, trip))),
                    **{name: all_.take(pa.array(trip)) for name, all_ in of_trips.items()},
                    **{
                        name: all_.take(pa.array(product[lines])) for name, all_ in products.items()
                    },
                },
            )
        write_calendar(fresh / "time.csv", calendar)


def calendar_of(cache: TensorCache, weeks: int) -> Calendar:
    """The calendar of a cache, with at least so many weeks."""
    known = cache.rows("weeks")
    week = cache["days.week"].astype(np.int64)
    edges = np.searchsorted(week, np.arange(1, known + 2))
    first, last = cache["days.date"][edges[:-1]], cache["days.date"][edges[1:] - 1]
    more = np.arange(max(weeks - known, 0))
    shop_weeks = cache["weeks.shop_week"].tolist()
    for _ in more:
        shop_weeks.append(_next_shop_week(shop_weeks[-1]))
    return Calendar(
        np.array(shop_weeks),
        np.append(first, last[-1] + 1 + 7 * more).astype(np.int64),
        np.append(last, last[-1] + 7 + 7 * more).astype(np.int64),
    )


def write_calendar(path: Path, calendar: Calendar) -> None:
    """Write `time.csv`."""
    rows = zip(calendar.shop_week.tolist(), _dates(calendar.first), _dates(calendar.last),
               strict=True)  # fmt: skip
    lines = [",".join(CALENDAR_COLUMNS), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _next_shop_week(week: int) -> int:
    """What follows 200652 is 200701. Where a year has 53 weeks, the last number is left out: they
    need but ascend."""
    year, number = divmod(week, 100)
    return week + 1 if number < 52 else 100 * (year + 1) + 1


def _check_lengths(receipts: Receipts) -> None:
    trips, lines = len(receipts.items), int(receipts.items.sum())
    for name, rows in (
        *((name, trips) for name in ("customer", "week", "day", "hour", "store", "kind")),
        *((name, lines) for name in ("token", "quantity", "pence")),
    ):
        if len(getattr(receipts, name)) != rows:
            raise ValueError(f"{name} has {len(getattr(receipts, name))} rows, not {rows}")
    if trips and receipts.items.min() < 1:
        raise ValueError("a trip without items is no receipt")


def _check_days(receipts: Receipts, calendar: Calendar) -> None:
    row = receipts.week - 1
    outside = (receipts.day < calendar.first[row]) | (receipts.day > calendar.last[row])
    if outside.any():
        trip = int(np.argmax(outside))
        raise ValueError(
            f"trip {trip}: day {receipts.day[trip]} is not in week {receipts.week[trip]}"
        )


def _trip_columns(receipts: Receipts, cache: TensorCache) -> dict[str, pa.Array]:
    """The columns of a trip, (trips,) each."""
    kinds = [
        _labels(cache, name, UNCLASSIFIED).take(pa.array(receipts.kind[:, column]))
        for column, name in enumerate(CONTEXT)
    ]
    days, day = np.unique(receipts.day, return_inverse=True)
    return {
        "SHOP_DATE": pa.array(_dates(days), pa.string()).take(pa.array(day)),
        "SHOP_WEEKDAY": pa.array((receipts.day - 1 + THURSDAY) % 7 + 1),
        "SHOP_HOUR": pa.array(receipts.hour),
        **_customer_columns(receipts.customer, cache),
        "BASKET_SIZE": kinds[0],
        "BASKET_PRICE_SENSITIVITY": kinds[1],
        "BASKET_TYPE": kinds[2],
        "BASKET_DOMINANT_MISSION": kinds[3],
        **_store_columns(receipts.store, cache),
    }


def _customer_columns(customers: np.ndarray, cache: TensorCache) -> dict[str, pa.Array]:
    codes = _codes(cache, "customers")
    rows, place = np.unique(customers, return_inverse=True)
    known = rows >= 0
    found = [
        codes[row] if row >= 0 else None if row == -1 else f"CUSTSIM{-1 - row:07d}"
        for row in rows.tolist()
    ]
    columns = {"CUST_CODE": pa.array(found, pa.string())}
    for column, name in (
        ("CUST_PRICE_SENSITIVITY", "price_sensitivity"),
        ("CUST_LIFESTAGE", "lifestage"),
    ):
        code = np.where(known, cache[f"customers.{name}"][np.where(known, rows, 0)], 0)
        columns[column] = _labels(cache, name, None).take(pa.array(code))
    return {name: values.take(pa.array(place)) for name, values in columns.items()}


def _store_columns(stores: np.ndarray, cache: TensorCache) -> dict[str, pa.Array]:
    """Row -1, UNKNOWN_STORE, takes the last of each list."""
    known = {"STORE_CODE": pa.array([*_codes(cache, "stores"), "STORESIM"])}
    for column, name in (("STORE_FORMAT", "format"), ("STORE_REGION", "region")):
        labels = _labels(cache, f"store_{name}", UNCLASSIFIED)
        known[column] = labels.take(pa.array(np.append(cache[f"stores.{name}"], 0)))
    row = np.where(stores == UNKNOWN_STORE, cache.rows("stores"), stores)
    return {name: values.take(pa.array(row)) for name, values in known.items()}


def _product_columns(
    tokens: np.ndarray, cache: TensorCache
) -> tuple[dict[str, pa.Array], np.ndarray]:
    """Columns of the different products (products,), and the row in them of each token (lines,).

    A token that stands for a category of a coarser level has categories of its own below that.
    """
    vocabulary = cache.vocabulary
    first_category = int(vocabulary.fallback(0))
    product_code, category_code = _codes(cache, "products"), _codes(cache, "categories")
    category = cache["products.category"]
    level, parent = cache["categories.level"].tolist(), cache["categories.parent"].tolist()
    rows = []
    different, place = np.unique(tokens, return_inverse=True)
    for token in different.tolist():
        if 1 <= token <= vocabulary.products:
            row = int(category[token - 1])
            code = product_code[token - 1]
        elif first_category <= token < vocabulary.input_size:
            row = token - first_category
            code = f"PRDSIM{level[row] + 1}-{category_code[row]}"
        else:
            raise ValueError(f"token {token} is neither a product nor a category")
        categories = [code] * level[row]
        while row >= 0:
            categories.append(category_code[row])
            row = parent[row]
        rows.append((code, *categories))
    names = ("PROD_CODE", *(f"PROD_CODE_{10 * n}" for n in range(1, len(LEVELS) + 1)))
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return {
        name: pa.array(values, pa.string()) for name, values in zip(names, columns, strict=True)
    }, place


def _codes(cache: TensorCache, table: str) -> list[str]:
    """Codes of a table's rows."""
    codes = [code.decode() for code in cache[f"{table}.code"].tolist()]
    return _checked(cache, f"{table}.code", codes)


def _labels(cache: TensorCache, name: str, unknown: str | None) -> pa.Array:
    """Labels of a column by code; code 0 is unknown."""
    labels = _checked(cache, f"the label of {name}", list(cache.labels[name]))
    return pa.array([unknown, *labels], pa.string())


def _checked(cache: TensorCache, what: str, texts: list[str]) -> list[str]:
    """Texts of which none holds what a line of the layout cannot. Raises InputError."""
    for text in texts:
        if re.search(r'[,"\r\n]', text):
            raise InputError(
                f"{cache.folder}: {what} {text!r} holds a comma, a quotation mark or a line end, "
                "which receipts in the layout lgsr cannot hold"
            )
    return texts


def _dates(days: np.ndarray) -> list[str]:
    """Days since 1970-01-01 as YYYYMMDD."""
    return [text.replace("-", "") for text in days.astype("datetime64[D]").astype(str).tolist()]


def _pounds(pence: np.ndarray) -> pa.Array:
    """Whole pence as exact decimals with two places, both of which the CSV writer prints."""
    return pa.compute.multiply(pa.array(pence).cast(pa.decimal128(19)), Decimal("0.01"))


def _write_table(path: Path, columns: dict[str, pa.Array]) -> None:
    table = pa.table({name: columns[name] for name in COLUMNS})
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        packed.write((",".join(COLUMNS) + "\n").encode())
        options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
        pa.csv.write_csv(table, packed, options)
