"""Pricing policies made in the world learned from receipts, valued in the true one.

    python -m dbt_project.sample --customers 1000 --products 200 --stores 10 --weeks 208 --seed 7 \
        --out chains/7/raw
    RETAILSIM_RAW=chains/7/raw dbt build --vars '{train_last_week: 104, validation_last_week: 130,
        test_last_week: 208}' && python -m dbt_project.export --out chains/7/cache
    python -m benchmarks.policies chains/* --page policies.html

For each chain: learn the world from weeks up to 104, make every policy of simulator/policy/kinds
in it (the oracle in the chain itself), live 104 weeks with each in both worlds, and compare. What
is there already is not made again.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.common import parser
from simulator.policy.__main__ import main as policy
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import seed, whole

KINDS = Path(__file__).resolve().parents[1] / "simulator" / "policy" / "kinds"
TRUE = ("oracle", "quarters")
"""Made in the chain itself."""
A_YEAR = 52
"""Weeks of an episode in which policies are made."""


def _run(options: argparse.Namespace) -> None:
    pairs = []
    for folder in options.chains:
        pairs += _chain(folder, options)
    page = ["--page", str(options.page)] if options.page else []
    figures = ["--json", str(options.json)] if options.json else []
    run_policy(["compare", *pairs, *figures, *page])


def _chain(folder: Path, options: argparse.Namespace) -> list[str]:
    raw, cache, world = (folder / name for name in ("raw", "cache", "world.safetensors"))
    if not world.exists():
        run_policy(["learn", str(raw), "--cache", str(cache), "--out", str(world)])
    made = folder / "policies"
    made.mkdir(exist_ok=True)
    files = []
    for kind in sorted(KINDS.glob("*.yml")):
        if kind.stem in options.without:
            continue
        out = made / f"{kind.stem}.safetensors"
        place = ["--raw", raw] if kind.stem in TRUE else ["--world", world, "--weeks", A_YEAR]
        more = ["--cache", cache] if kind.stem == "optimiser" else []
        if not out.exists():
            begun = time.process_time()
            run_policy(["train", kind, *place, *more, "--seed", options.seed, "--out", out])
            print(f"{folder.name}, {kind.stem}: {time.process_time() - begun:.0f} s of a processor")
        files.append(out)
    pairs = []
    for place, name in (("--world", "model"), ("--raw", "truth")):
        out = folder / f"{name}.json"
        if not out.exists():
            where = world if name == "model" else raw
            run_policy(["value", *files, place, where, "--lives", options.lives, "--json", out])
        pairs.append(str(out))
    return pairs


def run_policy(arguments: list) -> None:
    """`python -m simulator.policy`; raises InputError where it ends with an error."""
    if policy([str(each) for each in arguments]):
        raise InputError("stopped there")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    made = parser(__doc__)
    add = made.add_argument
    add("chains", type=Path, nargs="+", help="folders, each with raw and cache")
    add("--lives", type=whole(2, 1000), default=8, help="of each policy (default: 8)")
    add("--seed", type=seed, default=0, help="of training (default: 0)")
    add("--without", nargs="*", default=[], help="names of kinds to leave out")
    add("--json", type=Path, metavar="FILE", help="write the figures")
    add("--page", type=Path, metavar="FILE", help="write a page with pictures")
    return run_command(made, _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
