"""Customers are exported part by part: the cache is the same, however many are read at once."""

from __future__ import annotations

import contextlib
import errno
import io
import tempfile

import duckdb
import numpy as np
import pytest
import tiny

from dbt_project.export import ExportError, prepare_tensor_cache
from dbt_project.export import warehouse as reading
from dbt_project.export.__main__ import main
from dbt_project.export.spool import Spool
from trainer.cache import writer


@pytest.fixture
def one_by_one(monkeypatch):
    """Each customer is a part of its own."""
    monkeypatch.setattr(reading, "ITEMS_AT_ONCE", 1)
    monkeypatch.setattr(reading, "MOST_PARTS", 10**9)


@pytest.mark.parametrize(("items", "most"), [(1, 10**9), (1000, 10**9), (1, 5)])
def test_the_default_chain(warehouse, default_cache, tmp_path, monkeypatch, items, most):
    monkeypatch.setattr(reading, "ITEMS_AT_ONCE", items)
    monkeypatch.setattr(reading, "MOST_PARTS", most)
    monkeypatch.setattr(writer, "BLOCK", 1000)
    with reading.open_tables(warehouse.path) as tables:
        parts = [len(part.customers["customer_key"]) for part in tables.timelines]
    assert sum(parts) == default_cache.rows("customers")
    assert max(parts) == 1 if (items, most) == (1, 10**9) else 1 < len(parts) < sum(parts)
    assert len(parts) <= most
    cache = prepare_tensor_cache(warehouse.path, tmp_path / "cache")
    assert cache.manifest == default_cache.manifest  # with the digests of all files


def test_what_is_unknown_is_counted_over_all_parts(tiny_cache, export, request):
    marts = tiny.tables()
    tiny.change(marts["products"], {"product_code": "PRD4"}, product_code="PRD9")
    tiny.change(marts["product_graph_nodes"], {"level": "product", "code": "PRD4"}, code="PRD9")
    tiny.change(marts["stores"], {"store_key": 3}, store_code="STORE9")
    whole = export(marts, "whole", like=tiny_cache.folder)
    request.getfixturevalue("one_by_one")
    parts = export(marts, "parts", like=tiny_cache.folder)
    assert parts.manifest == whole.manifest
    assert min(whole.manifest["unmapped"][name] for name in ("products", "items", "trips")) > 0


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("cache_trips set basket_id = null where customer_key = 3", "the first is row 6"),
        ("cache_items set customer_key = null where customer_key = 1", "in the items of a trip"),
        (
            "cache_customer_weeks set customer_key = null where customer_key = 3",
            "without customer_k",
        ),
        ("cache_items set quantity = -1 where customer_key = 3", "items.quantity row 9: -1 does"),
        ("cache_items set trip_key = 1 where customer_key = 3", "differ in the items of a trip"),
        ("cache_customers set customer_key = 9 where customer_key = 3", "differ in the customers"),
        ("cache_customer_weeks set trips = 7 where customer_key = 2", "in the trips of a customer"),
    ],
)
def test_errors_of_later_parts(write_tiny, tmp_path, change, line):
    path = write_tiny(tmp_path / "warehouse.duckdb", tiny.tables())
    model = change.partition(" ")[0]
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"create table changed as from {model}")
        connection.execute(f"drop view {model}")
        connection.execute(f"alter table changed rename to {model}")
        connection.execute(f"update {change}")
    with pytest.raises((ExportError, writer.CacheError), match=line):
        prepare_tensor_cache(path, tmp_path / "cache")
    assert [file.name for file in tmp_path.iterdir()] == ["warehouse.duckdb"]


def test_a_disk_that_is_full_is_named(write_tiny, tmp_path, monkeypatch, capsys):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    path = write_tiny(tmp_path / "warehouse.duckdb", tiny.tables())
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    assert main(["--database", str(path), "--out", str(tmp_path / "out" / "cache")]) == 2
    assert f"{tmp_path / 'out'}: No space left on device" in capsys.readouterr().err


def test_a_column_that_changes_its_dtype(tmp_path):
    with Spool(tmp_path) as spool:
        spool.append({"a": np.zeros(2, dtype=np.int64), "b": np.zeros((0, 3))})
        spool.append({"a": np.ones(1, dtype=np.int64), "b": np.ones((1, 3))})
        with pytest.raises(ValueError, match="a: float64"):
            spool.append({"a": np.ones(1)})
        found = spool.columns()
        assert found["a"].tolist() == [0, 0, 1]
        assert found["b"].tolist() == [[1, 1, 1]]
    assert not list(tmp_path.iterdir())


def test_an_interrupt_while_reading_is_no_fault(write_tiny, tmp_path, monkeypatch, capsys):
    """DuckDB raises a RuntimeError where Ctrl-C ends its query."""

    def interrupted(*_):
        raise RuntimeError("Query interrupted")

    path = write_tiny(tmp_path / "warehouse.duckdb", tiny.tables())
    monkeypatch.setattr(reading, "_parts", interrupted)
    with contextlib.suppress(KeyboardInterrupt):
        main(["--database", str(path), "--out", str(tmp_path / "cache")])
    assert "stopped" in capsys.readouterr().err
