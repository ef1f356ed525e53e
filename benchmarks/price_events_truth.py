"""Promotions, delistings and launches: what our price response expects, and a chain's truth.

    python -m benchmarks.price_events_truth raw_data --cache cache

One product of each need is promoted, taken off sale or brought back at a time. Promotions are of
all needs at once, so that a few runs show what each event does to its rivals; the others are of an
eighth of the needs (`PARTS`), since what is bought with missing products is missed too. The model's
answers are those of `simulator.prices.expected`, from receipts up to `--start`:

- *A promotion* of 30 % for two weeks. Cannibalised share: units that products without a promotion
  lose for each that promoted ones gain, in these weeks.
- *A delisting*. Of products with 300 units or more that were sold lately, who gains is ranked:
  NDCG@5 over all products, with true gains as gains and no gain outside the need. Totals are the
  share of what the products sold that others sell instead, and the change of all units.
- *A launch*: products that were off sale for `ABSENCE` weeks come back. Who loses is ranked.

Beside the model's ranking is one that needs no model: products of the finest category by sales.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import parser, write_result
from benchmarks.price_chain import UNITS, PriceChain, chain_options, price_chain
from benchmarks.price_scenarios import ndcg
from dbt_project.sample import World
from dbt_project.sample.actions import Actions
from dbt_project.sample.counterfactual import Effect, Held, live_on
from simulator.prices.expected import RECENT, ExpectedDemand
from trainer.commands.command import run_command
from trainer.commands.options import CommandParser, check_output, whole

DEPTH, PROMOTED_WEEKS = 0.3, 2
PARTS = 8
"""Of a draw, between which products that are off sale are divided."""
ABSENCE = 4


def _parser() -> CommandParser:
    made = parser(__doc__)
    chain_options(made)
    add = made.add_argument
    add("--weeks", type=whole(), default=8, help="without or with a product (default: 8)")
    add("--runs", type=whole(2), default=4, help="different futures (default: 4)")
    add("--draws", type=whole(), default=3, help="products of each need in turn (default: 3)")
    add("--json", type=Path, metavar="FILE", help="write all figures")
    return made


def _run(options: argparse.Namespace) -> None:
    check_output("--json", options.json, rb'"benchmark": "price_events_truth"')
    chain = price_chain(options, ABSENCE + options.weeks)
    world, cache, response, rows = chain.world, chain.cache, chain.response, chain.rows
    config, panel = world.setting.config, response.products.panel
    often = panel.units[:, :, : options.start].sum((1, 2)) >= UNITS
    lately = panel.units[:, :, options.start - RECENT : options.start].sum((1, 2)) > 0
    asked = rows[often & lately & response.products.moved]
    need = world.setting.catalogue.need
    draws = _one_of_each(need, asked, options.draws, config.seed)
    apart = [chosen[part::PARTS] for chosen in draws for part in range(PARTS)]
    expected = [
        ExpectedDemand(cache, response, options.start, weeks)
        for weeks in (PROMOTED_WEEKS, options.weeks)
    ]
    events = _Events(chain, options.weeks, options.runs)
    found: dict[str, Any] = {
        "benchmark": "price_events_truth",
        "configuration": {
            "chain": asdict(config), "start": options.start, "weeks": options.weeks,
            "runs": options.runs, "draws": options.draws, "depth": DEPTH,
            "promoted_weeks": PROMOTED_WEEKS, "absence": ABSENCE, "parts": PARTS,
        },
        "instead": chain.response.instead._asdict(),
        "promotion": events.promotions(expected[0], draws),
        "delisting": events.delistings(expected[1], apart),
        "launch": events.launches(expected[1], apart),
    }  # fmt: skip
    print("\n".join(_lines(found)))
    write_result(options.json, found)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _one_of_each(need: np.ndarray, allowed: np.ndarray, draws: int, seed: int) -> list[np.ndarray]:
    """Rows of one product of each need with two or more, drawn at random among those allowed."""
    rng = np.random.default_rng(seed)
    several = np.bincount(need) > 1
    chosen = []
    for _ in range(draws):
        order = rng.permutation(allowed[several[need[allowed]]])
        _, first = np.unique(need[order], return_index=True)
        chosen.append(order[first])
    return chosen


class _Events:
    """Events of a chain, lived and expected."""

    def __init__(self, chain: PriceChain, weeks: int, runs: int) -> None:
        self.world, self.rows, self.panel_row = chain.world, chain.rows, chain.panel_row()
        self.need = chain.world.setting.catalogue.need
        self.category = chain.response.products.panel.category
        self.weeks, self.runs = weeks, runs

    def promotions(self, demand: ExpectedDemand, draws: list[np.ndarray]) -> dict[str, Any]:
        """Promoted products' own gain, and the cannibalised share, in truth and expected."""
        held = Held.of(self.world, PROMOTED_WEEKS, self.runs)
        before = live_on(self.world, held, PROMOTED_WEEKS, self.runs).units.sum(1)
        gained, lost, sold, model = [], [], [], []
        for chosen in draws:
            running = np.asarray(held.plans[0][0].depth)[:, chosen].max(0) > 0
            fresh = chosen[~running]
            units = self._lived(self.world, held, PROMOTED_WEEKS, _promoted(fresh)) - before
            others = np.isin(self.need, self.need[fresh])
            others[fresh] = False
            gained.append(units[:, fresh].sum(1))
            lost.append(-units[:, others].sum(1))
            sold.append(before[:, self.rows].sum(1))
            change = np.zeros(self.rows.size)
            change[self.panel_row[fresh]] = np.log(1 - DEPTH)
            now = _units(demand)
            difference = _units(demand, change) - now
            own = difference[self.panel_row[fresh]].sum()
            model.append((own, own - difference.sum(), now.sum()))
        top, bottom, total = (np.sum(each, axis=0) for each in (lost, gained, sold))
        share = Effect.of(np.zeros(self.runs), top / bottom)
        own, rivals, expected = np.sum(model, axis=0)
        return {
            "share": float(share.after), "standard_error": share.standard_error,
            "expected_share": float(rivals / own),
            "gained": float((bottom / total).mean()), "expected_gained": float(own / expected),
        }  # fmt: skip

    def delistings(self, demand: ExpectedDemand, draws: list[np.ndarray]) -> dict[str, Any]:
        """How those who gain are ranked, and totals."""
        held = Held.of(self.world, self.weeks, self.runs)
        before = live_on(self.world, held, self.weeks, self.runs).units.sum(1)
        return self._taken_off(
            demand, draws, lambda chosen: (
                before, self._lived(self.world, held, self.weeks, _off_sale(chosen))
            ),
        )  # fmt: skip

    def launches(self, demand: ExpectedDemand, draws: list[np.ndarray]) -> dict[str, Any]:
        """The same of products that come back: who loses."""

        def lived(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            world = self.world.copy()
            for _ in range(ABSENCE):
                world.step(_off_sale(chosen)(world.plan(), world.week))
            held = Held.of(world, self.weeks, self.runs)
            back = live_on(world, held, self.weeks, self.runs).units.sum(1)
            return back, self._lived(world, held, self.weeks, _off_sale(chosen))

        return self._taken_off(demand, draws, lived)

    def _taken_off(
        self, demand: ExpectedDemand, draws: list[np.ndarray],
        lived: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    ) -> dict[str, Any]:  # fmt: skip
        """lived: units (R, N) with and without chosen products."""
        ranked, by_sales, instead, all_units, sold, units, model = [], [], [], [], [], [], []
        for chosen in draws:
            on, off = lived(chosen)
            gain = (off - on).mean(0)
            missing = np.isin(self.rows, chosen)
            sales = _units(demand)
            expected = _units(demand, missing=missing) - sales
            for product in chosen:
                at = self.panel_row[product]
                others = np.arange(self.rows.size) != at
                true = np.where(self.need[self.rows] == self.need[product], gain[self.rows], 0)
                guess = _units(demand, missing=~others) - sales
                same = np.where(self.category == self.category[at], sales, 0)
                ranked.append(ndcg(guess[others], true[others]))
                by_sales.append(ndcg(same[others], true[others]))
            beside = np.isin(self.need, self.need[chosen])
            beside[chosen] = False
            sold.append(on[:, chosen].sum(1))
            units.append(on.sum(1))
            instead.append((off - on)[:, beside].sum(1))
            all_units.append((off - on).sum(1))
            # Of products whose demand is not modelled nothing is expected.
            modelled = on[:, self.rows].sum() / on.sum()
            model.append((sales[missing].sum(), expected.sum(), sales.sum() / modelled))
        of_rivals, of_all = (
            Effect.of(np.zeros(self.runs), np.sum(change, axis=0) / np.sum(before, axis=0))
            for change, before in ((instead, sold), (all_units, units))
        )
        lost, change, whole_chain = np.sum(model, axis=0)
        expected_instead, expected_all = 1 + change / lost, change / whole_chain
        return {
            "products": len(ranked), "ndcg": float(np.nanmean(ranked)),
            "ndcg_by_sales": float(np.nanmean(by_sales)),
            "sold_instead": of_rivals.after, "sold_instead_error": of_rivals.standard_error,
            "expected_sold_instead": float(expected_instead),
            "all_units": of_all.after, "all_units_error": of_all.standard_error,
            "expected_all_units": float(expected_all),
        }  # fmt: skip

    def _lived(self, world: World, held: Held, weeks: int, change) -> np.ndarray:
        """(R, N) units of all weeks."""
        return live_on(world, held.changed(change), weeks, self.runs).units.sum(1)


def _promoted(chosen: np.ndarray):
    def change(actions: Actions, week: int) -> Actions:
        depth = np.array(actions.depth)
        depth[..., chosen] = DEPTH
        return replace(actions, depth=depth)

    return change


def _off_sale(chosen: np.ndarray):
    def change(actions: Actions, week: int) -> Actions:
        assortment = np.array(actions.assortment)
        assortment[..., chosen] = False
        return replace(actions, assortment=assortment)

    return change


def _units(
    demand: ExpectedDemand, change: np.ndarray | float = 0.0, missing: np.ndarray | None = None
) -> np.ndarray:
    """(P,) expected units a week at changed prices, logarithms, or without products."""
    change = np.broadcast_to(change, len(demand.pence)).astype(float)
    return demand.units(torch.tensor(change), missing=missing).numpy()


def _lines(found: dict[str, Any]) -> list[str]:
    p, instead = found["promotion"], found["instead"]
    lines = [
        f"rivals get {instead['value']:.3f} (standard error {instead['error']:.3f}) of a missing "
        f"product's purchases, by {instead['gaps']} gaps",
        f"{'':<44}{'truth':>9}{'error':>9}{'expected':>10}   goal",
        f"{'promotion: cannibalised share':<44}{p['share']:>9.3f}{p['standard_error']:>9.3f}"
        f"{p['expected_share']:>10.3f}   within 20 %",
        f"{'promotion: units gained, of all units':<44}{p['gained']:>9.3f}{'':>9}"
        f"{p['expected_gained']:>10.3f}",
    ]
    for name, who in (("delisting", "gains"), ("launch", "loses")):
        e = found[name]
        lines += [
            f"{name + ': share of its sales that rivals have else':<44}{e['sold_instead']:>9.3f}"
            f"{e['sold_instead_error']:>9.3f}{e['expected_sold_instead']:>10.3f}   within 15 %",
            f"{name + ': all units without':<44}{e['all_units']:>+9.4f}"
            f"{e['all_units_error']:>9.3f}{e['expected_all_units']:>+10.4f}   within 15 %",
            f"{name + f': NDCG@5 of who {who}':<44}{'':>18}{e['ndcg']:>10.3f}   >= .7 "
            f"(by sales in the category {e['ndcg_by_sales']:.3f}; {e['products']} products)",
        ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
