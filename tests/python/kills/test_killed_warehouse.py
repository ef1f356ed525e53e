"""`dbt build` and the export, killed at random moments.

`make test` kills each once or a few times. Twenty times as often, at other moments each time:

    python -m pytest --hypothesis-profile thorough -s tests/python/kills
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from killing import Command, digests
from profiles import repetitions, seed

from trainer.cache.reader import TensorCache

CHAIN = "--customers 30 --products 62 --stores 4 --workers 1"
DBT = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors"]


@dataclass(frozen=True)
class Chain:
    """A synthetic chain, and what becomes of it without any kill."""

    raw: Path
    raw_files: dict[str, str]
    database: Path
    tables: dict[str, tuple]
    cache: dict[str, str]
    summary: list[str]


def export_command(database: Path, out: Path) -> Command:
    """The export of a warehouse, from a folder of its own."""
    out.parent.mkdir(exist_ok=True)
    options = ["--database", str(database), "--out", str(out)]
    return Command([sys.executable, "-m", "dbt_project.export", *options], out.parent)


def tour_command(database: Path) -> Command:
    """The summary of a warehouse."""
    environment = {"RETAILSIM_DB": str(database)}
    return Command([sys.executable, "-m", "dbt_project.tour"], database.parent, environment)


def tables(database: Path) -> dict[str, tuple]:
    """Number of rows and a hash of each table, whatever the order of rows; but of the record of
    builds, which holds times."""
    with duckdb.connect(str(database), read_only=True) as warehouse:
        names = warehouse.execute("select table_name from duckdb_tables()").fetchall()
        summary = 'select count(*), sum(hash(t)::hugeint) from "{}" as t'
        return {
            name: warehouse.execute(summary.format(name)).fetchone()
            for (name,) in sorted(names)
            if name != "build_record"
        }


@pytest.fixture(scope="module")
def chains(dbt, tmp_path_factory) -> list[Chain]:
    """Two chains of the same size."""
    from dbt_project.sample.__main__ import main

    made = []
    for number in ("1", "2"):
        folder = tmp_path_factory.mktemp(f"chain_{number}")
        raw, cache = folder / "raw", folder / "exported" / "cache"
        assert main([*CHAIN.split(), "--seed", number, "--out", str(raw)]) == 0
        database = dbt("run", raw=raw).path
        export_command(database, cache).succeed()
        summary = tour_command(database).succeed().printed[1:]
        made.append(Chain(raw, digests(raw), database, tables(database), digests(cache), summary))
    return made


def test_a_killed_build_is_complete_or_refused(chains, dbt_environment, tmp_path):
    """What is exported is what was there before or what is new, never a mixture, and the next build
    makes what it makes anywhere."""
    folder, cache = tmp_path / "built", tmp_path / "exported" / "cache"
    database = folder / "warehouse.duckdb"
    folder.mkdir()

    def build(chain: Chain) -> Command:
        # Unit tests read no receipts, and write nothing.
        environment = dbt_environment(folder, chain.raw) | {
            "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test"
        }
        return Command([*DBT, "build"], folder, environment)

    number, start = repetitions(1), seed()
    rng, kills, (current, chain) = random.Random(start), 0, chains
    like = build(current).succeed()
    while kills < number:
        said = build(chain).kill(rng, like)
        kills += said is not None
        assert all(digests(known.raw) == known.raw_files for known in chains)
        export, tour = export_command(database, cache).finish(), tour_command(database).finish()
        print(f"seed {start}, build {kills}, {said}\n    {export.printed[-1]}")
        assert export.is_refusal() or digests(cache) in (current.cache, chain.cache), export
        assert tour.is_refusal() or tour.printed[1:] in (current.summary, chain.summary), tour
        if rng.random() < 0.7 or kills == number:  # else it is killed once more
            like = build(chain).succeed()
            assert tables(database) == chain.tables
            export_command(database, cache).succeed()
            assert digests(cache) == chain.cache
            current, chain = chain, current


def test_a_killed_export_leaves_a_complete_cache(chains, tmp_path):
    """The one before or the new one; and nothing lies beside it after the next export."""
    number, start, cache = repetitions(3), seed(), tmp_path / "exported" / "cache"
    rng, kills, (current, chain) = random.Random(start), 0, chains
    like = export_command(current.database, cache).succeed()
    while kills < number:
        said = export_command(chain.database, cache).kill(rng, like)
        kills += said is not None
        found, beside = digests(cache), sorted(path.name for path in cache.parent.iterdir())
        state = "old" if found == current.cache else "new"
        print(f"seed {start}, export {kills}, {said}\n    {state}: {beside}")
        assert found in (current.cache, chain.cache)
        TensorCache(cache)
        if rng.random() < 0.5 or kills == number:  # else it is killed once more
            like = export_command(chain.database, cache).succeed()
            assert digests(cache) == chain.cache
            assert [path.name for path in cache.parent.iterdir()] == ["cache"]
            current, chain = chain, current
