"""What was found, as JSON values and CSV tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulator.prices.content import contrasts, rounded
from simulator.prices.text_report import told
from simulator.whatif.compare import Table, WhatIf
from simulator.whatif.counting import ADDITIVE, DURING
from simulator.words import named, percent
from trainer.cache.reader import TensorCache

MOVERS = 12
"""Products that gained most, and that lost most, which the JSON and the page list."""
WHOLE = ("total", "week", "coupon")
"""Tables of which no row is left out."""
FIGURE = ("without", "with", "change", "standard_error", "low", "high", "stands_out")
"""What is told of each measure of each row, in pence where it is money."""


def content(found: WhatIf, cache: TensorCache, facts: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values: facts, then all tables but that of products, of which those are listed that
    move most; of changed ones too."""
    tables = {name: list(rows(found, name)) for name in found.tables if name != "product"}
    if "changed_product" in tables:
        tables["changed_product"] = _moved_most(tables["changed_product"])
    return {
        **facts,
        "weeks": [found.first, found.last],
        "models": found.models,
        "runs": found.runs,
        "measures": list(found.measures),
        "notes": notes(found, cache),
        "evidence": _evidence(found),
        **({"instrument": contrasts(found.instrument)} if found.instrument else {}),
        "tables": tables,
        "products": _products(found),
        "by_model": [
            {name: rounded(each) for name, each in zip(found.measures, model, strict=True)}
            for model in found.by_model.tolist()
        ],
        "shares": {name: [rounded(each) for each in ends] for name, ends in found.shares.items()},
    }


def rows(found: WhatIf, name: str, chosen: np.ndarray | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a table, of long ones those in which anything was sold: what names each, and a
    figure by measure."""
    table = found.tables[name]
    if chosen is None:
        chosen = np.flatnonzero(_sold(table) | (name in WHOLE))
    for row in chosen.tolist():
        yield {
            **{key: values[row].item() for key, values in table.keys.items()},
            **{measure: _figure(found, table, row, measure) for measure in measures(found, name)},
        }


def measures(found: WhatIf, name: str) -> Sequence[str]:
    """Those of a table: of parts, only what adds up."""
    return [each for each in found.measures if name != "part" or each in ADDITIVE]


def write_tables(found: WhatIf, folder: Path) -> None:
    """A CSV file for each table, NAME.csv: a row for each row and measure."""
    for name, table in found.tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*table.keys, "measure", *FIGURE])
            for row in rows(found, name):
                keys = [row[key] for key in table.keys]
                for measure in measures(found, name):
                    writer.writerow([*keys, measure, *row[measure].values()])


def notes(found: WhatIf, cache: TensorCache) -> list[str]:
    """What has to be known to read the figures, a sentence or two each."""
    said = []
    if not found.is_different:
        said.append(
            "Nothing differs in any run: nobody bought, or would have bought, what the scenario "
            "changes."
        )
    if found.evidence is not None:
        never = found.price_changes & (found.evidence.moves == 0)
        if never.any():
            said.append(
                f"Of {found.price_changes.sum():,} products whose price changes, the prices of "
                f"{never.sum():,} never moved by 10 % or more in training weeks "
                f"{found.evidence.first}-{found.evidence.last} ({named(cache, never)}); products "
                "sold by weight have one price. How demand for them answers is not known from "
                "these receipts, only what is paid."
            )
        if found.is_different and not _answers(found):
            said.append(
                "Of the products whose price changes the same units sell in every run: in this "
                "model demand does not answer to the change, only what is paid changes."
            )
    if found.instrument is not None:
        lines = told(contrasts(found.instrument))
        said += [f"{line[0].upper()}{line[1:]}." for line in lines]
    if found.instead is not None:
        said.append(found.instead.words())
    for number, coupon in enumerate(found.coupons, start=1):
        table, at = found.tables["coupon"], number - 1
        used = table.difference.change[at, found.measures.index("customers")]
        holders = table.keys["holders"][at]
        said.append(
            f"Coupon {number}: {coupon.answer.words} Here {percent(used / holders)} of "
            f"{holders:,} holders used it."
        )
    if found.costs is None:
        said.append("Margin is left out: it needs what products cost (--costs).")
    elif (lacking := np.isnan(found.costs) & _sold(found.tables["product"])).any():
        spend = _column(found.tables["product"], found.measures.index("spend_pence"))
        said.append(
            f"Margin is that of products with a cost alone: {lacking.sum():,} that are sold here "
            f"have none ({named(cache, lacking)}), {spend[lacking].sum() / spend.sum():.1%} of "
            "spend.".replace("%", " %")
        )
    if found.runs == 1 and found.models == 1:
        said.append(
            "A single pair of runs has no interval, and nothing can be told from chance: give more "
            "--runs."
        )
    return said


def _evidence(found: WhatIf) -> dict[str, Any] | None:
    if found.evidence is None:
        return None
    moves = found.evidence.moves[found.price_changes]
    return {
        "words": found.evidence.words(),
        "products_seen": int(found.evidence.seen.sum()),
        "products_moved": found.evidence.moved,
        "changed_products": len(moves),
        "changed_products_moved": int((moves > 0).sum()),
        "weeks_moved_of_changed": sorted(moves.tolist(), reverse=True)[:MOVERS],
    }


def _answers(found: WhatIf) -> bool:
    """Whether other units sell in any run of products whose price changes, while it does."""
    table = found.tables["changed_product"]
    codes = found.tables["product"].keys["product"][found.price_changes]
    chosen = np.isin(table.keys["product"], codes) & (table.keys["when"] == DURING)
    return bool(table.difference.differs[chosen, 0].any())


def _products(found: WhatIf) -> dict[str, Any]:
    """How many differ and stand out in units, and those that gain and lose most of them."""
    difference = found.tables["product"].difference
    change, differs = difference.change[:, 0], difference.differs[:, 0]
    clear = difference.stands_out[:, 0]
    shown = clear if clear.any() else differs
    order = np.argsort(change, kind="stable")
    order = order[shown[order]]
    losers, gainers = order[change[order] < 0], order[change[order] > 0][::-1]
    return {
        "differ": int(differs.sum()),
        "stand_out": int(clear.sum()),
        "gainers": list(rows(found, "product", gainers[:MOVERS])),
        "losers": list(rows(found, "product", losers[:MOVERS])),
    }


def _moved_most(changed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """2 x `MOVERS` of the rows, in their order."""
    order = sorted(changed, key=lambda row: -abs(row["units"]["change"]))[: 2 * MOVERS]
    return [row for row in changed if row in order]


def _figure(found: WhatIf, table: Table, row: int, measure: str) -> dict[str, Any]:
    at, each = (row, found.measures.index(measure)), table.difference
    values = (
        each.without[at], each.without[at] + each.change[at], each.change[at], each.error[at],
        each.low[at], each.high[at],
    )  # fmt: skip
    numbers = map(rounded, values)
    return dict(zip(FIGURE, [*numbers, bool(each.stands_out[at])], strict=True))


def _sold(table: Table) -> np.ndarray:
    """(rows,) bool: anything sold there, with the change or without."""
    units = table.difference.without[:, 0], table.difference.differs.any(1)
    return (units[0] > 0) | units[1]


def _column(table: Table, measure: int) -> np.ndarray:
    return table.difference.without[:, measure]
