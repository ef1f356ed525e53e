"""What was found on one screen of text, and the sentences that the page shares with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from simulator.prices.expected import USUAL
from simulator.prices.instrument import LEAST_F

NINETY = 1.645
"""Standard errors on each side of an interval of 90 %."""
OF_WHOM = "units and profit are of known customers, without receipts that name none"


def lines(content: Mapping[str, Any]) -> list[str]:
    """Of what `content` made."""
    rest = content["rest_on"]
    found = [
        f"{len(content['products'])} products in {content['needs']} needs, weeks up to "
        f"{content['start']}, prices held for {content['weeks']}",
        f"own elasticities: {_spread(content['own'])}",
        f"cross elasticities: {cross(content)}",
        "resting on " + ", ".join(f"{name}: {count}" for name, count in rest.items()),
        f"visits to the price level of the usual basket: {content['visits']['elasticity']:.2f} "
        f"({content['visits']['standard_error']:.2f})",
    ]  # fmt: skip
    if instrument := content.get("instrument"):
        found[2:2] = asked(instrument)
    if content["announced"]:
        found.append(announced(content["announced"]))
    found.append(content["instead"]["words"])
    if plan := content.get("plan"):
        found.append(
            f"prices worth charging: {plan['changed']} change; expected profit a week "
            f"{plan['profit_before'] / 100:,.0f} -> {plan['profit_after'] / 100:,.0f}"
            f"{relative_gain(plan)}, units {plan['units_before']:,.0f} -> "
            f"{plan['units_after']:,.0f} ({OF_WHOM})"
        )
        if plan["usual_gain"] is not None:
            found.append(usual_gain(plan))
    return found


def cross(content: Mapping[str, Any]) -> str:
    """Whether it can be told which products replace each other, with the evidence."""
    share = (
        f"{100 * content['substitutes']:.0f} % of the pairs of a category are substitutes at 5 %"
    )
    if content["switches"]:
        return f"{share}; chance makes 5 % of unrelated ones"
    return (
        f"not identifiable: {share}, no more than twice what chance makes of unrelated ones; each "
        "product stands for itself"
    )


def announced(effects: Mapping[str, Mapping[str, float]]) -> str:
    """What display and mailer bring beside the price, with intervals of 90 %."""
    found = []
    for name, each in effects.items():
        low, high = (each["effect"] + side * NINETY * each["standard_error"] for side in (-1, 1))
        found.append(
            f"{name} x {math.exp(each['effect']):.2f} [{math.exp(low):.2f}, {math.exp(high):.2f}]"
        )
    return f"odds of a product at the same price: {', '.join(found)}"


def asked(instrument: Mapping[str, Any]) -> list[str]:
    """`told`, and elasticities as they are without it."""
    return [
        f"own elasticities without the instrument: {_spread(instrument['own_without'])}",
        *told(instrument),
    ]


def told(contrasts: Mapping[str, Any]) -> list[str]:
    """Whether prices followed demand, and what that does to elasticities; intervals of 90 %."""
    names = {"within_needs": "products of a need", "between_needs": "needs"}
    return [f"instrument, {words}: {_said(contrasts[key])}" for key, words in names.items()]


def _said(of: Mapping[str, Any]) -> str:
    if not of["is_strong"]:
        return (
            f"weak, F {of['strength']:.1f} of the first stage where {LEAST_F:.0f} are needed: not "
            "used"
        )
    beyond, change = (
        f"{value:+.2f} [{value - NINETY * error:+.2f}, {value + NINETY * error:+.2f}]"
        for value, error in (
            (of["residual"], of["residual_error"]), (-of["shift"], of["shift_error"]),
        )
    )  # fmt: skip
    verdict = "change by" if of["is_used"] else "stay: that is not clear enough for a change by"
    return (
        f"F {of['strength']:.0f}; log demand goes with what costs do not explain of log prices by "
        f"{beyond}; elasticities {verdict} {change}"
    )


def relative_gain(plan: Mapping[str, Any]) -> str:
    """Of expected profit, in brackets; nothing where there is none today."""
    if plan["profit_before"] <= 0:
        return ""
    return f" ({_signed(plan['profit_after'] / plan['profit_before'] - 1)})"


def usual_gain(plan: Mapping[str, Any]) -> str:
    """What is left of the gain at usual prices."""
    share = _signed(plan["usual_gain"])
    return (
        f"At the prices paid in the last {USUAL} weeks the same changes bring {share}: a search "
        "also finds what happens to be cheap or dear today, which does not last"
    )


def _signed(share: float) -> str:
    return f"{share:+.1%}".replace("%", " %")


def _spread(own: Mapping[str, float | None]) -> str:
    low, median, high = (_figure(own[key]) for key in ("low", "median", "high"))
    return f"median {median}, 10 % below {low}, 10 % above {high}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
