"""How each kind of policy is made in the learned world. Heavy libraries are imported where used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from simulator.environments.learned.knowledge import Knowledge
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.lives import FITTED, Progress, worth
from simulator.environments.opening import Episode, Opening
from simulator.environments.policies import DEPTHS, Schedule, searched
from simulator.environments.pricing import DEEPEST, PricingEnv
from trainer.commands.errors import InputError

from .coupon_learners import COUPON_LEARNERS
from .knobs import DEPARTMENTS, KNOBS, SPAN, STILL, Constant, chain_scope, turned
from .libraries import PPO, required, trained_by_ppo
from .limits import Limited, Limits
from .made import context
from .settings import Setting
from .weekly import beliefs

Settings = dict[str, Any]
ARMS_AT_MOST = 200


def nothing(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """Rules without anything to learn."""
    return {}, []


def fixed_depth(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """The depth of promotions in rotation that earns most, of five."""
    scope = chain_scope(opening)
    return _best(
        {d: Limited(Schedule(scope, depth=d), limits) for d in DEPTHS}, opening, settings, week,
        lambda depth: {"depth": np.array([depth])},
    )  # fmt: skip


def quarters(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """Levels of each quarter and a depth, with nothing to hold them back: the oracle of
    `simulator.environments` where the opening is the chain's."""
    found = searched(chain_scope(opening), opening, settings["lives"], week)
    return {"levels": np.array(found.levels), "depth": np.array([found.depth])}, []


def constant_elasticity(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """One level for all, by the inverse elasticity rule: p = cost e / (e - 1), with the e of a
    lasting change of all prices that the learned world has, of purchases and visits together."""
    known = learned(opening)
    e = float(known.of_need[0] + known.of_need[3])
    cost = float(np.average(known.cost[:, 0] / known.listed, weights=known.units.sum(1) + 1))
    factor = cost * e / (e - 1) if e > 1 else SPAN
    knobs = STILL.copy()
    knobs[:DEPARTMENTS] = np.clip(np.log(factor) / np.log(SPAN), -1, 1)
    return {"knobs": knobs}, []


def weekly(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """Nothing but what is known at the start: the rest is done week by week (`Weekly`)."""
    return beliefs(learned(opening), settings["every"], bool(settings["ahead"])), []


def learned(opening) -> Knowledge:
    """What the learned world knows; raises InputError for the true one."""
    if not isinstance(opening, LearnedOpening):
        raise InputError("this kind of policy is made from what was learned: name it by --world")
    return opening.start()[0].known


def search(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """Constant knobs by coordinate search, all with the same draws: first along all of each knob in
    steps of the first size, for what pays may lie beyond what does not, then near what was best."""
    scope = chain_scope(opening)
    lives = settings["lives"]
    knobs, curve, lived = STILL.copy(), [], 0

    def tried(candidate: np.ndarray) -> float:
        nonlocal lived
        lived += lives * opening.weeks
        policy = Limited(Constant(scope, candidate), limits)
        return worth(policy, opening, lives, week) / opening.weeks

    best = tried(knobs)
    curve.append((lived, best))
    # All levels together first, then promotions, then each department.
    groups = [list(range(DEPARTMENTS)), *([k] for k in range(DEPARTMENTS, KNOBS))]
    groups += [[k] for k in range(DEPARTMENTS)]
    for turn, step in enumerate(settings["steps"]):
        ends = np.arange(-1, 1 + step / 2, step)
        for group in groups:
            places = ends if turn == 0 else knobs[group[0]] + step * np.array([-1, 1])
            for place in np.unique(np.clip(places, -1, 1)):
                candidate = knobs.copy()
                candidate[group] = place
                if (candidate != knobs).any() and (value := tried(candidate)) > best:
                    knobs, best = candidate, value
            curve.append((lived, best))
    return {"knobs": knobs}, curve


def bandit(name: str):
    """LinTS or LinUCB of mabwiser: the arm of a week, by what its profit was in weeks like it."""

    def learner(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
        arms = _arms(settings)
        mab = required("mabwiser.mab")
        scope = chain_scope(opening)
        kind = mab.LearningPolicy.LinTS if name == "lin-ts" else mab.LearningPolicy.LinUCB
        chooser = mab.MAB(
            list(range(len(arms))), kind(alpha=settings["alpha"], l2_lambda=1.0), seed=seed
        )
        usual = opening.start()[1].usual.revenue
        rng = np.random.default_rng(seed)
        curve, fitted = [], False
        for number in range(settings["episodes"]):
            episode, earned = Episode(opening, FITTED + 1000 * seed + number), []
            seen: tuple[list, list, list] = [], [], []
            while not (episode.at_its_end or episode.deserted):
                x = context(scope, episode)
                arm = chooser.predict(x[None]) if fitted else int(rng.integers(len(arms)))
                actions = limits.keep(turned(scope, episode, arms[arm]), episode)
                profit = episode.step(actions).profit.sum() / 100
                for values, value in zip(seen, (arm, profit / usual, x), strict=True):
                    values.append(value)
                earned.append(profit)
                week()
            decisions, rewards, contexts = (np.array(values) for values in seen)
            # Arms never tried before the first fit have coefficients of 0 until they are.
            (chooser.partial_fit if fitted else chooser.fit)(decisions, rewards, contexts)
            fitted = True
            curve.append(((number + 1) * opening.weeks, float(np.mean(earned))))
        models = chooser._imp.arm_to_model  # the library has no public way to the coefficients
        beta = np.stack([models[arm].beta for arm in range(len(arms))])
        return {"arms": arms, "beta": beta}, curve

    return learner


def _arms(settings: Settings) -> np.ndarray:
    """(A, KNOBS) combinations of levels and depths. Raises InputError for too many of them."""
    found = []
    lists = [settings[name] for name in ("levels", "paid", "partly")]
    if (arms := math.prod(map(len, lists))) > ARMS_AT_MOST:
        raise InputError(
            f"levels, paid and partly make {arms:,} arms; a bandit learns {ARMS_AT_MOST} at most"
        )
    for level, paid, partly in product(*lists):
        knobs = STILL.copy()
        knobs[:DEPARTMENTS] = np.log(level) / np.log(SPAN)
        knobs[DEPARTMENTS : DEPARTMENTS + 2] = 2 * np.array([paid, partly]) / DEEPEST - 1
        found.append(knobs)
    return np.array(found)


class KnobEnv(PricingEnv):
    """`RetailSim/Pricing-v0` of the whole chain, with knobs as actions, within limits; rewards are
    profits over usual revenue."""

    def __init__(self, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self.limits = limits
        self.action_space = Box(-1.0, 1.0, (KNOBS,), np.float32)

    def _actions(self, action: np.ndarray):
        return self.limits.keep(turned(self.scope, self.episode, action), self.episode)

    def step(self, action):
        """As of `ChainEnv`."""
        observation, profit, terminated, truncated, info = super().step(action)
        reward = profit / self.episode.books.usual.revenue
        return observation, reward, terminated, truncated, info


def ppo(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """PPO of stable-baselines3; its mean reward is that of base prices without promotions."""
    required("stable_baselines3")
    options = (
        {"world": "model", "checkpoint": opening.checkpoint, "weeks": opening.weeks}
        if isinstance(opening, LearnedOpening)
        else {name: getattr(opening, name) for name in Opening.__dataclass_fields__}
    )
    usual = worth(Limited(Constant(chain_scope(opening), STILL), limits), opening, 1, week)
    mean = usual / opening.weeks / opening.start()[1].usual.revenue
    return trained_by_ppo(
        lambda: KnobEnv(limits, **options), settings, settings["weeks"], mean, "profit", seed, week
    )


def _best(policies, opening, settings, week, arrays):
    values = {
        value: worth(policy, opening, settings["lives"], week) for value, policy in policies.items()
    }
    return arrays(max(values, key=values.__getitem__)), []


ARMS = {
    "episodes": Setting(40, 1, 10_000), "alpha": Setting(0.1, 1e-6, 1000),
    "levels": Setting([0.95, 1.0, 1.05], 0.5, 2), "paid": Setting([0.0, 0.25, 0.5], 0, DEEPEST),
    "partly": Setting([0.0, 0.25], 0, DEEPEST),
}  # fmt: skip
LIVES = Setting(1, 1, 1000)

LEARNERS: dict[str, tuple[Callable, dict[str, Setting]]] = {
    "plan": (nothing, {}),
    "cost-plus": (nothing, {}),
    "fixed-depth": (fixed_depth, {"lives": replace(LIVES, default=2)}),
    "quarters": (quarters, {"lives": LIVES}),
    "constant-elasticity": (constant_elasticity, {}),
    "weekly": (weekly, {"every": Setting(4, 1, 520), "ahead": Setting(1, 0, 1)}),
    "search": (search, {"lives": LIVES, "steps": Setting([0.5, 0.2], 0.01, 2)}),
    "lin-ts": (bandit("lin-ts"), ARMS),
    "lin-ucb": (bandit("lin-ucb"), ARMS),
    "ppo": (ppo, {"weeks": Setting(12_000, 1, 10_000_000), **PPO}),
    **COUPON_LEARNERS,
}  # fmt: skip
"""How each kind is made, and its settings unless a YAML file says otherwise."""
