"""CSV files are read line by line, however their lines end and whatever their header looks like."""

from __future__ import annotations

import codecs
import gzip

import pytest
from receipts import GOOD, HEADER, line, write_raw

ONE, TWO, THREE = (line(basket_id=str(number)) for number in (1, 2, 3))
LINES = f"{HEADER}\n{ONE}\n{TWO}\n{THREE}\n"
BLANK = "blank line"
CONTROLS, SEPARATORS = "P\x01\x02", "P\u2028\x0c\x0b\x85"

# Name of the file: its bytes, and of each line after the header the basket or the reject reason.
FILES: dict[str, tuple[bytes, list[str]]] = {
    "lf": (LINES.encode(), ["1", "2", "3"]),
    "crlf": (LINES.replace("\n", "\r\n").encode(), ["1", "2", "3"]),
    "crlf_in_the_middle": (f"{HEADER}\n{ONE}\r\n{TWO}\n{THREE}".encode(), ["1", "2", "3"]),
    "lf_after_crlf": (
        f"{HEADER}\r\n{ONE}\n\n{TWO}\r\n\r\n{THREE}".encode(),
        ["1", BLANK, "2", BLANK, "3"],
    ),
    "blank_lines": (
        f"{HEADER}\n\n{ONE}\n\n\n{TWO}\n\n".encode(),
        [BLANK, "1", BLANK, BLANK, "2", BLANK],
    ),
    # Old Macs.
    "cr": (LINES.replace("\n", "\r").encode(), ["1", "2", "3"]),
    "cr_within": (
        f"{HEADER}\n{ONE}\n{TWO[:9]}\r{TWO[9:]}\n{THREE}\n".encode(),
        ["1", "wrong number of fields", "wrong number of fields", "3"],
    ),
    "mark": (codecs.BOM_UTF8 + LINES.encode(), ["1", "2", "3"]),
    # Two files with marks joined: the second header is no receipt.
    "marks": (2 * (codecs.BOM_UTF8 + LINES.encode()), ["1", "2", "3", "basket_id", "1", "2", "3"]),
    "no_last_end": (LINES.rstrip().encode(), ["1", "2", "3"]),
    "header": (f"{HEADER}\r\n".encode(), []),
    "header_without_end": (HEADER.encode(), []),
    "trailing_commas": (
        f"{HEADER},,\n{ONE},,\n{TWO},x,\n{THREE}\n".encode(),
        ["1", "2", "wrong number of fields"],
    ),
    "further_columns": (
        f"A,{HEADER},note,NOTE,a\n9,{ONE},,x,\n9,{TWO},NULL,9.94E+14,\"\"\n9,{THREE},\"x\"y,,\n".encode(),
        ["1", "2", "quotation mark inside a field"],
    ),
    "header_in_quotes": (
        (",".join(f' "{name.lower()} " ' for name in HEADER.split(",")) + f"\n{ONE}").encode(),
        ["1"],
    ),
    "control_characters": (
        f"{HEADER}\n{line(basket_id='1', prod_code=CONTROLS)}\n{chr(1)}\n{TWO}".encode(),
        ["1", "wrong number of fields", "2"],
    ),
    "line_separators": (
        f"{HEADER}\n{line(basket_id='1', prod_code=SEPARATORS)}".encode(),
        ["1"],
    ),
    "comment": (f"{HEADER}\n#{ONE}\n{ONE}\n".encode(), ["shop_week", "1"]),
}  # fmt: skip
REASONS = {
    "basket_id": "shop_week missing or not a whole number",
    "shop_week": "shop_week missing or not a whole number",
}


@pytest.fixture(scope="module")
def staged(dbt, tmp_path_factory):
    raw = write_raw(tmp_path_factory.mktemp("raw"), [line()])
    for name, (content, _) in FILES.items():
        (raw / f"transactions_{name}.csv").write_bytes(content)
        # Two archives joined are one.
        half = len(content) // 2
        packed = gzip.compress(content[:half]) + gzip.compress(content[half:])
        (raw / f"transactions_{name}_gz.CSV.gz").write_bytes(packed)
    (raw / "transactions_large.csv").write_bytes(large())
    result = dbt("build", "--select", "staging", "--indirect-selection", "cautious", raw=raw)
    assert "PASS raw_totals_are_staged" in result.output, result.output
    return result


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_found(staged, name):
    _, expected = FILES[name]
    query = (
        "select coalesce(reject_reason, basket_id) from stg_transactions"
        " where source_file = '{}' order by rowid"
    )
    for file in (f"transactions_{name}.csv", f"transactions_{name}_gz.CSV.gz"):
        found = [value for (value,) in staged.rows(query.format(file))]
        assert found == [REASONS.get(value, value) for value in expected]


def test_lines_are_kept_as_they_are(staged):
    """Also those of a file that was split in another way to begin with."""
    assert staged.rows(
        "select raw_text from stg_transactions where reject_reason is not null"
        " and source_file = 'transactions_further_columns.csv'"
    ) == [(f'9,{THREE},"x"y,,',)]
    assert staged.rows(
        "select product_code from stg_transactions where basket_id = '1' and source_file in"
        " ('transactions_control_characters.csv', 'transactions_line_separators.csv') order by 1"
    ) == [(CONTROLS,), (SEPARATORS,)]


BLOCK = 8_000_000
"""Bytes that DuckDB gives to one thread at a time."""


def large() -> bytes:
    """A file beyond a block's end, with blank lines around it; one line ends in \\r\\n."""
    padding = "x" * 999 + "\n"
    start = f"{HEADER}\n{ONE}\r\n"
    start += padding * ((BLOCK - len(start)) // len(padding))
    start += "x" * (BLOCK - len(start) - 101) + "\n" + "\n" * 200
    return (start + f"{TWO}\n" * 2000).encode()


def test_no_line_is_lost_between_blocks(staged):
    counts = dict(
        staged.rows(
            "select coalesce(reject_reason, basket_id), count(*) from stg_transactions"
            " where source_file = 'transactions_large.csv' group by all"
        )
    )
    lines = large().decode().splitlines()[1:]
    assert counts == {
        "1": 1,
        "2": 2000,
        BLANK: 200,
        "wrong number of fields": sum(text.startswith("x") for text in lines),
    }
    assert GOOD["basket_id"] not in counts
