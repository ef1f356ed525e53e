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

from .coupon_counts import CouponCount
from .limits import Limits
from .made import COUPONS, PRICES

PLAN = "current plan"
NOBODY = "coupons for nobody"
BASES = {PRICES: PLAN, COUPONS: NOBODY}
"""The policy that others are compared with, by what policies decide."""
ORACLE = "oracle"
SURE = 0.95
"""Of intervals."""


def lives_of(
    policy: Policy, limits: Limits, opening: Opening | LearnedOpening, lives: int, week: Progress,
    coupons: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Lives of a policy in a world, with draws 0, 1, ...: lists of lives, each of weeks (W).

    `profit` (pounds), `trips`, `price` (charged over base prices), `kept` (a life each; None where
    nobody knows), `broken` (weeks in which each of the limits was) and `paid` (by class of price
    sensitivity, what customers with a card paid over the same goods at base prices; true world
    only). With coupons, whose prices are the manager's, the limit is their budget, and `coupons`
    has the figures of `CouponCount` for each life.
    """
    found: dict[str, Any] = {
        "profit": [], "trips": [], "price": [], "kept": [], "broken": {}, "paid": [],
        "coupons": [],
    }  # fmt: skip
    broken: Counter[str] = Counter()
    for run in range(lives):
        episode = Episode(opening, run)
        weeks = np.zeros((3, opening.weeks))
        paid = np.zeros((2, len(CLASSES)))
        count = CouponCount(episode)
        while not (episode.at_its_end or episode.deserted):
            at, base = episode.passed, base_prices(episode.world)
            actions = policy(episode)
            if not coupons:
                broken.update(limits.broken(actions, episode))
            result = episode.step(actions)
            count.note(episode, at, actions, result)
            books = episode.books
            worth = books.usual.units * episode.world.setting.unit_price + 1e-9
            level = np.exp(np.average(books.level, weights=worth))
            weeks[:, at] = result.profit.sum() / 100, result.trips, level
            if isinstance(episode.world, World):
                paid += _paid(episode.world, result, base)
            week()
        for name, values in zip(("profit", "trips", "price"), weeks, strict=True):
            found[name].append(np.round(values, 4).tolist())
        if coupons:
            found["coupons"].append(count.figures(episode.world))
            if over := limits.overspent(count.off, episode.books.usual.revenue):
                broken["budget"] += over
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


def compared(chains: Sequence[Mapping[str, Mapping[str, Any]]], base: str = PLAN) -> dict[str, Any]:
    """Figures over chains. chains: for each one, by policy, `model` and `truth` of `lives_of`;
    base: the policy that others are compared with.

    `profit`, `promised` (in the model) a week, `gain` over the base, with a 95 % interval by
    Student's t over chains (over lives, where there is one chain), `gain_promised`, `gap`, the
    share of the way from the base to the oracle, `kept`, `broken`; `spearman`, of each chain, the
    correlation of value in the model with value in truth over the `ranked` policies that break no
    limit, None where these do not differ, and `spearman_of_all` with those that do; and the
    `chosen` policy, which promises most of those that break no limit, with what it truly earns
    `over` each other one.
    """
    names = [name for name in chains[0] if all(name in chain for chain in chains)]

    def weekly(world: str, name: str) -> list[np.ndarray]:
        """(lives,) of each chain."""
        return [np.mean(chain[name][world]["profit"], axis=1) for chain in chains]

    def gains_over(world: str, name: str, other: str) -> list[np.ndarray]:
        pairs = zip(weekly(world, name), weekly(world, other), strict=True)
        return [one - two for one, two in pairs]

    def over(name: str, other: str) -> dict[str, float]:
        gains = gains_over("truth", name, other)
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
            **over(name, base), "kept": float(np.mean(kept)), "broken": dict(broken),
            "paid": paid.tolist(),
            "gain_promised": float(np.mean([x.mean() for x in gains_over("model", name, base)])),
        }  # fmt: skip
        if base == NOBODY:
            rows[name]["coupons"] = coupons_of([chain[name]["truth"] for chain in chains])
    if ORACLE in rows:
        whole = rows[ORACLE]["gain"]
        for row in rows.values():
            row["gap"] = row["gain"] / whole if whole > 0 else None
    made = [name for name in names if name != ORACLE]
    results = [name for name in made if name == base or not rows[name]["broken"]]

    def agreement(ranked: list[str]) -> list[float | None]:
        """Spearman's correlation in each chain; None where nothing is ranked."""
        found = []
        for chain in chains:
            values = [[np.mean(chain[n][w]["profit"]) for n in ranked] for w in ("model", "truth")]
            differs = all(len(set(each)) > 1 for each in values)
            found.append(float(spearmanr(*values)[0]) if differs else None)
        return found

    chosen = max(results, key=lambda name: rows[name]["promised"])
    others = {name: over(chosen, name) for name in names if name != chosen}
    return {
        "base": base, "policies": rows, "spearman": agreement(results), "ranked": len(results),
        "spearman_of_all": agreement(made),
        "chosen": chosen, "over": others,
    }  # fmt: skip


def coupons_of(lived: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over chains of a policy's coupons: `given` and `used` a week, `off` (pounds a week),
    and `of_class` as of `CouponCount`. lived: `lives_of` the true world, of each chain."""
    each = [life for own in lived for life in own["coupons"]]
    weeks = len(each[0]["off"])
    classes = [life["of_class"] for life in each]
    return {
        "given": float(np.mean([life["given"] for life in each])) / weeks,
        "used": float(np.mean([life["used"] for life in each])) / weeks,
        "off": float(np.mean([life["off"] for life in each])),
        "of_class": {k: np.mean([c[k] for c in classes], axis=0).tolist() for k in classes[0]},
    }


def half_interval(each: np.ndarray) -> float:
    """Half of the 95 % interval of a mean, by Student's t; not a number for one value."""
    if len(each) < 2:
        return float("nan")
    return float(t.ppf((1 + SURE) / 2, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))
