"""Shared by the benchmarks, without torch: command lines, results, cost of processes.

A result is one JSON object with the keys `benchmark` (the command that made it), `configuration`,
`hardware` and `versions`, and its figures. It names no folder, so that it can be published.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from trainer.cache.atomic import new_file
from trainer.cache.json_files import write_json
from trainer.commands.command import run_command
from trainer.commands.errors import ExpectedError
from trainer.commands.options import CommandParser, check_output, threads

ROOT = Path(__file__).resolve().parents[1]


class CommandError(ExpectedError):
    """A process that failed; the message is one line."""


def parser(description: str) -> CommandParser:
    """A command line whose help is the module's docstring."""
    return CommandParser(
        prog=f"python -m benchmarks.{Path(sys.argv[0]).stem}", description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def device_options(made: CommandParser, default_threads: int | None = None) -> None:
    """`--device` and `--threads`, with its default."""
    made.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="auto (default) takes a GPU where there is one",
    )  # fmt: skip
    made.add_argument(
        "--threads", type=threads, default=default_threads,
        help=f"torch's CPU threads in a process (default: {default_threads or 'its own choice'})",
    )  # fmt: skip


def model_options(made: CommandParser, presets: Iterable[str]) -> None:
    """`--cache` and `--preset`."""
    made.add_argument(
        "--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)"
    )
    made.add_argument(
        "--preset", choices=presets, default="small", help="sizes of the model (default: small)"
    )


def write_result(path: Path | None, result: dict[str, Any]) -> None:
    """Write figures that were printed as text to `--json`, where that was given."""
    if path:
        with new_file(path) as fresh:
            write_json(fresh, result)


def answer(
    made: CommandParser,
    run: Callable[[argparse.Namespace], dict[str, Any] | str],
    arguments: list[str] | None = None,
) -> int:
    """Parse, run, and print the result as JSON (text as it is), or write it to `--json`.

    Returns the exit code: 0, or 2 with one line that says what is wrong.
    """
    made.add_argument(
        "--json", type=Path, metavar="FILE", help="write the result here instead of printing it"
    )

    def write(options: argparse.Namespace) -> None:
        check_output("--json", options.json, rb'"benchmark": ')
        result = run(options)
        text = result if isinstance(result, str) else json.dumps(result, indent=2)
        if options.json:
            with new_file(options.json) as fresh:
                fresh.write_text(text + "\n", encoding="utf-8")
        else:
            print(text)

    return run_command(made, write, arguments)


def measure(command: list[str], environment: dict[str, str]) -> tuple[dict[str, float], str]:
    """Run a command; returns wall and CPU seconds and peak resident memory, and its output.

    Raises CommandError, with the last error or line of the output, if it fails.
    """
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        output.seek(0)
        printed = output.read()
    if status != 0:
        lines = printed.strip().splitlines() or ["no output"]
        errors = [line for line in lines if line.startswith("error:")] or lines
        raise CommandError(f"{' '.join(command[1:4])} failed: {errors[-1]}")
    figures = {
        "wall_s": round(wall, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_gb": round(usage.ru_maxrss / 1e6, 3),
    }
    return figures, printed


def processor() -> str:
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def dbt(raw: Path, folder: Path) -> tuple[list[str], dict[str, str]]:
    """dbt's command, and the environment in which it reads `raw` and writes to `folder` only.

    The folder is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        "RETAILSIM_RAW": str(raw.resolve()),
        "RETAILSIM_DB": str(folder / "warehouse.duckdb"),
        "RETAILSIM_TMP": str(folder / "spill"),
        "RETAILSIM_SPARK_WAREHOUSE": str(folder / "spark_warehouse"),
        "RETAILSIM_PREDICTIONS": "",
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    return [str(Path(sys.executable).with_name("dbt")), "--quiet"], environment
