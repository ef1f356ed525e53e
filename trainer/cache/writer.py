"""Writing a tensor cache, in one step and only what a reader accepts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainer.cache.atomic import file_digest, new_folder
from trainer.cache.json_files import json_digest, read_json, write_json
from trainer.cache.reader import MANIFEST, CacheError, check_lengths, shard_folder
from trainer.cache.schema import (
    COLUMN,
    COLUMNS,
    SCHEMA_VERSION,
    SMALLEST,
    STATIC_TABLES,
    TEXT,
    Column,
)

REQUIRED = ("labels", "split", "totals", "settings")
"""What every manifest says beside the columns."""
BLOCK = 1 << 20
"""Rows that are checked, and written, at once."""


def write_cache(
    folder: Path, columns: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
) -> None:
    """Write a cache so that `folder` is never half-written.

    columns: every column of the schema, by name, in any dtype; whole numbers and text are stored
    exactly, fractions rounded to the nearest of their dtype. manifest: `labels` (name -> list, code
    1 first), `split` (name -> [first week, last week]), `totals` (of the marts it was read from),
    `settings`.

    After a crash the old cache or none is there (`new_folder`). Files are the same to the bit for
    the same input.

    Raises ValueError where columns and schema disagree, CacheError where a number does not fit its
    column, or `folder` exists and is no cache.
    """
    folder = Path(folder)
    check_replaceable(folder)
    if set(columns) != set(COLUMN):
        raise ValueError(f"columns differ from the schema: {sorted(set(columns) ^ set(COLUMN))}")
    missing = [name for name in REQUIRED if name not in manifest]
    if missing:
        raise ValueError(f"manifest lacks {', '.join(missing)}")

    with new_folder(folder) as fresh:
        described, digests = {}, {}
        for column in COLUMNS:
            path, values = fresh / f"{column.name}.npy", np.asarray(columns[column.name])
            dtype = _store(path, column, values)
            digests[column.name] = file_digest(path)
            described[column.name] = {
                "dtype": dtype.str,
                "shape": list(values.shape),
                "unit": column.unit,
                "description": column.description,
                "sha256": digests[column.name],
            }
        check_lengths(described)
        content = {
            "schema_version": SCHEMA_VERSION,
            **{name: manifest[name] for name in sorted(manifest)},
            "vocabulary_digest": _digest_of_vocabulary(digests, manifest["labels"]),
            "digest": _digest_of_all(digests, manifest),
            "columns": described,
        }
        write_json(fresh / MANIFEST, content)


def smallest_unsigned(values: np.ndarray) -> np.ndarray:
    """The same whole numbers in the smallest unsigned dtype that holds them.

    Raises ValueError for a negative number or a dtype with fractions.
    """
    return values.astype(_smallest_dtype(values))


def _smallest_dtype(values: np.ndarray) -> np.dtype:
    if not values.size:
        return np.dtype(np.uint8)
    if values.dtype.kind not in "iub":
        raise ValueError(f"expected whole numbers, found {values.dtype}")
    if values.min() < 0:
        raise ValueError(f"expected numbers from 0, found {values.min()}")
    return np.min_scalar_type(int(values.max()))


def check_replaceable(folder: Path) -> None:
    """Raise CacheError unless `folder` is new, empty, or holds a cache and nothing else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CacheError(f"{folder} is not a folder: choose another")
    written = written_files(folder)
    shards = {str(Path(name).parent) for name in written}
    inside = [path for part in {".", *shards} for path in (folder / part).glob("*")]
    found = {path.relative_to(folder).as_posix() for path in inside}
    if foreign := sorted(found - written - shards):
        raise CacheError(
            f"{folder} exists and is not a tensor cache, it holds {foreign[0]}: "
            "choose another folder, or move this one away"
        )


def written_files(folder: Path) -> set[str]:
    """The files of a cache, of any version, by their paths in it; none where the manifest is not of
    one."""
    try:
        manifest = read_json(folder / MANIFEST)
        if "schema_version" not in manifest:
            return set()
        shards = enumerate(manifest.get("shards", ()))
        return {
            MANIFEST,
            *(f"{name}.npy" for name in manifest["columns"]),
            *(
                (shard_folder(Path(), n) / f"{name}.npy").as_posix()
                for n, shard in shards
                for name in shard["columns"]
            ),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _store(path: Path, column: Column, values: np.ndarray) -> np.dtype:
    """Write a column in its dtype, which is returned; blocks of it alone are copied."""
    if values.ndim != (1 if column.width is None else 2):
        raise ValueError(f"{column.name}: unexpected shape {values.shape}")
    if column.dtype == TEXT:
        values = values.astype(np.bytes_, copy=False)
        dtype = values.dtype
    else:
        for first in range(0, len(values), BLOCK):
            _check_numbers(column, values[first : first + BLOCK], first)
        dtype = _smallest_dtype(values) if column.dtype == SMALLEST else np.dtype(column.dtype)
    header = {"descr": dtype.str, "fortran_order": False, "shape": values.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, len(values), BLOCK):
            file.write(values[first : first + BLOCK].astype(dtype).tobytes())
    return dtype


def _check_numbers(column: Column, values: np.ndarray, first_row: int) -> None:
    """Raise an error where the column cannot hold one of these values."""
    is_fraction = values.dtype.kind == "f"
    if column.dtype == SMALLEST and is_fraction:
        raise ValueError(f"{column.name}: expected whole numbers, found {values.dtype}")
    lowest, highest = column.limits
    misfit = ~((values >= lowest) & (values <= highest))  # NaN is one
    if is_fraction and not column.dtype.startswith("float"):
        misfit |= values != np.rint(values)
    if misfit.any():
        row = first_row + int(np.argwhere(misfit)[0][0])
        raise CacheError(
            f"{column.name} row {row}: {values[misfit][0]} does not fit, the cache holds "
            f"{lowest:,.10g} to {highest:,.10g}: correct what it comes from, or leave it out"
        )


def _combined(digests: Mapping[str, str]) -> str:
    lines = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def _digest_of_vocabulary(digests: Mapping[str, str], labels: Mapping[str, Any]) -> str:
    """Of all that gives tokens, rows and labels their meaning, whatever was bought."""
    static = {n: d for n, d in digests.items() if n.partition(".")[0] in STATIC_TABLES}
    return _combined(static | {"labels": json_digest(labels)})


def _digest_of_all(digests: Mapping[str, str], manifest: Mapping[str, Any]) -> str:
    """Of all that training and evaluation read: columns, labels and the split of the weeks."""
    return _combined({**digests, **{n: json_digest(manifest[n]) for n in ("labels", "split")}})
