"""Figures of a comparison as text, the same on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.report.figures import NONE, count, fixed

TITLES = {
    "units": "units", "trips": "trips", "customers": "customers",
    "spend_pence": "spend", "coupon_pence": "coupons", "margin_pence": "margin",
}  # fmt: skip
PENCE = 100
"""Of a pound, or what a unit of the currency is divided into."""
UNCLEAR, SAME = "not distinguishable from 0", "the same in every run"


def pairs(content: Mapping[str, Any]) -> str:
    """How many pairs of runs there are, of how many models."""
    runs = "a pair of runs" if content["runs"] == 1 else f"{count(content['runs'])} pairs of runs"
    return f"{runs} of each of {content['models']} models" if content["models"] > 1 else runs


def scale(measure: str) -> float:
    """What to multiply a measure by to show it."""
    return 1 / PENCE if measure.endswith("_pence") else 1.0


def level(figure: Mapping[str, Any], measure: str, name: str = "without") -> str:
    """How much there is: 1,234."""
    return NONE if figure[name] is None else _number(figure[name] * scale(measure))


def change(figure: Mapping[str, Any], measure: str, name: str = "change") -> str:
    """With its sign: +123."""
    if figure[name] is None:
        return NONE
    text = _number(figure[name] * scale(measure))
    return f"+{text}" if figure[name] > 0 and text.strip("0.,") else text


def interval(figure: Mapping[str, Any], measure: str) -> str:
    """[+100, +146]."""
    if figure["low"] is None:
        return ""
    return f"[{change(figure, measure, 'low')}, {change(figure, measure, 'high')}]"


def is_same(figure: Mapping[str, Any]) -> bool:
    """Whether no run differs."""
    return not (figure["change"] or figure["low"] or figure["high"])


def verdict(figure: Mapping[str, Any]) -> str:
    """What an interval that holds 0 means; nothing for one that does not."""
    if figure["stands_out"]:
        return ""
    return SAME if is_same(figure) else UNCLEAR


def relative(figure: Mapping[str, Any]) -> str:
    """The change in percent of what there is without it."""
    if not figure["without"]:
        return NONE
    share = round(100 * figure["change"] / figure["without"], 1) + 0.0  # no negative zero
    return f"{'+' if share > 0 else ''}{fixed(share, 1)} %"


def flow(content: Mapping[str, Any], parts: Mapping[str, str]) -> str | None:
    """Whom the changed products take from or give to, as a sentence; None where it is not clear."""
    shares = content["shares"]
    if not shares:
        return None
    (changed,) = (row for row in content["tables"]["part"] if row["part"] == "changed")
    gains = changed["units"]["change"] > 0
    own, other = ("gain", "lose") if gains else ("lose", "gain")
    said = []
    for name, ends in shares.items():
        value, low, high = (fixed(round(100 * (end or 0.0)), 0) for end in ends)
        if any(ends):
            said.append(f"{parts[name]} {other} {value} [{low}, {high}]")
    begin = f"For each 100 units that the changed products {own} where and while they change"
    return f"{begin}, {', '.join(said)}." if said else None


def _number(value: float) -> str:
    """Decimals only where they matter; no negative zero."""
    digits = 0 if abs(value) >= 100 or value == round(value) else 1
    return fixed(round(value, digits) + 0.0, digits)
