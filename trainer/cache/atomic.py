"""Writing so that a crash never leaves half of anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_version(folder: Path, name: str, version: str) -> Iterator[Path]:
    """Write a new version of `folder/name`; the old one stands until the new one is complete.

    Yields an empty folder to write into, `folder/name-version`. Afterwards the link `folder/name`
    points to it, in one step, and the version before is removed. A crash at any moment leaves the
    link on a complete version, or no link where there was none.
    """
    link = folder / name
    fresh = folder / f"{name}-{version}"
    before = link.resolve() if link.is_symlink() else None
    if before == fresh.resolve():
        fresh = folder / f"{name}-{version}.again"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    yield fresh
    for path in fresh.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    pointer = folder / f".{name}.link"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(fresh.name, target_is_directory=True)
    pointer.replace(link)
    for path in folder.glob(f"{name}-*"):
        if path != fresh:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Write a file in one step: whoever reads `path` sees the old one or all of the new one.

    Yields a path beside it to write to. An error leaves what was there before.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        yield fresh
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
