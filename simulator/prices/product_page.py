"""The parts of the page about single products and pairs of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.prices.elasticities import NEVER_MOVED
from trainer.report.charts.rows import Bar, bars
from trainer.report.figures import NONE, count, fixed, percent
from trainer.report.markup import Markup, element, join
from trainer.report.tables import searchable, table

Row = Mapping[str, Any]
"""Of `content["products"]`."""


def products_section(content: Mapping[str, Any]) -> Markup:
    """Every product, to search and sort."""
    lines = [
        [
            row["product"], row["department"], _elasticity(row), row["rests_on"],
            count(row["weeks_with_a_move"]), fixed(row["price_pence"] / 100, 2),
            fixed(row["units_a_week"], 1), row["category"],
        ]
        for row in sorted(content["products"], key=lambda row: -sales(row))
    ]  # fmt: skip
    heads = [
        "product", "department", "elasticity", "rests on", "weeks with a move", "price today",
        "units a week", "category",
    ]  # fmt: skip
    title = "All products, those that sell most first; elasticities above their intervals"
    found = table(title, heads, lines, text=(1, 3, 7))
    return join(
        [
            searchable(found, "product, department, rests on …"),
            element("p", "Everything is in products.csv too.", class_="note"),
        ]
    )


def _elasticity(row: Row) -> Markup | str:
    return _with_ends(row) if is_known(row) else "not known"


def _with_ends(row: Row) -> Markup:
    """An elasticity above its interval."""
    ends = f"[{decimal(row['low'])}, {decimal(row['high'])}]"
    return join([decimal(row["elasticity"]), " ", element("span", ends, class_="interval")])


def pairs_section(content: Mapping[str, Any]) -> Markup:
    """The strongest substitutes, or that they cannot be told."""
    if not content["switches"]:
        said = (
            "These receipts cannot tell which products replace each other: "
            f"{percent(content['substitutes'], 0)} of the pairs of a finest category sell more "
            "when the other one gets dearer, at a level at which chance alone makes 5 % of pairs "
            "that have nothing to do with each other. So nothing is said of any pair, and where "
            "sales go that a dearer product loses is not known."
        )
        return element("p", said, class_="lead")
    said = (
        f"{percent(content['substitutes'], 0)} of the pairs of a finest category are substitutes, "
        "at a level at which chance makes 5 %. Products that replace each other form "
        f"{count(content['needs'])} needs; between needs there is no effect but that of prices on "
        "visits. A cross elasticity of 0.5 says: when the other product gets 1 % dearer, this one "
        "sells 0.5 % more."
    )
    rows = content["pairs"]
    if not rows:
        return join([element("p", said), element("p", "Of no pair is it clear that it is one.")])
    title, heads = "Strongest pairs", ["units of", "price of", "cross elasticity"]
    drawn = bars(
        "pairs", f"{title}: units of the first, price of the second", heads[-1],
        [_pair(row) for row in rows],
    )  # fmt: skip
    lines = [[row["sold"], row["priced"], _with_ends(row)] for row in rows]
    note = (
        "Pairs whose interval lies above 0. Of each product the strongest ones are in prices.json, "
        "all pairs in pairs.csv."
    )
    return join(
        [
            element("p", said),
            element("div", drawn, table(title, heads, lines, text=(1,)), class_="charts"),
            element("p", note, class_="note"),
        ]
    )


def _pair(row: Mapping[str, Any]) -> Bar:
    low, high = row["low"], row["high"]
    words = f"{decimal(row['elasticity'])} [{decimal(low)}, {decimal(high)}]"
    return Bar(f"{row['sold']}, {row['priced']}", row["elasticity"], words, (low, high))


def is_known(row: Row) -> bool:
    """Whether a product has an elasticity."""
    return row["rests_on"] != NEVER_MOVED and row["elasticity"] is not None


def sales(row: Row) -> float:
    """A week's, in pence."""
    return row["units_a_week"] * row["price_pence"]


def decimal(value: float | None) -> str:
    """To two decimals, without a negative zero."""
    return NONE if value is None else fixed(round(value, 2) + 0.0, 2)
