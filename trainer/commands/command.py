"""Running a command: whatever goes wrong ends in one line on standard error.

It says the cause and what to do; `--debug` shows the stack trace as well. Exit codes are 0, 2 for
an error and 130 for Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from trainer.commands.errors import ExpectedError
from trainer.commands.options import CommandParser

OUT_OF_MEMORY = ("OutOfMemoryError", "OutOfMemoryException", "DefaultCPUAllocator", "bad_alloc")
"""In the type or the message of what torch and DuckDB raise, neither of which is imported here."""


def run_command(
    parser: CommandParser,
    run: Callable[[argparse.Namespace], None],
    arguments: list[str] | None = None,
    *,
    expected: tuple[type[Exception], ...] = (),
    stopped: str = "stopped",
) -> int:
    """Run a command with its options; returns its exit code.

    arguments: those of the process if left out. expected: further errors that are no fault of the
    program, such as a database's, of which the first line is shown. stopped: what to say after
    Ctrl-C.
    """
    debug = False
    try:
        options = parser.parse_args(arguments)
        debug = options.debug
        with _warnings_in_one_line():
            run(options)
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        line, code = stopped, 130
    except Exception as error:
        line, code = f"error: {_reason(error, expected)}", 2
        if debug:
            traceback.print_exc()
    # Not above: progress bars end their line when the stack of the error is gone.
    _flush_or_close()
    print(line, file=sys.stderr)
    return code


def _reason(error: Exception, expected: tuple[type[Exception], ...]) -> str:
    """One line: the cause and what to do."""
    text = " ".join(str(error).split("\n"))
    first = str(error).strip().split("\n")[0]
    if isinstance(error, ExpectedError):
        return text
    if isinstance(error, MemoryError) or any(
        name in f"{type(error).__name__} {error}" for name in OUT_OF_MEMORY
    ):
        return f"not enough memory ({first or type(error).__name__}): free some, or ask for less"
    if isinstance(error, BrokenPipeError) and error.filename is None:
        return "standard output was closed before all of it was written"
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, expected):
        return first
    return (
        f"{type(error).__name__}: {first} - a fault of the program, not of its input: please "
        "report it with what the same command prints with --debug"
    )


def _of_system(error: OSError) -> str:
    text = error.strerror or str(error)
    if error.filename is not None:
        names = (error.filename, error.filename2)
        text = f"{' -> '.join(os.fsdecode(name) for name in names if name is not None)}: {text}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        text += " - make room, or write to another place"
    return text


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """What compiled libraries print meanwhile goes to standard error, so that standard output holds
    the command's own lines. It is the whole process's: for commands, which have one thread."""
    flush = ctypes.CDLL(None).fflush
    sys.stdout.flush()
    flush(None)
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        flush(None)
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Without the line of the source that a warning comes from."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _flush_or_close() -> None:
    """Standard output that cannot be written is closed: Python would complain about it on exit."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
