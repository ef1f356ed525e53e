"""Time dbt against one typed load of the same raw files, and print JSON.

    RETAILSIM_RAW=... [RETAILSIM_LAYOUT=complete_journey] python -m benchmarks.build [--rounds 3]

Each round runs, in turn and in processes of their own: a typed load of all transactions into a
DuckDB table (of all Parquet files, for Complete Journey), `dbt run` (all models) and `dbt build`
(models and every test). The ratios compare within a round, because machines are shared and noisy;
times are medians over the rounds.
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

from benchmarks.common import CommandError, answer, dbt, measure, parser, processor
from trainer.commands.options import whole

TYPED_LOAD = """
import sys, duckdb
types = dict.fromkeys(
    "PROD_CODE PROD_CODE_10 PROD_CODE_20 PROD_CODE_30 PROD_CODE_40 CUST_CODE BASKET_SIZE"
    " BASKET_PRICE_SENSITIVITY BASKET_TYPE BASKET_DOMINANT_MISSION STORE_CODE STORE_FORMAT"
    " STORE_REGION".split(), "VARCHAR")
types |= dict.fromkeys("SHOP_WEEK SHOP_DATE QUANTITY".split(), "INTEGER")
types |= dict.fromkeys("SHOP_WEEKDAY SHOP_HOUR".split(), "TINYINT")
types |= {"SPEND": "DECIMAL(12, 2)", "BASKET_ID": "BIGINT"}
config = {"threads": sys.argv[3], "memory_limit": sys.argv[4]}
connection = duckdb.connect(sys.argv[2], config=config)
connection.execute("set enable_progress_bar = false")
(rows,) = connection.execute(
    "create table transactions as"
    " select * from read_csv(?, header = true, filename = true, types = ?)",
    [sys.argv[1] + "/transactions*", types]).fetchone()
print(rows)
"""
PARQUET_LOAD = """
import sys, duckdb
from pathlib import Path
config = {"threads": sys.argv[3], "memory_limit": sys.argv[4]}
connection = duckdb.connect(sys.argv[2], config=config)
connection.execute("set enable_progress_bar = false")
for path in sorted(Path(sys.argv[1]).glob("*.parquet")):
    (rows,) = connection.execute(
        f"create table {path.stem} as select * from read_parquet(?)", [str(path)]).fetchone()
    if path.stem == "transactions":
        print(rows)
"""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All rounds."""
    raw = Path(os.environ.get("RETAILSIM_RAW", "raw_data"))
    layout = os.environ.get("RETAILSIM_LAYOUT", "lgsr")
    load, files = {
        "lgsr": (TYPED_LOAD, "transactions*.csv*"),
        "complete_journey": (PARQUET_LOAD, "transactions.parquet"),
    }.get(layout, (None, None))
    if load is None:
        raise CommandError(f"RETAILSIM_LAYOUT={layout}: lgsr or complete_journey can be timed")
    if not any(raw.glob(files)):
        raise CommandError(f"{raw} holds no {files}: set RETAILSIM_RAW")
    threads = os.environ.get("RETAILSIM_THREADS", "2")
    memory = os.environ.get("RETAILSIM_MEMORY", "5GB")

    results: dict[str, list[dict[str, float]]] = {"typed_load": [], "run": [], "build": []}
    rows = 0
    for _ in tqdm(range(options.rounds), desc="rounds", unit="round"):
        with tempfile.TemporaryDirectory() as folder:
            arguments = [str(raw), f"{folder}/typed.duckdb", threads, memory]
            figures, printed = measure([sys.executable, "-c", load, *arguments], {})
            rows = int(printed)
            results["typed_load"].append(figures)
            for verb in ("run", "build"):
                command, environment = dbt(raw, Path(folder) / verb)
                results[verb].append(measure([*command, verb], environment)[0])

    def median(name: str, figure: str) -> float:
        return statistics.median(result[figure] for result in results[name])

    def ratio(name: str) -> float:
        pairs = zip(results[name], results["typed_load"], strict=True)
        return round(statistics.median(a["wall_s"] / b["wall_s"] for a, b in pairs), 2)

    return {
        "benchmark": "build",
        "rows": rows,
        "median": {
            name: {figure: median(name, figure) for figure in runs[0]}
            for name, runs in results.items()
        },
        "wall_ratio_to_typed_load": {name: ratio(name) for name in ("run", "build")},
        "all_rounds": results,
        "configuration": {
            "rounds": options.rounds,
            "layout": layout,
            "duckdb_threads": int(threads),
            "memory_limit": memory,
        },
        "hardware": {"processor": processor(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("duckdb", "dbt-core", "dbt-duckdb")},
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    made.add_argument("--rounds", type=whole(), default=3, help="rounds to run (default 3)")
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
