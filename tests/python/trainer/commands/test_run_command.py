"""How a command ends: one line on standard error, an exit code, and a stack trace if asked for."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest
import torch

from trainer.commands.command import printing_to_stderr, run_command
from trainer.commands.errors import ExpectedError, InputError
from trainer.commands.options import (
    CommandParser,
    check_output,
    check_outputs,
    positive,
    seed,
    whole,
)

ROOT = Path(__file__).resolve().parents[4]


class DatabaseError(Exception):
    """Stands for DuckDB's."""


def command(error=None, arguments=(), **options):
    def run(_):
        print("figures")
        if error is not None:
            raise error

    return run_command(CommandParser(), run, list(arguments), **options)


def test_what_goes_well_says_nothing_more(capsys):
    assert command() == 0
    assert capsys.readouterr() == ("figures\n", "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ExpectedError("cache/manifest.json does not exist"), "cache/manifest.json does not exist"),
        (InputError("one\ntwo"), "one two"),
        (OSError(errno.EACCES, "Permission denied", "out/x"), "out/x: Permission denied"),
        (OSError(errno.EXDEV, "Invalid link", "a", None, "b"), "a -> b: Invalid link"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out/x"),
            "out/x: No space left on device - make room, or write to another place",
        ),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "standard output was closed before all of"),
        (MemoryError(), "not enough memory (MemoryError): free some, or ask for less"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "not enough memory (CUDA out of"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            "not enough memory ([enforce fail] DefaultCPUAllocator: can't",
        ),
        (DatabaseError("Catalog Error: no table\nLINE 1: select"), "Catalog Error: no table"),
        (KeyError("trips.week"), "KeyError: 'trips.week' - a fault of the program, not of its"),
        (ValueError("shapes\ndiffer"), "ValueError: shapes - a fault of the program"),
    ],
)
def test_an_error_is_one_line_and_more_only_on_request(capsys, error, line):
    assert command(error, expected=(DatabaseError,)) == 2
    printed, said = capsys.readouterr()
    assert printed == "figures\n" and said.count("\n") == 1 and said.startswith(f"error: {line}")
    assert command(error, ["--debug"], expected=(DatabaseError,)) == 2
    trace, _, last = capsys.readouterr().err.rstrip("\n").rpartition("\n")
    assert trace.startswith("Traceback") and "in run\n" in trace and f"{last}\n" == said


def test_an_interrupt_is_no_error(capsys):
    assert command(KeyboardInterrupt(), stopped="stopped; the same command goes on") == 130
    assert capsys.readouterr().err == "stopped; the same command goes on\n"


def test_options_that_are_wrong_are_one_line_too(capsys):
    assert command(arguments=["--nonsense"]) == 2
    said = "error: unrecognized arguments: --nonsense (--help lists the options)\n"
    assert capsys.readouterr() == ("", said)


def test_warnings_come_without_a_line_of_source(capsys):
    run_command(CommandParser(), lambda _: warnings.warn("few\n edges", stacklevel=1), [])
    assert capsys.readouterr().err == "warning: few edges\n"


def test_a_reader_that_goes_away():
    """As `| head` does: no complaint of Python's own about standard output when it exits."""
    code = (
        "import sys; from trainer.commands.command import run_command as run; "
        "from trainer.commands.options import CommandParser as Parser; "
        "sys.exit(run(Parser(), lambda _: print('x' * 100_000)))"
    )
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert process.returncode == 2
    assert process.stderr == "error: standard output was closed before all of it was written\n"


def test_what_compiled_libraries_print_is_no_output(capfd):
    write = ctypes.CDLL(None).puts  # which keeps it in a buffer of its own
    write(b"before")
    with printing_to_stderr():
        write(b"meanwhile")
    write(b"after")
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr() == ("before\nafter\n", "meanwhile\n")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            whole(), {"1": 1, "007": 7, str(2**31 - 1): 2**31 - 1},
            ("0", "-1", "1.0", "1_0", "", "x", " 1", "²", str(2**31), "9" * 99),
        ),
        (whole(2, 5), {"2": 2, "5": 5}, ("1", "6")),
        (seed, {"0": 0, str(2**32 - 1): 2**32 - 1}, ("-1", str(2**32), "0.5")),
        (
            positive, {"1e-3": 0.001, "2": 2.0, ".5": 0.5, "3.": 3.0},
            ("0", "-1", "nan", "inf", "1e999", "fast", "", ".", "1_0", "1,5", "٣"),
        ),
    ],
)  # fmt: skip
def test_numbers(kind, good, bad, capsys):
    for text, value in good.items():
        assert kind(text) == value
    parser = CommandParser()
    parser.add_argument("--size", type=kind)
    for text in bad:
        assert run_command(parser, print, [f"--size={text}"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: argument --size: expected a ") and f"not {text!r}" in said


def test_an_output_replaces_the_command_s_own_files_only(tmp_path):
    path = tmp_path / "figures.json"
    check_output("--json", None, b"mark")
    for mine in (None, b"", b'{"mark": 1}', b"x" * 200_000 + b"mark"):
        if mine is not None:
            path.write_bytes(mine)
        check_output("--json", path, b"mark")
    for foreign in (b"notes", b"x" * 100_000 + b"mark" + b"x" * 100_000):
        path.write_bytes(foreign)
        with pytest.raises(InputError, match="--json: .*figures.json is there already"):
            check_output("--json", path, b"mark")
    for wrong in (tmp_path, tmp_path / "no" / "x", Path("/dev/null")):
        with pytest.raises(InputError, match="--json: "):
            check_output("--json", wrong, b"mark")


@pytest.mark.parametrize(
    ("command", "arguments", "text"),
    [
        ("trainer.evaluate", "--baselines-only --json", '{"checkpoint": "step-9", "epochs": 3}'),
        ("trainer.evaluate", "--baselines-only --predictions", "target,top20,scorer"),
        ("simulator.environments.__main__", "pricing --json", '{"environment": "production"}'),
        ("simulator.policy.__main__", "value a --raw b --json", '{"lives": 9, "level": 1}'),
        ("simulator.policy.__main__", "compare a b --json", '{"pearson": 1, "spearman": 0.5}'),
        ("simulator.prices.changes", "--json", '{"price changes": 2}'),
    ],
)
def test_files_of_others_with_a_word_of_a_command_s_own_are_kept(
    tmp_path, capsys, command, arguments, text
):
    path = tmp_path / "mine"
    path.write_text(text)
    assert import_module(command).main([*arguments.split(), str(path)]) == 2
    assert "mine is there already, and this command did not write it" in capsys.readouterr().err
    assert path.read_text() == text


def test_two_options_write_to_two_files(tmp_path):
    one, other = tmp_path / "one", tmp_path / "more" / ".." / "one"
    (tmp_path / "more").mkdir()
    check_outputs(("--json", one, b"{"), ("--html", tmp_path / "two", b"<"), ("--page", None, b"<"))
    with pytest.raises(InputError, match="--html: .*one is the file of --json: name another"):
        check_outputs(("--json", one, b"{"), ("--html", other, b"<"))
