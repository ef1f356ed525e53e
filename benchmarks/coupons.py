"""Coupon policies made in the world learned from a logged trial, valued in the true one.

    python -m benchmarks.coupons chains/* --page coupons.html

For each chain, a folder with raw and cache as of benchmarks.policies: hold the trial in the last
year before the start, learn the world with it, make every coupon policy of simulator/policy/kinds
there, live 104 weeks with each in both worlds, and compare; all of it lies in the folder's coupons.
What is there already is not made again. Then the year of the trial is lived with each coupon for
all cards and with none: what a coupon truly does, beside what the trial says.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.common import parser
from benchmarks.policies import KINDS, chains_options, compare, made_and_valued, run_policy
from dbt_project.sample.effects import made_of
from simulator.coupon_log import CouponLog
from simulator.environments.coupons import Menu
from simulator.environments.learned.coupon_lift import FIGURES, Lift, coupon_lift, scale
from simulator.environments.learned.knowledge import Knowledge
from simulator.environments.lives import Progress
from simulator.environments.opening import Episode, Opening
from simulator.policy.factorial_trial import opening_of
from simulator.policy.made import COUPONS, decides
from simulator.policy.tables import markdown
from simulator.policy.values import NOBODY, half_interval
from trainer.cache.json_files import read_json
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command

START = 104
A_YEAR = 52
ONE_YEAR = "everybody, for a year"
"""What it earns after that is what coupons leave behind."""
EVERYTHING = "everything"


def _run(options: argparse.Namespace) -> None:
    kinds = [kind for kind in KINDS.glob("*.yml") if decides(kind.stem) == COUPONS]
    pairs = []
    for chain in options.chains:
        folder = chain / "coupons"
        folder.mkdir(exist_ok=True)
        trial, world = folder / "trial.safetensors", folder / "world.safetensors"
        if not trial.exists():
            run_policy(["trial", chain / "raw", "--start", START, "--out", trial])
        if not world.exists():
            learn = ["learn", chain / "raw", "--cache", chain / "cache", "--start", START]
            run_policy([*learn, "--trial", trial, "--out", world])
        pairs += made_and_valued(chain, kinds, folder, options)
    compare(pairs, options)
    print(f"\nWhat coupons for everybody leave behind, pounds a week: {left_behind(pairs[1::2])}")
    for chain in options.chains:
        said, truth = _lift(chain, options.lives)
        print(f"\n{chain.name}: of 100 coupons sent, what the trial says (95 %), and the truth")
        print("\n".join(markdown(lifts_beside(said, truth))))


def left_behind(values: list[Path]) -> str:
    """Profit after a year with coupons over that without, with an interval over chains, or over
    lives of one chain. values: those of the true world."""
    gains = []
    for path in values:
        lived = read_json(path)["policies"]
        both = [np.array(lived[name]["profit"])[:, A_YEAR:] for name in (ONE_YEAR, NOBODY)]
        gains.append((both[0] - both[1]).mean(1))
    each = np.array([gain.mean() for gain in gains]) if len(gains) > 1 else gains[0]
    mean, half = float(each.mean()), half_interval(each)
    return f"{mean:+,.0f} ({mean - half:+,.0f} to {mean + half:+,.0f})"


def _lift(chain: Path, lives: int) -> tuple[Lift, dict[str, np.ndarray]]:
    folder = chain / "coupons"
    known = Knowledge.load(folder / "world.safetensors")
    log = CouponLog.load(folder / "trial.safetensors")
    cards = [code.decode() for code in TensorCache(chain / "cache")["customers.code"].tolist()]
    opening, weeks = opening_of(*made_of(chain / "raw"), START)
    menu = Menu.of(opening, log.product.size, log.depth)
    steps = lives * (menu.product.size + 1) * (START - opening.warm_up)
    with tqdm(total=steps, unit="week", desc=f"{chain.name}: each coupon", file=sys.stderr) as bar:
        truth = true_lift(opening, menu, weeks, START, known.need, lives, bar.update)
    return coupon_lift(known, log, cards), truth


@dataclass
class Sums:
    """Of all cards in a life."""

    units: np.ndarray
    """(N,), and `profit` (N,) pence of all customers."""
    profit: np.ndarray
    sent: int = 0
    used: int = 0
    trips: int = 0
    cost: float = 0.0
    """Pence that coupons took off."""
    everything: float = 0.0
    """Pence that the cards' purchases earned."""


def true_lift(
    opening: Opening, menu: Menu, weeks: np.ndarray, until: int, need: np.ndarray, lives: int,
    week: Progress,
) -> dict[str, np.ndarray]:  # fmt: skip
    """(C + 1,) what a coupon that is sent does, `used` and figures as of `Lift`, all of them last:
    lives with it for all cards less lives without any, on the same draws. weeks: (R,) when they are
    handed out; need: (N,) what counts as the rest of a need. `everything` is profit of all that
    cards buy, of which a life says little: the manager answers to what is sold."""
    coupons = menu.product.size
    found = {name: np.zeros(coupons + 1) for name in ("used", *FIGURES, EVERYTHING)}
    for run in range(lives):
        none = _sums(opening, menu, weeks, until, np.zeros(coupons, bool), run, week)
        for at, product in enumerate(menu.product):
            own = _sums(opening, menu, weeks, until, np.arange(coupons) == at, run, week)
            more = own.units - none.units
            of_need = need == need[product]
            sums = {
                "used": own.used, "units": more[product], "cost": own.cost,
                "rest": more[of_need].sum() - more[product], "trips": own.trips - none.trips,
                "profit": (own.profit - none.profit)[of_need].sum(),
                EVERYTHING: own.everything - none.everything,
            }  # fmt: skip
            for name, value in sums.items():
                found[name][at] += value / own.sent / lives
    for values in found.values():
        values[-1] = values[:-1].mean()
    return found


def _sums(opening, menu: Menu, weeks, until: int, gives: np.ndarray, run: int, week) -> Sums:
    episode = Episode(opening, run)
    cards = episode.books.last_trip.size
    found = Sums(*np.zeros((2, episode.world.setting.at.size)))
    while episode.books.weeks < until:
        given = np.broadcast_to(gives & (episode.books.weeks + 1 in weeks), (cards, gives.size))
        actions = menu.actions(episode.world, given)
        result = episode.step(actions)
        r = result.receipts
        card = r.household[r.trip] < cards
        found.units += np.bincount(r.product[card], r.quantity[card], found.units.size)
        found.sent += len(actions.coupons)
        found.used += int((result.discount > 0).sum())
        found.trips += int((r.household < cards).sum())
        found.cost += float(result.discount.sum())
        found.everything += float(result.household_profit[:cards].sum())
        found.profit += result.profit
        week()
    return found


def lifts_beside(said: Lift, truth: dict[str, np.ndarray]) -> list[list[str]]:
    """Cells, the head first: in each what the trial says, its interval, and the truth."""
    rows = [["coupon on", "used", *FIGURES.values(), "profit of everything, £"]]
    held = []
    for at, name in enumerate([*said.product, "all"]):
        cells = [name, f"{said.used[at]:.1%}, {truth['used'][at]:.1%}"]
        for figure in FIGURES:
            low, high, cell = said.of_hundred(figure, at)
            true = scale(figure) * truth[figure][at]
            held.append(low <= true <= high)
            cells.append(f"{cell}, {true:+.1f}")
        rows.append([*cells, f"{truth[EVERYTHING][at]:+.1f}"])
    share = np.mean(np.array(held).reshape(len(rows) - 1, -1), axis=0)
    return [*rows, ["intervals that hold the truth", "", *(f"{x:.0%}" for x in share), ""]]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    made = parser(__doc__)
    chains_options(made)
    return run_command(made, _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
