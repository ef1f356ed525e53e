"""Hypothesis strategies: a small chain's receipts, stored in many ways and damaged in many.

A drawn `Folder` is shown in a form that can be read when a test fails; `Folder.write` makes the
files. Nothing here knows what the files mean: reader.py does.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from hypothesis import strategies as st
from reader import COLUMNS

Row = dict[str, str]  # column to text: one line of receipts before it is stored

# ---------------------------------------------------------------------------------------------
# Files


@dataclass
class TextFile:
    """A file of lines, gzipped if its name says so."""

    name: str
    lines: list[str]
    line_ends: list[str] = field(default_factory=lambda: ["\n"])  # in turn
    ends_with_line_end: bool = True
    byte_order_mark: bool = False
    encoding: str = "utf-8"
    bytes_cut: int = 0

    def content(self) -> bytes:
        ends = [self.line_ends[n % len(self.line_ends)] for n in range(len(self.lines))]
        if ends and not self.ends_with_line_end:
            ends[-1] = ""
        text = "\ufeff" * self.byte_order_mark + "".join(map(str.__add__, self.lines, ends))
        content = text.encode(self.encoding, errors="replace")
        if self.name.lower().endswith(".gz"):
            content = gzip.compress(content, mtime=0)
        return content[: len(content) - self.bytes_cut]

    def __repr__(self) -> str:
        facts = [
            f"line ends {self.line_ends!r}" if self.line_ends != ["\n"] else "",
            "" if self.ends_with_line_end else "none after the last line",
            "byte order mark" if self.byte_order_mark else "",
            self.encoding if self.encoding != "utf-8" else "",
            f"cut by {self.bytes_cut} bytes" if self.bytes_cut else "",
        ]
        head = ", ".join([repr(self.name), *filter(None, facts)])
        return "\n".join([head, *(f"    {line!r}" for line in self.lines)])


@dataclass
class ParquetFile:
    """Columns of a Parquet file: name, type, and values as pyarrow takes them."""

    name: str
    columns: list[tuple[str, pa.DataType, list]]
    bytes_cut: int = 0

    def content(self) -> bytes:
        arrays = [pa.array(values, kind) for _, kind, values in self.columns]
        file = io.BytesIO()
        pa.parquet.write_table(
            pa.Table.from_arrays(arrays, [name for name, _, _ in self.columns]), file
        )
        content = file.getvalue()
        return content[: len(content) - self.bytes_cut]

    def __repr__(self) -> str:
        cut = f", cut by {self.bytes_cut} bytes" if self.bytes_cut else ""
        columns = (f"    {name!r} {kind} {values!r}" for name, kind, values in self.columns)
        return "\n".join([repr(self.name) + cut, *columns])


@dataclass
class Folder:
    """A raw folder: its name, its files, and whether the last of them comes after a first build."""

    name: str
    files: list[TextFile | ParquetFile]
    has_late_file: bool = False

    def write(self, parent: Path) -> Path:
        """Writes all files but a late one into a new folder."""
        folder = parent / self.name
        folder.mkdir()
        for file in self.files[:-1] if self.has_late_file else self.files:
            path = folder / file.name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.content())
        return folder

    def write_late_file(self, folder: Path) -> None:
        late = self.files[-1]
        (folder / late.name).write_bytes(late.content())

    def __repr__(self) -> str:
        late = ["(the last file comes after a first build)"] if self.has_late_file else []
        return "\n".join([f"Folder {self.name!r}", *map(repr, self.files), *late])


# ---------------------------------------------------------------------------------------------
# Valid receipts

FIRST_MONDAY = date(2006, 4, 10)
WEEKS = {200607: 0, 200608: 7, 200652: 14}  # days after the first Monday

CODES = st.sampled_from(
    [
        ["C1", "C2", "C3", "C4", "C5"],
        ["501", "502", "503", "504", "505"],
        ["00501", "501", "0501", "5001", "50001"],
        [f"9941001000000010000{n}" for n in range(5)],
        ["12E3", "12e3", "1E2", "12000", "100"],
        ["a", "A", "ä", "Å", "a b"],
        # The largest whole numbers that floats of 64 and 32 bits tell apart.
        ["9007199254740991", "9007199254740992", "9007199254740993", "16777216", "16777217"],
    ]
)


@st.composite
def receipts(draw) -> list[Row]:
    """Lines that are right by themselves and do not contradict each other."""
    codes = {name: draw(CODES) for name in ("basket_id", "cust_code", "prod_code", "store_code")}
    rows = []
    for number in range(draw(st.integers(1, 5))):
        week = draw(st.sampled_from(sorted(WEEKS)))
        day = FIRST_MONDAY + timedelta(days=WEEKS[week] + draw(st.integers(0, 6)))
        customer = draw(st.sampled_from(["", *codes["cust_code"][:3]]))
        basket = {
            "shop_week": str(week),
            "shop_date": f"{day:%Y%m%d}",
            "shop_weekday": str(day.isoweekday() % 7 + 1),
            "shop_hour": str(draw(st.integers(8, 20))),
            "cust_code": customer,
            "seg_1": "BG",
            "seg_2": "",
            "basket_id": codes["basket_id"][number],
            "basket_size": "M",
            "basket_price_sensitivity": "MM",
            "basket_type": "Top Up",
            "basket_dominant_mission": "Fresh",
            "store_code": draw(st.sampled_from(codes["store_code"][:2])),
            "store_format": "LS",
            "store_region": "E02",
        }
        products = st.sampled_from(codes["prod_code"])
        for product in draw(st.lists(products, min_size=1, max_size=3, unique=True)):
            item = {
                "quantity": str(draw(st.integers(1, 3))),
                "spend": draw(st.sampled_from(["0.93", "0.00", "1.25", "0.07", "12345.67", "1"])),
                "prod_code": product,
                "prod_code_10": "CL1",
                "prod_code_20": "DEP1",
                "prod_code_30": "G1",
                "prod_code_40": "D1",
            }
            rows.append(basket | item)
    return rows


# ---------------------------------------------------------------------------------------------
# Odd values

MISSING = [
    "", " ", "\t", "\xa0", "NULL", "null", "nan", "NaN", "None", "NA", "N/A", "n/a", "#N/A", "<NA>",
    "\\N", "\\n", " NULL ", "-", "?", "nil", "NULLS", "'NULL'", "(null)",
]  # fmt: skip
NUMERALS = [
    "0", "1", "+1", "-1", "01", "1.0", "1.00", "1.", ".5", "0.5", "1.5", "1,5", "1_25", "1_0",
    "1e2", "1E+2", "1e-2", "9.94E+14", "9.94E14", "1.E5", "#REF!", "1.0E+5", "1e5.0", "0x10",
    "0b1", "1.250", "1.2500", "1.255",
    "0.99999999", "1.00000000000000000000001", "2147483647", "2147483648", "-2147483648",
    "-2147483649", "2147483647.0", "21474836.47", "21474836.48", "21474836.470", "-21474836.49",
    "9223372036854775807", "9223372036854775808", "99999999999999999999", "1" * 40, "1" * 400,
    "9" * 36 + ".99", "inf", "-inf", "Infinity", "-0", "-0.00", "0.00", "+0.93", "--1", "1-", "1 0",
    "1 000", "1\xa0000", "\u0661", "\uff11", "1f", "1d", "$1", "£1.00", "1%", "true", "501.0",
    "501.00", "501.50", "00123.0", "994100100000001.0", "99.0.0",
]  # fmt: skip
DATES = [
    "20060413", "2006-04-13", "20060413.0", "2006-04-13 00:00:00", "2006-04-13T10:11:12.123456",
    "2006-04-13 00:00:00.000", "2006-4-13", "2006041", "200604133", "20060230", "2006-02-30",
    "13/04/2006", "2006/04/13", "2006-04-13 ", "2006-04-13Z", "2006-04-13 00:00:00+00",
    "20060413 00:00:00", "2006-04-13 24:00:00", "2006-04-13 1:00:00", "2006-04-13 00:00",
    "00010101", "0001-01-01", "99991231", "1145000000", "+20060413", "-20060413", "20060412",
    "2006-04-20", "2.0060413E+7",
]  # fmt: skip
TEXTS = [
    "C009", "c1", "C1 ", " C1", "C1\x00", "C1\x01", "\x01\x02\x03\x04", "é", "e\u0301", "\u3000C1",
    "C1\u2003", "\ufeffC1", "\U0001f6d2", "a/b", "{{ 1 }}", "{%", "'", "''", "%s", ";", "|", "#",
    "XX", "xx", "S", "LA", "Small Shop", "top up", "\\", "\\\\", "NULL,", "C1,", ",", "\rC1",
    "C\r1", "--", "/*",
]  # fmt: skip
QUOTES = [
    '""', '"C1"', '"C"1', 'C"1', '"', '"""C1"""', '"C""1"', ' "C1" ', '"C,1"', '" C1 "', "'C1'",
    '"NULL"', '"501.0"', '"1.25"', '"20060413"',
]  # fmt: skip

# What a column is most easily misread as, and values that contradict other lines of the basket.
TYPICAL = {
    "shop_week": ["200607", "200608", "200652", "200653", "200607.0", "0", "-1", *NUMERALS],
    "shop_date": DATES,
    "shop_weekday": ["1", "7", "8", "5.0"],
    "shop_hour": ["0", "23", "24", "-1", "9", "09", "9.0", "9.5"],
    "quantity": NUMERALS,
    "spend": NUMERALS,
    "prod_code": NUMERALS + QUOTES,
    "cust_code": NUMERALS + MISSING + TEXTS,
    "basket_id": NUMERALS + MISSING,
    "store_code": NUMERALS,
    "basket_size": ["S", "L", "XX", "", "XXL", "NA"],
    "basket_type": ["Small Shop", "Full Shop", "XX", "", "Weekly"],
    "store_format": ["MS", "XLS", ""],
    "seg_1": ["CT", ""],
}
ANYTHING = st.one_of(
    st.sampled_from([*MISSING, *NUMERALS, *DATES, *TEXTS, *QUOTES]),
    st.text('0123456789+-.eE_, "', max_size=8),
)
CHANGES = st.one_of(
    *[st.sampled_from([(column, value) for column in TYPICAL for value in TYPICAL[column]])] * 3,
    st.tuples(st.sampled_from(COLUMNS), ANYTHING),
)


def like(text: str, value: str) -> str:
    """The value; where it and the text are dates, the text's date in the form of the value."""
    iso = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return value.replace("20060413", text).replace("2006-04-13", iso) if len(text) == 8 else value


@st.composite
def damaged(draw, rows: list[Row]) -> list[Row]:
    """The lines with some values changed, some lines repeated, perhaps in another order."""
    rows = [dict(row) for row in rows]
    for _ in range(draw(st.integers(0, 12))):
        row = draw(st.sampled_from(rows))
        what = draw(st.sampled_from(["value"] * 9 + ["copy", "id of another", "column"]))
        if what == "copy":
            rows.append(dict(row))
        elif what == "id of another":
            row["basket_id"] = draw(st.sampled_from(rows))["basket_id"]
        else:
            column, value = draw(CHANGES)
            for changed in rows if what == "column" else [row]:
                changed[column] = like(changed[column], value)
    return draw(st.permutations(rows)) if draw(st.booleans()) else rows


# ---------------------------------------------------------------------------------------------
# Storage


def rarely(draw, one_in: int) -> bool:
    return draw(st.integers(1, one_in)) == one_in  # shrinks to False


@st.composite
def headers(draw) -> tuple[list[str], list[str]]:
    """The columns of a file in some order with further ones among them, and their names in it."""
    columns = draw(st.permutations(COLUMNS)) if draw(st.booleans()) else list(COLUMNS)
    for further in draw(st.lists(st.sampled_from(["", "", " ", "note", "Note"]), max_size=3)):
        columns.insert(draw(st.sampled_from([len(columns), 0, 7])), further)
    newer = {"seg_1": "cust_price_sensitivity", "seg_2": "cust_lifestage"}
    names = newer if draw(st.booleans()) else {}
    case = draw(st.sampled_from([str.lower, str.upper, str.title]))
    return columns, [case(names.get(column, column)) for column in columns]


DAMAGED_LINES: dict[str, Callable[[str], list[str]]] = {
    "blank line before": lambda line: ["", line],
    "line of blanks before": lambda line: ["  ", line],
    "comma more": lambda line: [line + ","],
    "comma fewer": lambda line: [line.replace(",", "", 1)],
    "last field lost": lambda line: [line.rpartition(",")[0]],
    "two lines in one": lambda line: [line + line],
    "line in two": lambda line: [line[: len(line) // 2], line[len(line) // 2 :]],
    "twice": lambda line: [line, line],
    "commas only": lambda line: ["," * line.count(",")],
    "empty quotes only": lambda line: [",".join(['""'] * (line.count(",") + 1))],
    "carriage return in the middle": lambda line: [line[:9] + "\r" + line[9:]],
    "carriage return at the end": lambda line: [line + "\r", line],
    "control characters": lambda line: [line[:9] + "\x01\x02\x03\x04" + line[9:]],
    "quote alone before": lambda line: ['"', line],
    "comment": lambda line: ["# " + line],
    "lost": lambda line: [],
}


@st.composite
def text_files(draw, name: str, rows: list[Row]) -> TextFile:
    columns, names = draw(headers())
    quoted = draw(st.sampled_from([[], COLUMNS, COLUMNS[::3], [""]]))

    def stored(column: str, value: str) -> str:
        return f'"{value}"' if column in quoted and '"' not in value else value

    lines = []
    for row in rows:
        line = ",".join(stored(column, row.get(column, column.strip())) for column in columns)
        if rarely(draw, 10):
            lines += DAMAGED_LINES[draw(st.sampled_from(list(DAMAGED_LINES)))](line)
        else:
            lines.append(line)
    file = TextFile(
        name,
        [",".join(map(stored, columns, names)), *lines],
        line_ends=draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n"], ["\r\n", "\n", "\n"]])),
        ends_with_line_end=draw(st.booleans()),
        byte_order_mark=draw(st.booleans()),
    )
    return draw(damaged_text_files(file)) if rarely(draw, 12) else file


@st.composite
def damaged_text_files(draw, file: TextFile) -> TextFile:
    """The file damaged as a whole."""
    header, *lines = file.lines
    damage = draw(
        st.sampled_from(
            [
                {"lines": [header]},
                {"lines": []},
                {"lines": [""]},
                {"lines": ["", header, *lines]},
                {"lines": [header.replace(",", ";"), *lines]},
                {"lines": [header.replace("_", " "), *lines]},
                {"lines": [header.replace(",", " , "), *lines]},
                {"lines": [header + "," + header.split(",")[0], *lines]},
                {"lines": [header.rpartition(",")[0], *lines]},
                {"lines": [header + ",,", *(line + ",," for line in lines)]},
                {"line_ends": ["\r"]},
                {"encoding": "utf-16"},
                {"encoding": "latin-1"},
                {"bytes_cut": 1},
                {"bytes_cut": 9},
                {"bytes_cut": 30},
            ]
        )
    )
    for name, value in damage.items():
        setattr(file, name, value)
    return file


def to_date(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()


def to_moment(text: str) -> datetime:
    return datetime.combine(to_date(text), time(10, 11, 12))


# Types of Parquet columns, and how a text becomes such a value (or fails to).
Type = tuple[pa.DataType, Callable[[str], object]]
TYPES: list[Type] = [
    *(
        (kind, str)
        for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.utf8()))
    ),
    *((kind, int) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())),
    *((kind, int) for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())),
    *((kind, float) for kind in (pa.float32(), pa.float64()) * 2),
    *((pa.decimal128(*size), Decimal) for size in ((9, 4), (18, 0), (38, 10))),
    *((kind, to_date) for kind in (pa.date32(), pa.date64())),
    *((pa.timestamp(unit), to_moment) for unit in ("s", "ms", "us", "ns")),
]
NOT_READ: list[Type] = [
    (pa.decimal256(40, 2), Decimal),
    (pa.bool_(), bool),
    (pa.binary(), str.encode),
    (pa.time64("us"), lambda text: time(1, 2, 3)),
    (pa.timestamp("us", tz="UTC"), lambda text: datetime(2006, 4, 13)),
    (pa.list_(pa.string()), lambda text: [text]),
    (pa.struct([("shop_hour", pa.string())]), lambda text: {"shop_hour": text}),
    (pa.map_(pa.string(), pa.string()), lambda text: [(text, text)]),
]


@st.composite
def parquet_columns(draw, name: str, column: str, texts: list[str]):
    """Texts under the name and as values of some type, or as text where they are no such values."""
    kind, value_of = pa.string(), str
    if column in TYPICAL or column == "note":
        kind, value_of = draw(st.sampled_from(NOT_READ if rarely(draw, 200) else TYPES))
    if set(texts) <= {""}:
        kind = draw(st.sampled_from([kind, pa.null()]))
    try:
        values = [value_of(text) if text else None for text in texts]
        pa.array(values, kind)
    except (ValueError, ArithmeticError, pa.ArrowException):
        kind, values = pa.string(), texts
    return name, kind, values


@st.composite
def parquet_files(draw, name: str, rows: list[Row]) -> ParquetFile:
    stored = {}
    for column, name_in_file in zip(*draw(headers()), strict=True):
        texts = [row.get(column, column.strip()) for row in rows]
        stored[name_in_file] = draw(parquet_columns(name_in_file, column, texts))
    return ParquetFile(name, list(stored.values()), bytes_cut=9 if rarely(draw, 40) else 0)


@st.composite
def calendars(draw) -> TextFile:
    form = "%Y-%m-%d" if rarely(draw, 10) else "%Y%m%d"
    lines = ["shop_week,date_from,date_to"]
    for week, days in WEEKS.items():
        monday = FIRST_MONDAY + timedelta(days=days)
        lines.append(f"{week},{monday:{form}},{monday + timedelta(days=6):{form}}")
    if not rarely(draw, 10):
        return TextFile("time.csv", lines)

    unreadable = ["", "x", "200608,20060417", "200608,20060423,20060417", "2e5,20060417,20060423"]
    damage = draw(st.sampled_from(["none", "a line", "commas more", "quotes"]))
    if damage == "a line":
        lines[2] = draw(st.sampled_from(unreadable))
    elif damage == "commas more":
        lines = [line + ",," for line in lines]
    elif damage == "quotes":
        lines = [line.replace(",", '","').join('""') for line in lines]
    return TextFile(
        draw(st.sampled_from(["time.csv", "Time.csv", "TIME.CSV"])),
        lines,
        line_ends=draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n"]])),
        byte_order_mark=draw(st.booleans()),
    )


FOLDERS = st.sampled_from(
    [
        "raw", "raw[1]", "raw{1}", "raw{a,b}", "store_code=S9", "year=2006", "it's", 'raw"', "rä w",
        "raw*", "raw?", "**", "[!a]", "[*]", "{0}", "{{ 1 }}", "%s", "$HOME", "raw;",
        "transactions_1.csv",
    ]
)  # fmt: skip
STEMS = st.sampled_from(
    [
        "transactions_1", "transactions_2", "transactions", "Transactions_X", "TRANSACTIONS_3",
        "transactions[1]", "transactions[a-z]", "transactions[*]", "transactions{1}",
        "transactions{1,2}", "transactions*", "transactions?", "transactions!(x)",
        "transactions'5'", 'transactions"6"', "transactions ü", "transactions-\u0130",
        "transactions_prod_code=P9", "transactions%20", "transactions.csv",
        "transactions.parquet", "transactions.2006", "transactions,9", "transactions;",
        "transactions{{ 1 }}", "transactions#", "transactions\t", "transactions\n10",
    ]
)  # fmt: skip
ENDINGS = st.sampled_from([".csv", ".parquet", ".csv.gz", ".CSV", ".Parquet", ".csv.GZ"])
IGNORED = [
    "README.md", "notes.txt", "guide.pdf", ".DS_Store", ".transactions_9.csv",
    "_transactions_9.csv", "_time.csv", "old/transactions_9.csv", "old/sales.zip",
    "transactions_dir/part.csv",
]  # fmt: skip
REFUSED = [
    "transactions_dir.csv/part.csv", "sales.csv", "Sales.PARQUET", "customers.tsv", "archive.7z",
    "transactions_9",
    "transactions.md", "transactions_9.zip", "transactions_9.txt", "time.csv.gz",
    "time.parquet", "tIME.csv",
]  # fmt: skip


@st.composite
def folders(draw) -> Folder:
    """A raw folder with the receipts of a small chain, and whatever else lies in it."""
    rows = draw(damaged(draw(receipts())))
    stems = draw(st.lists(STEMS, min_size=1, max_size=3, unique=not rarely(draw, 30)))
    names = [stem + draw(ENDINGS) for stem in stems]
    parts: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        parts[draw(st.sampled_from(list(parts)))].append(row)

    files: list[TextFile | ParquetFile] = [draw(calendars())]
    for others, one_in in ((IGNORED, 4), (REFUSED, 30)):
        if rarely(draw, one_in):
            files.append(TextFile(draw(st.sampled_from(others)), ["no,receipts"]))
    for name, part in parts.items():
        stored_as = parquet_files if name.lower().endswith(".parquet") else text_files
        files.append(draw(stored_as(name, part)))
    return Folder(draw(FOLDERS), files, has_late_file=len(parts) > 1 and rarely(draw, 8))
