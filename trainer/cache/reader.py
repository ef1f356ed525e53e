"""Reading and writing a tensor cache: memory-mapped columns beside a manifest.

Numpy only: the exporter writes with it, the trainer reads with it. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainer.cache.schema import (
    CODES_OF_CONTEXT,
    COLUMN,
    COLUMNS,
    SCHEMA_VERSION,
    SMALLEST,
    STATIC_TABLES,
    TEXT,
    Column,
)
from trainer.cache.vocabulary import Vocabulary

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 << 20
REQUIRED = ("labels", "split", "totals", "settings")
FACTS = {"dtype", "shape", "sha256"}
"""What the manifest must say of each column."""


class CacheError(Exception):
    """A cache that is missing, damaged or of another format; the message says what to do."""


def smallest_unsigned(values: np.ndarray) -> np.ndarray:
    """The same whole numbers in the smallest unsigned dtype that holds them.

    Raises ValueError for a negative number or a dtype with fractions.
    """
    if not values.size:
        return values.astype(np.uint8)
    if values.dtype.kind not in "iub":
        raise ValueError(f"expected whole numbers, found {values.dtype}")
    if values.min() < 0:
        raise ValueError(f"expected numbers from 0, found {values.min()}")
    return values.astype(np.min_scalar_type(int(values.max())))


def write_cache(
    folder: Path, columns: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
) -> None:
    """Write a cache so that `folder` is never half-written.

    columns: every column of the schema, by name, in any dtype that casts to its own without loss
    of range. manifest: `labels` (name -> list, code 1 first), `split` (name -> [first week, last
    week]), `totals` (of the marts it was read from), `settings`.

    Everything goes to a folder beside `folder`, which then takes its place; after a crash the old
    cache or none is there. Files are the same to the bit for the same input.

    Raises ValueError where columns and schema disagree, CacheError where `folder` exists and is no
    cache.
    """
    folder = Path(folder).resolve()  # so that a link stays one
    _check_replaceable(folder)
    if set(columns) != set(COLUMN):
        raise ValueError(f"columns differ from the schema: {sorted(set(columns) ^ set(COLUMN))}")
    missing = [name for name in REQUIRED if name not in manifest]
    if missing:
        raise ValueError(f"manifest lacks {', '.join(missing)}")

    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        described, digests = {}, {}
        for column in COLUMNS:
            values = _as_stored(column, columns[column.name])
            path = fresh / f"{column.name}.npy"
            with path.open("wb") as file:
                np.save(file, values, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            digests[column.name] = _digest(path)
            described[column.name] = {
                "dtype": values.dtype.str,
                "shape": list(values.shape),
                "unit": column.unit,
                "description": column.description,
                "sha256": digests[column.name],
            }
        content = {
            "schema_version": SCHEMA_VERSION,
            **{name: manifest[name] for name in sorted(manifest)},
            "vocabulary_digest": _vocabulary_digest(digests, manifest["labels"]),
            "digest": _digest_of_all(digests, manifest),
            "columns": described,
        }
        with (fresh / MANIFEST).open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        _check_lengths(described)
        _replace(folder, fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


class TensorCache:
    """A cache opened for reading: `cache["trips.week"]` is a read-only memory map.

    Attributes:
        folder: where it lies.
        manifest: everything manifest.json says.
        digest, vocabulary_digest: what a checkpoint remembers of it.
        labels: name -> tuple of labels, code 1 first.
        split: name -> (first week, last week), both included.
    """

    def __init__(self, folder: Path | str, verify: bool = True) -> None:
        """Open a cache. `verify` reads every file once to compare it with its digest.

        Raises CacheError where something is missing, damaged or of another format.
        """
        self.folder = Path(folder)
        self.manifest = _read_manifest(self.folder)
        described = self.manifest["columns"]
        self._columns = _open_columns(self.folder, described, COLUMN, verify)
        try:
            _check_lengths(described)
        except ValueError as error:
            raise CacheError(f"{self.folder / MANIFEST}: {error}; export again") from None
        if verify:
            self._check_values()
        self.digest: str = self.manifest["digest"]
        self.vocabulary_digest: str = self.manifest["vocabulary_digest"]
        self.labels = {name: tuple(labels) for name, labels in self.manifest["labels"].items()}
        self.split = {name: tuple(weeks) for name, weeks in self.manifest["split"].items()}

    def __reduce__(self):
        # A worker process maps the files again; a pickled map would carry all they hold.
        return TensorCache, (self.folder, False)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def rows(self, table: str) -> int:
        """Rows of a table."""
        column = next(c for c in COLUMNS if c.table == table and not c.is_offsets)
        return len(self._columns[column.name])

    @property
    def products(self) -> int:
        """N: products with a token of their own."""
        return self.rows("products")

    @property
    def vocabulary(self) -> Vocabulary:
        """What the cache's tokens stand for."""
        return Vocabulary(self.products, self.rows("categories"))

    def _check_values(self) -> None:
        """What a wrong producer could break and no digest shows."""
        for name, table in (
            ("customer_weeks.customer", "customers"),
            ("trips.customer_week", "customer_weeks"),
            ("trips.day", "days"),
            ("trips.store", "stores"),
            ("items.price", "shelf_prices"),
            ("products.category", "categories"),
            ("anonymous_prices.product", "products"),
            ("anonymous_prices.store", "stores"),
        ):
            self._check_range(name, 0, self.rows(table) - 1)
        for name, label in (
            ("customers.price_sensitivity", "price_sensitivity"),
            ("customers.lifestage", "lifestage"),
            ("stores.format", "store_format"),
            ("stores.region", "store_region"),
            ("days.holiday", "holiday"),
        ):
            self._check_range(name, 0, len(self.manifest["labels"][label]))
        for name, codes in CODES_OF_CONTEXT.items():
            self._check_range(f"trips.{name}", 0, codes - 1)
        for name, lowest, highest in (
            ("trips.week", 1, self.rows("weeks")),
            ("anonymous_prices.week", 1, self.rows("weeks")),
            ("trips.hour", 0, 23),
            ("days.weekday", 1, 7),
            ("days.week_of_year", 1, 53),
            ("categories.parent", -1, self.rows("categories") - 1),
        ):
            self._check_range(name, lowest, highest)
        for name in ("graph.source", "graph.target"):
            self._check_range(name, 0, self.products + self.rows("categories") - 1)
        self._check_range("customer_weeks.primary_store", 0, self.rows("stores"))
        vocabulary = self.vocabulary
        self._check_range("items.token", 1, vocabulary.input_size - 1)
        specials = np.isin(self["items.token"], (vocabulary.mask, vocabulary.eos))
        if specials.any():
            raise CacheError(
                f"{self.folder / 'items.token.npy'} row {specials.argmax()}: "
                "[MASK] or [EOS] as an item; export again"
            )
        for name, values in self._columns.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                row = int(np.argwhere(~np.isfinite(values))[0][0])
                raise CacheError(
                    f"{self.folder / f'{name}.npy'} row {row}: not a finite number; export again"
                )
        for name in (
            "shelf_prices.pence", "shelf_prices.base_pence", "products.pence", "categories.pence",
            "anonymous_prices.pence",
        ):  # fmt: skip
            self._check_range(name, 0, np.inf)
        for name, table in (("customers.trip_offsets", "trips"), ("trips.item_offsets", "items")):
            offsets = self[name].astype(np.int64)
            if offsets[0] != 0 or offsets[-1] != self.rows(table) or (np.diff(offsets) < 0).any():
                raise CacheError(f"{self.folder / f'{name}.npy'} does not span {table}")

    def _check_range(self, name: str, lowest: float, highest: float) -> None:
        values = self[name]
        outside = (values < lowest) | (values > highest)
        if outside.any():
            row = int(outside.argmax())
            raise CacheError(
                f"{self.folder / f'{name}.npy'} row {row}: {values[row]} is outside "
                f"{lowest}..{highest}; export again"
            )


def read_columns(
    folder: Path | str, names: Iterable[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The manifest and some columns of a cache, in memory; the others need not be there.

    Raises CacheError where one of them is missing, damaged or of another format.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    columns = _open_columns(folder, manifest["columns"], names, verify=True)
    return manifest, {name: np.array(values) for name, values in columns.items()}


def _open_columns(
    folder: Path, described: Mapping[str, Any], names: Iterable[str], verify: bool
) -> dict[str, np.ndarray]:
    columns = {name: _map(folder, name, described[name]) for name in names}
    for name in columns if verify else ():
        path = folder / f"{name}.npy"
        if _digest(path) != described[name]["sha256"]:
            raise CacheError(f"{path} is damaged (its digest differs): export again")
    return columns


def _check_replaceable(folder: Path) -> None:
    """Raise CacheError unless `folder` is new, empty, or holds a cache and nothing else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CacheError(f"{folder} is not a folder: choose another")
    names = sorted(path.name for path in folder.iterdir())
    foreign = [name for name in names if name != MANIFEST and not name.endswith(".npy")]
    if foreign or (names and MANIFEST not in names):
        raise CacheError(
            f"{folder} exists and is not a tensor cache, it holds {(foreign or names)[0]}: "
            "choose another folder"
        )


def _as_stored(column: Column, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != (1 if column.width is None else 2):
        raise ValueError(f"{column.name}: unexpected shape {values.shape}")
    if column.dtype == TEXT:
        return np.ascontiguousarray(values.astype(np.bytes_))
    if column.dtype == SMALLEST:
        try:
            return np.ascontiguousarray(smallest_unsigned(values))
        except ValueError as error:
            raise ValueError(f"{column.name}: {error}") from None
    with np.errstate(over="ignore", invalid="ignore"):
        stored = values.astype(column.dtype)
    wide = np.asarray(values, dtype=np.float64)
    if not np.isfinite(stored.astype(np.float64)).all() or (
        stored.dtype.kind != "f" and (stored.astype(np.float64) != wide).any()
    ):
        raise ValueError(f"{column.name}: a value does not fit {column.dtype}")
    return np.ascontiguousarray(stored)


def _check_lengths(described: Mapping[str, Any]) -> None:
    rows: dict[str, int] = {}
    for column in COLUMNS:
        length = described[column.name]["shape"][0] - column.is_offsets
        if rows.setdefault(column.table, length) != length:
            raise ValueError(
                f"{column.name} has {length} rows, others of its table {rows[column.table]}"
            )


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise CacheError(f"{path} does not exist: run python -m dbt_project.export")
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise CacheError(f"{path} is too large to be a manifest")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CacheError(f"{path} is not JSON ({error}): export again") from None
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        raise CacheError(
            f"{path}: schema version {version}, this code reads {SCHEMA_VERSION}: export again"
        )
    needed = (*REQUIRED, "columns", "digest", "vocabulary_digest")
    missing = [name for name in needed if name not in manifest]
    described = manifest.get("columns", {})
    missing += [name for name in COLUMN if not described.get(name, {}).keys() >= FACTS]
    if missing:
        raise CacheError(f"{path} lacks {', '.join(missing[:5])}: export again")
    digests = {name: described[name]["sha256"] for name in COLUMN}
    if (manifest["digest"], manifest["vocabulary_digest"]) != (
        _digest_of_all(digests, manifest),
        _vocabulary_digest(digests, manifest["labels"]),
    ):
        raise CacheError(f"{path} is damaged (its digest differs): export again")
    return manifest


def _map(folder: Path, name: str, facts: Mapping[str, Any]) -> np.ndarray:
    path = folder / f"{name}.npy"
    if not path.is_file():
        raise CacheError(f"{path} does not exist: export again")
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise CacheError(f"{path} cannot be read ({error}): export again") from None
    if values.dtype.str != facts["dtype"] or list(values.shape) != facts["shape"]:
        raise CacheError(
            f"{path} holds {values.dtype.str} {list(values.shape)}, "
            f"the manifest says {facts['dtype']} {facts['shape']}: export again"
        )
    return values


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _combined(digests: Mapping[str, str]) -> str:
    lines = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def _vocabulary_digest(digests: Mapping[str, str], labels: Mapping[str, Any]) -> str:
    """Of all that gives tokens, rows and labels their meaning, whatever was bought."""
    static = {n: d for n, d in digests.items() if n.partition(".")[0] in STATIC_TABLES}
    return _combined(static | {"labels": _digest_of_json(labels)})


def _digest_of_all(digests: Mapping[str, str], manifest: Mapping[str, Any]) -> str:
    """Of all that training and evaluation read: columns, labels and the split of the weeks."""
    return _combined({**digests, **{n: _digest_of_json(manifest[n]) for n in ("labels", "split")}})


def _digest_of_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _replace(folder: Path, fresh: Path) -> None:
    """Put `fresh` in the place of `folder`; a crash in between leaves none, never half of one."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
