"""`python -m dbt_project.clean`: remove what commands made in this folder, and nothing else.

What raw_data, runs and .venv hold is kept, whoever made it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from trainer.cache.atomic import recover
from trainer.cache.writer import written_files
from trainer.commands.command import run_command
from trainer.commands.errors import ExpectedError
from trainer.commands.options import CommandParser

DATABASE = Path("warehouse.duckdb")
CACHE = Path("cache")
MADE = {
    "target": r"(compiled|run)/retailsim/.*|partial_parse\.msgpack|(static_)?index\.html"
    r"|graph\.gpickle|(manifest|run_results|catalog|graph_summary|semantic_manifest|sources)\.json",
    "logs": r"dbt\.log(\.\d+)?",
    "build": r"lib/(dbt_project|trainer)/.*|bdist\.[^/]*/.*",
    "cache.baselines": r"[0-9a-f]{32}\.npz",
    "spark_warehouse": r"retailsim\.db/[a-z0-9_]+/.*|metastore/.*|derby\.log"
    r"|order_lines/\d+\.parquet",
    ".duckdb_tmp": r"duckdb_temp_[^/]*|order_lines_[^/]*/\d+\.parquet",
}
"""Folder -> the paths in it that dbt, DuckDB, Spark, setuptools and the evaluation write."""
RECORDS = {"build_record", "build_files", "build_layout", "build_code", "build_added"}
"""The tables beside the models (macros/build)."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    parser = CommandParser(
        prog="python -m dbt_project.clean",
        description="Remove from this folder what the commands made: the warehouse, the tensor "
        "cache, kept results of baselines, and what dbt wrote. Anything else is left alone.",
    )
    return run_command(parser, _run, arguments)


def _run(options: argparse.Namespace) -> None:
    recover(CACHE)
    for path in _made():
        path.unlink()
    for folder in (*MADE, CACHE):
        _remove_empty(Path(folder))
    for path in (*MADE, CACHE, DATABASE):
        if Path(path).exists():
            print(f"{path} is kept: it holds what no command of this project made", file=sys.stderr)


def _made() -> Iterator[Path]:
    for folder, pattern in MADE.items():
        for path in Path(folder).rglob("*"):
            if not path.is_dir() and re.fullmatch(pattern, path.relative_to(folder).as_posix()):
                yield path
    yield from (path for name in written_files(CACHE) if (path := CACHE / name).is_file())
    if DATABASE.is_file() and _is_ours(DATABASE):
        yield DATABASE
        yield from Path().glob(f"{DATABASE}.wal")


def _is_ours(database: Path) -> bool:
    """Whether dbt built every table of it."""
    import duckdb  # not above: where nothing was built, it may be missing

    try:
        with duckdb.connect(str(database)) as connection:
            tables = connection.execute("select table_name from information_schema.tables")
            names = {name for (name,) in tables.fetchall()}
            if "build_record" not in names:
                return False
            nodes = connection.execute("select node from build_record").fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if "not a valid DuckDB database" in reason:
            return False
        raise ExpectedError(f"{database} cannot be opened: {reason}") from error
    return names <= RECORDS | {node.split(".")[2] for (node,) in nodes}


def _remove_empty(folder: Path) -> None:
    """Remove folders that hold nothing, from the innermost on."""
    folders = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]
    for path in (*sorted(folders, reverse=True), folder):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


if __name__ == "__main__":
    sys.exit(main())
