"""What was found, as JSON values and CSV tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simulator.prices.elasticities import (
    NEVER_MOVED,
    Elasticities,
    elasticities,
    evidence,
    verdict,
)
from simulator.prices.expected import ExpectedDemand
from simulator.prices.instrument import Contrast, Instrument
from simulator.prices.kept_rules import kept
from simulator.prices.optimise import Plan, Rules, todays_prices
from simulator.prices.panel import MIN_TRIPS
from simulator.prices.response import PriceResponse
from trainer.cache.reader import TensorCache
from trainer.features.price_evidence import PriceEvidence

FORMAT = 2
"""Of the JSON, which other programs read."""
RIVALS = 5
"""Of each product, those whose prices move its units most, up with theirs."""
PAIRS = 14
"""Of all pairs."""
ENDS = ("elasticity", "low", "high")
COLUMNS = (
    "product", "category", "department", "need", "share_of_need", *ENDS, "rests_on",
    "weeks_with_a_move", "standard_deviation_of_log_price", "price_pence", "units_a_week",
)  # fmt: skip
WITHOUT = "elasticity_without_instrument"
PLANNED = ("unit_cost_pence", "new_price_pence", "new_units_a_week", "gain_pence")


def content(
    cache: TensorCache, seen: PriceEvidence, demand: ExpectedDemand, found: Elasticities, start: int
) -> dict[str, Any]:
    """JSON values: the whole, every product with its strongest rivals, and the strongest pairs."""
    response, r = demand.response, demand.response.products
    rests, number = np.unique(verdict(r), return_counts=True)
    rows = _products(cache, demand, found)
    return {
        "format": FORMAT, "cache_digest": cache.digest, "evidence": seen.words(),
        "start": start, "weeks": demand.weeks, "least_trips": MIN_TRIPS,
        "needs": int(r.need.max()) + 1, "substitutes": r.substitutes, "switches": r.switches,
        "rest_on": dict(zip(rests.tolist(), number.tolist(), strict=True)),
        "own": _own(r, found),
        "buying_at_all": {"lasting": r.lasting, "passing": r.passing},
        "visits": {
            "elasticity": rounded(-response.visits.value),
            "standard_error": rounded(response.visits.error),
        },
        "announced": _announced(r),
        "instead": {"share": response.instead.value, "words": response.instead.words()},
        "products": rows, "pairs": _strongest(rows, found),
    }  # fmt: skip


def _own(r: PriceResponse, found: Elasticities) -> dict[str, float | None]:
    """Of products whose price moved: the middle one, and the ends of eight in ten."""
    own = found.value[(found.sold == found.priced) & r.moved[found.sold]]
    own = own[np.isfinite(own)]
    ends = {"low": 0.1, "median": 0.5, "high": 0.9}
    return {name: rounded(np.quantile(own, q) if len(own) else np.nan) for name, q in ends.items()}


def _announced(r: PriceResponse) -> dict[str, dict[str, float]]:
    """Log of what display and mailer multiply the odds of a product by, beside its price, with the
    standard error; without what the receipts do not hold."""
    return {
        name: {"effect": getattr(r, name), "standard_error": float(np.sqrt(variance))}
        for name, variance in zip(("display", "mailer"), r.common_error.diagonal()[3:], strict=True)
        if variance > 0
    }


def add_instrument(content: dict[str, Any], cache: TensorCache, demand: ExpectedDemand) -> None:
    """Put what an instrument said, and elasticities without it, beside what `content` made."""
    found = demand.response.instrument
    before = replace(demand.response, products=found.without)
    at_first = ExpectedDemand(cache, before, content["start"], demand.weeks)
    without = elasticities(at_first, draws=1)
    content["instrument"] = contrasts(found) | {"own_without": _own(found.without, without)}
    for i in np.flatnonzero(without.sold == without.priced).tolist():
        row = content["products"][without.sold[i]]
        row[WITHOUT] = None if row["rests_on"] == NEVER_MOVED else rounded(without.value[i])


def contrasts(found: Instrument) -> dict[str, dict[str, Any]]:
    """What an instrument says of products of a need, and of needs."""
    return {"within_needs": _contrast(found.within), "between_needs": _contrast(found.between)}


def _contrast(found: Contrast) -> dict[str, Any]:
    values = {
        name: rounded(value) if isinstance(value, float) else value
        for name, value in asdict(found).items()
    }
    return values | {"is_strong": found.is_strong, "is_used": found.is_used}


def add_plan(
    content: dict[str, Any], plan: Plan, cost: np.ndarray, rules: Rules, text: str | None
) -> None:
    """Put a plan beside what `content` made; text: the file of rules."""
    content["plan"] = {
        "changed": int((plan.before != plan.after).sum()),
        "profit_before": rounded(plan.profit_before), "profit_after": rounded(plan.profit_after),
        "usual_gain": rounded(plan.usual_gain),
        "units_before": rounded(plan.units_before.sum()),
        "units_after": rounded(plan.units_after.sum()),
        "rules": kept(rules, plan, cost), "rules_text": text,
    }  # fmt: skip
    for i, row in enumerate(content["products"]):
        row |= {
            "unit_cost_pence": rounded(cost[i]), "new_price_pence": int(plan.after[i]),
            "new_units_a_week": rounded(plan.units_after[i]), "gain_pence": rounded(plan.gain[i]),
        }  # fmt: skip


def write_tables(content: Mapping[str, Any], found: Elasticities, folder: Path) -> None:
    """products.csv, pairs.csv of all pairs, and plan.csv where there is a plan."""
    products = content["products"]
    names = (*COLUMNS, WITHOUT) if "instrument" in content else COLUMNS
    _write(folder / "products.csv", names, ([row[key] for key in names] for row in products))
    codes = [row["product"] for row in products]
    cross = np.flatnonzero(found.sold != found.priced)
    pairs = (
        [codes[found.sold[i]], codes[found.priced[i]], *_ends(found, i).values()] for i in cross
    )
    _write(folder / "pairs.csv", ("sold", "priced", *ENDS), pairs)
    if "plan" in content:
        names = ("product", "price_pence", "units_a_week", *PLANNED)
        _write(folder / "plan.csv", names, ([row[key] for key in names] for row in products))


def _products(
    cache: TensorCache, demand: ExpectedDemand, found: Elasticities
) -> list[dict[str, Any]]:
    """A row for each product of the panel, with `COLUMNS` and its rivals."""
    r, panel = demand.response.products, demand.response.products.panel
    codes = _texts(cache["products.code"][panel.token - 1])
    category, department = (
        _texts(cache["categories.code"][rows]) for rows in (panel.category, panel.department)
    )
    moves, spread = evidence(r)
    units = demand.units(torch.zeros(len(codes), dtype=torch.float64)).numpy()
    prices = todays_prices(demand)
    rows = [
        {
            "product": codes[i], "category": category[i], "department": department[i],
            "need": int(r.need[i]), "share_of_need": rounded(r.share[i]),
            **dict.fromkeys(ENDS), "rests_on": of, "weeks_with_a_move": int(moves[i]),
            "standard_deviation_of_log_price": rounded(spread[i]),
            "price_pence": int(prices[i]), "units_a_week": rounded(units[i]), "rivals": [],
        }
        for i, of in enumerate(verdict(r).tolist())
    ]  # fmt: skip
    for i in np.flatnonzero(found.sold == found.priced).tolist():
        if (row := rows[found.sold[i]])["rests_on"] != NEVER_MOVED:
            row.update(_ends(found, i))
    for i in _by_strength(found):
        rivals = rows[found.sold[i]]["rivals"]
        if len(rivals) < RIVALS:
            rivals.append({"product": codes[found.priced[i]], **_ends(found, i)})
    return rows


def _strongest(rows: list[dict[str, Any]], found: Elasticities) -> list[dict[str, Any]]:
    """Of pairs whose interval lies above 0."""
    clear = [i for i in _by_strength(found) if found.low[i] > 0][:PAIRS]
    return [
        {
            "sold": rows[found.sold[i]]["product"], "priced": rows[found.priced[i]]["product"],
            **_ends(found, i),
        }
        for i in clear
    ]  # fmt: skip


def _by_strength(found: Elasticities) -> list[int]:
    """Pairs of different products, substitutes alone, those that say most first."""
    cross = np.flatnonzero((found.sold != found.priced) & (found.value > 0))
    return cross[np.argsort(-found.value[cross], kind="stable")].tolist()


def _ends(found: Elasticities, i: int) -> dict[str, float | None]:
    values = (found.value, found.low, found.high)
    return {name: rounded(each[i]) for name, each in zip(ENDS, values, strict=True)}


def _texts(codes: np.ndarray) -> list[str]:
    return [code.decode() for code in codes.tolist()]


def rounded(value: float) -> float | None:
    """Rounded to what a person or a spreadsheet can use; None for what is not known."""
    return round(float(value), 4) if np.isfinite(value) else None


def _write(path: Path, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """None is written as nothing."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
