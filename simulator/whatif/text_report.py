"""The comparison on one screen of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.whatif.figures import TITLES, change, flow, interval, level, pairs, relative, verdict
from simulator.whatif.parts import PARTS
from trainer.evaluation.text_report import aligned

SHOWN = 5
"""Products that gain and lose most."""
HEADS = ["without", "change", "%", "90 % interval"]


def report(content: Mapping[str, Any]) -> list[str]:
    """Lines: totals, where units come from, products, what has to be known."""
    first, last = content["weeks"]
    total = content["tables"]["total"][0]
    found = [
        f"weeks {first}-{last} with {content['scenario']} and without: {pairs(content)}",
        "",
        *_table("", [(TITLES[name], total[name], name) for name in content["measures"]]),
    ]
    if "part" in content["tables"]:
        parts = [(PARTS[row["part"]], row["units"], "units") for row in content["tables"]["part"]]
        found += ["", *_table("units, from", [*parts, ("all together", total["units"], "units")])]
        if words := flow(content, PARTS):
            found.append(words)
    if "coupon" in content["tables"]:
        used = [
            (f"coupon {row['coupon']}, {row['holders']:,} holders", row["customers"], "customers")
            for row in content["tables"]["coupon"]
        ]
        found += ["", *_table("customers who used", used)]
    products = content["products"]
    movers = [*products["gainers"][:SHOWN], *products["losers"][:SHOWN][::-1]]
    if movers:
        lines = [(f"{row['product']}, {row['role']}", row["units"], "units") for row in movers]
        found += ["", *_table("units of products", lines)]
        found.append(
            f"{products['stand_out']:,} of {products['differ']:,} products that differ stand out; "
            "one in ten would by luck"
        )
    return [*found, "", *content["notes"]] if content["notes"] else found


def _table(title: str, rows: list[tuple[str, Mapping[str, Any], str]]) -> list[str]:
    cells = [
        [
            name, level(figure, measure), change(figure, measure), relative(figure),
            interval(figure, measure), verdict(figure),
        ]
        for name, figure, measure in rows
    ]  # fmt: skip
    return list(aligned([[title, *HEADS, ""], *cells]))
