"""Command line: python -m simulator.environments: what reference policies are worth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from dbt_project.sample.config import RANGES
from dbt_project.sample.shape import GROUPS
from trainer.cache.atomic import new_file
from trainer.cache.json_files import write_json
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, whole

from .coupon_policies import AtRandom, ByRecency, CouponOracle, Everybody, nobody
from .coupons import Menu
from .lives import Policy, Progress
from .opening import Opening
from .policies import Myopic, Schedule, best_depth, plan, searched
from .pricing import Scope
from .valuation import table, value

WEEKS = {"pricing": 52, "coupons": 26}
"""Weeks of an episode of each environment, unless told otherwise."""
MARK = rb'\A\{\s*"environment": "\w+",\s*"lives": \d+,\s*"opening": '
"""Of the files that the command writes, so that it replaces no others."""


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m simulator.environments",
        description="Value the reference policies of an environment in the synthetic chain, which "
        "answers as it truly would: profit, units, trips, and customers kept. All policies face "
        "the same draws: docs/environments.md.",
    )
    add = parser.add_argument
    add("environment", choices=tuple(WEEKS), help="which decisions")
    add(
        "--lives", type=whole(2, 10_000), default=8, metavar="N",
        help="how often each policy is tried, with other shoppers' draws (default: 8)",
    )  # fmt: skip
    add(
        "--fitted", type=whole(1, 1000), default=2, metavar="N",
        help="further lives, by which policies are fitted (default: 2)",
    )  # fmt: skip
    for name, default, about in (
        ("customers", Opening.customers, "households with a loyalty card"),
        ("products", Opening.products, "products in the catalogue"),
        ("stores", Opening.stores, "stores"),
    ):
        add(
            f"--{name}", type=whole(*RANGES[name]), default=default, metavar="N",
            help=f"{about} (default: {default})",
        )  # fmt: skip
    add(
        "--chain", type=whole(*RANGES["seed"]), default=Opening.chain, metavar="SEED",
        help=f"seed of the chain (default: {Opening.chain})",
    )  # fmt: skip
    add(
        "--weeks", type=whole(1, 400), metavar="N",
        help="weeks of an episode (default: 52 for pricing, 26 for coupons)",
    )  # fmt: skip
    add(
        "--category", type=whole(0, len(GROUPS) - 1), metavar="N",
        help="price the products of this category alone, numbered from 0 (default: the whole "
        "chain, with one lever for each category)",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write the figures here as well")
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.environment == "coupons" and options.category is not None:
        raise InputError("--category is of pricing: coupons are for all categories")
    check_output("--json", options.json, MARK)
    opening = Opening(
        customers=options.customers, products=options.products, stores=options.stores,
        chain=options.chain, weeks=options.weeks or WEEKS[options.environment],
    )  # fmt: skip
    with tqdm(unit="week", desc="weeks", file=sys.stderr) as bar:
        policies = _policies(options, opening, bar.update)
        answers = value(policies, opening, options.lives, bar.update)
    print("\n".join(table(answers)))
    if options.json:
        content = {
            "environment": options.environment,
            "lives": options.lives,
            "opening": asdict(opening),
            "category": options.category,
            "policies": answers,
            "fitted": {
                name: {"levels": p.levels, "depth": p.depth}
                for name, p in policies.items()
                if isinstance(p, Schedule)
            },
        }
        with new_file(options.json) as fresh:
            write_json(fresh, content)


def _policies(
    options: argparse.Namespace, opening: Opening, week: Progress
) -> Mapping[str, Policy]:
    if options.environment == "coupons":
        menu = Menu.of(opening)
        return {
            "nobody": nobody,
            "everybody": Everybody(menu),
            "at random": AtRandom(menu),
            "by recency": ByRecency(menu),
            "oracle": CouponOracle(menu),
        }
    scope = Scope.of(opening.start()[0].setting.catalogue.group, options.category)
    return {
        "current plan": plan,
        "cost-plus": Schedule(scope),
        "best fixed depth": best_depth(scope, opening, options.fitted, week),
        "myopic": Myopic(scope),
        "oracle": searched(scope, opening, options.fitted, week),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
