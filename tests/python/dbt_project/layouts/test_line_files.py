"""Which files of order lines a layout reads, and what it looks up of their codes."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest

from dbt_project.layouts import LayoutError, load_layout
from dbt_project.layouts.text_tables import (
    checked_files,
    read_lookups,
    rows_of_files,
    write_text_tables,
)

KEYS = "currency: EUR\nbasket: b\nproduct: p\ndate: d\npaid: x\n"
LINES = "b,p,d,x\n1,501,2024-01-02,1.00\n"


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


def read(raw, files: str, more: str = "") -> list[tuple[str, list]]:
    path = raw.parent / "my.yml"
    path.write_text(f"{KEYS}files: {files}\n{more}")
    layout = load_layout(str(path)).order_lines
    names = [file.name for file in checked_files(layout, raw)]
    found = rows_of_files(layout, raw, names, read_lookups(layout, raw))
    return [(path.name, [row.fields for row in rows]) for path, rows in found]


def test_brackets_of_a_name_are_no_pattern(raw):
    """A browser calls a second copy so; as a pattern it would be the other file's name."""
    for name in ("sales[1].csv", "sales1.csv"):
        (raw / name).write_text(LINES)
    for names, files in (
        (["sales[1].csv"], '"Sales[1].csv"'), (["sales1.csv", "sales[1].csv"], "s*.csv")
    ):  # fmt: skip
        assert [name for name, _ in read(raw, files)] == names


def test_each_file_that_is_named_has_to_be_there(raw):
    """Half of a chain is worse than none."""
    (raw / "sales_2023.csv").write_text(LINES)
    with pytest.raises(LayoutError, match=r"no file sales_2024.csv in the folder .*raw. Set"):
        read(raw, "[sales_2023.csv, sales_2024.csv]")


def test_a_folder_or_a_dead_link_with_the_name_of_a_file_stops(raw):
    (raw / "sales_1.csv").write_text(LINES)
    (raw / "sales_old").mkdir()
    assert [name for name, _ in read(raw, "sales*")] == ["sales_1.csv"]
    (raw / "sales_2.csv.gz").mkdir()
    with pytest.raises(LayoutError, match=r"sales_2.csv.gz: not a file, but a folder or a link"):
        read(raw, "sales*")
    (raw / "sales_2.csv.gz").rmdir()
    (raw / "sales_3").symlink_to(raw / "away.csv")
    with pytest.raises(LayoutError, match=r"sales_3: not a file, but a folder or a link"):
        read(raw, "sales*")


def test_codes_are_looked_up_as_they_are_read(raw):
    """A table of floats writes 501.0 for the product 501."""
    (raw / "lines.csv").write_text(LINES + "1,501.0,2024-01-02,1.00\n1,0501,2024-01-02,1.00\n")
    (raw / "products.csv").write_text("p,dept\n501,Fuel\n")
    ((_, rows),) = read(raw, "lines.csv", "categories: [dept]\nlookups: {products.csv: p}\n")
    assert [fields[-2] for fields in rows] == ["Fuel", "Fuel", None]


def test_decimals_of_parquet_are_written_out(raw):
    """Databases export amounts with nine decimals, of which Arrow writes nothing as 0E-9."""
    amounts = pa.array([Decimal("0"), Decimal("-1.25"), None], pa.decimal128(38, 9))
    names = {name: ["1", "2", "3"] for name in ("b", "p", "d")}
    pyarrow.parquet.write_table(pa.table({**names, "x": amounts}), raw / "lines.parquet")
    ((_, rows),) = read(raw, "lines.parquet")
    assert [fields[-1] for fields in rows] == ["0.000000000", "-1.250000000", None]


@pytest.mark.parametrize(
    "cards",
    [
        pa.array([b"K1", b"K\xe9"]),
        pa.array([{"id": "K1"}, {"id": "K2"}]),
        pa.array([2048.0, 2050.0], pa.float16()),
    ],
)
def test_a_column_that_cannot_be_text_stops_where_it_is_used(raw, cards):
    """Without a word, all customers would be anonymous, or two of them one."""
    table = {"b": ["1", "2"], "p": ["1", "2"], "d": ["2024-01-02"] * 2, "x": ["1.00"] * 2}
    pyarrow.parquet.write_table(pa.table(table | {"c": cards}), raw / "lines.parquet")
    assert [len(fields) for _, fields in [*read(raw, "lines.parquet")]] == [2]
    with pytest.raises(LayoutError, match=r"lines.parquet: column c of type .* cannot be read as"):
        read(raw, "lines.parquet", "customer: c\n")


def test_amounts_of_single_precision_are_exact_or_no_numbers(raw):
    """From 2^17 on, 0.01 more may be the same float."""
    amounts = pa.array([131071.99, 200000.01, 16777215, 16777216], pa.float32())
    names = {name: ["1", "2", "3", "4"] for name in ("b", "p", "d")}
    pyarrow.parquet.write_table(pa.table({**names, "x": amounts}), raw / "lines.parquet")
    ((_, rows),) = read(raw, "lines.parquet")
    assert [fields[-1] for fields in rows] == [
        "131071.99", "2.000000e+05", "16777215", "1.677722e+07"
    ]  # fmt: skip


def test_what_a_lookup_knows_is_told(raw):
    """A spreadsheet takes leading zeros away: all categories would be empty."""
    path = raw.parent / "my.yml"
    path.write_text(
        f"{KEYS}files: [a.csv, b.csv]\ncategories: [dept]\nlookups: {{products.csv: p}}\n"
    )
    layout = load_layout(str(path)).order_lines
    (raw / "a.csv").write_text(LINES.replace("501", "00501"))
    (raw / "b.csv").write_text(LINES.replace("501", "NULL") + "2,501,2024-01-02,1.00\n")
    (raw / "products.csv").write_text("p,dept\n501,Fuel\n")
    for names, numbers, knows, lacks in [
        (["a.csv"], [0], None, "00501"), (["b.csv"], [1], "501", None),
        (["a.csv", "b.csv"], [0, 1], "501", "00501"),
    ]:  # fmt: skip
        found = write_text_tables(layout, raw, names, raw.parent)
        assert found["paths"] == [str(raw.parent / f"{number}.parquet") for number in numbers]
        (lookup,) = found["lookups"]
        assert (lookup["knows"], lookup["lacks"]) == (knows, lacks)
