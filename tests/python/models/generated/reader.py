"""What a folder of receipts says, read slowly and in plain Python.

A second implementation of docs/raw_data.md, written from that page and not from the SQL: one line
after the other, numbers as `Decimal`, no table and no engine. The warehouse is compared with it.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

IDS = ["basket_id", "prod_code", "store_code"]
HIERARCHY = ["prod_code_10", "prod_code_20", "prod_code_30", "prod_code_40"]
SEGMENTS = ["seg_1", "seg_2"]
CODES = [*IDS, "cust_code", *HIERARCHY, *SEGMENTS, "store_format", "store_region"]
LABELS = {
    "basket_size": ["S", "M", "L", "XX"],
    "basket_price_sensitivity": ["LA", "MM", "UM", "XX"],
    "basket_type": ["Small Shop", "Top Up", "Full Shop", "XX"],
    "basket_dominant_mission": ["Fresh", "Grocery", "Mixed", "Nonfood", "XX"],
}
COLUMNS = [
    "shop_week", "shop_date", "shop_weekday", "shop_hour", "quantity", "spend",
    "prod_code", "prod_code_10", "prod_code_20", "prod_code_30", "prod_code_40",
    "cust_code", "seg_1", "seg_2", "basket_id", "basket_size", "basket_price_sensitivity",
    "basket_type", "basket_dominant_mission", "store_code", "store_format", "store_region",
]  # fmt: skip
NEWER_NAMES = {"cust_price_sensitivity": "seg_1", "cust_lifestage": "seg_2"}

MISSING = ["", "null", "nan", "none", "na", "n/a", "<na>", "\\n"]
MISSING += ["#n/a", "#ref!", "#value!", "#name?", "#null!", "#div/0!", "#num!"]
BLANKS = " \t\xa0"
LARGEST = 2**31 - 1

READ = (".csv", ".csv.gz", ".parquet")
TABLES_AND_ARCHIVES = (
    ".csv", ".tsv", ".csv.gz", ".gz", ".parquet", ".zip", ".xlsx", ".xls", ".bz2", ".xz", ".zst",
    ".7z", ".orc", ".avro", ".feather", ".arrow",
)  # fmt: skip


class Stops(Exception):
    """The build stops; its message names one of `args`: files, or what was not found."""


@dataclass
class Line:
    """One line of a file: its values as text (missing: None), or why it cannot be one."""

    file: str
    number: int
    values: dict[str, str | None] = field(default_factory=dict)
    reason: str | None = None
    week: int | None = None
    date: date | None = None
    hour: int | None = None
    quantity: int | None = None
    pence: int | None = None

    def text(self, column: str) -> str | None:
        return self.values.get(column)


# ---------------------------------------------------------------------------------------------
# Files


def receipt_files(folder: Path) -> tuple[list[Path], list[Path], list[str]]:
    """Calendars, files of receipts in the order of their names, and names that are refused."""
    calendars, receipts, refused = [], [], []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        name = path.name.lower()
        if not path.is_file():
            if name == "time.csv" or (name.startswith("transactions") and name.endswith(READ)):
                refused.append(path.name)
            continue
        if name.startswith((".", "_")):
            continue
        if name == "time.csv":
            calendars.append(path)
        elif name.startswith("transactions") and name.endswith(READ):
            receipts.append(path)
        elif name.startswith("transactions") or name.endswith(TABLES_AND_ARCHIVES):
            refused.append(path.name)

    if len(calendars) != 1:
        refused += [path.name for path in calendars] or ["time.csv"]
    if not receipts:
        refused.append("transactions")
    stems = [stem(path.name) for path in receipts]
    refused += [path.name for path in receipts if stems.count(stem(path.name)) > 1]
    return calendars, receipts, refused


def stem(name: str) -> str:
    """What two files must not have in common, or every line would count twice."""
    return name.lower().removesuffix(".gz").removesuffix(".csv").removesuffix(".parquet")


def csv_lines(path: Path) -> list[str]:
    """The lines of a text file, without what ends them."""
    content = path.read_bytes()
    try:
        if path.name.lower().endswith(".gz"):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise Stops(path.name) from error
    lines = re.split("\r\n|\n|\r", text)
    if not lines[-1]:
        lines.pop()
    # A carriage return alone ends a line too, unless it may be half of another line end.
    if "\0" in text or ("\r\n" in text and re.search("\r(?!\n)", text)):
        raise Stops(path.name)
    return lines


def csv_rows(path: Path, required: list[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Lines after the header: (line, names of the columns, fields)."""
    lines = csv_lines(path)
    if not lines:
        raise Stops(path.name)
    names = [column_name(unquoted(name.strip(BLANKS))) for name in lines[0].split(",")]
    if any('"' in name for name in names):
        raise Stops(path.name)
    check_names(path, names, required)
    for line in lines[1:]:
        yield line, names, [unquoted(part.strip(BLANKS)) for part in line.split(",")]


def column_name(name: str) -> str:
    name = name.strip(BLANKS).lower()
    return NEWER_NAMES.get(name, name)


def check_names(path: Path, names: list[str], required: list[str]) -> None:
    if any(names.count(name) != 1 for name in required):
        raise Stops(path.name)


def unquoted(part: str) -> str:
    return part[1:-1] if len(part) > 1 and part[0] == part[-1] == '"' else part


def read_csv(path: Path) -> Iterator[Line]:
    for number, (line, names, parts) in enumerate(csv_rows(path, COLUMNS), start=2):
        if line == "":
            yield Line(path.name, number, reason="blank line")
        elif len(parts) != len(names):
            yield Line(path.name, number, reason="wrong number of fields")
        elif any('"' in part for part in parts):
            yield Line(path.name, number, reason="quotation mark inside a field")
        else:
            values = dict(zip(names, parts, strict=True))
            yield Line(path.name, number, {name: known(values[name]) for name in COLUMNS})


def read_parquet(path: Path) -> Iterator[Line]:
    try:
        table = pa.parquet.ParquetFile(io.BytesIO(path.read_bytes())).read()
    except (pa.ArrowException, OSError) as error:
        raise Stops(path.name) from error
    names = [column_name(name) for name in table.column_names]
    check_names(path, names, COLUMNS)
    columns = {}
    for name in COLUMNS:
        column = table.column(names.index(name))
        if not is_accepted(column.type):
            raise Stops(path.name)
        columns[name] = [
            as_text(value, column.type, is_pounds=name == "spend") for value in column.to_pylist()
        ]
    for row in range(table.num_rows):
        values = {name: known(columns[name][row]) for name in COLUMNS}
        yield Line(path.name, row + 1, values)


def is_accepted(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind):
        return kind.tz is None
    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string, pa.types.is_large_string, pa.types.is_integer,
            pa.types.is_decimal128, pa.types.is_float32, pa.types.is_float64, pa.types.is_date,
            pa.types.is_null,
        )
    )  # fmt: skip


def as_text(value: object, kind: pa.DataType, is_pounds: bool) -> str | None:
    """A value of a Parquet file as text, nothing lost."""
    if value is None or value != value:  # NaN
        return None
    if isinstance(value, float):
        # From there on, several whole numbers or several pence share one float.
        if kind == pa.float64():
            is_known = abs(value) < (2**46 if is_pounds else 2**53)
        else:
            is_known = abs(value) < (2**17 if is_pounds else 2**24)
        if not is_known and (is_pounds or value.is_integer()):
            return f"{value:e}"
        if value.is_integer():
            return str(int(value))
        return str(value if kind == pa.float64() else np.float32(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)


# ---------------------------------------------------------------------------------------------
# Values


def known(text: str | None) -> str | None:
    """A text without blanks around it; None where it is a word for a missing value."""
    text = (text or "").strip(BLANKS)
    return None if text.lower() in MISSING else text


def code(text: str | None) -> str | None:
    """Ids stay text; a number that was stored with decimals, all zero, loses them."""
    return text.split(".")[0] if text and re.fullmatch(r"[0-9]+\.0+", text) else text


def has_lost_digits(text: str | None) -> bool:
    return bool(
        text
        and (
            re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*[eE][+-]?|[eE][+-])[0-9]+", text)
            or text.lower() in ("inf", "-inf")
        )
    )


def whole_number(text: str | None) -> int | None:
    return int(Decimal(text)) if text and re.fullmatch(r"[+-]?[0-9]+(\.0+)?", text) else None


def pence(text: str | None) -> int | None:
    if text and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]{1,2}0*)?", text):
        pounds, _, decimals = text.partition(".")
        sign = -1 if pounds.startswith("-") else 1
        return sign * (abs(int(pounds)) * 100 + int(decimals[:2].ljust(2, "0")))
    return None


def calendar_date(text: str | None) -> date | None:
    match = re.fullmatch(
        r"([0-9]{4})([0-9]{2})([0-9]{2})(\.0+)?"
        r"|([0-9]{4})-([0-9]{2})-([0-9]{2})([ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?)?",
        text or "",
    )
    if not match:
        return None
    year, month, day = (match[n] or match[n + 4] for n in (1, 2, 3))
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


# ---------------------------------------------------------------------------------------------
# One line by itself


def read_values(line: Line) -> None:
    """Sets the values of a line, and its reason if it has one: the first that applies."""
    if line.reason:
        return
    for column in CODES:
        line.values[column] = code(line.values[column])
    for column in LABELS:
        line.values[column] = line.values[column] or "XX"
    line.week = whole_number(line.text("shop_week"))
    line.date = calendar_date(line.text("shop_date"))
    line.hour = whole_number(line.text("shop_hour"))
    line.quantity = whole_number(line.text("quantity"))
    line.pence = pence(line.text("spend"))
    line.reason = next(reasons(line), None)


def reasons(line: Line) -> Iterator[str]:
    for column in [*IDS, "cust_code"]:
        if line.text(column) is None and column in IDS:
            yield f"{column} missing"
        if has_lost_digits(line.text(column)):
            yield f"{column} in scientific notation: its digits are lost"
    if line.week is None:
        yield "shop_week missing or not a whole number"
    elif abs(line.week) > LARGEST:
        yield f"shop_week too large (at most {LARGEST})"
    if line.date is None:
        yield "shop_date missing or not a date"
    if line.hour is None or not 0 <= line.hour <= 23:
        yield "shop_hour missing or not 0 to 23"
    if whole_number(line.text("shop_weekday")) != line.date.isoweekday() % 7 + 1:
        yield "shop_weekday does not match shop_date"
    if line.quantity is None:
        yield "quantity missing or not a whole number"
    elif line.quantity > LARGEST:
        yield f"quantity too large (at most {LARGEST})"
    elif line.quantity <= 0:
        yield "quantity not positive"
    if line.pence is None:
        yield "spend missing or not in whole pence"
    elif line.pence > LARGEST:
        yield f"spend too large (at most {Decimal(LARGEST) / 100})"
    elif line.pence < 0:
        yield "spend negative"
    if any(line.text(column) is None for column in HIERARCHY):
        yield "product hierarchy incomplete"
    for column in HIERARCHY:
        if has_lost_digits(line.text(column)):
            yield f"{column} in scientific notation: its digits are lost"
    if line.text("store_format") is None or line.text("store_region") is None:
        yield "store_format or store_region missing"
    for column, labels in LABELS.items():
        if line.text(column) not in labels:
            yield f"{column} unknown"


# ---------------------------------------------------------------------------------------------
# Lines among others


def reject_baskets(lines: list[Line], calendar: dict[int, tuple[date, date]]) -> None:
    """Gives a reason to all readable lines of a basket that contradicts itself or the calendar."""
    baskets: dict[tuple[str, int], list[Line]] = defaultdict(list)
    for line in lines:
        if line.reason is None:
            baskets[line.text("basket_id"), line.week].append(line)

    weeks_used: dict[str, list[int]] = defaultdict(list)
    for (basket, week), members in baskets.items():
        reason = basket_reason(members, calendar)
        if reason is None:
            weeks_used[basket].append(week)
        for line in members:
            line.reason = reason

    for basket, weeks in weeks_used.items():
        for week in sorted(weeks)[1:]:
            for line in baskets[basket, week]:
                line.reason = "basket_id used in an earlier week"


def basket_reason(members: list[Line], calendar: dict[int, tuple[date, date]]) -> str | None:
    def differ(*columns: str) -> bool:
        return len({tuple(line.text(column) for column in columns) for line in members}) > 1

    if differ("cust_code"):
        return "basket with several customers"
    if differ("store_code"):
        return "basket with several stores"
    if len({(line.date, line.hour) for line in members}) > 1:
        return "basket with several dates or hours"
    if differ("store_format", "store_region"):
        return "basket with several store formats or regions"
    if differ(*SEGMENTS):
        return "basket with several customer segments"
    if differ(*LABELS):
        return "basket with several sizes, types, missions or price sensitivities"
    first = members[0]
    if first.week not in calendar:
        return "shop_week not in the calendar"
    date_from, date_to = calendar[first.week]
    if not date_from <= first.date <= date_to:
        return "shop_date outside its shop_week"
    return None


def reject_duplicates(lines: list[Line]) -> None:
    """Of several lines of one basket for one product the first is kept."""
    seen = set()
    for line in lines:
        if line.reason is None:
            item = line.text("basket_id"), line.text("prod_code")
            if item in seen:
                line.reason = "duplicate of basket and product"
            seen.add(item)


def read_calendar(path: Path) -> dict[int, tuple[date, date]]:
    """First and last day of every week."""
    calendar = {}
    for line, names, parts in csv_rows(path, ["shop_week", "date_from", "date_to"]):
        if line == "":
            continue
        values = dict(zip(names, map(known, parts), strict=False))
        week = whole_number(values.get("shop_week"))
        days = calendar_date(values.get("date_from")), calendar_date(values.get("date_to"))
        if week is None or abs(week) > LARGEST or None in days or days[0] > days[1]:
            raise Stops(path.name)
        calendar[week] = days
    return calendar


def read_folder(folder: Path) -> list[Line]:
    """Every line of every file, in the order of files and lines, with a reason if rejected.

    Raises `Stops` with every file that stops the build.
    """
    calendars, receipts, stopping = receipt_files(folder)
    weeks, lines = {}, []
    for path in calendars + receipts:
        try:
            if path in calendars:
                weeks = read_calendar(path)
            elif path.name.lower().endswith(".parquet"):
                lines += read_parquet(path)
            else:
                lines += read_csv(path)
        except Stops as stop:
            stopping += stop.args
    if stopping:
        raise Stops(*stopping)

    for line in lines:
        read_values(line)
    reject_baskets(lines, weeks)
    reject_duplicates(lines)
    return lines
