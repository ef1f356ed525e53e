"""What products cost the chain, from a CSV or Parquet file, so that margin can be told."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.cache.reader import TensorCache
from trainer.cache.schema import MAX_PRICE
from trainer.commands.errors import InputError

CODE, COST = "product_code", "unit_cost_pence"
LARGEST = 256 << 20
"""Bytes of the largest file that is read."""


def read_costs(path: Path, cache: TensorCache) -> np.ndarray:
    """(V,) float64 pence of a unit by product row, NaN for products that the file lacks. Of a
    product sold by weight the unit is a usual portion.

    Columns `product_code` and `unit_cost_pence`, others are not read; codes that are none of the
    chain's are left out. Raises InputError in one line, with file, row and column, for a cost that
    is no number from 0, a product that stands twice, and a file without any of the chain's.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path}: larger than {LARGEST >> 20} MB. Expected one row a product")
    row_of = {code.decode(): row for row, code in enumerate(cache["products.code"].tolist())}
    costs, places = np.full(cache.products, np.nan), {}
    rows = _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)
    for place, code, cost in rows:
        if code in places:
            raise InputError(f"{path}: {place}, {CODE}: {code} stands in {places[code]} already")
        places[code] = place
        try:
            value = float(cost)
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value <= MAX_PRICE:
            raise InputError(
                f"{path}: {place}, {COST}: {cost!r}, where pence from 0 to {MAX_PRICE} are expected"
            )
        if code in row_of:
            costs[row_of[code]] = value
    if np.isnan(costs).all():
        examples = ", ".join(list(row_of)[:3])
        raise InputError(
            f"{path}: none of its {len(places)} products is one of the chain's {len(row_of)}, such "
            f"as {examples}"
        )
    return costs


def _csv(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(path, reader.fieldnames or [])
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(
                        f"{path}: line {reader.line_num}: another number of fields than the header"
                    )
                yield f"line {reader.line_num}", row[CODE].strip(), row[COST].strip()
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not CSV in UTF-8, separated by commas ({error})") from None


def _parquet(path: Path) -> Iterator[tuple[str, str, float | None]]:
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(columns=[CODE, COST]):
                columns = (batch.column(name).to_pylist() for name in (CODE, COST))
                for code, cost in zip(*columns, strict=True):
                    number += 1
                    yield f"row {number}", str(code), cost
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a Parquet file that can be read ({reason})") from None


def _check_columns(path: Path, columns: list[str]) -> None:
    for name in (CODE, COST):
        if columns.count(name) != 1:
            found = "twice" if name in columns else "not"
            raise InputError(
                f"{path}: column {name} is {found} there; expected are {CODE} and {COST}"
            )
