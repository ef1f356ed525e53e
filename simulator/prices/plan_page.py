"""The part of the page about prices worth charging."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.prices import charts
from simulator.prices.text_report import relative_gain, usual_gain
from trainer.report.charts.rows import Bar, waterfall
from trainer.report.figures import count, fixed, percent
from trainer.report.markup import Markup, element, join
from trainer.report.tables import searchable, table

PENCE = 100
"""Of a pound, or what a unit of the currency is divided into."""
MOST = 14
"""Departments of the waterfall; the others are one row."""
WARNING = (
    "Do not book this profit. A search for the best prices finds the places where the model is too "
    "hopeful. In chains whose truth is known such plans did earn more than the prices before, but "
    "only a part of what was promised; docs/prices.md has the measured ratios. Try a plan in a few "
    "stores before all of them."
)


def plan_section(content: Mapping[str, Any]) -> Markup:
    """Profit expected, rules that hold the plan back, and every price that changes."""
    plan, rows = content["plan"], content["products"]
    changed = [row for row in rows if row["new_price_pence"] != row["price_pence"]]
    up = sum(row["new_price_pence"] > row["price_pence"] for row in changed)
    before, after = (_money(plan[name]) for name in ("profit_before", "profit_after"))
    lead = (
        f"{count(len(changed))} prices change, {count(up)} up and {count(len(changed) - up)} down. "
        f"Expected profit a week goes from {before} to {after}{relative_gain(plan)}, units from "
        f"{fixed(plan['units_before'], 0)} to {fixed(plan['units_after'], 0)}."
    )
    parts: list[Markup | None] = [
        element("p", lead, class_="lead"),
        element("p", f"{usual_gain(plan)}.") if plan["usual_gain"] is not None else None,
        element("p", WARNING, class_="warning"),
    ]
    if changed:
        moves = np.array([row["new_price_pence"] / row["price_pence"] - 1 for row in changed])
        drawn = [
            waterfall("gains", "Expected profit a week, by department",
                      "more than today", _gains(rows)),
            charts.histogram("moves", "How far prices move", "change of the price, %",
                             {"changed prices": 100 * moves}),
        ]  # fmt: skip
        parts.append(element("div", *drawn, class_="charts"))
    parts.append(element("p", ACCOUNTS, class_="note"))
    parts.append(_rules(plan, len(changed)))
    if changed:
        parts.append(searchable(_changes(changed), "product, department …"))
    return join(parts)


ACCOUNTS = (
    "Each product counts where its own units are sold: one that gets cheaper may earn less so that "
    "others, or visits, earn more. Only products with a unit cost, recent sales and a price that "
    "moved may change. Today's prices are regular ones, not those of a promotion."
)


def _gains(rows: list[Mapping[str, Any]]) -> list[Bar]:
    gain: dict[str, float] = {}
    for row in rows:
        gain[row["department"]] = gain.get(row["department"], 0.0) + row["gain_pence"]
    whole = sum(gain.values())
    digits = 0 if abs(whole) >= 100 * PENCE else 2
    shown = {
        name: value
        for name, value in sorted(gain.items(), key=lambda each: -abs(each[1]))[:MOST]
        if round(value / PENCE, digits)
    }
    if round((rest := whole - sum(shown.values())) / PENCE, digits):
        shown["other departments"] = rest
    return [
        Bar(name, value / PENCE, words, label=words)
        for name, value in {**shown, "all together": whole}.items()
        if (words := _signed(value, digits))
    ]


def _rules(plan: Mapping[str, Any], changed: int) -> Markup:
    lines = [
        [*_in_words(rule, changed), "binds" if rule["binds"] else "does not bind"]
        for rule in plan["rules"]
    ]
    found = table("Rules", ["rule", "in this plan", ""], lines, text=(1, 2))
    text = plan["rules_text"]
    return join([found, element("pre", text.strip()) if text else None])


def _in_words(rule: Mapping[str, Any], changed: int) -> tuple[str, str]:
    name, limit, reached = rule["rule"], rule["limit"], rule["reached"]
    of = f"{count(int(reached))} of {count(changed)} changed prices"
    if name == "most_move":
        return f"no price moves by more than {percent(limit)}", f"{of} could not go further"
    if name == "endings":
        return f"changed prices end in {_endings(limit)}", f"{of} do"
    if name == "least_margin":
        return f"changed prices leave a margin of {percent(limit)}", f"{of} could not be lower"
    if name == "index":
        return (
            f"the price level of today's sales is at most {percent(limit)}",
            f"it is {percent(reached, 2)}",
        )
    if name == "most_changes":
        return f"at most {count(limit)} prices change", f"{count(int(reached))} do"
    return (
        f"{count(limit)} pairs of prices are linked",
        f"{count(int(reached))} of them could not be farther apart",
    )


def _endings(limit: list[int]) -> str:
    """Pence; ten that are all those of one last digit are that digit."""
    digits = [digit for digit in range(10) if set(range(digit, 100, 10)) <= set(limit)]
    others = [f"{ending:02}" for ending in limit if ending % 10 not in digits]
    return ", ".join([*map(str, digits), *others])


def _changes(changed: list[Mapping[str, Any]]) -> Markup:
    lines = [
        [
            row["product"], row["department"], fixed(row["unit_cost_pence"] / PENCE, 2),
            fixed(row["price_pence"] / PENCE, 2), fixed(row["new_price_pence"] / PENCE, 2),
            _percent(row["new_price_pence"] / row["price_pence"] - 1),
            fixed(row["units_a_week"], 1), _percent(_relative(row)), _signed(row["gain_pence"]),
        ]
        for row in sorted(changed, key=lambda row: -row["gain_pence"])
    ]  # fmt: skip
    heads = [
        "product", "department", "unit cost", "price today", "new price", "change",
        "units a week", "units expected", "profit expected",
    ]  # fmt: skip
    return table("Prices that change, those that earn most first", heads, lines, text=(1,))


def _relative(row: Mapping[str, Any]) -> float:
    return row["new_units_a_week"] / row["units_a_week"] - 1


def _percent(share: float) -> str:
    text = percent(share)
    return f"+{text}" if share > 0 else text


def _money(pence: float) -> str:
    return fixed(pence / PENCE, 0)


def _signed(pence: float, digits: int = 2) -> str:
    text = fixed(round(pence / PENCE, digits) + 0.0, digits)
    return f"+{text}" if pence > 0 else text
