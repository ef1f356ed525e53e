"""Command line: python -m simulator.prices: elasticities, and prices worth charging.

FOLDER/products.csv     own elasticity of each product, with its interval and what it rests on
FOLDER/pairs.csv        cross elasticities within needs
FOLDER/plan.csv         today's price and the one worth charging, with --costs
FOLDER/prices.json      all of it in figures; written last
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from simulator.command import history_options, output_folder, start_of
from simulator.costs import read_costs
from simulator.prices.demand_response import DemandResponse, fit_demand_response
from simulator.prices.elasticities import Elasticities, elasticities, evidence, verdict
from simulator.prices.expected import ExpectedDemand
from simulator.prices.optimise import Plan, Rules, best_prices
from simulator.prices.rules_file import read_rules
from trainer.cache.atomic import new_file
from trainer.cache.json_files import write_json
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, whole
from trainer.features.price_evidence import check_prices_move

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
        help="for which prices are held: 1 is what customers do at once, 26 and more also what "
        "they learn (default: 1)",
    )  # fmt: skip
    add(
        "--costs", type=Path, metavar="FILE",
        help="CSV or Parquet of product_code and unit_cost_pence: find the prices worth charging",
    )  # fmt: skip
    add("--rules", type=Path, metavar="FILE", help="what these have to keep, a YAML file")
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.rules and not options.costs:
        raise InputError("--rules: prices worth charging need --costs")
    cache = TensorCache(options.cache)
    start = start_of(options, cache)
    check_prices_move(cache)
    with output_folder(options.out):
        costs = read_costs(options.costs, cache) if options.costs else None
        print("measuring how demand answers to prices", file=sys.stderr)
        response = fit_demand_response(cache, start)
        if response is None:
            raise InputError(f"{cache.folder}: no product sells often enough to tell")
        panel = response.products.panel
        rules, chosen = Rules(), np.ones(len(panel.token), bool)
        if options.rules:
            rules, chosen = read_rules(options.rules, cache, panel)
        demand = ExpectedDemand(cache, response, start, options.weeks)
        found = elasticities(demand)
        codes = [cache["products.code"][token - 1].decode() for token in panel.token]
        content = _summary(start, options.weeks, response, found)
        if costs is not None:
            print("looking for prices worth charging", file=sys.stderr)
            cost = np.where(chosen, costs[panel.token - 1], np.nan)
            plan = best_prices(demand, cost, rules)
            _write_plan(options.out, codes, plan, cost)
            content["plan"] = _of_plan(plan)
        _write_elasticities(options.out, codes, response, found)
        with new_file(options.out / "prices.json") as fresh:
            write_json(fresh, content)
        print("\n".join(_lines(content)))


def _write_elasticities(
    folder: Path, codes: list[str], response: DemandResponse, found: Elasticities
) -> None:
    r = response.products
    own = np.full(len(codes), -1)
    own[found.sold[found.sold == found.priced]] = np.flatnonzero(found.sold == found.priced)
    moves, spread = evidence(r)
    _write(
        folder / "products.csv",
        "product need share_of_need elasticity low high rests_on weeks_with_a_move "
        "standard_deviation_of_log_price",
        (
            (code, r.need[i], f"{r.share[i]:.4f}", *(_text(x[own[i]]) for x in _bounds(found)),
             of, moves[i], f"{spread[i]:.4f}")
            for i, (code, of) in enumerate(zip(codes, verdict(r), strict=True))
        ),
    )  # fmt: skip
    cross = np.flatnonzero(found.sold != found.priced)
    _write(
        folder / "pairs.csv", "sold priced elasticity low high",
        (
            (codes[found.sold[i]], codes[found.priced[i]], *(_text(x[i]) for x in _bounds(found)))
            for i in cross
        ),
    )  # fmt: skip


def _bounds(found: Elasticities) -> tuple[np.ndarray, ...]:
    return found.value, found.low, found.high


def _text(number: float) -> str:
    """Empty for what is not known."""
    return f"{number:.4f}" if np.isfinite(number) else ""


def _write_plan(folder: Path, codes: list[str], plan: Plan, cost: np.ndarray) -> None:
    _write(
        folder / "plan.csv",
        "product unit_cost_pence price_pence new_price_pence units_a_week new_units_a_week",
        (
            (code, _text(cost[i]), f"{plan.before[i]:.0f}", f"{plan.after[i]:.0f}",
             f"{plan.units_before[i]:.3f}", f"{plan.units_after[i]:.3f}")
            for i, code in enumerate(codes)
        ),
    )  # fmt: skip


def _write(path: Path, names: str, rows: Iterable[tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names.split())
        writer.writerows(rows)


def _summary(start: int, weeks: int, response: DemandResponse, found: Elasticities) -> dict:
    r = response.products
    own = found.value[(found.sold == found.priced) & r.moved[found.sold]]
    own = own[np.isfinite(own)]
    rests, count = np.unique(verdict(r), return_counts=True)
    low, middle, high = (np.quantile(own, q) if len(own) else np.nan for q in (0.1, 0.5, 0.9))
    return {
        "start": start, "weeks": weeks, "products": len(r.need), "needs": int(r.need.max()) + 1,
        "substitutes": r.substitutes, "switches": r.switches,
        "rest_on": dict(zip(rests.tolist(), count.tolist(), strict=True)),
        "own": {"low": float(low), "median": float(middle), "high": float(high)},
        "buying_at_all": {"lasting": r.lasting, "passing": r.passing},
        "visits": {"elasticity": -response.visits.value, "standard_error": response.visits.error},
    }  # fmt: skip


def _of_plan(plan: Plan) -> dict:
    return {
        "changed": int((plan.before != plan.after).sum()),
        "profit_before": plan.profit_before, "profit_after": plan.profit_after,
        "units_before": float(plan.units_before.sum()),
        "units_after": float(plan.units_after.sum()),
    }  # fmt: skip


def _cross(content: dict) -> str:
    share = f"{content['substitutes']:.0%} of the pairs of a category are substitutes at 5 %"
    if content["switches"]:
        return f"cross elasticities: {share}; chance makes 5 % of unrelated ones"
    return (
        f"cross elasticities: not identifiable: {share}, no more than twice what chance makes of "
        "unrelated ones; each product stands for itself"
    )


def _lines(content: dict) -> list[str]:
    own, rest = content["own"], content["rest_on"]
    found = [
        f"{content['products']} products in {content['needs']} needs, weeks up to "
        f"{content['start']}, prices held for {content['weeks']}",
        f"own elasticities: median {own['median']:.2f}, 10 % below {own['low']:.2f}, 10 % above "
        f"{own['high']:.2f}",
        _cross(content),
        "resting on " + ", ".join(f"{name}: {count}" for name, count in rest.items()),
        f"visits to the price level of the usual basket: {content['visits']['elasticity']:.2f} "
        f"({content['visits']['standard_error']:.2f})",
    ]  # fmt: skip
    if plan := content.get("plan"):
        gain = plan["profit_after"] / plan["profit_before"] - 1
        found.append(
            f"prices worth charging: {plan['changed']} change; expected profit a week "
            f"{plan['profit_before'] / 100:,.0f} -> {plan['profit_after'] / 100:,.0f} "
            f"({gain:+.1%}), units {plan['units_before']:,.0f} -> {plan['units_after']:,.0f}"
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
