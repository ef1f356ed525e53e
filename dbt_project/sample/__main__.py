"""Command line: python -m dbt_project.sample."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm

from trainer.commands.command import run_command
from trainer.commands.options import CommandParser, whole

from .config import BEHAVIOURS, FORMATS, HEADERS, PRICINGS, RANGES, ChainConfig
from .folder import check
from .generate import generate_chain

CONFIGURED = {field.name for field in fields(ChainConfig)}


def _parser() -> CommandParser:
    default = ChainConfig()
    parser = CommandParser(
        prog="python -m dbt_project.sample",
        description="Write a reproducible synthetic grocery chain in the file format of "
        "dunnhumby's Let's Get Sort-of-Real, and the truth behind it in truth/.",
        epilog="For a chain of LGSR's size: --customers 4000 --products 5000 --stores 760.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("raw_data"), help="folder to write into")
    for name, about in (
        ("customers", "households with a loyalty card"),
        ("products", "products in the catalogue"),
        ("stores", "stores"),
        ("weeks", "weeks, from 200607 on"),
        ("seed", "root of every random stream"),
    ):
        add(f"--{name}", type=whole(*RANGES[name]), default=getattr(default, name), help=about)
    add(
        "--header", choices=HEADERS, default=default.header,
        help="names of the segment columns: classic is seg_1, seg_2; new is "
        "CUST_PRICE_SENSITIVITY, CUST_LIFESTAGE",
    )  # fmt: skip
    add("--format", choices=FORMATS, default=default.format, help="file format of the weeks")
    add(
        "--behaviour", choices=BEHAVIOURS, default=default.behaviour,
        help="responsive: households answer to prices in all they do, and remember; independent: "
        "weeks need nothing of each other, and prices only move purchases within a need",
    )  # fmt: skip
    add(
        "--pricing", choices=PRICINGS, default=default.pricing,
        help="who sets the responsive chain's prices: managed, by demand, season and cost; random, "
        "by nothing, with the same shoppers",
    )  # fmt: skip
    add(
        "--replay-from", type=whole(2), metavar="WEEK", default=argparse.SUPPRESS,
        help="from this week (1-based) on, 96 %% of the trips of known customers are copies of "
        "their earlier trips, as in LGSR from week 105 on (default: no replays)",
    )  # fmt: skip
    add(
        "--workers", type=whole(), default=os.cpu_count() or 1,
        help="processes; the files are the same for any number",
    )  # fmt: skip
    add("--overwrite", action="store_true", help="replace a chain this command wrote before")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    chosen = {name: value for name, value in vars(options).items() if name in CONFIGURED}
    config = ChainConfig(**chosen)
    check(options.out, options.overwrite)  # before the progress bar starts
    with tqdm(total=config.weeks, unit="week", desc="weeks", file=sys.stderr) as bar:
        facts = generate_chain(
            config, options.out, options.workers, options.overwrite, lambda rows: bar.update()
        )
    print(
        f"{facts['rows']:,} rows, {facts['baskets']:,} baskets, "
        f"spend {facts['spend_pence'] / 100:,.2f}, written to {options.out}, seed {config.seed}"
    )


if __name__ == "__main__":
    sys.exit(main())
