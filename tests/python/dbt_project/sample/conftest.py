"""Small synthetic chains, generated once per session."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from dbt_project.sample import ChainConfig, generate_chain


@dataclass
class Written:
    """A chain on disk: `sql` sees `item` (raw rows and week number `w`) and the truth's tables."""

    folder: Path
    config: ChainConfig
    facts: dict
    connection: duckdb.DuckDBPyConnection = field(repr=False)

    def sql(self, query: str) -> list[tuple]:
        return self.connection.execute(query).fetchall()

    def one(self, query: str):
        return self.sql(query)[0][0]


def _open(folder: Path, config: ChainConfig, facts: dict) -> Written:
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    reader = (
        "read_parquet($files)"
        if config.format == "parquet"
        else "read_csv($files, types = {'CUST_CODE': 'VARCHAR', 'BASKET_ID': 'BIGINT'})"
    )
    connection.execute(
        f"""create table item as
        select *, round(SPEND * 100)::bigint as pence
        from {reader} join (
            select shop_week as SHOP_WEEK, row_number() over (order by shop_week)::int as w
            from read_csv($time)) using (SHOP_WEEK)""",
        {
            "files": str(folder / f"transactions_*.{config.format}"),
            "time": str(folder / "time.csv"),
        },
    )
    for path in (folder / "truth").glob("*.parquet"):
        connection.execute(f"create view {path.stem} as select * from read_parquet('{path}')")
    return Written(folder, config, facts, connection)


@pytest.fixture(scope="session")
def write_chain(tmp_path_factory):
    """Write a chain with the given configuration and open it."""

    def write(workers: int = 1, **values) -> Written:
        folder = tmp_path_factory.mktemp("chain")
        config = ChainConfig(**values)
        return _open(folder, config, generate_chain(config, folder, workers))

    return write


@pytest.fixture(scope="session")
def chain(write_chain) -> Written:
    """The default chain."""
    return write_chain()


@pytest.fixture(scope="session")
def tiny() -> dict[str, int]:
    """Options of a chain of a few thousand rows."""
    return {"customers": 20, "products": 120, "stores": 6, "weeks": 12}


@pytest.fixture(scope="session")
def dense(write_chain) -> Written:
    """Many shoppers and few products, so that each product sells enough to measure prices; of
    independent weeks, whose response to prices is a formula."""
    return write_chain(
        customers=900, products=220, stores=24, weeks=104, seed=3, behaviour="independent"
    )
