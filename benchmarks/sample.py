"""Speed and memory of the synthetic chain generator, as JSON.

    python -m benchmarks.sample --customers 4000 --products 5000 --stores 760

writes a chain into a temporary folder, which is deleted, and prints rows, seconds, rows per
second, peak memory of the main process and of its workers together, versions, hardware and
configuration. Needs about 125 bytes of disk per row of CSV.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.common import processor
from dbt_project.sample import ChainConfig, generate_chain
from dbt_project.sample.config import RANGES
from trainer.commands.command import run_command
from trainer.commands.options import LARGEST, CommandParser, whole


def _resident(process: Path) -> int:
    """Resident bytes of a process of /proc, 0 once it is gone."""
    try:
        return int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _family(root: int) -> list[Path]:
    """A process and all its descendants, from /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
    family = {root}
    while more := {p for p, parent in parents.items() if parent in family} - family:
        family |= more
    return [Path("/proc") / str(p) for p in family]


class PeakMemory(threading.Thread):
    """Samples the summed resident memory of this process and its workers ten times a second.

    Memory shared between processes is counted once for each, so the figure is an upper bound.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._stop_requested = threading.Event()

    def run(self) -> None:
        while not self._stop_requested.wait(0.1):
            self.peak = max(self.peak, sum(_resident(p) for p in _family(os.getpid())))

    def stop(self) -> int | None:
        """End sampling; bytes, or None where there is no /proc."""
        self._stop_requested.set()
        self.join()
        return self.peak or None


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    default = ChainConfig()
    parser = CommandParser(
        prog="python -m benchmarks.sample",
        description="Measure the synthetic chain generator and print JSON.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for field in dataclasses.fields(ChainConfig):
        value = getattr(default, field.name)
        of_type = str if isinstance(value, str) else whole(*RANGES.get(field.name, (1, LARGEST)))
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=of_type,
            default=value,
            help="as in the command",
        )
    parser.add_argument("--workers", type=whole(), default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--folder", default=None, help="where to make the temporary folder")
    return run_command(parser, run, arguments)


def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    workers, folder = options.workers, options.folder
    names = [field.name for field in dataclasses.fields(ChainConfig)]
    config = ChainConfig(**{name: getattr(options, name) for name in names})
    memory = PeakMemory()
    memory.start()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        start = time.perf_counter()
        facts = generate_chain(config, out, workers)
        seconds = time.perf_counter() - start
        size = sum(p.stat().st_size for p in Path(out).rglob("*") if p.is_file())
    peak = memory.stop()
    report = {
        "rows": facts["rows"],
        "baskets": facts["baskets"],
        "seconds": round(seconds, 2),
        "rows_per_second": round(facts["rows"] / seconds),
        "peak_memory_mib": None if peak is None else round(peak / 2**20),
        "output_mib": round(size / 2**20),
        "workers": workers,
        "config": dataclasses.asdict(config),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
        "hardware": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
        },
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    sys.exit(main())
