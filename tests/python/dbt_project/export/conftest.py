"""Caches of a warehouse made by hand (tiny.py) and of the default chain."""

from __future__ import annotations

import functools

import pytest
import tiny

from dbt_project import prepare_tensor_cache
from trainer.cache.reader import TensorCache


@pytest.fixture(scope="session")
def write_tiny(shared):
    """`write_tiny(path, tables)` writes the tables as a warehouse."""
    empty = shared("tiny_warehouse", lambda folder: tiny.create(folder / "empty.duckdb"))
    return functools.partial(tiny.write, empty / "empty.duckdb")


@pytest.fixture
def export(write_tiny, tmp_path):
    """`export(tables, name, ...)` writes the tables as a warehouse and exports it to a folder."""

    def run(tables: tiny.Tables, name: str = "cache", **options) -> TensorCache:
        database = write_tiny(tmp_path / f"{name}.duckdb", tables)
        prepare_tensor_cache(database, tmp_path / name, **options)
        return TensorCache(tmp_path / name)

    return run


@pytest.fixture(scope="session")
def tiny_cache(write_tiny, tmp_path_factory) -> TensorCache:
    """The cache of the warehouse made by hand, as it is."""
    folder = tmp_path_factory.mktemp("tiny")
    prepare_tensor_cache(write_tiny(folder / "warehouse.duckdb", tiny.tables()), folder / "cache")
    return TensorCache(folder / "cache")


@pytest.fixture(scope="session")
def default_cache(warehouse, shared) -> TensorCache:
    """The default chain's cache, opened with every check."""
    folder = shared(
        "default_cache", lambda folder: prepare_tensor_cache(warehouse.path, folder / "cache")
    )
    return TensorCache(folder / "cache")
