"""Elasticities and price plans against a synthetic chain's truth.

    python -m dbt_project.sample --customers 2000 --stores 12 --seed 3
    RETAILSIM_RAW=raw_data dbt build && python -m dbt_project.export
    python -m benchmarks.price_truth raw_data --cache cache

Elasticities of a week are compared with those of the chain's expected purchases in the weeks after
`--start`, their mean. A plan is made from receipts and unit costs up to `--start` and valued by
living the weeks after it again under the plan, and under those of simpler methods that keep the
same rules.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import parser, write_result
from benchmarks.price_chain import UNITS, PriceChain, chain_options, lived, price_chain
from benchmarks.price_scenarios import ndcg
from dbt_project.sample.counterfactual import Effect, Held, at_prices, live_on
from dbt_project.sample.response import week_elasticities
from simulator.prices.demand_response import DemandResponse
from simulator.prices.elasticities import elasticities
from simulator.prices.expected import ExpectedDemand
from simulator.prices.optimise import Rules, best_prices
from trainer.commands.command import run_command
from trainer.commands.options import CommandParser, check_output, whole

RULES = Rules(most_move=0.1, least_margin=0.1, index=1.0)
MODEL, TRUE_PARAMETERS = "the model", "the chain's own parameters"
DEARER = "all 10 % up (breaks the cap)"
PROMISES = "promised", "promised_at_usual_prices"
"""Gains that a plan says it brings: at today's prices, and as `Plan.usual_gain`."""


def _parser() -> CommandParser:
    made = parser(__doc__)
    chain_options(made)
    add = made.add_argument
    add("--weeks", type=whole(), default=22, help="lived after it (default: 22)")
    add("--runs", type=whole(), default=4, help="different futures (default: 4)")
    add(
        "--instrument", action="store_true",
        help="the response is told the chain's unit costs up to --start, an instrument for prices",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write all figures")
    return made


def _run(options: argparse.Namespace) -> None:
    check_output("--json", options.json, rb'"benchmark": "price_truth"')
    chain = price_chain(options, options.weeks)
    if options.instrument:
        chain = chain.instrumented(options.start)
    found = {
        "benchmark": "price_truth",
        "configuration": {
            "chain": asdict(chain.world.setting.config), "start": options.start,
            "weeks": options.weeks, "runs": options.runs, "instrument": options.instrument,
            "rules": asdict(RULES),
        },
        "elasticities": _elasticities(options, chain),
        "plans": _plans(options, chain),
    }  # fmt: skip
    print("\n".join(_lines(found)))
    write_result(options.json, found)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _elasticities(options: argparse.Namespace, chain: PriceChain) -> dict:
    r = chain.response.products
    demand = ExpectedDemand(chain.cache, chain.response, options.start, 1)
    e = elasticities(demand)
    own_row = chain.panel_row()
    mine = {pair: i for i, pair in enumerate(zip(e.sold, e.priced, strict=True))}
    true = week_elasticities(chain.world.copy(), options.weeks)["product"]
    s, weeks = chain.world.setting, min(options.weeks, options.start)
    world = lived(s.config, s.behaviour, options.start - weeks)
    earlier = week_elasticities(world, weeks)["product"]
    sold, priced = own_row[true.sold], own_row[true.priced]
    known = (sold >= 0) & (priced >= 0) & np.isfinite(true.value)
    sold, priced, truth, error = (x[known] for x in (sold, priced, true.value, true.standard_error))
    place = np.array([mine.get(pair, -1) for pair in zip(sold, priced, strict=True)])
    # Pairs that it has in different needs have no effect on each other.
    value, low, high = (np.where(place >= 0, x[place], 0.0) for x in (e.value, e.low, e.high))
    enough = r.panel.units[:, :, : options.start].sum((1, 2)) >= UNITS
    judged = enough[sold] & enough[priced] & r.moved[sold] & r.moved[priced] & np.isfinite(value)
    own, cross = judged & (sold == priced), judged & (sold != priced)
    before = earlier.value[known]
    seen = own & np.isfinite(before)
    wide = 1.645 * error
    return {
        "own": _agreement(value[own], truth[own])
        | {
            "most_r": most_r(
                r.panel.trips[sold[own], :, : options.start],
                r.panel.pence[sold[own], :, : options.start],
                truth[own],
            ),
            "r_of_truth_before": float(np.corrcoef(before[seen], truth[seen])[0, 1]),
            "sign": float((value[own] < 0).mean()),
            "held_by_90_percent_intervals": float(
                ((low - wide <= truth) & (truth <= high + wide))[own].mean()
            ),
        },
        "cross": _agreement(value[cross], truth[cross])
        | {"ndcg_at_5_of_rivals": _ranking(sold[cross], priced[cross], value[cross], truth[cross])},
    }


def _agreement(value: np.ndarray, truth: np.ndarray) -> dict:
    both = np.cov(value, truth)
    return {
        "pairs": len(value), "r": float(np.corrcoef(value, truth)[0, 1]),
        "slope": float(both[0, 1] / both[0, 0]),
        "slope_of_estimates": float(both[0, 1] / both[1, 1]),
        "mean": float(value.mean()), "true_mean": float(truth.mean()),
    }  # fmt: skip


def most_r(trips: np.ndarray, pence: np.ndarray, truth: np.ndarray) -> float:
    """The highest correlation with the truth (P,) that estimates from these receipts can have.

    trips and pence: (P, zones, weeks). Had nothing but one level of demand per product and zone to
    be learnt besides, trips with a product would be Poisson with mean exp(level + e x log price):
    the information on e is the sum of trips x squared deviations of the log price from its mean
    (McCullagh and Nelder, Generalized Linear Models, 1989, section 2.5). What stays unknown of e is
    then the posterior variance under a normal prior with the variance of the truth. Seasons, stocks
    and habits have to be learnt too, so that the bound is not reached.
    """
    price = np.log(np.maximum(pence, 1))
    seen = trips.sum(2, keepdims=True)
    deviation = price - (trips * price).sum(2, keepdims=True) / np.maximum(seen, 1)
    information = (trips * deviation**2).sum((1, 2))
    unknown = 1 / (1 + truth.var() * information)
    return float(np.sqrt(1 - unknown.mean()))


def _ranking(sold, priced, value, truth) -> float:
    """Mean over products priced of NDCG@5 of those that gain, with true elasticities as gains."""
    found = []
    for product in np.unique(priced):
        rivals = np.flatnonzero(priced == product)
        if len(rivals) > 1:
            found.append(ndcg(value[rivals], truth[rivals]))
    return float(np.nanmean(found))


def _plans(options: argparse.Namespace, chain: PriceChain) -> list[dict]:
    world, cache, response, rows = chain.world, chain.cache, chain.response, chain.rows
    s = world.setting
    demand = ExpectedDemand(cache, response, options.start, options.weeks)
    weekly = s.economy.cost[rows, : options.start]
    cost, then = weekly[:, -1], weekly if options.instrument else None
    held = Held.of(world, options.weeks, options.runs)
    base = live_on(world, held, options.weeks, options.runs)
    truth = _with_truth(response, s, rows)
    plans = {
        MODEL: best_prices(demand, cost, RULES, then),
        "one product at a time": best_prices(_alone(demand), cost, RULES, then),
        TRUE_PARAMETERS: best_prices(
            ExpectedDemand(cache, truth, options.start, options.weeks), cost, RULES, then
        ),
    }
    ratios = {name: plan.after / plan.before for name, plan in plans.items()}
    # Products whose demand is not modelled earn too.
    modelled = base.product_profit.sum(0)[rows].sum() / base.profit.sum()
    promised = {
        name: ((plan.profit_after / plan.profit_before - 1) * modelled, plan.usual_gain * modelled)
        for name, plan in plans.items()
    }
    today = plans[MODEL].before
    ratios["cost-plus"] = _cost_plus(today, cost, plans[MODEL].units_before)
    ratios[DEARER] = np.full(len(rows), 1.1)
    found = []
    for name, ratio in ratios.items():
        factor = np.ones(s.catalogue.price.size)
        factor[rows] = ratio
        after = live_on(world, held.changed(at_prices(factor)), options.weeks, options.runs)
        profit = Effect.of(base.profit.sum(1), after.profit.sum(1))
        units = (after.units.sum() / base.units.sum()) - 1
        found.append({
            "plan": name, **dict(zip(PROMISES, promised.get(name, (None, None)), strict=True)),
            "changed": int((ratio != 1).sum()),
            "profit": profit.difference / profit.before,
            "standard_error": profit.standard_error / profit.before, "units": float(units),
        })  # fmt: skip
    up = demand.units(torch.full((len(rows),), float(np.log(1.1)), dtype=torch.float64)).sum()
    now = demand.units(torch.zeros(len(rows), dtype=torch.float64)).sum()
    found[-1]["expected_units"] = float(up / now - 1)
    return found


def _alone(demand: ExpectedDemand) -> ExpectedDemand:
    """As if each product were a need of its own that loses what it loses: no product gains."""
    r = demand.response.products
    own = r.switching * (1 - r.share)
    alone = replace(
        r, need=np.arange(len(r.need)), switches=False, share=np.ones(len(r.need)), switching=own,
    )  # fmt: skip
    other = demand.without_visits()
    other.response = replace(other.response, products=alone)
    return other


def _with_truth(response: DemandResponse, s, rows: np.ndarray) -> DemandResponse:
    """The parameters that the chain was made with, where the formulas have a place for them."""
    r, b = response.products, s.behaviour
    _, need = np.unique(s.catalogue.need[rows], return_inverse=True)
    sales = r.panel.trips.sum((1, 2)) + 1
    products = replace(
        r, need=need, switches=True, share=sales / np.bincount(need, sales)[need],
        switching=s.catalogue.elasticity[rows].astype(float), lasting=b.need,
        passing=(b.deal + b.loss) / 2, moved=np.ones(len(rows), bool),
    )  # fmt: skip
    return replace(response, products=products, visits=response.visits._replace(value=b.visits))


def _cost_plus(price: np.ndarray, cost: np.ndarray, units: np.ndarray) -> np.ndarray:
    """One markup on cost for all, within the bounds, that keeps today's price level."""
    weight = units * price
    low, high = 0.5, 5.0
    for _ in range(60):
        markup = (low + high) / 2
        ratio = np.clip(cost * markup / price, 1 - RULES.most_move, 1 + RULES.most_move)
        low, high = (markup, high) if (weight * ratio).sum() <= weight.sum() else (low, markup)
    return np.rint(price * ratio) / price


def _lines(found: dict) -> list[str]:
    own, cross = found["elasticities"]["own"], found["elasticities"]["cross"]
    goals = [
        ("own: r", own["r"], ">= .85"),
        ("own: r, at most from so many receipts", own["most_r"], ""),
        ("own: r of the truth before --start", own["r_of_truth_before"], ""),
        ("own: slope of the truth", own["slope"], ".9 to 1.1"),
        ("own: slope of the estimates", own["slope_of_estimates"], ""),
        ("own: sign", own["sign"], ">= .98"),
        ("own: held by 90 % intervals", own["held_by_90_percent_intervals"], ".85 to .95"),
        ("cross: r", cross["r"], ">= .6"),
        ("cross: NDCG@5 of rivals", cross["ndcg_at_5_of_rivals"], ">= .8"),
    ]  # fmt: skip
    plans = {plan["plan"]: plan for plan in found["plans"]}
    model, best, dearer = (plans[name] for name in (MODEL, TRUE_PARAMETERS, DEARER))
    goals += [
        ("plan: of what the true parameters earn", model["profit"] / best["profit"], ">= .6"),
        *(
            (f"plan: {name.replace('_', ' ')} / earned", model[name] / model["profit"], "<= 1.25")
            for name in PROMISES
        ),
        (
            "all prices 10 % up: units, expected / true",
            dearer["expected_units"] / dearer["units"], ".8 to 1.2",
        ),
    ]  # fmt: skip
    lines = [f"{name:<45}{value:>8.3f}   {goal}" for name, value, goal in goals]
    lines += [
        "",
        f"{'plan':<32}{'changed':>8}{'promised':>10}{'usually':>9}{'profit':>9}{'error':>8}{'units':>8}",
    ]
    for plan in plans.values():
        promised, usually = (
            "" if plan[name] is None else f"{plan[name]:+.1%}" for name in PROMISES
        )
        lines.append(
            f"{plan['plan']:<32}{plan['changed']:>8}{promised:>10}{usually:>9}{plan['profit']:>+9.1%}"
            f"{plan['standard_error']:>8.1%}{plan['units']:>+8.1%}"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
