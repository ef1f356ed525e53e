"""Reads delimited text record by record, and loses none: what cannot be split into its fields is a
record too, with the reason.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from .errors import LayoutError

LONGEST_LINE = 2_000_000
"""Characters of the longest line that is read."""
MOST_LINES = 100
"""Lines of the longest record: so far a quotation mark may reach."""

_UNDECODED = re.compile("[\udc80-\udcff]")
"""What open(errors="surrogateescape") makes of bytes that are no text in the encoding."""


class Record(NamedTuple):
    """One record of a file."""

    line: int
    """The line that it begins in, from 1; the header is a record, too."""
    lines: list[str]
    """Its lines as they are in the file, with their ends."""
    fields: list[str]
    """Its values, as many as the header has; none where there is a fault."""
    fault: str | None
    """Why it cannot be split into fields."""

    @property
    def text(self) -> str:
        """The record without its line end; bytes that are no text, and NUL, as escapes."""
        text = "".join(self.lines).rstrip("\r\n").replace("\0", "\\x00")
        return _UNDECODED.sub(lambda byte: f"\\x{ord(byte.group()) - 0xDC00:02x}", text)


def open_text(path: Path, encoding: str, mode: str = "r") -> TextIO:
    """A text file, gzipped if its name says so. A byte order mark of UTF-8 is not its text."""
    if codecs.lookup(encoding).name == "utf-8" and mode == "r":
        encoding = "utf-8-sig"
    options = {"encoding": encoding, "errors": "surrogateescape", "newline": ""}
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, f"{mode}t", **options)
    return path.open(mode, **options)


def records(path: Path, encoding: str, delimiter: str) -> Iterator[Record]:
    """The records of a file in order, the header first. Memory is bounded by the longest record.

    Values may stand in quotation marks; between them, a delimiter or a line end is text, and two
    quotation marks are one. A quotation mark that opens a value and is not closed in time would
    take the lines behind it with it: then its line alone is at fault, as it is if what it encloses
    over several lines makes another number of fields than the header has.

    encoding: a name that Python knows. delimiter: one character.

    Raises LayoutError, in one line, where the file as a whole cannot be read.
    """
    with open_text(path, encoding) as file:
        lines = _Lines(file)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        width = None
        try:
            while True:
                number = lines.begin()
                fault = None
                try:
                    fields = next(reader)
                except StopIteration:
                    if width is None:
                        raise LayoutError(f"{path}: empty. Expected a header and lines") from None
                    return
                except (csv.Error, _TooManyLines) as error:
                    fault, fields = "quotation mark not closed, or inside a field", []
                    if "field limit" in str(error):
                        fault = f"field longer than {csv.field_size_limit()} characters"
                if len(lines.taken) > 1 and (fault or width not in (None, len(fields))):
                    lines.give_back()
                    fault, fields = "quotation mark not closed, or inside a field", []
                for line in lines.taken:
                    if not line.isascii() and _UNDECODED.search(line):
                        fault, fields = f"not {encoding}", []
                    elif "\0" in line:
                        fault, fields = "NUL character", []
                if fault is None and not fields:
                    fault = "blank line"
                elif fault is None and width not in (None, len(fields)):
                    fault, fields = "wrong number of fields", []
                if width is None:
                    _check_header(path, fault)
                    width = len(fields)
                yield Record(number, lines.taken, fields, fault)
        except _LineTooLong:
            raise LayoutError(
                f"{path}: line {lines.number} is longer than 2 MB. Save it with a line per row"
            ) from None
        except (OSError, EOFError, zlib.error) as error:
            raise LayoutError(
                f"{path}: damaged or cut short ({error}). Copy or make it again"
            ) from None
        except UnicodeError as error:
            raise LayoutError(f"{path}: not {encoding} ({error}). Say its `encoding`") from None


def _check_header(path: Path, fault: str | None) -> None:
    if fault is None:
        return
    hint = "; is it UTF-16" if fault == "NUL character" else ""
    if hint or fault.startswith("not "):
        hint += "? Say its `encoding`"
    raise LayoutError(f"{path}: the header, its first line: {fault}{hint}")


class _LineTooLong(Exception):
    pass


class _TooManyLines(Exception):
    pass


class _Lines:
    """The lines of a file for csv.reader, which asks for as many as a record has."""

    def __init__(self, file: TextIO) -> None:
        self.number = 0
        """Lines handed out and not given back."""
        self.taken: list[str] = []
        """Those of the record at hand."""
        self._read = file.readline
        self._again: deque[str] = deque()

    def begin(self) -> int:
        """The next line begins a record; its number."""
        self.taken = []
        return self.number + 1

    def give_back(self) -> None:
        """All of the record's lines but its first are read again, as records of their own."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1
        del self.taken[1:]

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) == MOST_LINES:
            raise _TooManyLines
        line = self._again.popleft() if self._again else self._read(LONGEST_LINE + 2)
        if not line:
            raise StopIteration
        if self.number == 0:  # open() takes the mark of some encodings, not that of utf-16-le
            line = line.removeprefix("\ufeff")
        self.number += 1
        if len(line) > LONGEST_LINE and len(line.rstrip("\r\n")) > LONGEST_LINE:
            raise _LineTooLong
        self.taken.append(line)
        return line
