"""Command line: python -m dbt_project.export."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from dbt_project.warehouse import default_database
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.options import CommandParser

from .prepare import prepare_tensor_cache


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m dbt_project.export",
        description="Write the tensor cache that the trainer reads, from a warehouse that dbt "
        "build finished. What is in it: docs/cache.md.",
    )
    add = parser.add_argument
    add(
        "--database", type=Path, default=default_database(),
        help="the warehouse, read only: a DuckDB file, or the folder of Spark's (default: "
        "RETAILSIM_DB, or warehouse.duckdb)",
    )  # fmt: skip
    add(
        "--out", type=Path, default=Path("cache"),
        help="folder to write; a cache there is replaced (default: cache)",
    )  # fmt: skip
    add(
        "--country",
        help="whose public holidays: an ISO code such as FR, or with a subdivision GB-SCT; GB is "
        "England (default: that of --like, or of the layout)",
    )  # fmt: skip
    add(
        "--like", type=Path, metavar="FOLDER",
        help="a cache or checkpoint whose products, stores, labels and split to use, so that its "
        "model can score these data (default: those of the warehouse itself)",
    )  # fmt: skip
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    started = time.perf_counter()
    cache = prepare_tensor_cache(
        options.database, options.out, options.country, options.like, progress=True
    )
    for line in _warnings(cache, options.like):
        print(f"warning: {line}", file=sys.stderr)
    size = sum(path.stat().st_size for path in options.out.iterdir()) / 1e6
    rows = ", ".join(f"{cache.rows(table):,} {table}" for table in ("customers", "trips", "items"))
    print(
        f"{rows} written to {options.out}: {size:.1f} MB in "
        f"{time.perf_counter() - started:.1f} s, digest {cache.digest}"
    )


def _warnings(cache: TensorCache, like: Path | None) -> list[str]:
    """What `--like` could not map, with its share of everything."""
    counts = cache.manifest["unmapped"]

    def share(name: str, table: str) -> str:
        return f"{counts[name]:,} {table} ({counts[name] / cache.rows(table):.1%})"

    lines = []
    if counts["items"]:
        lines.append(
            f"{counts['products']:,} products are unknown to {like} and count as their category: "
            f"{share('items', 'items')} in {share('trips', 'trips')}"
        )
    if counts["items_of_unknown_departments"]:
        lines.append(
            f"{share('items_of_unknown_departments', 'items')} are of departments unknown to "
            f"{like} and count as its most frequent department"
        )
    if counts["stores"]:
        lines.append(
            f"{counts['stores']:,} stores are unknown to {like} and get figures of their kind: "
            f"{share('trips_at_stores', 'trips')}"
        )
    for name, labels in cache.manifest["unmapped_labels"].items():
        lines.append(f"{name} has labels unknown to {like}, now 0: {', '.join(labels)}")
    if like is not None and cache.manifest["split_from"] != "reference":
        lines.append(f"the calendar is not that of {like}: the split is the warehouse's own")
    return lines


if __name__ == "__main__":
    sys.exit(main())
