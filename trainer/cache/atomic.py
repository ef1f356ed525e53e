"""Writing files and folders in one step, so that a crash never leaves half of anything."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RENAME_EXCHANGE = 2
AT_FDCWD = -100


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Write a file in one step: whoever reads `path` sees the old one or all of the new one.

    Yields a path beside it to write to. An error leaves what was there before.
    """
    fresh = _beside(path, "new")
    try:
        yield fresh
        _flush(fresh)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Write a folder in one step: whoever opens `path` finds the old one or all of the new one.

    Yields an empty folder beside it to write into. An error or a kill leaves what was there
    before; what a killed process left beside `path` is removed by the next call. Where `path` is a
    link, it stays one and the folder that it points to is replaced. Raises NotADirectoryError where
    it is a file.

    Old and new change places in one step on Linux. A file system that cannot do that gives the old
    one another name for a moment; `recover` puts it back if the process is killed just then.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    recover(path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file, where a folder is to be written")
    _remove_leftovers(path)
    fresh = _beside(path, "new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        for written in (fresh, *fresh.rglob("*")):
            _flush(written)
        if path.exists():
            _exchange(fresh, path)
        else:
            fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)  # the old one, if all went well


def recover(path: Path) -> None:
    """Put back a folder that `new_folder` was killed while replacing, if that is needed."""
    path = path.resolve()
    old = _set_aside(path)
    if old.exists() and not path.exists():
        old.rename(path)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{ending}")


def _set_aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(fresh: Path, path: Path) -> None:
    """Put `fresh` in the place of `path`; what was there is then at `fresh`."""
    # Python has no function for this system call.
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    names = AT_FDCWD, os.fsencode(fresh), AT_FDCWD, os.fsencode(path)
    if rename is not None and rename(*names, ctypes.c_uint(RENAME_EXCHANGE)) == 0:
        return
    old = _set_aside(path)
    shutil.rmtree(old, ignore_errors=True)
    path.rename(old)
    fresh.rename(path)
    old.rename(fresh)


def _remove_leftovers(path: Path) -> None:
    """Remove what writers of `path` that are no longer running left beside it."""
    name = re.compile(re.escape(f".{path.name}.") + r"(\d+)\.new")
    for beside in path.parent.iterdir():
        found = name.fullmatch(beside.name)
        if found and not _is_running(int(found[1])):
            shutil.rmtree(beside, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's, or no number of a process
        pass
    return True
