"""Time a weekly build against the full one before it, and print JSON.

    RETAILSIM_RAW=... python -m benchmarks.weekly_build [--target spark] [--rounds 3]

The raw folder has a file per week (LGSR's, or a synthetic chain's). Each round builds all weeks but
the last with `dbt run`, adds the file of the last, and runs it again. The ratio compares the two
within a round, because machines are shared and noisy. CPU seconds and memory are those of dbt's own
process: on Spark, whose work another process does, `spark` says what its tasks did for each table.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import spark_events
from benchmarks.common import CommandError, answer, dbt, measure, parser, processor
from trainer.commands.options import whole


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All rounds. Raises CommandError."""
    raw = Path(os.environ.get("RETAILSIM_RAW", "raw_data"))
    weeks = sorted(raw.glob("transactions*"))
    if len(weeks) < 10:
        raise CommandError(f"{raw} holds no ten files transactions*: set RETAILSIM_RAW")
    train, validation = round(0.68 * len(weeks)), round(0.81 * len(weeks))
    split = {"train_last_week": train, "validation_last_week": validation, "test_last_week": 9999}
    arguments = ["run", "--target", options.target, "--vars", str(split)]

    def build(folder: Path, name: str) -> tuple[dict[str, Any], str]:
        command, environment = dbt(folder / "raw", folder)
        if options.target != "spark":
            return measure([*command, *arguments], environment)
        environment |= spark_events.environment(folder / name)
        figures, printed = measure([*command, *arguments], environment)
        return figures | {"spark": spark_events.figures(folder / name)}, printed

    rounds: list[dict[str, dict[str, Any]]] = []
    with tqdm(total=2 * options.rounds, desc="builds", unit="build") as progress:
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                files = Path(folder) / "raw"
                files.mkdir()
                for path in [raw / "time.csv", *weeks[:-1]]:
                    (files / path.name).symlink_to(path.resolve())
                full, _ = build(Path(folder), "full")
                progress.update()
                (files / weeks[-1].name).symlink_to(weeks[-1].resolve())
                weekly, printed = build(Path(folder), "weekly")
                progress.update()
                if "Weekly build" not in printed:
                    raise CommandError(f"the second build was no weekly one: {printed.strip()}")
                rounds.append({"full": full, "weekly": weekly})

    return {
        "benchmark": "weekly_build",
        "raw_gb": round(sum(path.stat().st_size for path in weeks) / 1e9, 3),
        "weeks": len(weeks),
        "wall_ratio_weekly_to_full": round(
            statistics.median(a["weekly"]["wall_s"] / a["full"]["wall_s"] for a in rounds), 3
        ),
        "rounds": rounds,
        "configuration": {
            "target": options.target,
            "rounds": options.rounds,
            "duckdb_threads": int(os.environ.get("RETAILSIM_THREADS", "2")),
            "spark": {
                name: os.environ.get(f"RETAILSIM_SPARK_{name}")
                for name in ("MASTER", "MEMORY", "PARTITIONS")
            },
        },
        "hardware": {"processor": processor(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version()}
        | {
            name: version(name)
            for name in ("dbt-core", "pyspark" if options.target == "spark" else "duckdb")
        },
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    made.add_argument("--rounds", type=whole(), default=3, help="rounds to run (default 3)")
    made.add_argument(
        "--target", choices=("duckdb", "spark"), default="duckdb",
        help="the engine, as in profiles.yml (default duckdb)",
    )  # fmt: skip
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
