"""`python -m dbt_project.tour`: the contents of a warehouse after `dbt build`, and next steps."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dbt_project.warehouse import default_database, open_warehouse
from trainer.commands.command import run_command
from trainer.commands.options import CommandParser

NEXT_STEPS = """
Look next:
  . .venv/bin/activate                                  the environment, for what follows
  dbt show --inline "select * from {{ ref('weeks') }}"  any mart, from the shell
  dbt docs generate --static                            every model and its lineage, in one page:
                                                        target/static_index.html
  python -m dbt_project.check /path/to/receipts         your own data (docs/your_own_receipts.md)
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    parser = CommandParser(
        prog="python -m dbt_project.tour",
        description="Print what the warehouse RETAILSIM_DB (default: warehouse.duckdb) holds.",
    )
    return run_command(parser, _run, arguments)


def _run(options: argparse.Namespace) -> None:
    print(_summary(default_database()))
    print(NEXT_STEPS.rstrip())


def _summary(path: Path) -> str:
    with open_warehouse(path) as warehouse:
        splits = warehouse.execute(
            """
            select
                split, min(week), max(week), sum(trips), sum(items), sum(spend_pence) / 100,
                count(*) filter (is_replayed_week)
            from weeks group by split order by min(week)
            """
        ).fetchall()
        counts = warehouse.execute(
            """
            select
                (select count(*) from customers), (select count(*) from products),
                (select count(*) from products where is_random_weight),
                (select count(*) from stores), (select count(*) from rejected_rows),
                (select count(*) from set_aside_rows)
            """
        ).fetchone()
    lines = [
        f"\n{path} holds\n",
        f"{'split':<12}{'weeks':>9}{'trips':>12}{'items':>12}{'spend':>15}  replayed weeks",
    ]
    for split, first, last, trips, items, spend, replayed in splits:
        weeks = f"{first}-{last}"
        lines.append(f"{split:<12}{weeks:>9}{trips:>12,}{items:>12,}{spend:>15,.2f}  {replayed}")
    customers, products, random_weight, stores, rejected, set_aside = counts
    lines.append(
        f"\n{customers:,} customers, {products:,} products ({random_weight:,} sold by weight), "
        f"{stores:,} stores; {rejected:,} rows rejected (table rejected_rows), "
        f"{set_aside:,} set aside (set_aside_rows)"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
