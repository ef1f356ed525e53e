"""Command line: python -m dbt_project.sample.effects, what a change does in a synthetic chain."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from tqdm import tqdm

from trainer.cache.atomic import new_file
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, whole

from .actions import DEEPEST, Actions
from .behaviour import Behaviour
from .chain import build_chain
from .config import ChainConfig, read
from .counterfactual import (
    Change,
    Comparison,
    CustomerValue,
    Effect,
    Held,
    counterfactual,
    customer_value,
    elasticities,
)
from .folder import CHAIN, GENERATOR
from .households import CLASSES
from .levels import Elasticities, priced
from .world import World
from .world_truth import elasticity_table
from .write import Codes

MARK = b"retailsim.effects"
"""In the files that the command writes, so that it replaces no others."""
LEVELS = ("product", "need", "department", "chain")


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m dbt_project.sample.effects",
        description="Live a responsive chain once more under changed prices, with the same draws, "
        "and print what the change did, with standard errors; or measure elasticities, or what "
        "customers are worth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--raw", type=Path, default=Path("raw_data"), help="folder of python -m dbt_project.sample")
    add("--after", type=whole(0), default=52, metavar="WEEK", help="weeks lived as they were")
    add("--weeks", type=whole(), default=8, help="weeks lived with the change")
    add("--runs", type=whole(1, 10_000), default=8, help="different futures")
    measured = parser.add_mutually_exclusive_group()
    measured.add_argument(
        "--elasticities", choices=LEVELS, default=argparse.SUPPRESS,
        help="measure these, of prices held for --weeks",
    )  # fmt: skip
    measured.add_argument(
        "--customers", action="store_true", default=argparse.SUPPRESS,
        help="measure the profit that each customer brings in --weeks, and what losing one costs",
    )  # fmt: skip
    add(
        "--products", nargs="+", metavar="CODE", default=argparse.SUPPRESS,
        help="codes of products, or of any level above, whose prices change (default: all)",
    )  # fmt: skip
    add("--price", type=float, default=1.0, metavar="FACTOR", help="multiplies regular prices")
    add("--promotion", type=float, default=0.0, metavar="DEPTH", help="share taken off, 0 for none")
    add(
        "--lasts", type=whole(), metavar="WEEKS", default=argparse.SUPPRESS,
        help="weeks that the change lasts (default: all)",
    )  # fmt: skip
    add(
        "--out", type=Path, metavar="FILE", default=argparse.SUPPRESS,
        help="Parquet file for the table (default: print it)",
    )  # fmt: skip
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    config, behaviour = made_of(options.raw)
    last = options.after + options.weeks
    if last > config.weeks:
        raise InputError(
            f"--after {options.after} and --weeks {options.weeks}: the chain has {config.weeks} "
            "weeks; choose smaller ones"
        )
    if not 0.1 <= options.price <= 10:
        raise InputError(f"--price must be from 0.1 to 10, not {options.price:g}")
    if not 0 <= options.promotion <= DEEPEST:
        raise InputError(f"--promotion must be from 0 to {DEEPEST}, not {options.promotion:g}")
    _check_change(options)
    out = getattr(options, "out", None)
    check_output("--out", out, MARK)
    codes = build_chain(config).codes
    world = World(config, behaviour)
    for _ in tqdm(range(options.after), unit="week", desc="past", file=sys.stderr):
        world.step()
    if hasattr(options, "elasticities"):
        found = elasticities(world, options.elasticities, options.weeks, options.runs)
        table = elasticity_table({options.elasticities: found}, codes)
        summary = _spread(found)
    elif hasattr(options, "customers"):
        table = _customers(world, codes, customer_value(world, options.weeks, options.runs))
        summary = _worth(table)
    else:
        chosen = _chosen(world, codes, getattr(options, "products", None))
        until = options.after + getattr(options, "lasts", options.weeks)
        held = Held.of(world, options.weeks, options.runs)
        change = _change(chosen, options.price, options.promotion, until)
        compared = counterfactual(world, held.changed(change), options.weeks, options.runs, held)
        effects = _effects(world, compared, chosen)
        table = pa.table({
            "total": list(effects),
            **{
                name: [getattr(e, name) for e in effects.values()]
                for name in ("before", "after", "difference", "standard_error")
            },
        })  # fmt: skip
        summary = _printed(effects)
    if out is not None:
        with new_file(out) as fresh:
            pa.parquet.write_table(table.replace_schema_metadata({MARK: b"1"}), fresh)
    print(summary)


def _check_change(options: argparse.Namespace) -> None:
    """Raises InputError where options would do nothing."""
    changed = {
        "--price": options.price != 1, "--promotion": options.promotion > 0,
        "--products": hasattr(options, "products"), "--lasts": hasattr(options, "lasts"),
    }  # fmt: skip
    given = [name for name, there in changed.items() if there]
    if hasattr(options, "elasticities") or hasattr(options, "customers"):
        if given:
            raise InputError(f"{given[0]} changes nothing that is measured here: leave it out")
    elif not (changed["--price"] or changed["--promotion"]):
        raise InputError("nothing changes: add --price or --promotion, or measure --elasticities")
    elif getattr(options, "lasts", 1) > options.weeks:
        raise InputError(f"--lasts {options.lasts} is longer than --weeks {options.weeks}")


def made_of(raw: Path) -> tuple[ChainConfig, Behaviour]:
    """What made the responsive chain in a folder; raises InputError where there is none."""
    path = raw / CHAIN
    try:
        content = json.loads(path.read_text())
        if content["generator"] != GENERATOR:
            raise ValueError("another generator")
        config = read(content["config"])
        if config.behaviour == "responsive":
            parameters = dict(content["parameters"])
            del parameters["replayed_share"]
            return config, Behaviour(**parameters)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): name a folder of python -m dbt_project.sample"
        ) from None
    raise InputError(
        f"the weeks of {raw} are independent: nothing is lost or remembered there. Make a chain "
        "with --behaviour responsive"
    )


def _chosen(world: World, codes, names: list[str] | None) -> np.ndarray:
    """(N,) whether a product is named, or something above it."""
    c = world.setting.catalogue
    if names is None:
        return np.ones(c.price.size, bool)
    chosen = np.zeros(c.price.size, bool)
    for name in names:
        inside = np.zeros(c.price.size, bool)
        for column, words in (
            (np.arange(c.price.size), codes.product), (c.cl, codes.cl), (c.dep, codes.dep),
            (c.group, codes.group), (c.department, codes.department),
        ):  # fmt: skip
            if name in words:
                inside = column == words.index(name)
        if not inside.any():
            raise InputError(f"--products: the chain has no {name}")
        chosen |= inside
    return chosen


def _change(chosen: np.ndarray, factor: float, depth: float, until: int) -> Change:
    def change(actions: Actions, week: int) -> Actions:
        if week > until:
            return actions
        return replace(
            actions,
            regular=priced(actions.regular, np.where(chosen, factor, 1.0)),
            depth=np.where(chosen & (depth > 0), depth, actions.depth),
        )

    return change


def _effects(world: World, compared: Comparison, chosen: np.ndarray) -> dict[str, Effect]:
    """Effects on everything, and on units of the products whose price changed and of rivals."""
    need = world.setting.catalogue.need
    rivals = np.isin(need, need[chosen]) & ~chosen
    return compared.effects() | {
        "units of these products": compared.units(np.flatnonzero(chosen)),
        "units of their rivals": compared.units(np.flatnonzero(rivals)),
        "units of their needs": compared.units(np.flatnonzero(chosen | rivals)),
    }


def _customers(world: World, codes: Codes, value: CustomerValue) -> pa.Table:
    """One row per customer who is with the chain now."""
    h = world.setting.households
    here = (h.first_week <= world.week) & (world.week <= h.last_week) & ~world.memory.lost
    who = np.flatnonzero(here[: h.known])
    return pa.table({
        "customer": [codes.customer[i] for i in who],
        "price_sensitivity": [CLASSES[i] for i in h.sensitivity[who]],
        "profit_pence": value.profit[who],
        "profit_if_lost_pence": value.profit_if_lost[who],
        "cost_of_losing_pence": value.cost_of_losing[who],
        "standard_error": value.standard_error[who],
        "stays": value.stays[who],
    })  # fmt: skip


def _worth(table: pa.Table) -> str:
    """Customers by what they bring, a tenth of them a line, and by class."""
    profit, cost, error, stays = (
        table[name].to_numpy()
        for name in ("profit_pence", "cost_of_losing_pence", "standard_error", "stays")
    )
    classes = np.array(table["price_sensitivity"].to_pylist())
    tenths = np.array_split(np.argsort(-profit, kind="stable"), min(10, profit.size))
    rows = [(f"tenth {i}", at) for i, at in enumerate(tenths, 1)]
    rows += [(f"class {name}", np.flatnonzero(classes == name)) for name in CLASSES]
    rows += [("all", np.arange(profit.size))]
    lines = [
        f"{'customers':<12}{'number':>8}{'profit':>12}{'if lost, less':>15}{'error':>9}{'stay':>8}"
    ]
    for name, at in rows:
        if at.size:
            mean_error = np.sqrt((error[at] ** 2).sum()) / at.size
            lines.append(
                f"{name:<12}{at.size:>8}{profit[at].mean():>12,.0f}{cost[at].mean():>15,.0f}"
                f"{mean_error:>9,.0f}{stays[at].mean():>8.3f}"
            )
    return "\n".join([*lines, "pence a customer; error: of the column before it"])


def _printed(effects: dict[str, Effect]) -> str:
    lines = [f"{'total':<26}{'before':>16}{'after':>16}{'difference':>16}{'error':>12}"]
    for name, e in effects.items():
        figures = f"{e.before:>16,.1f}{e.after:>16,.1f}{e.difference:>16,.1f}"
        lines.append(f"{name:<26}{figures}{e.standard_error:>12,.1f}")
    return "\n".join(lines)


def _quantiles(values: np.ndarray, at: list[float]) -> np.ndarray:
    """Of the values that are known; nan where none is."""
    known = values[~np.isnan(values)]
    return np.quantile(known, at) if known.size else np.full(len(at), np.nan)


def _spread(e: Elasticities) -> str:
    own = e.sold == e.priced
    lines = [f"{'elasticities':<14}{'number':>8}{'10 %':>9}{'median':>9}{'90 %':>9}{'error':>9}"]
    for name, chosen in (("own", own), ("cross", ~own)):
        if not chosen.any():
            continue
        low, middle, high = _quantiles(e.value[chosen], [0.1, 0.5, 0.9])
        (error,) = _quantiles(e.standard_error[chosen], [0.5])
        lines.append(
            f"{name:<14}{chosen.sum():>8}{low:>9.2f}{middle:>9.2f}{high:>9.2f}{error:>9.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
