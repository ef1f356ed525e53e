"""Time dbt against one typed load of the same raw CSV files, and print JSON.

    RETAILSIM_RAW=... python benchmarks/build.py [--rounds 3]

Each round runs, in turn and in processes of their own: a typed load of all transactions into a
DuckDB table, `dbt run` (all models) and `dbt build` (models and every test). The ratios compare
within a round, because machines are shared and noisy; times are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]

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


def measure(command: list[str], environment: dict[str, str]) -> tuple[dict[str, float], str]:
    """Run a command; its wall and CPU seconds and peak resident memory, and what it printed.

    Raises SystemExit with the command's output if it fails.
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
        sys.exit(f"{' '.join(command[:3])} failed:\n{printed[-2000:]}")
    figures = {
        "wall_s": round(wall, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_gb": round(usage.ru_maxrss / 1e6, 3),
    }
    return figures, printed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds to run (default 3)")
    rounds = parser.parse_args().rounds
    raw = Path(os.environ.get("RETAILSIM_RAW", "raw_data"))
    if not any(raw.glob("transactions*.csv*")):
        sys.exit(f"{raw} holds no transactions*.csv or .csv.gz: set RETAILSIM_RAW")
    threads = os.environ.get("RETAILSIM_THREADS", "2")
    memory = os.environ.get("RETAILSIM_MEMORY", "5GB")
    dbt = str(Path(sys.executable).with_name("dbt"))

    results: dict[str, list[dict[str, float]]] = {"typed_load": [], "run": [], "build": []}
    rows = 0
    for _ in tqdm(range(rounds), desc="rounds", unit="round"):
        with tempfile.TemporaryDirectory() as folder:
            arguments = [str(raw), f"{folder}/typed.duckdb", threads, memory]
            figures, printed = measure([sys.executable, "-c", TYPED_LOAD, *arguments], {})
            rows = int(printed)
            results["typed_load"].append(figures)
            for verb in ("run", "build"):
                environment = {
                    "RETAILSIM_RAW": str(raw.resolve()),
                    "RETAILSIM_DB": f"{folder}/{verb}.duckdb",
                    "RETAILSIM_TMP": f"{folder}/spill",
                    "DBT_TARGET_PATH": f"{folder}/target",
                    "DBT_LOG_PATH": f"{folder}/logs",
                }
                results[verb].append(measure([dbt, "--quiet", verb], environment)[0])

    def median(name: str, figure: str) -> float:
        return statistics.median(result[figure] for result in results[name])

    def ratio(name: str) -> float:
        pairs = zip(results[name], results["typed_load"], strict=True)
        return round(statistics.median(a["wall_s"] / b["wall_s"] for a, b in pairs), 2)

    print(
        json.dumps(
            {
                "rows": rows,
                "rounds": rounds,
                "median": {
                    name: {figure: median(name, figure) for figure in runs[0]}
                    for name, runs in results.items()
                },
                "wall_ratio_to_typed_load": {name: ratio(name) for name in ("run", "build")},
                "all_rounds": results,
                "configuration": {"duckdb_threads": int(threads), "memory_limit": memory},
                "hardware": {"processor": platform.machine(), "cores": os.cpu_count()},
                "versions": {"python": platform.python_version()}
                | {name: version(name) for name in ("duckdb", "dbt-core", "dbt-duckdb")},
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
