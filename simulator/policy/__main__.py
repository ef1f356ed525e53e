"""Command line: python -m simulator.policy: made in the learned world, valued in the true one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from dbt_project.sample.effects import made_of
from simulator.coupon_log import CouponLog
from simulator.environments.learned.coupon_lift import coupon_lift, lift_table
from simulator.environments.learned.coupon_response import with_coupons
from simulator.environments.learned.learn import learn_world
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.learned.records import read_records
from simulator.environments.learned.world import LearnedWorld
from simulator.environments.opening import Opening, price_list
from trainer.cache.atomic import new_file
from trainer.cache.json_files import write_json
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import (
    CommandParser,
    check_output,
    check_outputs,
    positive,
    seed,
    whole,
)
from trainer.commands.yaml_files import read_yaml

from .factorial_trial import hold_trial
from .learners import LEARNERS
from .limits import Limits
from .made import COUPONS, PRICES, Made, decides
from .optimiser import best_factors
from .page import page
from .pairs import read_pairs
from .settings import PolicyFile, limits_of
from .tables import markdown, table
from .values import NOBODY, ORACLE, PLAN, compared, lives_of

WORLD, POLICY = rb"retailsim\.learned_world", rb"retailsim\.policy"
TRIAL = rb"retailsim\.coupon_trial"
VALUES = rb'\A\{\s*"lives": \d+,\s*"weeks": \d+,\s*"start": '
COMPARISON = rb'\A\{\s*"base": "[^"]*",\s*"policies": '
"""In the files that commands write, so that they replace no others."""
START, WEEKS, LIVES = 104, 104, 8
OPTIMISER = "optimiser"
NAMES = {"plan": PLAN, "coupons-nobody": NOBODY}
"""Of the policies that others are compared with, by kind."""
MOST_WEEKS = 1_000_000
"""Of one file of values."""


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m simulator.policy",
        description="Train policies of prices or coupons in the world learned from receipts, and "
        "value them in the synthetic chain, which answers as it truly would: docs/policies.md.",
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, about: str) -> Callable:
        said = f"{about[0].upper()}{about[1:]}: docs/policies.md."
        return commands.add_parser(name, help=about, description=said).add_argument

    add = command("learn", "learn the world from receipts and the retailer's own books")
    add("raw", type=Path, help="folder of python -m dbt_project.sample")
    add("--cache", type=Path, required=True, help="tensor cache of its receipts")
    add(
        "--start", type=whole(), default=START, metavar="WEEK",
        help=f"last week that is read (default: {START})",
    )  # fmt: skip
    add(
        "--trial", type=Path, metavar="FILE",
        help="log of trial: what coupons do is learned too, and each coupon's lift printed",
    )  # fmt: skip
    add("--out", type=Path, required=True, metavar="FILE", help="the learned world")

    add = command("trial", "live the last year before the start once more, with a trial of coupons")
    add("raw", type=Path, help="folder of python -m dbt_project.sample")
    add(
        "--start", type=whole(), default=START, metavar="WEEK",
        help=f"last week of the trial (default: {START})",
    )  # fmt: skip
    add(
        "--menu", type=whole(1, 100), default=8, metavar="N",
        help="how many different coupons (default: 8)",
    )  # fmt: skip
    add("--depth", type=positive, default=0.1, help="share that they take off (default: 0.1)")
    add("--out", type=Path, required=True, metavar="FILE", help="the log")

    add = command("train", "make a policy")
    add("policy", type=Path, help="YAML: its kind, name, limits and settings")
    _world(add)
    add("--cache", type=Path, help="tensor cache of the receipts: for the kind optimiser alone")
    add("--seed", type=seed, default=0, metavar="N", help="of training (default: 0)")
    add("--out", type=Path, required=True, metavar="FILE", help="the policy")

    add = command("value", "find what policies are worth in one world")
    add("policies", type=Path, nargs="+", help="files of train, all of prices or all of coupons")
    _world(add)
    _lives(add)
    add(
        "--limits", type=Path, metavar="FILE",
        help="YAML: the limits by which all are judged (default: those of docs/policies.md)",
    )  # fmt: skip
    add("--json", type=Path, required=True, metavar="FILE", help="write all weeks of all lives")

    add = command(
        "compare", "compare what was promised in the learned world with what is earned in the true "
        "one, as a table and a page",
    )  # fmt: skip
    add(
        "values", type=Path, nargs="+",
        help="files of value --json in pairs: a chain's learned world, then its truth",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write the figures here as well")
    add("--page", type=Path, metavar="FILE", help="write a page with pictures")
    return parser


def _world(add: Callable) -> None:
    add("--world", type=Path, metavar="FILE", help="the learned world: a file of learn")
    add("--raw", type=Path, metavar="FOLDER", help="or the true one: a folder of the sample chain")
    add(
        "--start", type=whole(), default=START, metavar="WEEK",
        help=f"last week before episodes in the true world (default: {START})",
    )  # fmt: skip
    add(
        "--weeks", type=whole(1, 400), default=WEEKS, metavar="N",
        help=f"weeks of an episode (default: {WEEKS})",
    )  # fmt: skip


def _lives(add: Callable) -> None:
    add(
        "--lives", type=whole(2, 10_000), default=LIVES, metavar="N",
        help=f"how often each policy is tried, with other draws (default: {LIVES})",
    )  # fmt: skip


def _opening(options: argparse.Namespace) -> Opening | LearnedOpening:
    if (options.world is None) == (options.raw is None):
        raise InputError("name one world: --world, the learned one, or --raw, the true one")
    if options.world:
        return LearnedOpening(str(options.world), options.weeks)
    config, behaviour = made_of(options.raw)
    if options.start + options.weeks != config.weeks:
        raise InputError(
            f"{options.raw} has {config.weeks} weeks, which must be those of --start and --weeks: "
            f"a chain's products and costs depend on how long it is"
        )
    if config.pricing != "managed":
        raise InputError(f"{options.raw}: the chain of --pricing random has no manager's plan")
    return Opening.of(config, behaviour, options.start)


def _run(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    commands = {
        "trial": _trial, "learn": _learn, "train": _train, "value": _value, "compare": _compare,
    }  # fmt: skip
    commands[options.command](options)


def _trial(options: argparse.Namespace) -> None:
    check_output("--out", options.out, TRIAL)
    config, behaviour = made_of(options.raw)
    if options.start > config.weeks:
        raise InputError(f"--start: {options.raw} has {config.weeks} weeks")
    with tqdm(unit="week", desc="trial", file=sys.stderr) as bar:
        log = hold_trial(config, behaviour, options.start, options.menu, options.depth, bar.update)
    with new_file(options.out) as fresh:
        log.save(fresh)
    given = int(log.given.sum())
    print(
        f"{options.out}: {given:,} coupons given to {len(log.customer):,} cards in weeks "
        f"{log.week[0]} to {options.start}, {log.used.sum() / given:.1%} of them used"
    )


def _learn(options: argparse.Namespace) -> None:
    check_output("--out", options.out, WORLD)
    cache = TensorCache(options.cache)
    known = learn_world(cache, read_records(options.raw, options.start), options.start)
    if options.trial:
        log = CouponLog.load(options.trial)
        if log.chain != price_list(LearnedWorld(known, 1)):
            raise InputError(f"{options.trial} is of another chain than {options.raw}")
        codes = [code.decode() for code in cache["customers.code"].tolist()]
        known = with_coupons(known, log, codes)
        print(
            "What a hundred coupons sent did, holders beside others (profit: of product and need):"
        )
        print("\n".join(markdown(lift_table(coupon_lift(known, log, codes)))))
    with new_file(options.out) as fresh:
        known.save(fresh)
    lasting, passing, stocking, visits = known.of_need
    print(
        f"{options.out}: {known.code.shape[0]:,} products, {known.rate.size:,} customers, weeks up "
        f"to {known.start}; effects of a price on purchases: lasting {lasting:.2f}, passing "
        f"{passing:.2f}, stocking up {stocking:.2f}; on visits {visits:.2f}"
    )


def _train(options: argparse.Namespace) -> None:
    check_output("--out", options.out, POLICY)
    kinds = {kind: settings for kind, (_, settings) in LEARNERS.items()} | {OPTIMISER: {}}
    asked = PolicyFile.read(options.policy, kinds, NAMES)
    for kind, name in NAMES.items():
        if asked.name == name and asked.kind != kind:
            raise InputError(f"{options.policy}: only the policy {kind} may be named {name}")
    if decides(asked.kind) == COUPONS and asked.limits != Limits(budget=asked.limits.budget):
        raise InputError(
            f"{options.policy}: limits: coupons have the budget alone; prices are the manager's"
        )
    if asked.name == ORACLE and options.raw is None:
        raise InputError(
            f"{options.policy}: what is named {ORACLE} is made in the true world: --raw"
        )
    opening = _opening(options)
    chain = price_list(opening.start()[0])  # what cannot be opened is said before the work
    with tqdm(unit="week", desc=asked.name, file=sys.stderr) as bar:
        if asked.kind == OPTIMISER:
            if options.cache is None or not isinstance(opening, LearnedOpening):
                raise InputError("the optimiser needs --cache, and --world for costs and week")
            arrays, curve = best_factors(TensorCache(options.cache), opening, asked.limits), []
        else:
            learner, _ = LEARNERS[asked.kind]
            arrays, curve = learner(opening, asked.limits, asked.settings, options.seed, bar.update)
    training = {"seed": options.seed, "settings": dict(asked.settings), "curve": curve}
    with new_file(options.out) as fresh:
        Made(asked.name, asked.kind, chain, asked.limits, arrays, training).save(fresh)


def _value(options: argparse.Namespace) -> None:
    check_output("--json", options.json, VALUES)
    opening = _opening(options)
    policies = [Made.load(path) for path in options.policies]
    of_each = {decides(made.kind): made.name for made in policies}
    if len(of_each) > 1:
        raise InputError(
            f"{of_each[PRICES]} sets prices and {of_each[COUPONS]} hands out coupons: value them "
            "apart"
        )
    (what,) = of_each
    names = [made.name for made in policies]
    if len(set(names)) < len(names):
        raise InputError("two policies have the same name: name them in their YAML files")
    weeks = len(policies) * options.lives * opening.weeks
    if weeks > MOST_WEEKS:
        raise InputError(
            f"--lives: {weeks:,} weeks of all policies together; {MOST_WEEKS:,} at most, which one "
            "file of figures holds"
        )
    limits = limits_of(options.limits, read_yaml(options.limits)) if options.limits else Limits()
    players = [made.policy(opening) for made in policies]  # what cannot be played is said first
    found = {}
    with tqdm(total=weeks, unit="week", desc="weeks", file=sys.stderr) as bar:
        for made, policy in zip(policies, players, strict=True):
            coupons = what == COUPONS
            own = lives_of(policy, limits, opening, options.lives, bar.update, coupons)
            found[made.name] = own | {"curve": made.training["curve"], "made": made.digest}
    with new_file(options.json) as fresh:
        content = {
            "lives": options.lives, "weeks": opening.weeks, "start": opening.warm_up,
            "world": "model" if isinstance(opening, LearnedOpening) else "truth",
            "chain": price_list(opening.start()[0]), "decides": what, "limits": asdict(limits),
        }  # fmt: skip
        write_json(fresh, content | {"policies": found})
    for name, own in found.items():
        weekly = [sum(life) / len(life) for life in own["profit"]]
        print(f"{name}: {sum(weekly) / len(weekly):,.0f} pounds a week")


def _compare(options: argparse.Namespace) -> None:
    check_outputs(
        ("--json", options.json, COMPARISON),
        ("--page", options.page, rb"RetailSim: policies"),
    )
    chains, base = read_pairs(options.values)
    found = compared(chains, base)
    print("\n".join(table(found)))
    if options.json:
        with new_file(options.json) as fresh:
            write_json(fresh, found)
    if options.page:
        command = "python -m simulator.policy compare " + " ".join(map(str, options.values))
        with new_file(options.page) as fresh:
            fresh.write_text(page(found, chains, command), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
