"""What `compared` found, as tables of cells and as sentences: for a terminal and for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .values import NOBODY

Rows = list[list[str]]
SENSITIVITY = ("most", "middling", "least")
"""Names of the classes of price sensitivity."""


def policies_table(found: Mapping[str, Any]) -> Rows:
    """A row for each policy, the head first."""
    base, coupons = found["base"], found["base"] == NOBODY
    between = (
        ["promised over it", "given a week", "used", "taken off £/week"] if coupons
        else ["of the gap", "promised", "promised / earned"]
    )  # fmt: skip
    head = [
        "policy", "profit £/week", f"over {base} (95 %)", *between, "customers kept",
        "limits broken",
    ]  # fmt: skip
    return [head, *(
        [
            name, f"{row['profit']:,.0f}",
            "" if name == base else _interval(row),
            *(_of_coupons(row, name == base) if coupons else _of_prices(row, name == base)),
            f"{row['kept']:.1%}",
            "not held to any" if name == base and not coupons else _broken(row),
        ]
        for name, row in found["policies"].items()
    )]  # fmt: skip


def _of_prices(row: Mapping[str, Any], first: bool) -> list[str]:
    gap = row.get("gap")
    return [
        "" if first or gap is None else f"{gap:.0%}", f"{row['promised']:,.0f}",
        f"{row['promise_over_earned']:.2f}",
    ]  # fmt: skip


def _of_coupons(row: Mapping[str, Any], first: bool) -> list[str]:
    c = row["coupons"]
    return [
        "" if first else f"{row['gain_promised']:+,.0f}", f"{c['given']:,.0f}",
        f"{c['used'] / c['given']:.1%}" if c["given"] else "", f"{c['off']:,.0f}",
    ]  # fmt: skip


def _broken(row: Mapping[str, Any]) -> str:
    limits = ", ".join(f"{limit} ({n})" for limit, n in sorted(row["broken"].items()))
    return f"{limits}: no result" if limits else "none"


def _interval(gain: Mapping[str, float]) -> str:
    return f"{gain['gain']:+,.0f} ({gain['low']:+,.0f} to {gain['high']:+,.0f})"


def groups_table(found: Mapping[str, Any]) -> Rows:
    """Who gets coupons and what they take off, by class of price sensitivity; of prices, none."""
    if found["base"] != NOBODY:
        return []
    head = ["policy", *(f"{what}: {who} sensitive" if not at else who for what in (
        "coupons a card a year", "taken off, £ a card a year"
    ) for at, who in enumerate(SENSITIVITY))]  # fmt: skip
    classes = {name: row["coupons"]["of_class"] for name, row in found["policies"].items()}
    return [head, *(
        [name, *(f"{x:,.1f}" for x in own["given"]), *(f"{x:,.2f}" for x in own["off"])]
        for name, own in classes.items()
    )]  # fmt: skip


def sentences(found: Mapping[str, Any]) -> list[str]:
    """How well promises rank policies, and what the one with the highest truly earns."""
    ranks, of_all = (
        ", ".join("none" if each is None else f"{each:.2f}" for each in found[name])
        for name in ("spearman", "spearman_of_all")
    )
    gains = "; ".join(f"{name} {_interval(gain)}" for name, gain in found["over"].items())
    earns = f"It truly earns over others (95 %): {gains}" if gains else "There is no other"
    return [
        "Spearman's correlation of value in the learned world with value in the true one, in each "
        f"chain, over {found['ranked']} policies that keep the limits: {ranks}; with those that "
        f"do not: {of_all}",
        f"Chosen by promise: {found['chosen']}. {earns}",
    ]


def table(found: Mapping[str, Any]) -> list[str]:
    """All of it as lines of Markdown."""
    lines = markdown(policies_table(found))
    if groups := groups_table(found):
        lines += ["", *markdown(groups)]
    for said in sentences(found):
        lines += ["", said]
    return lines


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, the head first."""
    head, *rest = rows
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rest)]
