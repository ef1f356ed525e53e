"""Reading a tensor cache: memory-mapped columns beside a manifest.

Numpy only, so that the exporter needs no torch. Nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainer.cache.atomic import file_digest
from trainer.cache.json_files import CONTENT_DIGEST, is_intact, read_json
from trainer.cache.schema import (
    COLUMN,
    COLUMNS,
    LATER_TABLES,
    MAX_KINDS,
    SCHEMA_VERSION,
    TIMELINE_TABLES,
    LabelCounts,
)  # fmt: skip
from trainer.cache.vocabulary import Vocabulary
from trainer.commands.errors import ExpectedError

MANIFEST = "manifest.json"
EXPORT = "run python -m dbt_project.export"
CUT = "copy it to this machine again, or cut the cache again (python -m trainer.cache.shards)"


class CacheError(ExpectedError):
    """A cache that is missing, damaged or of another format; the message says what to do."""


class TensorCache:
    """A cache opened for reading: `cache["trips.week"]` is a read-only memory map.

    Attributes:
        folder: where it is.
        manifest: the contents of manifest.json.
        digest, vocabulary_digest: of all columns, and of the static tables; saved in checkpoints.
        labels: name -> tuple of labels, code 1 first.
        split: name -> (first week, last week), both included.
        shard, shards: which shard's customers it holds, of how many; None and 1 where all.
        totals: of a shard, what is counted over all customers (`trainer.cache.totals`).
    """

    def __init__(
        self,
        folder: Path | str,
        verify: bool = True,
        remedy: str | None = None,
        shard: int | None = None,
    ) -> None:
        """Open a cache, or one shard of a cache that is cut, with the tables that all share.

        `verify` reads every file once to compare it with its digest. Raises CacheError, which ends
        with the remedy, where something is missing, damaged or of another format.
        """
        self.folder, self.shard = Path(folder), shard
        remedy = remedy or (EXPORT if shard is None else CUT)
        self.totals: dict[str, np.ndarray] = {}
        try:
            self.manifest = _read_manifest(self.folder)
            self.shards = _shards(self.manifest)
            described = _described(self.folder, self.manifest, shard)
            self._columns = {name: np.zeros(0, dtype=np.uint8) for name in _later(described)}
            for name in COLUMN:
                if name not in self._columns:
                    self._columns[name] = _map(self._path(name), described[name], verify)
            check_lengths(described)
            if verify:
                self._check_values()
        except CacheError as error:
            raise CacheError(f"{error}: {remedy}") from None
        except ValueError as error:
            raise CacheError(f"{self.folder / MANIFEST}: {error}: {remedy}") from None
        self.digest: str = self.manifest["digest"]
        self.vocabulary_digest: str = self.manifest["vocabulary_digest"]
        self.labels = {name: tuple(labels) for name, labels in self.manifest["labels"].items()}
        self.split = {name: tuple(weeks) for name, weeks in self.manifest["split"].items()}

    def __reduce__(self):
        # A worker process maps the files again; a pickled map would carry all their values.
        return _open_again, (self.folder, self.manifest[CONTENT_DIGEST], self.shard, self.totals)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def _path(self, name: str) -> Path:
        """The file of a column."""
        cut = self.shard is not None and COLUMN[name].table in TIMELINE_TABLES
        return (shard_folder(self.folder, self.shard) if cut else self.folder) / f"{name}.npy"

    def rows(self, table: str) -> int:
        """Rows of a table."""
        column = next(c for c in COLUMNS if c.table == table and not c.is_offsets)
        return len(self._columns[column.name])

    @property
    def products(self) -> int:
        """N: products in the vocabulary."""
        return self.rows("products")

    @property
    def vocabulary(self) -> Vocabulary:
        """What the cache's tokens stand for."""
        return Vocabulary(self.products, self.rows("categories"))

    @property
    def label_counts(self) -> LabelCounts:
        """How many labels its columns have."""
        return LabelCounts.of(self.manifest["labels"])

    def _check_values(self) -> None:
        """Raise CacheError for values that a faulty exporter could write under a valid digest."""
        for column in COLUMNS:
            values = self[column.name]
            if not column.holds(values):
                raise CacheError(
                    f"{self._path(column.name)} holds {values.dtype} {values.shape}, "
                    f"expected {column.dtype}"
                )
            width = self.label_counts.widths.get(column.width)
            if width is not None and values.shape[1] != width:
                raise CacheError(
                    f"{self._path(column.name)}: expected {width} numbers a row, one "
                    f"for each of its {column.width}, not {values.shape[1]}"
                )
        for name, table in (
            ("customer_weeks.customer", "customers"),
            ("trips.customer_week", "customer_weeks"),
            ("trips.day", "days"),
            ("trips.store", "stores"),
            ("items.price", "shelf_prices"),
            ("products.category", "categories"),
            ("anonymous_prices.product", "products"),
            ("anonymous_prices.store", "stores"),
            ("promotions.product", "products"),
            ("promotions.store", "stores"),
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
        for name, codes in self.label_counts.codes.items():
            if not 2 <= codes <= MAX_KINDS + 1:
                raise CacheError(
                    f"{self.folder / MANIFEST}: {codes - 1} labels of trips.{name}, expected 1 to "
                    f"{MAX_KINDS}"
                )
            self._check_range(f"trips.{name}", 0, codes - 1)
        for name, lowest, highest in (
            ("trips.week", 1, self.rows("weeks")),
            ("anonymous_prices.week", 1, self.rows("weeks")),
            ("promotions.week", 1, self.rows("weeks")),
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
                f"{self._path('items.token')} row {specials.argmax()}: [MASK] or [EOS] as an item"
            )
        for name, values in self._columns.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                row = int(np.argwhere(~np.isfinite(values))[0][0])
                raise CacheError(f"{self._path(name)} row {row}: not a finite number")
        for column in COLUMNS:
            if column.is_price:
                self._check_range(column.name, *column.limits)
        for name, table in (("customers.trip_offsets", "trips"), ("trips.item_offsets", "items")):
            offsets = self[name].astype(np.int64)
            if offsets[0] != 0 or offsets[-1] != self.rows(table) or (np.diff(offsets) < 0).any():
                raise CacheError(f"{self._path(name)} does not span {table}")

    def _check_range(self, name: str, lowest: float, highest: float) -> None:
        values = self[name]
        outside = (values < lowest) | (values > highest)
        if outside.any():
            row = int(outside.argmax())
            raise CacheError(
                f"{self._path(name)} row {row}: {values[row]} is outside {lowest}..{highest}"
            )


def read_columns(
    folder: Path | str, names: Iterable[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The manifest and some columns of a cache, in memory; other columns may be missing.

    Raises CacheError where one of them is missing, damaged or of another format.
    """
    folder = Path(folder)
    try:
        manifest = _read_manifest(folder)
        described = _described(folder, manifest)
        columns = {name: _map(folder / f"{name}.npy", described[name], True) for name in names}
    except CacheError as error:
        raise CacheError(f"{error}: export it again, or use another") from None
    return manifest, {name: np.array(values) for name, values in columns.items()}


def shards_of(folder: Path | str) -> int:
    """How many shards a cache is cut into, 1 for a whole one. Raises CacheError where there is no
    cache."""
    try:
        return _shards(_read_manifest(Path(folder)))
    except CacheError as error:
        raise CacheError(f"{error}: {EXPORT}") from None


def shard_folder(folder: Path, shard: int) -> Path:
    """Where the columns of a shard lie."""
    return folder / f"shard-{shard}"


def _open_again(
    folder: Path, content_digest: str, shard: int | None, totals: dict[str, np.ndarray]
) -> TensorCache:
    """The cache that another process has opened and verified."""
    cache = TensorCache(folder, verify=False, shard=shard)
    if cache.manifest[CONTENT_DIGEST] != content_digest:
        raise CacheError(f"{folder} was replaced while it was in use: start again")
    cache.totals = totals
    return cache


def _shards(manifest: Mapping[str, Any]) -> int:
    return len(manifest["shards"]) if "shards" in manifest else 1


def _described(folder: Path, manifest: Mapping[str, Any], shard: int | None = None) -> dict:
    """The columns of a cache or of one shard, by name, as the manifest describes them."""
    described = dict(manifest["columns"])
    if shard is not None:
        described |= manifest["shards"][shard]["columns"]
    elif "shards" in manifest:
        raise CacheError(
            f"{folder} is cut into {len(manifest['shards'])} shards, which training alone reads; "
            "use the cache that it was cut from, or make one"
        )
    later = _later(described)
    if missing := [n for n in COLUMN if n not in described and n not in later]:
        raise CacheError(f"{folder / MANIFEST} lacks {', '.join(missing[:5])}")
    return described


def _later(described: Mapping[str, Any]) -> list[str]:
    """Columns of `LATER_TABLES` of which a cache has none."""
    return [
        column.name
        for column in COLUMNS
        if column.table in LATER_TABLES
        and not any(name.startswith(f"{column.table}.") for name in described)
    ]


def check_lengths(described: Mapping[str, Any]) -> None:
    rows: dict[str, int] = {}
    for column in COLUMNS:
        if column.name not in described:
            continue
        length = described[column.name]["shape"][0] - column.is_offsets
        if rows.setdefault(column.table, length) != length:
            raise ValueError(
                f"{column.name} has {length} rows, others of its table {rows[column.table]}"
            )


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise CacheError(f"{path} does not exist")
    try:
        manifest = read_json(path)
    except ValueError as error:
        raise CacheError(str(error)) from None
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise CacheError(f"{path}: schema version {version}, this code reads {SCHEMA_VERSION}")
    if not is_intact(manifest):
        raise CacheError(f"{path} is damaged (its digest differs)")
    return manifest


def _map(path: Path, facts: Mapping[str, Any], verify: bool) -> np.ndarray:
    if not path.is_file():
        raise CacheError(f"{path} does not exist")
    # First of all: numpy's reader may say anything about a damaged file.
    if verify and file_digest(path) != facts["sha256"]:
        raise CacheError(f"{path} is damaged or of another cache (its digest differs)")
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise CacheError(f"{path} cannot be read ({error})") from None
    if values.dtype.str != facts["dtype"] or list(values.shape) != facts["shape"]:
        raise CacheError(
            f"{path} holds {values.dtype.str} {list(values.shape)}, "
            f"the manifest says {facts['dtype']} {facts['shape']}"
        )
    return values
