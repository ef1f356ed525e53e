"""How alike a household's weeks are in two folders of receipts in the layout LGSR.

    python -m benchmarks.household_weeks data/lgsr raw_data

LightGBM is to tell the customers of one from those of the other by nine weeks of each, from figures
that know no product: an AUC of .5 where it notices nothing, also for half of the first folder's
customers against the other half. Signs are what it noticed, with the means of both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from benchmarks.common import answer, parser
from dbt_project.summary import load
from simulator.fidelity.detector import Detected, detect
from trainer.commands.options import whole

HISTORY = 26
"""Weeks before in which a product counts as bought before."""
FIGURES = """
    with line as (
        select customer, basket, basket.w as week, item.product, item.department, item.quantity,
            item.pence, basket.store, basket.hour
        from item join basket using (basket, customer)
        where customer is not null),
    inside as (select * from line where week between $first and $last),
    before as (select distinct customer, product from line
        where week between $first - $history and $first - 1),
    trip as (select customer, basket, any_value(week) as week, any_value(store) as store,
        any_value(hour) as hour, count(*) as items, sum(pence) as pence
        from inside group by all),
    usual as (select customer, max(n) / sum(n) as share, count(*) as stores
        from (select customer, store, count(*) as n from trip group by all) group by customer),
    trips as (select customer, count(*) as trips, count(distinct week) as weeks_with_trips,
        avg(items) as items_per_trip, stddev(items) as items_spread, max(items) as largest_trip,
        avg(pence) as pence_per_trip, stddev(pence) as pence_spread, avg(hour) as hour
        from trip group by customer),
    items as (select customer, count(*) / count(distinct product) as items_per_product,
        count(distinct product) as products, avg(quantity) as units_per_item,
        avg((quantity > 1)::int) as several, avg(pence / quantity) as price,
        median(pence / quantity) as price_median,
        avg((before.product is not null)::int) as bought_before,
        avg((department = 'D00001')::int) as d1, avg((department = 'D00002')::int) as d2,
        avg((department = 'D00003')::int) as d3, avg((department = 'D00005')::int) as d5,
        avg((department = 'D00008')::int) as d8
        from inside left join before using (customer, product) group by customer)
    select * from trips join items using (customer) join usual using (customer)
    order by customer"""


def figures(folder: Path, first: int, weeks: int) -> dict[str, np.ndarray]:
    """Figures of each customer who comes in some weeks, by name."""
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        connection.execute("set threads = 1")
        load(connection, folder)
        span = {"first": first, "last": first + weeks - 1, "history": HISTORY}
        found = connection.execute(FIGURES, span).fetchnumpy()
    found.pop("customer")
    return {name: np.ma.filled(np.ma.asarray(v, dtype=float), np.nan) for name, v in found.items()}


def compared(one: dict[str, np.ndarray], other: dict[str, np.ndarray], seed: int) -> Detected:
    """Detector of customers, each of whom is in one folder only."""
    sizes = [len(next(iter(side.values()))) for side in (one, other)]
    return detect(one, other, np.arange(sizes[0]), sizes[0] + np.arange(sizes[1]), seed=seed)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The result for the options of the command line."""
    real, other = (figures(f, options.first, options.weeks) for f in options.folders)
    count = len(next(iter(real.values())))
    half = np.random.default_rng(options.seed).permutation(count) < count // 2
    floor = compared(
        {k: v[half] for k, v in real.items()}, {k: v[~half] for k, v in real.items()}, options.seed
    )
    found = compared(real, other, options.seed)
    return {
        "benchmark": "household_weeks",
        "configuration": {"first": options.first, "weeks": options.weeks, "seed": options.seed},
        "customers": [count, len(next(iter(other.values())))],
        "halves_auc": round(floor.auc, 3),
        "auc": round(found.auc, 3),
        "signs": [
            {
                "figure": s.words,
                "weight": round(s.weight, 3),
                "means": [round(s.real, 3), round(s.simulated, 3)],
                "alone": round(s.alone, 3),
            }
            for s in found.signs[:12]
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    add = made.add_argument
    add("folders", nargs=2, type=Path, metavar="FOLDER", help="receipts in the layout LGSR")
    add("--first", type=whole(), default=60, help="first week (default: 60)")
    add("--weeks", type=whole(), default=9, help="default: 9")
    add("--seed", type=whole(0), default=0, help="of folds and of halves (default: 0)")
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
