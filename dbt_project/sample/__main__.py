"""Command line: python -m dbt_project.sample."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tqdm import tqdm

from .chain import generate_chain
from .config import FORMATS, HEADERS, ChainConfig
from .folder import FolderError, check


def _parser() -> argparse.ArgumentParser:
    default = ChainConfig()
    parser = argparse.ArgumentParser(
        prog="python -m dbt_project.sample",
        description="Write a reproducible synthetic grocery chain in the file format of "
        "dunnhumby's Let's Get Sort-of-Real, and the truth behind it in truth/.",
        epilog="For a chain of LGSR's size: --customers 4000 --products 5000 --stores 760.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("raw_data"), help="folder to write into")
    add("--customers", type=int, default=default.customers, help="households with a loyalty card")
    add("--products", type=int, default=default.products, help="products in the catalogue")
    add("--stores", type=int, default=default.stores, help="stores")
    add("--weeks", type=int, default=default.weeks, help="weeks, from 200607 on")
    add("--seed", type=int, default=default.seed, help="root of every random stream")
    add(
        "--header", choices=HEADERS, default=default.header,
        help="names of the segment columns: classic is seg_1, seg_2; new is "
        "CUST_PRICE_SENSITIVITY, CUST_LIFESTAGE",
    )  # fmt: skip
    add("--format", choices=FORMATS, default=default.format, help="file format of the weeks")
    add(
        "--replay-from", type=int, metavar="WEEK", default=argparse.SUPPRESS,
        help="from this week (1-based) on, 96 %% of the trips of known customers are copies of "
        "their earlier trips, as in LGSR from week 105 on (default: no replays)",
    )  # fmt: skip
    add(
        "--workers", type=int, default=os.cpu_count() or 1,
        help="processes; the files are the same for any number",
    )  # fmt: skip
    add("--overwrite", action="store_true", help="replace a chain this command wrote before")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    options = vars(_parser().parse_args(arguments))
    out, workers, overwrite = (options.pop(n) for n in ("out", "workers", "overwrite"))
    try:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        config = ChainConfig(**options)
        check(out, overwrite)  # before the progress bar starts
        with tqdm(total=config.weeks, unit="week", desc="weeks", file=sys.stderr) as bar:
            facts = generate_chain(config, out, workers, overwrite, lambda rows: bar.update())
    except (ValueError, FolderError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{facts['rows']:,} rows, {facts['baskets']:,} baskets, "
        f"spend {facts['spend_pence'] / 100:,.2f}, written to {out}, seed {config.seed}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
