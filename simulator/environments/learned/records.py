"""A retailer's own books up to a week: price list, promotions and invoices, beside the receipts.

Of a synthetic chain they lie in `truth/`, which also says what no retailer knows. Read here are
`products` (code, category, first price), `shelf_prices`, `promotions` and `costs`, and of these no
week after the last one of the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.commands.errors import InputError


@dataclass(frozen=True)
class Records:
    """N products in code order, S weeks; pence a unit, or a kilogram of goods sold by weight."""

    code: list[str]
    group: np.ndarray
    """(N,) category of the third level, from 0."""
    listed: np.ndarray
    """(N,) first regular price."""
    regular: np.ndarray
    """(N, S), as `depth` (the mean of regions), `cost` and `funding`."""
    depth: np.ndarray
    cost: np.ndarray
    funding: np.ndarray


def read_records(raw: Path, start: int) -> Records:
    """The books of a chain's folder up to a week; raises InputError naming what is missing."""
    products = _table(raw, "products", [
        "product", "prod_code_30", "base_price_pence", "price_per_kg_pence"
    ])  # fmt: skip
    code = products["product"].to_pylist()
    row = {name: i for i, name in enumerate(code)}
    groups = sorted(set(products["prod_code_30"].to_pylist()))
    group = np.array([groups.index(name) for name in products["prod_code_30"].to_pylist()])
    listed = np.array([
        a if a is not None else b
        for a, b in zip(
            products["price_per_kg_pence"].to_pylist(), products["base_price_pence"].to_pylist(),
            strict=True,
        )
    ], float)  # fmt: skip
    costs = _table(raw, "costs", ["product", "week", "unit_cost_pence", "supplier_share"])
    at = np.array([row[name] for name in costs["product"].to_pylist()])
    week = costs["week"].to_numpy()
    if week.max(initial=0) < start:
        raise InputError(f"{raw}: costs end with week {week.max(initial=0)}, before {start}")
    known = week <= start
    cost, funding = np.full((2, len(code), start), np.nan)
    cost[at[known], week[known] - 1] = costs["unit_cost_pence"].to_numpy()[known]
    funding[at[known], week[known] - 1] = costs["supplier_share"].to_numpy()[known]
    return Records(
        code, group, listed, _regular(raw, row, listed, start), _depth(raw, row, start), cost,
        funding,
    )  # fmt: skip


def _regular(raw: Path, row: dict[str, int], listed: np.ndarray, start: int) -> np.ndarray:
    """(N, S) first prices times the change of the shelf's since, the mean of formats."""
    names = ["product", "store_format", "week_from", "week_to", "regular_price_pence"]
    spans = _table(raw, "shelf_prices", names).to_pydict()
    of_format: dict[tuple[int, str], np.ndarray] = {}
    for name, form, first, last, pence in zip(*(spans[n] for n in names), strict=True):
        if first <= start:
            prices = of_format.setdefault((row[name], form), np.full(start, np.nan))
            prices[first - 1 : min(last, start)] = pence
    total, formats = np.zeros((2, listed.size, start))
    for (product, _), prices in of_format.items():
        ratio = prices / prices[np.isfinite(prices)][0]
        total[product] += np.nan_to_num(ratio)
        formats[product] += np.isfinite(ratio)
    found = np.where(formats > 0, total / np.maximum(formats, 1), np.nan)
    # Before a product is launched it has its first price.
    return listed[:, None] * np.where(np.isnan(found), 1.0, found)


def _depth(raw: Path, row: dict[str, int], start: int) -> np.ndarray:
    """(N, S) of promotions, the mean of regions."""
    regions = len(set(_table(raw, "stores", ["store_region"])["store_region"].to_pylist()))
    names = ["product", "store_region", "week_from", "week_to", "depth"]
    spans = _table(raw, "promotions", names).to_pydict()
    found = np.zeros((len(row), start))
    for name, region, first, last, depth in zip(*(spans[n] for n in names), strict=True):
        found[row[name], first - 1 : last] += depth if region is None else depth / regions
    return found


def _table(raw: Path, name: str, columns: list[str]) -> pa.Table:
    path = raw / "truth" / f"{name}.parquet"
    try:
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path} cannot be read ({reason}): name a folder of python -m dbt_project.sample"
        ) from None
