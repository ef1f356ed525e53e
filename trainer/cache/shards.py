"""Cutting a cache by customer, so that each process of a training reads a part of it.

    cache-2/
        manifest.json         the cache's own, and the columns of every shard
        products.code.npy ..  tables that all customers share
        shard-0/              customers, trips, items and customer_weeks of some customers
        shard-1/

    python -m trainer.cache.shards --cache cache --shards 2 --out cache-2

Customers are taken in the order of the hashes by which samples are drawn, so that the first shard
holds every such sample that is no larger than itself.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from trainer.cache.atomic import file_digest, new_folder
from trainer.cache.customer_sample import sample_hashes
from trainer.cache.json_files import write_json
from trainer.cache.reader import MANIFEST, CacheError, TensorCache, shard_folder
from trainer.cache.schema import COLUMNS, TIMELINE_TABLES, Column
from trainer.cache.writer import check_replaceable
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, whole

MOST_SHARDS = 512
"""A file of each is open at once, of which many systems allow 1,024."""
BLOCK = 4096
"""Customers that are read at once."""
ROW_OF = {
    "customers.trip_offsets": "trips",
    "trips.item_offsets": "items",
    "trips.customer_week": "customer_weeks",
    "customer_weeks.customer": "customers",
}
"""Columns whose values are rows of a table that is cut."""


class Cut:
    """Which customers each shard of a cache takes, and where their rows lie.

    The hashes' order is divided into parts with about equal numbers of items: which shard a
    customer is in depends on the cache and the number of shards alone.

    Attributes:
        shard: (n,) of each of the cache's customers.
        bounds: of each table that is cut (n + 1,) int64: customer c has rows bounds[c]..bounds[c +
            1].
        moved: of each such table (n,) int64: how much larger the numbers of the customer's rows
            are in its shard.

    Raises InputError where there are too few customers.
    """

    def __init__(self, cache: TensorCache, shards: int) -> None:
        trips = cache["customers.trip_offsets"].astype(np.int64)
        customers, owner = np.arange(len(trips)), cache["customer_weeks.customer"]
        if (owner[1:] < owner[:-1]).any():
            raise CacheError(f"{cache.folder}: customer_weeks is not in the order of customers")
        self.bounds = {
            "customers": customers,
            "trips": trips,
            "items": cache["trips.item_offsets"][trips].astype(np.int64),
            "customer_weeks": np.searchsorted(owner, customers),
        }
        items = np.diff(self.bounds["items"])
        order = np.argsort(sample_hashes(cache["customers.code"]), kind="stable")
        before = items[order].cumsum() - items[order] / 2
        self.shard = np.empty(len(items), dtype=np.int64)
        self.shard[order] = (before * shards // max(items.sum(), 1)).clip(max=shards - 1)
        self.items = np.bincount(self.shard, weights=items, minlength=shards).astype(np.int64)
        if not self.items.all():
            raise InputError(
                f"--shards: {cache.folder} has too few customers, {len(items):,}, for {shards} "
                "parts of about equal size: ask for fewer"
            )
        self.moved = {table: self._moved(bounds) for table, bounds in self.bounds.items()}

    def _moved(self, bounds: np.ndarray) -> np.ndarray:
        rows, moved = np.diff(bounds), -bounds[:-1]
        for shard in range(len(self.items)):
            own = self.shard == shard
            moved[own] += rows[own].cumsum() - rows[own]
        return moved

    def rows(self, table: str) -> np.ndarray:
        """Rows of a table in each shard, (shards,)."""
        rows = np.diff(self.bounds[table])
        return np.bincount(self.shard, weights=rows).astype(np.int64)

    def blocks(self, values: np.ndarray, column: Column) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The values of a column as they will be, a part at a time, and the shard of each."""
        bounds = self.bounds[column.table]
        for first in range(0, len(self.shard), BLOCK):
            last = min(first + BLOCK, len(self.shard))
            customer = np.repeat(np.arange(first, last), np.diff(bounds[first : last + 1]))
            block = values[bounds[first] : bounds[last]]
            if column.name in ROW_OF:
                block = block.astype(np.int64) + self.moved[ROW_OF[column.name]][customer]
            yield block.astype(values.dtype), self.shard[customer]


def cut(cache: TensorCache, shards: int, folder: Path) -> Cut:
    """Write a cache that is cut into shards; memory does not depend on its size but for a few
    numbers per customer.

    The same cache and number give the same files to the bit. Raises InputError where the cache has
    too few customers, CacheError where `folder` exists and is no cache, OSError.
    """
    check_replaceable(folder)
    made = Cut(cache, shards)
    described = cache.manifest["columns"]
    parts: list[dict[str, Any]] = [{} for _ in range(shards)]
    with new_folder(folder) as fresh:
        for shard in range(shards):
            shard_folder(fresh, shard).mkdir()
        for column in COLUMNS:
            if column.table in TIMELINE_TABLES:
                for part, facts in zip(parts, _write(cache, made, column, fresh), strict=True):
                    part[column.name] = facts
            elif column.name in described:
                shutil.copyfile(cache.folder / f"{column.name}.npy", fresh / f"{column.name}.npy")
        common = {name: facts for name, facts in described.items() if name not in parts[0]}
        shard_facts = [
            {"items": int(items), "columns": part}
            for items, part in zip(made.items, parts, strict=True)
        ]
        manifest = cache.manifest | {"columns": common, "shards": shard_facts}
        write_json(fresh / MANIFEST, manifest)
    return made


def _write(cache: TensorCache, made: Cut, column: Column, folder: Path) -> Iterator[dict[str, Any]]:
    """Write a column of every shard; what the manifest says of each."""
    values = cache[column.name]
    paths = [shard_folder(folder, n) / f"{column.name}.npy" for n in range(len(made.items))]
    shapes = [
        [int(rows) + column.is_offsets, *values.shape[1:]] for rows in made.rows(column.table)
    ]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for file, shape in zip(files, shapes, strict=True):
            header = {"descr": values.dtype.str, "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(file, header)
        for block, shard in made.blocks(values, column):
            for number, file in enumerate(files):
                file.write(block[shard == number].tobytes())
        if column.is_offsets:
            for file, last in zip(files, made.rows(ROW_OF[column.name]), strict=True):
                file.write(values.dtype.type(last).tobytes())
    for path, shape in zip(paths, shapes, strict=True):
        yield {"dtype": values.dtype.str, "shape": shape, "sha256": file_digest(path)}


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m trainer.cache.shards",
        description="Cut a tensor cache by customer, for training with one process a shard on "
        "one or several machines: docs/cache.md.",
    )
    add = parser.add_argument
    add("--cache", type=Path, default=Path("cache"), help="the whole cache (default: cache)")
    add(
        "--shards", type=whole(2, MOST_SHARDS), required=True,
        help="how many: as many as processes will train",
    )  # fmt: skip
    add(
        "--out", type=Path, required=True,
        help="folder to write, another than --cache; a cache there is replaced",
    )  # fmt: skip
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    if options.out.resolve() == options.cache.resolve():
        raise InputError("--out: name another folder than --cache, which would be replaced")
    cache = TensorCache(options.cache)
    made = cut(cache, options.shards, options.out)
    items = made.items
    print(
        f"{cache.rows('customers'):,} customers cut into {options.shards} shards of "
        f"{items.min():,} to {items.max():,} items in {options.out}, digest {cache.digest}"
    )


if __name__ == "__main__":
    sys.exit(main())
