"""Pricing policies made in the world learned from receipts, valued in the true one.

    python -m dbt_project.sample --customers 1000 --products 200 --stores 10 --weeks 208 \\
        --seed 7 --out chains/7/raw
    RETAILSIM_RAW=chains/7/raw dbt build --vars '{train_last_week: 104, validation_last_week: 130,
        test_last_week: 208}' && python -m dbt_project.export --out chains/7/cache
    python -m benchmarks.policies chains/* --page policies.html

For each chain: learn the world from weeks up to 104, make every pricing policy of
simulator/policy/kinds in it (the oracle in the chain itself), live 104 weeks with each in both
worlds, and compare. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.common import parser
from simulator.policy.__main__ import main as policy
from simulator.policy.made import PRICES, decides
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, seed, whole

KINDS = Path(__file__).resolve().parents[1] / "simulator" / "policy" / "kinds"
TRUE = ("oracle", "quarters")
"""Made in the chain itself."""
A_YEAR = 52
"""Weeks of an episode in which policies are made."""


def _run(options: argparse.Namespace) -> None:
    kinds = [kind for kind in KINDS.glob("*.yml") if decides(kind.stem) == PRICES]
    pairs = []
    for folder in options.chains:
        raw, cache, world = (folder / name for name in ("raw", "cache", "world.safetensors"))
        if not world.exists():
            run_policy(["learn", raw, "--cache", cache, "--out", world])
        pairs += made_and_valued(folder, kinds, folder, options)
    compare(pairs, options)


def compare(pairs: list[Path], options: argparse.Namespace) -> None:
    """Print the table, and write figures and page where that was asked for."""
    page = ["--page", options.page] if options.page else []
    figures = ["--json", options.json] if options.json else []
    run_policy(["compare", *pairs, *figures, *page])


def made_and_valued(
    chain: Path, kinds: Iterable[Path], folder: Path, options: argparse.Namespace
) -> list[Path]:
    """Files of values in the learned world and in the true one. folder: has the world, and gets
    policies and values."""
    raw, world, made = chain / "raw", folder / "world.safetensors", folder / "policies"
    made.mkdir(exist_ok=True)
    files = []
    for kind in sorted(kinds):
        if kind.stem in options.without:
            continue
        out = made / f"{kind.stem}.safetensors"
        place = ["--raw", raw] if kind.stem in TRUE else ["--world", world, "--weeks", A_YEAR]
        more = ["--cache", chain / "cache"] if kind.stem == "optimiser" else []
        if not out.exists():
            begun = time.process_time()
            run_policy(["train", kind, *place, *more, "--seed", options.seed, "--out", out])
            print(f"{chain.name}, {kind.stem}: {time.process_time() - begun:.0f} s of a processor")
        files.append(out)
    pairs = []
    for place, name in (("--world", "model"), ("--raw", "truth")):
        out = folder / f"{name}.json"
        if not out.exists():
            where = world if name == "model" else raw
            run_policy(["value", *files, place, where, "--lives", options.lives, "--json", out])
        pairs.append(out)
    return pairs


def run_policy(arguments: list) -> None:
    """`python -m simulator.policy`; raises InputError where it ends with an error."""
    if policy([str(each) for each in arguments]):
        raise InputError("stopped there")


def chains_options(made: CommandParser) -> None:
    """What benchmarks of policies are asked."""
    add = made.add_argument
    add("chains", type=Path, nargs="+", help="folders, each with raw and cache")
    add("--lives", type=whole(2, 1000), default=8, help="of each policy (default: 8)")
    add("--seed", type=seed, default=0, help="of training (default: 0)")
    add("--without", nargs="*", default=[], help="names of kinds to leave out")
    add("--json", type=Path, metavar="FILE", help="write the figures")
    add("--page", type=Path, metavar="FILE", help="write a page with pictures")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    made = parser(__doc__)
    chains_options(made)
    return run_command(made, _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
