"""Parquet files keep the values that they hold, whatever the types of the files beside them."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from receipts import GOOD, TIME, line, write_raw

UUID = uuid.UUID("994100100000001" + "0" * 17)


def table(rows: int = 1, **columns: pa.Array) -> pa.Table:
    """Good rows of text, but for these columns."""
    texts = {name: pa.array([value] * rows) for name, value in GOOD.items()}
    assert columns.keys() <= texts.keys()
    return pa.table({name.upper(): column for name, column in (texts | columns).items()})


def floats(*values: float | None, kind=pa.float64) -> pa.Array:
    return pa.array(values, kind())


DAY = datetime.date(2006, 4, 13)

# Name of the file, its table, and of each row what staging should hold in the columns after it.
FILES = {
    # A file of whole pounds first: no other is cast to its types.
    "200601": (table(spend=pa.array([1])), "spend_pence", [100]),
    "200602": (table(2, spend=floats(1.25, 0.4)), "spend_pence", [125, 40]),
    "200603": (
        table(spend=pa.array([Decimal("12.50")], pa.decimal128(6, 2))),
        "spend_pence",
        [1250],
    ),
    # In single precision, pence are a float each below 131,072 pounds, and several share one above.
    "200604": (
        table(5, spend=floats(0.93, 2, 131071.99, 131072, 262144.01, kind=pa.float32)),
        "spend_pence",
        [93, 200, 13107199, None, None],
    ),
    "200605": (table(3, spend=floats(0.1 + 0.2, 0.935, None)), "spend_pence", [None] * 3),
    "200606": (
        table(3, spend=pa.array(["1.2500", " 1.25\t", "1e2"])),
        "spend_pence",
        [125, 125, None],
    ),
    "200607": (
        table(2, spend=pa.array([Decimal("1.2500"), Decimal("0.9999")], pa.decimal128(38, 4))),
        "spend_pence",
        [125, None],
    ),
    "200608": (table(2, spend=pa.array([21474836, 21474837])), "spend_pence", [2147483600, None]),
    "200609": (table(2, spend=floats(21474836.47, 1e300)), "spend_pence", [2147483647, None]),
    "200610": (table(spend=pa.nulls(1)), "spend_pence", [None]),
    "200611": (table(2, quantity=floats(2, 1.5)), "quantity", [2, None]),
    "200612": (table(2, quantity=pa.array([3, None], pa.uint8())), "quantity", [3, None]),
    # Customers: numbers with leading zeros are text, as numbers they are numbers.
    "200613": (
        table(3, cust_code=floats(501, None, float("nan"))),
        "customer_code",
        ["501", None, None],
    ),
    "200614": (
        table(4, cust_code=pa.array(["00501", "501.0", "nan", "A1"])),
        "customer_code",
        ["00501", "501", None, "A1"],
    ),
    "200615": (table(cust_code=pa.array([501], pa.int32())), "customer_code", ["501"]),
    "200616": (
        table(2, cust_code=pa.array(["501", None]).dictionary_encode()),
        "customer_code",
        ["501", None],
    ),
    "200617": (table(cust_code=pa.array([UUID.bytes], pa.uuid())), "customer_code", [str(UUID)]),
    # Ids: beyond 2^53 several numbers share one float.
    "200618": (
        table(3, basket_id=floats(994100100000001, 2**53 - 1, -0.0)),
        "basket_id",
        ["994100100000001", "9007199254740991", "0"],
    ),
    "200619": (
        table(4, basket_id=floats(2**53, 1e16, float("inf"), None)),
        "reject_reason",
        ["basket_id in scientific notation: its digits are lost"] * 3 + ["basket_id missing"],
    ),
    "200620": (
        table(2, basket_id=floats(2**24 - 1, 2**24, kind=pa.float32)),
        "reject_reason",
        [None, "basket_id in scientific notation: its digits are lost"],
    ),
    "200621": (
        table(basket_id=pa.array([2**64 - 1], pa.uint64())), "basket_id", ["18446744073709551615"]
    ),
    "200622": (
        table(basket_id=pa.array([Decimal(10**37)], pa.decimal128(38, 0))),
        "basket_id",
        ["1" + "0" * 37],
    ),
    "200623": (
        table(basket_id=pa.array([Decimal("12345678901234567890.00")], pa.decimal128(30, 2))),
        "basket_id",
        ["12345678901234567890"],
    ),
    # Dates.
    "200624": (table(2, shop_date=pa.array([DAY, None])), "shop_date", [DAY, None]),
    "200625": (
        table(shop_date=pa.array([datetime.datetime(2006, 4, 13, 20, 15)], pa.timestamp("ns"))),
        "shop_date",
        [DAY],
    ),
    "200626": (table(2, shop_date=floats(20060413, 20060413.5)), "shop_date", [DAY, None]),
    "200627": (table(shop_date=pa.array([20060413])), "shop_date", [DAY]),
    # No row at all.
    "200628": (table().slice(0, 0), "basket_id", []),
}  # fmt: skip


def odd_columns(folder):
    """Columns beside the contract's may have any type, and names that differ in case only."""
    first = table(2)
    nested = pa.array([{"SPEND": 9.99, "BASKET_ID": [1]}] * 2)
    for name, column in {
        "SEG": pa.array(["no"] * 2),
        "seg": pa.array(["no"] * 2),
        "seg ": pa.array([True] * 2),
        'a, "b"': pa.array([b"\xff"] * 2),
        "": pa.array([datetime.timedelta(1)] * 2),
        "filename": pa.array(["no"] * 2),
        "Filename": pa.array(["no"] * 2),
        "nested": nested,
        "list": pa.array([[nested[0].as_py()]] * 2),
    }.items():
        first = first.add_column(0, pa.field(name, column.type), column)
    pq.write_table(first, folder / "transactions_200629.parquet")
    # The same columns in another order: by name seg_1 might become another file's `seg`.
    order = list(range(first.num_columns))[::-1]
    other = first.select(order).rename_columns([first.column_names[n].swapcase() for n in order])
    pq.write_table(other, folder / "transactions_200630.parquet")


@pytest.fixture(scope="module")
def staged(dbt, tmp_path_factory):
    raw = write_raw(tmp_path_factory.mktemp("raw"), [line()], "transactions_9.csv")
    for name, (content, _, _) in FILES.items():
        pq.write_table(content, raw / f"transactions_{name}.parquet")
    pq.write_table(
        FILES["200625"][0],
        raw / "transactions_200631.parquet",
        use_deprecated_int96_timestamps=True,
    )
    odd_columns(raw)
    result = dbt("build", "--select", "staging", "--indirect-selection", "cautious", raw=raw)
    assert "PASS raw_totals_are_staged" in result.output
    assert result.returncode == 0, result.output
    return result


@pytest.mark.parametrize("name", FILES)
def test_values(staged, name):
    _, column, expected = FILES[name]
    found = staged.rows(
        f"select {column} from stg_transactions"
        f" where source_file = 'transactions_{name}.parquet' order by rowid"
    )
    assert [value for (value,) in found] == expected


def test_old_timestamps(staged):
    assert staged.rows(
        "select shop_date from stg_transactions where source_file = 'transactions_200631.parquet'"
    ) == [(DAY,)]


def test_other_columns_are_not_read(staged):
    rows = staged.rows(
        "select * exclude (source_file, raw_text) from stg_transactions where source_file in"
        " ('transactions_200629.parquet', 'transactions_200630.parquet', 'transactions_9.csv')"
    )
    assert len(rows) == 5
    assert len(set(rows)) == 1
    assert rows[0][:4] == tuple(
        GOOD[name] for name in ("basket_id", "cust_code", "prod_code", "store_code")
    )


def test_files_stay_in_the_order_of_their_names(staged):
    names = staged.rows(
        "select source_file from stg_transactions group by source_file order by min(rowid)"
    )
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("SPEND", pa.array([True]), "BOOLEAN"),
        ("CUST_CODE", pa.array([b"501"]), "BLOB"),
        ("SHOP_HOUR", pa.array([datetime.time(20)]), "TIME"),
        (
            "SHOP_DATE",
            pa.array([datetime.datetime(2006, 4, 13)], pa.timestamp("us", "UTC")),
            "TIMESTAMP WITH TIME ZONE",
        ),
        ("BASKET_ID", pa.array([[1]]), "BIGINT[]"),
        ("BASKET_ID", pa.array([{"BASKET_ID": 1}]), "STRUCT"),
        ("QUANTITY", pa.array(np.array([2049], np.float16)), "HALF FLOAT"),
        (
            "SPEND",
            pa.array([Decimal("0." + "9" * 40)], pa.decimal256(40, 40)),
            "more than 38 digits",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_types_that_are_no_text_stop_the_build(dbt, tmp_path, column, values, kind):
    pq.write_table(table(**{column.lower(): values}), tmp_path / "transactions_200607.parquet")
    (tmp_path / "time.csv").write_text(TIME)
    result = dbt("run", "--select", "stg_transactions", raw=tmp_path)
    told = " ".join(result.output.split())
    assert result.returncode != 0
    assert f"transactions_200607.parquet: column {column} is of type" in told
    assert kind in told and "Expected text" in told


def test_two_names_for_one_column_stop_the_build(dbt, tmp_path):
    content = table().append_column("cust_price_sensitivity", pa.array(["LA"]))
    pq.write_table(content, tmp_path / "transactions_200607.parquet")
    (tmp_path / "time.csv").write_text(TIME)
    result = dbt("run", "--select", "stg_transactions", raw=tmp_path)
    assert result.returncode != 0
    assert "column SEG_1 stands more than once" in " ".join(result.output.split())
