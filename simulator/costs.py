"""What products cost the chain, from a CSV or Parquet file, so that margin can be told."""

from __future__ import annotations

import csv
import math
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.cache.reader import TensorCache
from trainer.cache.schema import MAX_PRICE
from trainer.commands.errors import InputError
from trainer.commands.options import plain_number

CODE, COST = "product_code", "unit_cost_pence"
WEEKS = "week", "shop_week"
"""Columns that say the week: as the cache counts them from 1, or as the chain codes them."""
LARGEST = 256 << 20
"""Bytes of the largest file that is read."""


def read_costs(path: Path, cache: TensorCache) -> np.ndarray:
    """(V,) float64 pence of a unit by product row, NaN for products that the file lacks. Of a
    product sold by weight the unit is a usual portion.

    Columns `product_code` and `unit_cost_pence`, others are not read; codes that are none of the
    chain's are left out. Raises InputError in one line, with file, row and column, for a cost that
    is no number from 0, a product that stands twice, and a file without any of the chain's.
    """
    row_of = _product_rows(cache)
    costs, places = np.full(cache.products, np.nan), {}
    for place, line in _lines(path, (CODE, COST), "one row a product"):
        code, value = line[CODE], _pence(path, place, line[COST])
        _only_once(path, places, code, place)
        if code in row_of:
            costs[row_of[code]] = value
    if np.isnan(costs).all():
        examples = ", ".join(list(row_of)[:3])
        raise InputError(
            f"{path}: none of its {len(places)} products is one of the chain's {len(row_of)}, such "
            f"as {examples}"
        )
    return costs


def read_weekly_costs(path: Path, cache: TensorCache, last_week: int) -> np.ndarray:
    """(V, last_week) float64 pence of a unit by product row and week; a week that the file lacks
    has the cost of the one before, and NaN stands before a product's first.

    Columns `product_code`, `unit_cost_pence`, and `week` (from 1, as the cache counts them) or
    `shop_week` (as the chain codes them). Of rows of weeks after last_week, or before the chain's
    first, nothing but the week is read. Raises InputError in one line, as `read_costs` does, and
    for a `shop_week` that the calendar lacks; costs must be above 0.
    """
    row_of, places = _product_rows(cache), {}
    week_of = {int(code): row + 1 for row, code in enumerate(cache["weeks.shop_week"].tolist())}
    costs = np.full((cache.products, last_week), np.nan)
    for place, line in _lines(path, (CODE, COST, WEEKS), "one row a product and week"):
        name = next(name for name in WEEKS if name in line)
        number = plain_number(str(line[name]))
        if not number >= 1 or number % 1:
            raise InputError(
                f"{path}: {place}, {name}: {reprlib.repr(line[name])}, where a whole number from 1 "
                "is expected"
            )
        week = int(number)
        if name == "shop_week":
            if week not in week_of and min(week_of) < week < max(week_of):
                raise InputError(
                    f"{path}: {place}, {name}: {week} is no week of the chain's calendar"
                )
            week = week_of.get(week, last_week + 1)
        if week > last_week:
            continue
        value = _pence(path, place, line[COST], least=math.ulp(0))
        _only_once(path, places, f"{line[CODE]} in {name} {line[name]}", place)
        if line[CODE] in row_of:
            costs[row_of[line[CODE]], week - 1] = value
    known = np.isfinite(costs)
    if not known.any():
        raise InputError(f"{path}: holds no cost of a product of the chain up to week {last_week}")
    last = np.maximum.accumulate(np.where(known, np.arange(last_week), -1), axis=1)
    return np.where(last < 0, np.nan, np.take_along_axis(costs, np.maximum(last, 0), axis=1))


def _product_rows(cache: TensorCache) -> dict[str, int]:
    return {code.decode(): row for row, code in enumerate(cache["products.code"].tolist())}


def _pence(path: Path, place: str, cost: Any, least: float = 0.0) -> float:
    value = plain_number(str(cost))
    if not least <= value <= MAX_PRICE:
        above = "above" if least else "from"
        raise InputError(
            f"{path}: {place}, {COST}: {reprlib.repr(cost)}, where pence {above} 0 to {MAX_PRICE} "
            "are expected"
        )
    return value


def _only_once(path: Path, places: dict[str, str], what: str, place: str) -> None:
    if what in places:
        raise InputError(f"{path}: {place}, {CODE}: {what} stands in {places[what]} already")
    places[what] = place


def _lines(
    path: Path, names: tuple[str | tuple[str, ...], ...], expected: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each row stands, and its values by column. Of names in a tuple one must be there."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path}: larger than {LARGEST >> 20} MB. Expected {expected}")
    yield from (_parquet if path.suffix.lower() in (".parquet", ".pq") else _csv)(path, names)


def _csv(path: Path, names) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = _columns(path, list(reader.fieldnames or []), names)
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(
                        f"{path}: line {reader.line_num}: another number of fields than the header"
                    )
                yield f"line {reader.line_num}", {name: row[name].strip() for name in columns}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not CSV in UTF-8, separated by commas ({error})") from None


def _parquet(path: Path, names) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            columns = _columns(path, file.schema_arrow.names, names)
            number = 0
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row | {CODE: str(row[CODE])}
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a Parquet file that can be read ({reason})") from None


def _columns(path: Path, there: list[str], names) -> list[str]:
    """The columns to read, of a file that has those there."""
    wanted = [name if isinstance(name, str) else " or ".join(name) for name in names]
    chosen = []
    for name, words in zip(names, wanted, strict=True):
        found = [
            column for column in there if column in ((name,) if isinstance(name, str) else name)
        ]
        if len(found) != 1:
            number = "twice" if found else "not"
            raise InputError(
                f"{path}: column {words} is {number} there; expected are {', '.join(wanted[:-1])} "
                f"and {wanted[-1]}"
            )
        chosen += found
    return chosen
