"""Which rules hold a plan back, and how closely it keeps each."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.prices.optimise import Plan, Rules

NEAR = 5e-4
"""Of a price level: closer than this to its cap no whole penny may be left."""


def kept(rules: Rules, plan: Plan, cost: np.ndarray) -> list[dict[str, Any]]:
    """Of each rule that was given: its name, the limit, what the plan has reached, and whether it
    binds.

    Of `most_move`, `least_margin` and `parity` that is how many changed prices, or linked pairs,
    could not go one step further; of `endings` how many changed prices have one; of `index` the
    price level, of `most_changes` the number of changes. cost: (P,) pence.
    """
    changed = plan.before != plan.after
    before, after = plan.before[changed], plan.after[changed]
    towards = np.sign(after - before)
    further = _next(after, towards, rules.endings)
    at_most = (np.abs(further / before - 1) > rules.most_move + 1e-9).sum()
    found = [_rule("most_move", rules.most_move, at_most, at_most > 0)]
    if rules.endings:
        found.append(_rule("endings", list(rules.endings), changed.sum(), changed.any()))
    if rules.least_margin:
        lower = _next(after, -np.ones(len(after)), rules.endings)
        at_floor = (lower * (1 - rules.least_margin) < cost[changed] - 1e-9).sum()
        found.append(_rule("least_margin", rules.least_margin, at_floor, at_floor > 0))
    if rules.index is not None:
        weight = plan.units_before * plan.before
        level = (weight * plan.after / plan.before).sum() / weight.sum()
        found.append(_rule("index", rules.index, level, level > rules.index - NEAR))
    if rules.most_changes is not None:
        limit, number = rules.most_changes, changed.sum()
        found.append(_rule("most_changes", limit, number, number == limit))
    if rules.parity:
        at_edge = 0
        for a, b, ratio, slack in rules.parity:
            away = np.abs(plan.after[a] + np.array([-1, 0, 1]) - ratio * plan.after[b])
            at_edge += (away > ratio * slack * plan.after[b] + 1e-9).any()
        found.append(_rule("parity", len(rules.parity), at_edge, at_edge > 0))
    return found


def _next(price: np.ndarray, towards: np.ndarray, endings: tuple[int, ...]) -> np.ndarray:
    """(n,) the next price in a direction (+1, -1) that has one of the endings."""
    steps = price[:, None] + towards[:, None] * np.arange(1, 101)
    has = np.isin(steps % 100, endings) if endings else np.ones(steps.shape, bool)
    return steps[np.arange(len(price)), has.argmax(1)]


def _rule(name: str, limit: Any, reached: Any, binds: Any) -> dict[str, Any]:
    reached = round(float(reached), 4)
    return {"rule": name, "limit": limit, "reached": reached, "binds": bool(binds)}
