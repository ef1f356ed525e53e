"""The same receipts give the same warehouse, however they are stored."""

from __future__ import annotations

import gzip
import random
import shutil

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

TABLES = {
    "trips": "select * from trips order by trip_key",
    "trip_items": "select * from trip_items order by trip_key, product_key",
    "products": "select * from products order by product_key",
    "customers": "select * from customers order by customer_key",
    "stores": "select * from stores order by store_key",
}


def files(chain):
    return sorted(chain.glob("transactions_*.csv"))


def gzipped(chain, folder):
    for path in files(chain):
        with gzip.open(folder / f"{path.name}.gz", "wt") as file:
            file.write(path.read_text())


def newer_header_in_other_order(chain, folder):
    """The newer release's names, in lower case; two columns change places in half of the files."""
    for n, path in enumerate(files(chain)):
        header, *rows = path.read_text().splitlines()
        header = header.replace("seg_1", "cust_price_sensitivity").replace(
            "seg_2", "cust_lifestage"
        )
        lines = [line.split(",") for line in [header.lower(), *rows]]
        if n % 2:
            lines = [[line[1], line[0], *line[2:], "a column more"] for line in lines]
        (folder / path.name).write_text("\r\n".join(",".join(line) for line in lines))


def one_file(chain, folder):
    header = files(chain)[0].read_text().splitlines()[0]
    rows = [row for path in files(chain) for row in path.read_text().splitlines()[1:]]
    (folder / "transactions.csv").write_text("\n".join([header, *rows]) + "\n")


def parquet(chain, folder):
    """Half of the weeks as typed Parquet of either release, with real dates; the rest stays CSV."""
    for n, path in enumerate(files(chain)):
        if n % 2:
            shutil.copy(path, folder)
            continue
        table = pyarrow.csv.read_csv(path)
        dates = table["SHOP_DATE"].cast(pa.string())
        dates = pa.compute.strptime(dates, format="%Y%m%d", unit="s").cast(pa.date32())
        index = table.schema.get_field_index("SHOP_DATE")
        table = table.set_column(index, "SHOP_DATE", dates)
        if n % 4:
            newer = {"seg_1": "CUST_PRICE_SENSITIVITY", "seg_2": "CUST_LIFESTAGE"}
            table = table.rename_columns([newer.get(name, name) for name in table.column_names])
        pyarrow.parquet.write_table(table, folder / f"{path.stem}.parquet")


@pytest.mark.parametrize("store", [gzipped, newer_header_in_other_order, one_file, parquet])
def test_same_warehouse(dbt, chain, warehouse, tmp_path, store):
    shutil.copy(chain / "time.csv", tmp_path)
    store(chain, tmp_path)
    other = dbt("run", "--select", *(f"+{table}" for table in TABLES), raw=tmp_path)
    assert other.returncode == 0, other.output
    for query in TABLES.values():
        assert other.rows(query) == warehouse.rows(query)


def test_missing_weeks_keep_their_numbers(dbt, chain, warehouse, tmp_path):
    shutil.copytree(chain, tmp_path / "raw", ignore=shutil.ignore_patterns("truth"))
    for name in ("transactions_200608.csv", "transactions_200643.csv"):
        (tmp_path / "raw" / name).unlink()
    gaps = dbt("build", raw=tmp_path / "raw")
    assert gaps.returncode == 0, gaps.output
    query = "select week, shop_week, trips, spend_pence from weeks where week not in (2, 37)"
    assert gaps.rows(query) == warehouse.rows(query)
    assert gaps.rows("select trips from weeks where week in (2, 37)") == [(0,), (0,)]


def spoil(lines: list[str], number: int) -> None:
    """Make line `number` of a file (the header is line 1) a row with quantity 0."""
    fields = lines[number - 1].split(",")
    fields[4] = "0"
    lines[number - 1] = ",".join(fields)


REJECTED = "select source_file, source_line from rejected_rows where reject_reason like 'quantity%'"


def test_rejected_lines_are_found_again_in_any_file(dbt, chain, tmp_path):
    """Line numbers are right although files are read in parallel and rows are not numbered."""
    choose = random.Random(5)
    spoilt = set()
    shutil.copy(chain / "time.csv", tmp_path)
    for path in files(chain):
        lines = path.read_text().splitlines()
        number = choose.randrange(2, len(lines) + 1)
        spoil(lines, number)
        (tmp_path / path.name).write_text("\n".join(lines) + "\n")
        spoilt.add((path.name, number))
    result = dbt(
        "run", "--select", "+rejected_rows", raw=tmp_path, environment={"RETAILSIM_THREADS": "4"}
    )
    assert set(result.rows(REJECTED)) == spoilt
    names = result.rows(
        "select source_file from int_lines group by source_file order by min(line_id)"
    )
    assert names == sorted(names)


def test_rejected_lines_are_found_again_in_a_large_file(dbt, chain, tmp_path):
    """One file so large that DuckDB reads several parts of it at a time."""
    choose = random.Random(6)
    shutil.copy(chain / "time.csv", tmp_path)
    header = files(chain)[0].read_text().splitlines()[0]
    rows = [row for path in files(chain) for row in path.read_text().splitlines()[1:]]
    lines = [header]
    for copy in range(1, 9):
        # Another first digit makes the basket ids of each copy its own.
        lines += [row.replace(",9941", f",{copy}941", 1) for row in rows]
    spoilt = sorted(choose.sample(range(2, len(lines) + 1), 200))
    for number in spoilt:
        spoil(lines, number)
    (tmp_path / "transactions.csv").write_text("\n".join(lines) + "\n")
    result = dbt(
        "run", "--select", "+rejected_rows", raw=tmp_path, environment={"RETAILSIM_THREADS": "4"}
    )
    assert result.rows(REJECTED + " order by 2") == [("transactions.csv", n) for n in spoilt]
