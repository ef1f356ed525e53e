"""Looks through a raw text file before DuckDB reads its lines: is it whole, is it UTF-8, how do its
lines end. DuckDB does not compare the check sum of gzip, and reads lines right only if it is told
how they end.
"""

from __future__ import annotations

import codecs
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypedDict, cast

LONGEST_LINE = 2_000_000
"""Bytes of the longest line that DuckDB reads unless told otherwise."""


class TextFile(TypedDict):
    """A file as DuckDB is to read it."""

    problem: str
    """What is wrong with the file as a whole, in words that follow its name; else empty."""
    line_end: str
    """How its lines end, as DuckDB's option new_line spells it."""
    block: int
    """Bytes to be read as one block, where its lines end in both ways; else 0."""


def first_line(path: str) -> str | None:
    """The first line of a file without its end, and without a byte order mark; None if it is empty.

    Raises nothing on a damaged file: what cannot be decoded is replaced.
    """
    try:
        chunk = next(_chunks(path, size=1 << 16), None)
    except (OSError, EOFError, zlib.error):
        return ""
    if chunk is None:
        return None
    return chunk.decode("utf-8-sig", errors="replace").replace("\r", "\n").split("\n", 1)[0]


class Folder(TypedDict):
    """What is at a path, and in it if that is a folder."""

    is_file: bool
    files: list[str]
    """Names of the files in it, in order."""
    unsayable: list[str]
    """Of further files, whose names no engine can say: not UTF-8, or with a backslash. As far as
    they can be shown."""
    others: list[str]
    """Names of what is no file, in order: folders, and links that lead to no file."""


def folder(path: str) -> Folder:
    """List a folder. One that is not there holds nothing."""
    found: Folder = {
        "is_file": Path(path).is_file(), "files": [], "unsayable": [], "others": []
    }  # fmt: skip
    if Path(path).is_dir():
        for entry in sorted(Path(path).iterdir()):
            shown = os.fsencode(entry.name).decode(errors="replace")
            if not entry.is_file():
                found["others"].append(entry.name)
            elif entry.name == shown and "\\" not in shown:
                found["files"].append(entry.name)
            else:
                found["unsayable"].append(shown)
    return found


def text_file(path: str) -> TextFile:
    """Read a file, gzipped if its name says so, to its end.

    DuckDB 2.0 reads a file whose lines end in \\n, or in \\r throughout, where it is told \\n, and
    one whose lines end in \\r\\n where it is told that. Told \\r\\n it reads a mixture of \\n and
    \\r\\n too, but may lose a line where two blocks meet that it reads in parallel; and it drops
    what follows a \\r alone.
    """
    lf = cr = crlf = size = unfinished = 0
    problem = ""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in _chunks(path):
            decoder.decode(chunk)
            if b"\0" in chunk:
                problem = "holds NUL characters; is it UTF-16? Save it as CSV in UTF-8"
            # Only a line that began in an earlier chunk can be so long.
            first, last = _line_ends(chunk)
            if unfinished + first > LONGEST_LINE:
                problem = (
                    problem or f"line {lf + 1} is longer than 2 MB. Save it with a line per row"
                )
            unfinished = len(chunk) - last if last else unfinished + len(chunk)
            size += len(chunk)
            lf += chunk.count(b"\n")
            cr += chunk.count(b"\r")
            crlf += chunk.count(b"\r\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line = lf + error.object.count(b"\n", 0, error.start) + 1
        problem = f"not UTF-8 in line {line}. Save it as CSV in UTF-8"
    except (OSError, EOFError, zlib.error) as error:
        problem = f"damaged or cut short ({error}). Copy or make it again"
    if size and path.lower().endswith(".gz") and not problem:
        problem = _unusual_archive(path)
    if crlf and cr > crlf:
        problem = problem or (
            "some lines end in \\r\\n, but there are carriage returns (\\r) elsewhere. Save it"
            " with one kind of line end"
        )
    return {
        "problem": problem,
        "line_end": "\\r\\n" if crlf else "\\n",
        "block": size if 0 < crlf < lf else 0,
    }


def _unusual_archive(path: str) -> str:
    """What a whole gzipped file has that DuckDB 2.0 stops at, naming no file; else empty."""
    with Path(path).open("rb") as file:
        flags = file.read(4)[3]
        file.seek(-min(10, os.path.getsize(path)), os.SEEK_END)
        found = [
            "a check sum of its header" if flags & 2 else "",
            "a comment in its header" if flags & 16 else "",
            # An empty part ends in nine.
            "zeros behind its end" if file.read() == bytes(10) else "",
        ]
    told = " and ".join(filter(None, found))
    return f"an archive with {told}, which is not read. Unpack it, or pack it again" if told else ""


def _line_ends(chunk: bytes) -> tuple[int, int]:
    """Bytes before the first line end, or all, and up to the last one, or 0."""
    first = min(
        (at for at in (chunk.find(b"\n"), chunk.find(b"\r")) if at >= 0), default=len(chunk)
    )
    return first, max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1


def _chunks(path: str, size: int = 1 << 20) -> Iterator[bytes]:
    """Parts of a file, unpacked; none ends between \\r and \\n."""
    packed = path.lower().endswith(".gz")
    with cast(BinaryIO, gzip.open(path)) if packed else Path(path).open("rb") as file:
        while chunk := file.read(size):
            yield chunk + file.read(1) if chunk.endswith(b"\r") else chunk
