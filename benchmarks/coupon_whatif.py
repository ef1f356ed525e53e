"""Coupons in a what-if, and a chain's truth: what they add, how many are used, what they cost.

    python -m simulator.policy trial raw --start 104 --out trial.safetensors
    python -m benchmarks.coupon_whatif raw runs/chain/best --cache cache --trial trial.safetensors

All customers with a trip up to `--start` get each coupon of the trial, good for as long as there.
The chain lives these weeks again with them and without, on the same draws and under the manager's
plan of the life without; the model is asked by `simulator.whatif --trial`. In the chain all holders
have their coupons in mind: what the model makes of that where a scenario states what the trial's
holders used, instead of naming the trial, is said too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.common import parser, write_result
from dbt_project.sample import Coupons
from dbt_project.sample.effects import made_of
from simulator.coupon_answers import check_trial, prospects
from simulator.coupon_log import CouponLog
from simulator.coupons import Coupon
from simulator.environments.opening import Opening, price_list
from simulator.policy.tables import markdown
from simulator.runs import ready_simulator
from simulator.scenario import Scenario
from simulator.simulation import Simulator
from simulator.tensor_file import texts
from simulator.whatif import WhatIf, what_if
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import whole
from trainer.model.checkpoint import load_checkpoint

FIGURES = ("units with coupons", "all units", "coupons used", "pounds taken off", "pounds paid")
"""What coupons change: units of the products that they are on, and of all products."""


def _run(options: argparse.Namespace) -> None:
    cache, log = TensorCache(options.cache), CouponLog.load(options.trial)
    check_trial(log, cache, options.start)
    config, behaviour = made_of(options.raw)
    opening = Opening.of(config, behaviour, options.start)
    if log.chain != price_list(opening.start()[0]):
        raise InputError(f"{options.trial} is of another chain than {options.raw}")
    simulator = ready_simulator(load_checkpoint(options.checkpoint), cache, options.start)
    codes = [code.decode() for code in cache["customers.code"][simulator.customers].tolist()]
    coupons, share = _coupons(log, simulator), used(log)
    everybody = coupons[0].customer
    most = [prospects(simulator.habits.rates(each))[0][everybody].mean() for each in coupons]
    noticed = share.sum() / sum(most)
    print(
        f"told that holders used {share.mean():.1%}, the model has {noticed:.0%} notice", flush=True
    )
    found = {"the chain": truth(opening, log, codes, options.lives)}
    print(*table(found), sep="\n", flush=True)
    answer = what_if(
        [simulator], Scenario(coupons=coupons, trial=log), log.lasts, range(options.runs),
        processes=options.processes,
    )  # fmt: skip
    found["the model"] = promised(answer)
    print(answer.coupons[0].answer.words, *table(found), sep="\n")
    figures = {name: np.round(each, 3).tolist() for name, each in found.items()}
    write_result(options.json, {"benchmark": "coupon_whatif", "noticed": noticed} | figures)


def table(found: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """Lines of Markdown: means of `FIGURES` and their standard errors, by name."""
    cells = [["", *FIGURES]]
    for name, (mean, error) in found.items():
        cells.append([name, *(f"{x:+,.0f} ± {e:.0f}" for x, e in zip(mean, error, strict=True))])
    return markdown(cells)


def used(log: CouponLog) -> np.ndarray:
    """(C,) share of the holders of each coupon who used it."""
    total = sum(
        ((log.during(week, log.used)[:, log.product] > 0) & given).sum(0)
        for week, given in zip(log.week.tolist(), log.given, strict=True)
    )
    return total / log.given.sum((0, 1))


def _coupons(log: CouponLog, simulator: Simulator) -> tuple[Coupon, ...]:
    """Those of the trial, for all."""
    cache = simulator.cache
    place = {code.decode(): row for row, code in enumerate(cache["products.code"].tolist())}
    everybody = np.zeros(cache.rows("customers"), bool)
    everybody[simulator.customers] = True
    codes, first = texts(log.code), simulator.start + 1
    found = []
    for product in log.product.tolist():
        token = np.zeros(cache.vocabulary.input_size, bool)
        token[1 + place[codes[product]]] = True
        found.append(Coupon(token, everybody, first, first + log.lasts - 1, share=log.depth))
    return tuple(found)


def promised(found: WhatIf) -> tuple[np.ndarray, np.ndarray]:
    """(figures,) means and standard errors of their means."""
    part, total, coupon = (found.tables[name].difference for name in ("part", "total", "coupon"))
    units, customers, spend, off = (
        found.measures.index(name) for name in ("units", "customers", "spend_pence", "coupon_pence")
    )
    mean, error = (
        np.array([
            of(part)[0, units], of(total)[0, units], np.nan, of(total)[0, off] / 100,
            of(total)[0, spend] / 100,
        ])
        for of in (lambda each: each.change, lambda each: each.error)
    )  # fmt: skip
    mean[2] = coupon.change[:, customers].sum()
    error[2] = np.sqrt((coupon.error[:, customers] ** 2).sum())
    return mean, error


def truth(
    opening: Opening, log: CouponLog, codes: list[str], lives: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `promised`, of lives of the chain; codes: of the customers who hold the coupons."""
    card = {code: row for row, code in enumerate(texts(log.customer))}
    household = np.repeat([card[code] for code in codes], len(log.product))
    coupons = Coupons.on_products(household, np.tile(log.product, len(codes)), log.depth)
    world = opening.start()[0]
    found = np.zeros((lives, len(FIGURES)))
    for run, life in enumerate(tqdm(found, desc="lives", file=sys.stderr)):
        plain, other = world.copy(run), world.copy(run)
        for week in range(log.lasts):
            plan = plain.plan()
            given = replace(plan, coupons=coupons) if week == 0 else plan
            before, after = plain.step(plan), other.step(given)
            more = after.units - before.units
            life += (
                more[log.product].sum(), more.sum(), (after.discount > 0).sum(),
                after.discount.sum() / 100, (after.revenue - before.revenue).sum() / 100,
            )  # fmt: skip
    return found.mean(0), found.std(0, ddof=1) / np.sqrt(lives)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    made = parser(__doc__)
    add = made.add_argument
    add("raw", type=Path, metavar="RAW", help="folder of python -m dbt_project.sample")
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="folder of a model of its cache")
    add("--cache", type=Path, default=Path("cache"), help="of the chain (default: cache)")
    add("--trial", type=Path, required=True, metavar="FILE", help="of simulator.policy trial")
    add("--start", type=whole(), default=104, metavar="WEEK", help="last week (default: 104)")
    add("--runs", type=whole(2, 1000), default=10, help="pairs of runs (default: 10)")
    add("--lives", type=whole(2, 10_000), default=100, help="of the chain (default: 100)")
    add("--processes", type=whole(1, 4096), default=1, help="runs side by side (default: 1)")
    add("--json", type=Path, metavar="FILE", help="write the figures")
    return run_command(made, _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
