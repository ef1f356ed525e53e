"""Our price response beside textbook ways, against a synthetic chain's truth.

    python -m pip install -e '.[rivals]'
    python -m benchmarks.price_rivals raw_data --cache cache --json managed.json
    python -m benchmarks.price_rivals_table managed*.json random*.json

All learn from receipts up to `--start`. Own elasticities are compared with
truth/elasticities.parquet, of products with 300 units or more whose price moved. The counterfactual
WMAPE is that of 32 scenarios of prices 10 % dearer or cheaper for `--weeks`, lived again:
`benchmarks.price_scenarios` says what it weighs. The same predictions are given to the scorer of
the package causaldemand (Hong, Hwang and Shankar, CausalDemand, 2026), as one store and one week:
its error is the same by definition, its bias is of the whole answer, and it says how often the
answer is overstated.

Instruments are the chain's unit costs, which no receipt shows. Where prices are random
(`--pricing random`) they move no price, and there is nothing to instrument: with an F of the first
stage below 10 (Staiger and Stock, Instrumental variables regression with weak instruments, 1997)
instrumented methods are left out, and our model stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from benchmarks.common import parser, write_result
from benchmarks.price_chain import UNITS, chain_options, price_chain
from benchmarks.price_scenarios import (
    Truth,
    agreement,
    counterfactual_errors,
    lived,
    noise,
    scenarios,
)
from simulator.prices.demand_response import DemandResponse
from simulator.prices.elasticities import elasticities
from simulator.prices.expected import RECENT, ExpectedDemand
from simulator.prices.instrument import LEAST_F
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_outputs, whole

INSTRUMENTED = "log-log, instrumented", "Poisson, control function", "double ML, instrumented"
OURS, TYPICAL = "our model", "our model, typical where prices never moved"
OURS_INSTRUMENTED = "our model, instrumented"


def _parser() -> CommandParser:
    made = parser(__doc__)
    chain_options(made)
    add = made.add_argument
    add("--weeks", type=whole(), default=8, help="lived after it (default: 8)")
    add("--runs", type=whole(2), default=4, help="different futures (default: 4)")
    add(
        "--truth", type=Path, metavar="FILE",
        help="keep the weeks that were lived in this file, or take them from it",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write all figures")
    return made


def _run(options: argparse.Namespace) -> None:
    check_outputs(
        ("--json", options.json, rb'"benchmark": "price_rivals"'), ("--truth", options.truth, b"PK")
    )
    try:
        # Not above: nothing else needs these packages.
        from causaldemand.metrics import panel_scorer

        from benchmarks.price_methods import Cells
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed: python -m pip install -e '.[rivals]'"
        ) from None
    chain = price_chain(options, options.weeks)
    world, cache, response, rows = chain.world, chain.cache, chain.response, chain.rows
    config = world.setting.config
    catalogue = world.setting.catalogue
    _, department = np.unique(catalogue.department, return_inverse=True)
    asked = scenarios(catalogue.need, department, config.seed)
    truth = lived(
        world, asked, options.weeks, options.runs, options.truth,
        lambda each: tqdm(each, desc="living", unit="scenario", file=sys.stderr),
    )  # fmt: skip

    r = response.products
    change = truth.change[:, rows]
    cost = np.log(world.setting.economy.cost[rows, : options.start])
    cells = Cells(r.panel, r.price, cost, options.start, change)
    true = _true_elasticities(options.raw, chain.codes)
    instrument = cells.instrument()
    methods = {
        "no answer (LightGBM without price)": lambda: cells.answer(np.zeros(len(rows))),
        "log-log": cells.log_log,
        "log-log, instrumented": cells.instrumented,
        "Poisson": cells.poisson,
        "Poisson, control function": cells.control_function,
        "double ML": lambda: cells.double_learning(False),
        "double ML, instrumented": lambda: cells.double_learning(True),
        "LightGBM": cells.boosting,
        "true own elasticities": lambda: cells.answer(np.nan_to_num(true)),
    }
    if instrument["first_stage_f"] < LEAST_F:
        methods = {name: each for name, each in methods.items() if name not in INSTRUMENTED}
    found = {}
    for name, method in tqdm(methods.items(), desc="rivals", file=sys.stderr):
        answer = method()
        found[name] = answer.own, answer.factors
    horizon = options.start, options.weeks
    found[OURS] = _ours(cache, response, *horizon, change)
    told = chain.instrumented(options.start).response
    found[OURS_INSTRUMENTED] = _ours(cache, told, *horizon, change)
    found[TYPICAL] = _ours(cache, _typical(response), *horizon, change)
    units = r.panel.units[:, :, : options.start].sum((1, 2))
    judged = (units >= UNITS) & r.moved & np.isfinite(true) & np.isfinite(found[OURS][0])
    recent = r.panel.units[:, :, options.start - RECENT : options.start].sum((1, 2)) / RECENT
    result: dict[str, Any] = {
        "benchmark": "price_rivals",
        "configuration": {
            "chain": asdict(config), "start": options.start, "weeks": options.weeks,
            "runs": options.runs,
        },
        "products": {
            "elasticities": int(judged.sum()), "scenarios": len(rows),
            "units_never_moved": float(
                1 - truth.before.mean(0)[rows[r.moved]].sum() / truth.before.mean(0)[rows].sum()
            ),
        },
        "noise": noise(truth, rows),
        "instrument": instrument,
        "our_instrument": {
            name: asdict(getattr(told.instrument, name)) for name in ("within", "between")
        },
        "methods": {
            name: {
                "own": agreement(own[judged], true[judged]),
                "wmape": counterfactual_errors(truth, factors, rows, catalogue.need),
                "causaldemand": _by_the_judge(
                    panel_scorer, truth, factors, rows, recent * options.weeks
                ),
            }
            for name, (own, factors) in found.items()
        },
    }  # fmt: skip
    print("\n".join(_lines(result)))
    write_result(options.json, result)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _true_elasticities(raw: Path, codes: list[str]) -> np.ndarray:
    """(P,) own elasticities, NaN where there is none."""
    table = pq.read_table(raw / "truth/elasticities.parquet").to_pandas()
    own = table[(table.level == "product") & (table.sold == table.priced)]
    return own.set_index("sold").elasticity.reindex(codes).to_numpy()


def _ours(
    cache: TensorCache, response: DemandResponse, start: int, weeks: int, change: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Own elasticities (P,), NaN for products not sold lately, and factors (S, P)."""
    e = elasticities(ExpectedDemand(cache, response, start, 1), draws=1)
    own = np.full(change.shape[1], np.nan)
    is_own = e.sold == e.priced
    own[e.sold[is_own]] = e.value[is_own]
    demand = ExpectedDemand(cache, response, start, weeks)
    before = demand.units(torch.zeros(change.shape[1], dtype=torch.float64)).numpy()
    after = np.stack([demand.units(torch.tensor(each)).numpy() for each in change])
    return own, np.where(before > 0, after / np.maximum(before, 1e-12), 1.0)


def _typical(response: DemandResponse) -> DemandResponse:
    """With the switching of a typical product in place of 0 where a price never moved: what rivals
    do, whose slopes are drawn to their mean. Our model says that nothing is known there."""
    r = response.products
    every = replace(
        r, moved=np.ones_like(r.moved),
        switching=np.where(r.moved, r.switching, np.exp(r.typical)),
    )  # fmt: skip
    return replace(response, products=every)


def _by_the_judge(
    judge, truth: Truth, factors: np.ndarray, rows: np.ndarray, level: np.ndarray
) -> dict[str, Any]:
    """What causaldemand's scorer says of predictions. level: (P,) units expected at the old prices,
    for all methods the same."""
    import pandas as pd  # not above: only the judge takes its frames

    before, after = truth.before.mean(0)[rows], truth.after.mean(1)[:, rows]
    level = np.maximum(level, 0.1)
    keys, deltas = [], []
    for number, (each, change, units, factor) in enumerate(
        zip(truth.scenarios, truth.change, after, factors, strict=True)
    ):
        at = np.flatnonzero((change[rows] != 0) & (before > 0))
        cell = {
            "intervention_id": f"{number:02d}", "product_id": rows[at].astype(str),
            "store_id": "chain", "week": 1,
        }  # fmt: skip
        keys.append(pd.DataFrame(cell).assign(
            scope=each.scope, direction=each.name.split()[-1], q=before[at], q_cf=units[at],
        ))  # fmt: skip
        deltas.append(pd.DataFrame(cell).assign(predicted_delta_units=(level * (factor - 1))[at]))
    base = pd.DataFrame({"product_id": rows.astype(str), "store_id": "chain", "week": 1})
    guess = base.assign(predicted_units=level)
    scored = judge.score_scenarios(pd.concat(keys), guess, pd.concat(deltas))
    summary = judge.run_summary(scored, base.assign(q=before), guess)
    names = "mean_accuracy_cf_wmape", "mean_abs_bias", "share_overstated", "forecast_wmape"
    return {name: summary[name] for name in (*names, "status", "scorer_version")}


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [
        f"{'':<46}{'own elasticities':>32}{'counterfactual WMAPE':>45}{'error':>8}"
        f"{'causaldemand':>20}",
        f"{'':<46}{'r':>8}{'slope':>8}{'mean':>8}{'sign':>8}{'all':>9}{'products':>9}"
        f"{'departm.':>9}{'everyth.':>9}{'rivals':>9}{'total':>8}{'|bias|':>10}{'overst.':>10}",
    ]
    for name, m in result["methods"].items():
        own, error, judge = m["own"], m["wmape"], m["causaldemand"]
        lines.append(
            f"{name:<46}{own['r']:>8.2f}{own['slope']:>8.2f}{own['mean']:>8.2f}{own['sign']:>8.2f}"
            + "".join(
                f"{error[key]:>9.3f}"
                for key in ("all", "products", "departments", "everything", "rivals")
            )
            + f"{error['total']:>8.3f}{judge['mean_abs_bias']:>10.2f}"
            f"{judge['share_overstated']:>10.2f}"
        )
    i = result["instrument"]
    never = result["products"]["units_never_moved"]
    true, chance = result["methods"][OURS]["own"]["true_mean"], result["noise"]
    return [
        *lines,
        f"true mean of own elasticities {true:.2f}; chance in the truth: WMAPE {chance:.3f}",
        f"share of units of products whose price never moved: {never:.2f}",
        f"pooled elasticity {i['pooled']:.2f}, instrumented {i['instrumented']:.2f} "
        f"({i['standard_error']:.2f}), first stage F {i['first_stage_f']:.0f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
