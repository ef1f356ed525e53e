"""Writing files and folders in one step, so that a crash never leaves half of anything.

What is being written to `path` lies in a folder beside it until it is complete:

    .NAME.xxxxxxxx.new/     made by `tempfile`, so that no two writers share it
        .retailsim          says whose it is; locked for as long as the writer lives
        NAME                what is being written
        .old                what was at `path`, for the moment it takes to change places
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

RENAME_EXCHANGE = 2
AT_FDCWD = -100
MARK, OLD = ".retailsim", ".old"
MARKED = "Unfinished work of RetailSim. It goes when the same name is written next.\n"


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Write a file in one step: whoever reads `path` sees the old one or all of the new one.

    Yields a path of the same name to write to. An error or a kill leaves what was there before.
    Where `path` is a link, the file that it points to is replaced. Raises OSError, which names
    `path`.
    """
    path = path.resolve()
    with beside(path) as fresh:
        yield fresh
        _flush(fresh)
        os.replace(fresh, path)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Write a folder in one step: whoever opens `path` finds the old one or all of the new one.

    Yields an empty folder of the same name to write into. An error or a kill leaves what was there
    before; what a killed process left beside `path` is removed by the next call. Where `path` is a
    link, it stays one and the folder that it points to is replaced. Raises NotADirectoryError where
    it is a file, and OSError, which names `path`, where it cannot be written.

    Old and new change places in one step on Linux. A file system that cannot do that sets the old
    one aside for a moment; `recover` puts it back if the process is killed just then.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file, where a folder is to be written")
    with beside(path) as fresh:
        fresh.mkdir()
        yield fresh
        for written in (fresh, *fresh.rglob("*")):
            _flush(written)
        if path.exists():
            _exchange(fresh, path)
        else:
            fresh.rename(path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A place for what is to become `path`: yields it, and removes what is left there at the end.

    It is in a folder of its own beside `path`, where further files may be put. What killed
    processes left there is removed first. Errors of writing there name `path`.
    """
    path = path.resolve()
    recover(path)
    with errors_naming(path, passing=str(path.with_name(f".{path.name}."))):
        folder, mark = _marked_folder(path)
        try:
            with mark:
                yield folder / path.name
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # with the old one, if all went well


def _marked_folder(path: Path) -> tuple[Path, TextIO]:
    """A new folder beside `path`, and its mark, open and locked.

    Before it is marked `recover` takes it for left over; then another one is made.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent))
        try:
            mark = (folder / MARK).open("w")
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(mark, fcntl.LOCK_EX)
            mark.write(MARKED)
            mark.flush()
            if os.fstat(mark.fileno()).st_nlink:
                return folder, mark
            mark.close()
        except FileNotFoundError:
            continue
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


@contextmanager
def errors_naming(path: Path, passing: str | None = None) -> Iterator[None]:
    """Give `path` to an OSError that names no file, as most errors of writing do, and numpy's not
    even a cause; also to one that names a file whose path begins with `passing`.
    """
    try:
        yield
    except OSError as error:
        named = None if error.filename is None else os.fsdecode(error.filename)
        if named is not None and (passing is None or not named.startswith(passing)):
            raise
        reason = error.strerror or f"cannot be written ({error}): is the disk full?"
        raise OSError(error.errno or errno.EIO, reason, str(path)) from error


def recover(path: Path) -> None:
    """Clear up after writers of `path` that were killed.

    A folder that one of them had set aside just then is put back. Folders of others are left alone,
    whatever their names, unless they are empty.
    """
    path = path.resolve()
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.new"):
        with contextlib.suppress(OSError):
            left.rmdir()  # of a writer that was killed before it had marked it
        with contextlib.suppress(OSError), (left / MARK).open("r+") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError while its writer lives
            if mark.read() not in ("", MARKED):
                continue
            if (left / OLD).is_dir() and not path.exists():
                (left / OLD).rename(path)
            shutil.rmtree(left, ignore_errors=True)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(fresh: Path, path: Path) -> None:
    """Put `fresh` in the place of `path`; what was there is then beside it."""
    # Python has no function for this system call.
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    names = AT_FDCWD, os.fsencode(fresh), AT_FDCWD, os.fsencode(path)
    if rename is not None and rename(*names, ctypes.c_uint(RENAME_EXCHANGE)) == 0:
        return
    path.rename(fresh.with_name(OLD))
    fresh.rename(path)
