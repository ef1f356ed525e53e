"""The tables of docs/warehouse.md are what its queries give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "warehouse.md"
QUERY = re.compile(r'^dbt show [^\n]*?--inline "(.*)"\n```\n\n((?:\|.*\n)+)', re.MULTILINE)


def queries() -> list[tuple[str, list[list[str]]]]:
    """Queries of the page, as SQL, with the cells of their tables; those that need a macro are left
    out.
    """
    found = []
    for query, table in QUERY.findall(PAGE.read_text(encoding="utf-8")):
        sql = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", query)
        cells = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
        ]
        if "{{" not in sql:
            found.append((sql, [cells[0], *cells[2:]]))
    return found


def same(cell: str, value: object) -> bool:
    if isinstance(value, float):
        return float(cell) == pytest.approx(value)
    return cell == ("" if value is None else str(value))


def test_every_table_is_what_its_query_gives(warehouse):
    assert len(queries()) > 15
    for sql, (header, *rows) in queries():
        columns = [name for (name, *_) in warehouse.rows(f"describe {sql}")]
        assert header == columns, sql
        found = warehouse.rows(sql)
        assert len(rows) == len(found), sql
        for row, values in zip(rows, found, strict=True):
            assert all(map(same, row, values)), (sql, row, values)
