"""Coupon policies made in the world learned from a logged trial, valued in the true one.

    python -m benchmarks.coupons chains/* --json coupons.json

For each chain, a folder with raw and cache as of benchmarks.policies: hold the trial in the last
year before the start, learn the world with it, make the policies there, and live with each in both
worlds on the same draws. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.common import parser, write_result
from benchmarks.policies import run_policy
from dbt_project.sample.effects import made_of
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.lives import live
from simulator.environments.opening import Opening
from simulator.policy.coupon_tables import CouponTable, made_in
from simulator.policy.values import half_interval
from trainer.cache.atomic import new_file
from trainer.cache.json_files import read_json, write_json
from trainer.commands.command import run_command
from trainer.commands.options import seed, whole

START = 104
LATER = "everybody, in the first half"
"""What it earns in the other half is what coupons leave behind."""


def _run(options: argparse.Namespace) -> None:
    found = [_chain(folder, options) for folder in options.chains]
    rows = table(found)
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    left = np.array([_gains(chain, "truth", LATER, half=1) for chain in found])
    mean, half = _interval(left)
    print(f"\nWhat coupons for everybody leave behind: {mean:+,.1f} ± {half:.1f} pounds a week")
    write_result(options.json, {"benchmark": "coupons", "chains": found})


def _chain(folder: Path, options: argparse.Namespace) -> dict:
    """`gives` of each policy, and its lives: profit by week in each world."""
    out = folder / "coupons.json"
    if out.exists():
        return read_json(out)
    raw, trial, world = (folder / n for n in ("raw", "trial.safetensors", "coupons.safetensors"))
    if not trial.exists():
        run_policy(["trial", raw, "--start", START, "--out", trial])
    if not world.exists():
        where = ["--cache", folder / "cache", "--trial", trial]
        run_policy(["learn", raw, *where, "--start", START, "--out", world])
    config, behaviour = made_of(raw)
    weeks = config.weeks - START
    learned = LearnedOpening(str(world), weeks)
    true = Opening(
        config.customers, config.products, config.stores, config.seed, START, weeks, behaviour
    )  # fmt: skip
    with tqdm(unit="week", desc=folder.name, file=sys.stderr) as bar:
        made = made_in(learned, options.episodes, options.seed, bar.update)
        half = CouponTable(
            made["everybody"].product, made["everybody"].depth, made["everybody"].gives, weeks // 2
        )
        found: dict = {"gives": {name: own.gives.tolist() for name, own in made.items()}}
        for place, opening in (("model", learned), ("truth", true)):
            found[place] = {
                name: [
                    np.round(live(own, opening, run, bar.update).profits, 3).tolist()
                    for run in range(options.lives)
                ]
                for name, own in (made | {LATER: half}).items()
            }
    with new_file(out) as fresh:
        write_json(fresh, found)
    return found


def _gains(chain: dict, world: str, name: str, half: int | None = None) -> np.ndarray:
    """(lives,) pounds a week over nobody, of all weeks or those of a half."""
    gain = np.array(chain[world][name]) - np.array(chain[world]["nobody"])
    middle = gain.shape[1] // 2
    part = {None: gain, 0: gain[:, :middle], 1: gain[:, middle:]}[half]
    return part.mean(1)


def _interval(gains: np.ndarray) -> tuple[float, float]:
    """Mean and half a 95 % interval; gains: (chains, lives), chains the units if several."""
    each = gains.mean(1) if len(gains) > 1 else gains[0]
    return float(each.mean()), half_interval(each)


def table(found: list[dict]) -> list[list[str]]:
    """Rows of cells, the head first."""
    rows = [["policy", "given", "promised over nobody", "earned (95 %)", "chains above 0"]]
    rows.append(["---"] * len(rows[0]))
    for name in found[0]["gives"]:
        if name == "nobody":
            continue
        promised, earned = (
            np.array([_gains(chain, world, name) for chain in found])
            for world in ("model", "truth")
        )
        mean, half = _interval(earned)
        above = int((earned.mean(1) > 0).sum())
        given = np.mean([np.mean(chain["gives"][name]) for chain in found])
        rows.append([
            name, f"{given:.0%} of segments x coupons", f"{promised.mean():+,.1f}",
            f"{mean:+,.1f} ({mean - half:+,.1f} to {mean + half:+,.1f})",
            f"{above} of {len(found)}",
        ])  # fmt: skip
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    made = parser(__doc__)
    add = made.add_argument
    add("chains", type=Path, nargs="+", help="folders, each with raw and cache")
    add("--lives", type=whole(2, 1000), default=8, help="of each policy (default: 8)")
    add("--episodes", type=whole(1, 1000), default=4, help="in which each is made (default: 4)")
    add("--seed", type=seed, default=0, help="of LinTS (default: 0)")
    add("--json", type=Path, metavar="FILE", help="write the figures")
    return run_command(made, _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
