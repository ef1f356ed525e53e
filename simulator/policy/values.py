"""What policies are worth in a world: lives with the same draws, and what happened in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr, t

from dbt_project.sample import WeekResult, World
from dbt_project.sample.households import CLASSES
from simulator.environments.books import base_prices
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.lives import Policy, Progress
from simulator.environments.opening import Episode, Opening

from .limits import Limits

PLAN = "current plan"
ORACLE = "oracle"
SURE = 0.95
"""Of intervals."""


def lives_of(
    policy: Policy, limits: Limits, opening: Opening | LearnedOpening, lives: int, week: Progress
) -> dict[str, Any]:
    """Lives of a policy in a world, with draws 0, 1, ...: lists of lives, each of weeks (W).

    `profit` (pounds), `trips`, `price` (charged over base prices), `kept` (a life each; None where
    nobody knows), `broken` (weeks in which each of the limits was) and `paid` (by class of price
    sensitivity, what customers with a card paid over the same goods at base prices; true world
    only).
    """
    found: dict[str, Any] = {
        "profit": [], "trips": [], "price": [], "kept": [], "broken": {}, "paid": [],
    }  # fmt: skip
    broken: Counter[str] = Counter()
    for run in range(lives):
        episode = Episode(opening, run)
        weeks = np.zeros((3, opening.weeks))
        paid = np.zeros((2, len(CLASSES)))
        while not (episode.at_its_end or episode.deserted):
            at, base = episode.passed, base_prices(episode.world)
            actions = policy(episode)
            broken.update(limits.broken(actions, episode))
            result = episode.step(actions)
            books = episode.books
            worth = books.usual.units * episode.world.setting.unit_price + 1e-9
            level = np.exp(np.average(books.level, weights=worth))
            weeks[:, at] = result.profit.sum() / 100, result.trips, level
            if isinstance(episode.world, World):
                paid += _paid(episode.world, result, base)
            week()
        for name, values in zip(("profit", "trips", "price"), weeks, strict=True):
            found[name].append(np.round(values, 4).tolist())
        kept = episode.kept
        found["kept"].append(None if np.isnan(kept) else kept)
        if paid.any():
            found["paid"].append((paid[0] / np.maximum(paid[1], 1e-9)).tolist())
    found["broken"] = dict(broken)
    return found


def _paid(world: World, result: WeekResult, base: np.ndarray) -> np.ndarray:
    """(2, classes) pence paid, and at base prices, by customers with a card; goods sold by weight
    are left out, whose receipts do not say how much was bought."""
    s, r = world.setting, result.receipts
    who = r.household[r.trip]
    counts = (who < s.households.known) & ~s.catalogue.random_weight[r.product]
    label = s.households.sensitivity[who[counts]]
    at_base = r.quantity[counts] * base[r.product[counts]]
    return np.stack(
        [np.bincount(label, x, len(CLASSES)) for x in (r.spend[counts], at_base)]
    )  # fmt: skip


def compared(chains: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Figures over chains. chains: for each one, by policy, `model` and `truth` of `lives_of`.

    `profit`, `promised` (in the model) a week, `gain` over the current plan, with a 95 % interval
    by Student's t over chains (over lives, where there is one chain), `gap`, the share of the way
    from the current plan to the oracle, `kept`, `broken`; `spearman`, of each chain, the
    correlation of value in the model with value in truth over the `ranked` policies that break no
    limit, and `spearman_of_all` with those that do; and the `chosen` policy, which promises most of
    those that break no limit, with what it truly earns `over` each other one.
    """
    names = [name for name in chains[0] if all(name in chain for chain in chains)]

    def weekly(world: str, name: str) -> list[np.ndarray]:
        """(lives,) of each chain."""
        return [np.mean(chain[name][world]["profit"], axis=1) for chain in chains]

    def over(name: str, other: str) -> dict[str, float]:
        pairs = zip(weekly("truth", name), weekly("truth", other), strict=True)
        gains = [one - two for one, two in pairs]
        each = np.array([g.mean() for g in gains]) if len(chains) > 1 else gains[0]
        mean, half = float(each.mean()), half_interval(each)
        return {"gain": mean, "low": mean - half, "high": mean + half}

    rows = {}
    for name in names:
        truth, model = weekly("truth", name), weekly("model", name)
        kept = [np.mean(chain[name]["truth"]["kept"]) for chain in chains]
        earned = float(np.mean([x.mean() for x in truth]))
        promised = float(np.mean([x.mean() for x in model]))
        broken: Counter[str] = Counter()
        for chain in chains:
            for world in ("model", "truth"):
                broken.update(chain[name][world]["broken"])
        paid = np.mean([np.mean(chain[name]["truth"]["paid"], axis=0) for chain in chains], axis=0)
        rows[name] = {
            "profit": earned, "promised": promised, "promise_over_earned": promised / earned,
            **over(name, PLAN), "kept": float(np.mean(kept)), "broken": dict(broken),
            "paid": paid.tolist(),
        }  # fmt: skip
    if ORACLE in rows:
        whole = rows[ORACLE]["gain"]
        for row in rows.values():
            row["gap"] = row["gain"] / whole if whole > 0 else None
    made = [name for name in names if name != ORACLE]
    results = [name for name in made if name == PLAN or not rows[name]["broken"]]

    def agreement(ranked: list[str]) -> list[float]:
        """Spearman's correlation in each chain."""
        return [
            float(spearmanr(*(
                [np.mean(chain[n][w]["profit"]) for n in ranked] for w in ("model", "truth")
            ))[0])
            for chain in chains
        ]  # fmt: skip

    chosen = max(results, key=lambda name: rows[name]["promised"])
    others = {name: over(chosen, name) for name in names if name != chosen}
    return {
        "policies": rows, "spearman": agreement(results), "ranked": len(results),
        "spearman_of_all": agreement(made),
        "chosen": chosen, "over": others,
    }  # fmt: skip


def half_interval(each: np.ndarray) -> float:
    """Half of the 95 % interval of a mean, by Student's t; not a number for one value."""
    if len(each) < 2:
        return float("nan")
    return float(t.ppf((1 + SURE) / 2, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))


def table(found: Mapping[str, Any]) -> list[str]:
    """The figures as lines of a Markdown table and a sentence."""
    head = [
        "policy", "profit £/week", f"over {PLAN} (95 %)", "of the gap", "promised",
        "promised / earned", "customers kept", "limits broken",
    ]  # fmt: skip
    rows = [head, ["---"] * len(head)]
    for name, row in found["policies"].items():
        gap = row.get("gap")
        first = name == PLAN
        limits = ", ".join(f"{limit} ({n})" for limit, n in sorted(row["broken"].items())) or "none"
        rows.append([
            name, f"{row['profit']:,.0f}",
            "" if first else f"{row['gain']:+,.0f} ({row['low']:+,.0f} to {row['high']:+,.0f})",
            "" if first or gap is None else f"{gap:.0%}",
            f"{row['promised']:,.0f}", f"{row['promise_over_earned']:.2f}", f"{row['kept']:.1%}",
            "not held to any" if first else limits if limits == "none" else f"{limits}: no result",
        ])  # fmt: skip
    lines = [f"| {' | '.join(row)} |" for row in rows]
    ranks, of_all = (
        ", ".join(f"{each:.2f}" for each in found[name]) for name in ("spearman", "spearman_of_all")
    )
    said = (
        f"Spearman's correlation of value in the learned world with value in the true one, in each "
        f"chain, over {found['ranked']} policies that keep the limits: {ranks}; with those that "
        f"do not: {of_all}"
    )
    gains = "; ".join(
        f"{name} {gain['gain']:+,.0f} ({gain['low']:+,.0f} to {gain['high']:+,.0f})"
        for name, gain in found["over"].items()
    )
    best = f"Chosen by promise: {found['chosen']}. It truly earns over others (95 %): {gains}"
    return [*lines, "", said, "", best]
