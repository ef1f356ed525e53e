"""Command line: python -m simulator.prices: elasticities, and prices worth charging.

FOLDER/products.csv     own elasticity of each product, with its interval and what it rests on
FOLDER/pairs.csv        cross elasticities within needs
FOLDER/plan.csv         today's price and the one worth charging, with --costs
FOLDER/prices.json      all of it in figures, which python -m serving --prices FOLDER reads
FOLDER/prices.html      one page with pictures, without network
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np

from simulator.command import (
    history_options,
    instrument_of,
    instrument_option,
    output_folder,
    page_maker,
    start_of,
)
from simulator.costs import read_costs
from simulator.prices.content import add_instrument, add_plan, content, write_tables
from simulator.prices.demand_response import fit_demand_response
from simulator.prices.elasticities import elasticities
from simulator.prices.expected import ExpectedDemand
from simulator.prices.optimise import Rules, best_prices
from simulator.prices.panel import read_panel
from simulator.prices.rules_file import read_rules
from simulator.prices.text_report import lines
from trainer.cache.atomic import new_folder
from trainer.cache.json_files import write_json
from trainer.cache.reader import TensorCache
from trainer.commands.command import printing_to_stderr, run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, whole
from trainer.features.price_evidence import check_prices_move

PAGE, JSON = "prices.html", "prices.json"
MOST_WEEKS = 104


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m simulator.prices",
        description="How demand answers to prices, product by product, with intervals and what "
        "they rest on; and, given unit costs, the prices worth charging under a retailer's rules: "
        "docs/prices.md.",
    )
    history_options(parser)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="a new folder for the tables")
    add(
        "--weeks", type=whole(1, MOST_WEEKS), default=1, metavar="N",
        help="for how many weeks a new price is held: 1 shows what customers do at once, 26 and "
        "more also what they learn (default: 1)",
    )  # fmt: skip
    add(
        "--costs", type=Path, metavar="FILE",
        help="CSV or Parquet of product_code and unit_cost_pence: find the prices worth charging",
    )  # fmt: skip
    instrument_option(parser)
    add("--rules", type=Path, metavar="FILE", help="YAML: the rules that those prices have to keep")
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    page = page_maker("simulator.prices.page")
    if options.rules and not options.costs:
        raise InputError("--rules: prices worth charging need --costs")
    cache = TensorCache(options.cache)
    start = start_of(options, cache)
    seen = check_prices_move(cache)
    with output_folder(options.out):
        costs = read_costs(options.costs, cache) if options.costs else None
        instrument = instrument_of(options, cache, start)
        rules, text = Rules(), None
        if options.rules:  # before demand is measured, which takes minutes
            panel = read_panel(cache, start)
            rules, chosen = read_rules(options.rules, cache, panel)
            costs[panel.token[~chosen] - 1] = np.nan  # their prices stay
            text = options.rules.read_text(encoding="utf-8")
        print("measuring how demand answers to prices", file=sys.stderr)
        response = fit_demand_response(cache, start, instrument)
        if response is None:
            raise InputError(f"{cache.folder}: no product sells often enough to tell")
        token = response.products.panel.token
        demand = ExpectedDemand(cache, response, start, options.weeks)
        found = elasticities(demand)
        values = content(cache, seen, demand, found, start)
        if response.instrument:
            add_instrument(values, cache, demand)
        if costs is not None:
            print("looking for prices worth charging", file=sys.stderr)
            cost = costs[token - 1]
            with printing_to_stderr():  # HiGHS has lines that no option silences
                weekly = None if instrument is None else instrument[token - 1]
                plan = best_prices(demand, cost, rules, weekly)
            add_plan(values, plan, cost, rules, text)
        with new_folder(options.out) as fresh:
            write_json(fresh / JSON, values)
            (fresh / PAGE).write_text(page(values, command), encoding="utf-8")
            write_tables(values, found, fresh)
    print("\n".join(lines(values)))
    print(f"{options.out / PAGE}: the page; {JSON} and tables beside it")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = f"python -m simulator.prices {shlex.join(arguments)}"
    return run_command(_parser(), lambda options: _run(options, command), arguments)


if __name__ == "__main__":
    sys.exit(main())
