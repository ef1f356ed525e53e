"""What prices do in truth: scenarios on a synthetic chain, and scores of those who predict them.

A scenario makes some prices 10 % dearer or cheaper for some weeks. Its truth is found by living
these weeks again (`dbt_project.sample.counterfactual`). A method is asked by what factor the units
of each product change, and the factor is applied to the true units at the old prices, so that an
error of the level cannot make up for an error of the answer:

    WMAPE = sum over products |units before x factor - units after| / sum over products units after

with units of all weeks, the mean of all runs. Of a scenario, products whose price changes and the
others of their needs, their rivals, are scored apart.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dbt_project.sample.counterfactual import Held, at_prices, live_on
from dbt_project.sample.levels import priced
from dbt_project.sample.world import World
from trainer.cache.atomic import new_file
from trainer.commands.errors import InputError

STEP = 0.1
SCOPES = {"products": 10, "departments": 5, "everything": 1}
"""Kinds of scenarios and how many there are of each, dearer and cheaper: 32 in all."""


@dataclass(frozen=True)
class Scenario:
    """N products of the chain, in code order."""

    name: str
    scope: str
    """As in `SCOPES`."""
    factor: np.ndarray
    """(N,) of regular prices."""


def scenarios(need: np.ndarray, department: np.ndarray, seed: int) -> list[Scenario]:
    """All 32: in turn one product of each need, drawn at random; the largest departments, by
    products; everything; each dearer and cheaper.

    need, department: (N,) numbers from 0.
    """
    rng = np.random.default_rng(seed)
    chosen = []
    for number in range(SCOPES["products"]):
        order = rng.permutation(need.size)
        _, first = np.unique(need[order], return_index=True)
        one = np.zeros(need.size, bool)
        one[order[first]] = True
        chosen.append((f"a product of each need, draw {number + 1}", "products", one))
    size = np.bincount(department)
    for largest in np.argsort(-size, kind="stable")[: SCOPES["departments"]]:
        chosen.append((f"department {largest}", "departments", department == largest))
    chosen.append(("everything", "everything", np.ones(need.size, bool)))
    return [
        Scenario(f"{name}, {STEP:.0%} {word}", scope, np.where(moved, factor, 1.0))
        for name, scope, moved in chosen
        for word, factor in (("dearer", 1 + STEP), ("cheaper", 1 - STEP))
    ]


@dataclass(frozen=True)
class Truth:
    """S scenarios, R runs, N products."""

    scenarios: list[Scenario]
    change: np.ndarray
    """(S, N) logs of new prices over old ones, to the penny, as of the first week."""
    before: np.ndarray
    """(R, N) units of all weeks at the old prices."""
    after: np.ndarray
    """(S, R, N) likewise at the new ones."""


def lived(
    world: World, asked: list[Scenario], weeks: int, runs: int, kept: Path | None, bar=iter
) -> Truth:
    """The truth of scenarios from where a world is, or what an earlier call kept of it in a file,
    which is written where there is none.

    Raises InputError where the file is of another chain, week, horizon or number of runs.
    """
    s = world.setting
    about = json.dumps([asdict(s.config), asdict(s.behaviour), world.week, weeks, runs])
    if kept is not None and kept.exists():
        try:
            with np.load(kept, allow_pickle=False) as file:
                found = {name: file[name] for name in ("about", "change", "before", "after")}
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{kept} cannot be read ({error}): delete it") from None
        if str(found.pop("about")) != about:
            raise InputError(f"{kept} is of other weeks, runs or another chain: delete it")
        return Truth(asked, **found)
    truth = live_all(world, asked, weeks, runs, bar)
    if kept is not None:
        with new_file(kept) as fresh, fresh.open("wb") as file:
            np.savez(file, about=about, change=truth.change, before=truth.before, after=truth.after)
    return truth


def live_all(world: World, asked: list[Scenario], weeks: int, runs: int, bar=iter) -> Truth:
    """Live the coming weeks under each scenario; the manager does not answer. bar: wraps the
    scenarios to show progress."""
    held = Held.of(world, weeks, runs)
    regular = np.asarray(world.plan().regular)
    before = live_on(world, held, weeks, runs).units.sum(1)
    after = [
        live_on(world, held.changed(at_prices(each.factor)), weeks, runs).units.sum(1)
        for each in bar(asked)
    ]
    change = [np.log(priced(regular, each.factor) / regular) for each in asked]
    return Truth(asked, np.stack(change), before, np.stack(after))


def wmape(predicted: np.ndarray, true: np.ndarray) -> float:
    """Sum of absolute differences over the sum of true values."""
    return float(np.abs(predicted - true).sum() / true.sum())


def counterfactual_errors(
    truth: Truth, factors: np.ndarray, rows: np.ndarray, need: np.ndarray
) -> dict[str, float]:
    """Mean WMAPE of products whose price changes, over all scenarios and by scope; that of their
    rivals, of the scenarios that have any; and the mean absolute error of the total of all
    products, as a share of what it was.

    factors: (S, P) predicted units after over before of the products in rows (P,) of the chain.
    need: (N,).
    """
    before = truth.before.mean(0)[rows]
    after = truth.after.mean(1)[:, rows]
    predicted = before * factors
    found: dict[str, list[float]] = {name: [] for name in ("all", *SCOPES, "rivals", "total")}
    for each, change, guess, units in zip(
        truth.scenarios, truth.change, predicted, after, strict=True
    ):
        moved = (change[rows] != 0) & (before > 0)
        beside = ~moved & (before > 0) & np.isin(need[rows], need[change != 0])
        error = wmape(guess[moved], units[moved])
        found["all"].append(error)
        found[each.scope].append(error)
        if beside.any():
            found["rivals"].append(wmape(guess[beside], units[beside]))
        found["total"].append(abs(guess.sum() - units.sum()) / before.sum())
    return {name: float(np.mean(errors)) for name, errors in found.items() if errors}


def noise(truth: Truth, rows: np.ndarray) -> float:
    """What chance alone adds to the WMAPE: half of the error of one half of the runs as predicted
    by the other."""
    half = len(truth.before) // 2
    one, other = (
        (truth.before[runs].mean(0)[rows], truth.after[:, runs].mean(1)[:, rows])
        for runs in (slice(half), slice(half, None))
    )
    factor = other[1] / np.maximum(other[0], 1)
    found = []
    for change, units, ratio in zip(truth.change, one[1], factor, strict=True):
        moved = (change[rows] != 0) & (one[0] > 0)
        found.append(wmape((one[0] * ratio)[moved], units[moved]) / 2)
    return float(np.mean(found))


def shrunk(value: np.ndarray, error: np.ndarray) -> np.ndarray:
    """(n,) estimates drawn to their mean as far as their errors go: normal empirical Bayes, the
    variance between them by moments (DerSimonian and Laird, Meta-analysis in clinical trials,
    1986). An estimate that is not finite, or whose error is not, becomes the mean."""
    known = np.isfinite(value) & np.isfinite(error) & (error > 0)
    weight = np.where(known, 1 / np.where(known, error, 1) ** 2, 0.0)
    value = np.where(known, value, 0.0)
    mean = (weight * value).sum() / weight.sum()
    surplus = (weight * (value - mean) ** 2).sum() - (known.sum() - 1)
    between = max(surplus / (weight.sum() - (weight**2).sum() / weight.sum()), 0.0)
    inverse = np.where(known, 1 / (between + 1 / np.maximum(weight, 1e-300)), 0.0)
    mean = (inverse * value).sum() / inverse.sum()
    return mean + between * inverse * (value - mean)


def agreement(value: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Of elasticities: correlation, slope of the estimates on the truth, means, share below 0."""
    both = np.cov(value, truth)
    flat = both[0, 0] <= 0 or both[1, 1] <= 0
    return {
        "r": float("nan") if flat else float(np.corrcoef(value, truth)[0, 1]),
        "slope": float(both[0, 1] / both[1, 1]),
        "mean": float(value.mean()), "true_mean": float(truth.mean()),
        "sign": float((value < 0).mean()),
    }  # fmt: skip


def ndcg(score: np.ndarray, gain: np.ndarray, k: int = 5) -> float:
    """Of the k with the highest scores, given what each gains in truth; losses count as 0. NaN
    where nobody gains."""
    gain = gain.clip(min=0)
    weight = 1 / np.log2(np.arange(2, k + 2))[: gain.size]
    best = (np.sort(gain)[::-1][:k] * weight).sum()
    chosen = gain[np.argsort(-score, kind="stable")[:k]]
    return float((chosen * weight).sum() / best) if best > 0 else float("nan")
