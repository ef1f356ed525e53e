"""Command lines, and numbers on them."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from trainer.commands.errors import InputError

LARGEST = 2**31 - 1
LARGEST_SEED = 2**32 - 1
"""NumPy and torch both take it, also after a few are added."""
NEAR = 1 << 16
"""Bytes at either end of a file in which its mark is looked for."""


class CommandParser(argparse.ArgumentParser):
    """A command line with `--debug`. What is wrong with it is an error like any other."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.add_argument(
            "--debug", action="store_true", help="show a stack trace with an error's message"
        )

    def error(self, message: str) -> NoReturn:
        """Raise InputError, where argparse would print its usage and exit."""
        raise InputError(f"{message} (--help lists the options)")


def whole(lowest: int = 1, highest: int = LARGEST) -> Callable[[str], int]:
    """A type of argparse's options: whole numbers of a range, both ends included."""

    def number(text: str) -> int:
        value = int(text) if re.fullmatch(r"[0-9]{1,20}", text) else lowest - 1
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {lowest} to {highest}, not {text!r}"
            )
        return value

    return number


seed = whole(0, LARGEST_SEED)
threads = whole(1, 4096)


def plain_number(text: str) -> float:
    """A number as people write it, 1.25 or 3e-4; NaN for any other text, also for what Python alone
    takes for one: 1_25 is a slip, and no 125."""
    written = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*"
    return float(text) if re.fullmatch(written, text) else math.nan


def positive(text: str) -> float:
    """A type of argparse's options: a finite number above 0."""
    value = plain_number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, not {text!r}")
    return value


def measured_split(text: str) -> str:
    """A type of argparse's options: a name of weeks to measure on."""
    if text == "train":
        raise argparse.ArgumentTypeError(
            "weeks that were trained on do not tell how good the model is: name test or validation"
        )
    return text


def check_output(option: str, path: Path | None, mark: bytes) -> None:
    """Raise InputError unless a file can be written, or replaces one of the command's own.

    mark: a regular expression that the first or last bytes of each such file match.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise InputError(f"{option}: {path.parent} is not a folder: make it first")
    if path.is_dir():
        raise InputError(f"{option}: {path} is a folder: name a file in it")
    if path.exists() and not (path.is_file() and _holds(path, mark)):
        raise InputError(
            f"{option}: {path} is there already, and this command did not write it: name another "
            "file, or move that one away"
        )


def check_outputs(*outputs: tuple[str, Path | None, bytes]) -> None:
    """`check_output` of each option, path and mark. Raises InputError also where two options name
    the same file, of which one would replace what the other wrote."""
    option_of: dict[Path, str] = {}
    for option, path, mark in outputs:
        check_output(option, path, mark)
        if path is not None and option_of.setdefault(path.resolve(), option) != option:
            raise InputError(
                f"{option}: {path} is the file of {option_of[path.resolve()]}: name another"
            )


def _holds(path: Path, mark: bytes) -> bool:
    """Whether a file is empty or matches near its beginning or end."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for start in (0, max(size - NEAR, 0)):
            file.seek(start)
            if re.search(mark, file.read(NEAR), re.DOTALL):
                return True
    return size == 0
