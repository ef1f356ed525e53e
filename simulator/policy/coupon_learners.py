"""How each kind of coupon policies is made in the learned world.

The learned world tells what each coupon added for each card (`LearnedWorld.added`), which no till
does; so a policy is made from what its own coupons add and not from noisy profits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dbt_project.sample.coupons import LASTS
from simulator.environments.coupons import SEGMENTS as GROUPS
from simulator.environments.coupons import CouponsEnv
from simulator.environments.learned.coupon_response import SEGMENTS
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.lives import FITTED, Progress
from simulator.environments.opening import Episode
from trainer.commands.errors import InputError

from .coupon_tables import NEVER_STOPS, CouponPolicy, handed, learned_menu, segments
from .libraries import PPO, required, trained_by_ppo
from .limits import Limits
from .settings import Setting

Settings = dict[str, Any]
FREE = Limits(budget=1.0)


@dataclass(frozen=True)
class Lived:
    """What coupons did in lives, (C, segments of `coupon_response`) each."""

    added: np.ndarray
    """Pence that they added."""
    given: np.ndarray
    used: np.ndarray


def nobody(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """No coupons."""
    shape = _shape(opening)
    return _table(opening, np.zeros(shape, bool), np.zeros(shape)), []


def everybody(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """All of the trial's coupons for all cards, up to a week."""
    seen = _everybody(opening, settings["lives"], week)
    return _table(opening, np.ones(_shape(opening), bool), _used(seen), settings["stops"]), []


def best(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """The one coupon that adds most, for all cards; none where none adds anything."""
    seen = _everybody(opening, settings["lives"], week)
    gains = seen.added.sum(1)
    gives = np.zeros(_shape(opening), bool)
    gives[gains.argmax()] = gains.max() > 0
    return _table(opening, gives, _used(seen)), []


def by_segment(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """Each coupon for the segments where it adds to profit."""
    seen = _everybody(opening, settings["lives"], week)
    return _table(opening, seen.added > 0, _used(seen)), []


def bandit(name: str):
    """LinTS or LinUCB of mabwiser: for each coupon and segment it gives or does not, sees what was
    added for a card on average, and once trained gives where it expects something to be added."""

    def learner(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
        mab = required("mabwiser.mab")
        used = _used(_everybody(opening, 1, week))
        kind = getattr(mab.LearningPolicy, name)
        chooser = mab.MAB([0, 1], kind(alpha=settings["alpha"], l2_lambda=1.0), seed=seed)
        shape = coupons, _ = _shape(opening)
        contexts = np.array([
            np.r_[1.0, cell % 2, np.eye(SEGMENTS // 2)[cell // 2], np.eye(coupons)[coupon]]
            for coupon, cell in np.ndindex(shape)
        ])  # fmt: skip
        short = replace(opening, weeks=LASTS)
        rng = np.random.default_rng(seed)
        curve, fitted = [], False
        for number in range(settings["rounds"]):
            decided = chooser.predict(contexts) if fitted else rng.integers(0, 2, len(contexts))
            gives = np.array(decided, bool).reshape(shape)
            policy = CouponPolicy(short, limits, _table(opening, gives, used))
            seen = _lived(policy, short, FITTED + 1000 * (seed + 1) + number, week)
            reward = (seen.added / np.maximum(seen.given, 1)).ravel()
            counts = (seen.given > 0).ravel() | ~gives.ravel()
            if counts.any():  # where a budget is so tight that nobody got one, nothing is seen
                fit = chooser.partial_fit if fitted else chooser.fit
                fit(gives.ravel()[counts].astype(int), reward[counts], contexts[counts])
                fitted = True
            curve.append(((number + 1) * LASTS, float(seen.added.sum() / 100 / LASTS)))
        models = chooser._imp.arm_to_model  # the library has no public way to the coefficients
        gives = (contexts @ models[1].beta > contexts @ models[0].beta).reshape(shape)
        return _table(opening, gives, used), curve

    return learner


class RoundEnv(CouponsEnv):
    """`RetailSim/Coupons-v0` in the learned world, within limits, where a step is the four weeks
    for which coupons are good, and the reward what they added, pounds a week."""

    def __init__(self, opening: LearnedOpening, limits: Limits, used: np.ndarray) -> None:
        menu = learned_menu(opening.start()[0].known)
        super().__init__(
            menu=menu.product.size, depth=menu.depth, world="model", checkpoint=opening.checkpoint,
            weeks=opening.weeks,
        )  # fmt: skip
        self.limits, self.used = limits, used

    def _actions(self, action: np.ndarray):
        of_group = np.asarray(action, bool).reshape(GROUPS, -1)
        given = of_group[self._group(self.episode.books)]
        return handed(self.episode, self.menu, given, self.used, self.limits)

    def step(self, action):
        """As of `ChainEnv`."""
        added, action = 0.0, np.asarray(action)
        for _ in range(LASTS):
            observation, _, terminated, truncated, info = super().step(action)
            added += float(self.episode.world.added.sum()) / 100 / LASTS
            if terminated or truncated:
                break
            action = np.zeros_like(action)
        return observation, added, terminated, truncated, info | {"added": added}


def ppo(opening, limits: Limits, settings: Settings, seed: int, week: Progress):
    """PPO of stable-baselines3, for the segments of `CouponsEnv`."""
    required("stable_baselines3")
    used = _used(_everybody(opening, 1, week))
    arrays, curve = trained_by_ppo(
        lambda: RoundEnv(opening, limits, used), settings, settings["rounds"], 0.0, "added", seed,
        lambda: [week() for _ in range(LASTS)],
    )  # fmt: skip
    curve = [(rounds * LASTS, added) for rounds, added in curve]
    return _menu(opening) | {"used": used} | arrays, curve


def _known(opening):
    """What the learned world knows of coupons; raises InputError for the true one, and where no
    trial told of any."""
    if not isinstance(opening, LearnedOpening):
        raise InputError("coupon policies are made from what was learned: name it by --world")
    known = opening.start()[0].known
    learned_menu(known)
    return known


def _shape(opening) -> tuple[int, int]:
    return _known(opening).coupon.size, SEGMENTS


def _menu(opening) -> dict[str, np.ndarray]:
    known = _known(opening)
    return {"product": known.coupon, "depth": known.coupon_depth}


def _table(opening, gives: np.ndarray, used: np.ndarray, stops: int = NEVER_STOPS):
    """The arrays of a policy that is a table."""
    return _menu(opening) | {"gives": gives, "used": used, "stops": np.array([stops])}


def _everybody(opening, lives: int, week: Progress) -> Lived:
    """Lives in which all cards get all coupons, whatever they cost."""
    shape = _shape(opening)
    policy = CouponPolicy(opening, FREE, _table(opening, np.ones(shape, bool), np.zeros(shape)))
    lived = [_lived(policy, opening, FITTED + number, week) for number in range(lives)]
    return Lived(*(sum(getattr(x, name) for x in lived) for name in ("added", "given", "used")))


def _used(seen: Lived) -> np.ndarray:
    """(C, segments) share of coupons that were used; of a segment that got none, of all."""
    of_all = seen.used.sum() / max(seen.given.sum(), 1)
    return np.where(seen.given > 0, seen.used / np.maximum(seen.given, 1), of_all)


def _lived(policy: CouponPolicy, opening: LearnedOpening, run: int, week: Progress) -> Lived:
    """A life; what coupons do counts for the segment of their holder when they were given."""
    episode, need = Episode(opening, run), policy.menu.need
    row = {int(product): at for at, product in enumerate(_known(opening).coupon)}
    found = np.zeros((3, *_shape(opening)))
    coupon = np.broadcast_to(np.arange(need.size), (episode.books.last_trip.size, need.size))
    while not episode.at_its_end:
        if episode.passed % LASTS == 0:
            cell = segments(episode, need)
        actions = policy(episode)
        who, what = actions.coupons.household, actions.coupons.product
        at = np.array([row[int(product)] for product in what], np.int64)
        np.add.at(found[1], (at, cell[who, at]), 1)
        episode.step(actions)
        np.add.at(found[0], (coupon, cell), episode.world.added)
        np.add.at(found[2], (coupon, cell), episode.world.saved > 0)
        week()
    return Lived(*found)


LIVES = Setting(4, 1, 1000)
ROUNDS = Setting(104, 1, 1_000_000)
BANDIT = {"rounds": ROUNDS, "alpha": Setting(0.1, 1e-6, 1000)}

COUPON_LEARNERS: dict[str, tuple[Callable, dict[str, Setting]]] = {
    "coupons-nobody": (nobody, {}),
    "coupons-everybody": (
        everybody, {"lives": LIVES, "stops": Setting(NEVER_STOPS, 1, NEVER_STOPS)},
    ),
    "coupons-best": (best, {"lives": LIVES}),
    "coupons-by-segment": (by_segment, {"lives": LIVES}),
    "coupons-lin-ts": (bandit("LinTS"), BANDIT),
    "coupons-lin-ucb": (bandit("LinUCB"), BANDIT),
    "coupons-ppo": (
        ppo,
        PPO | {
            "rounds": replace(ROUNDS, default=3_000), "gamma": replace(PPO["gamma"], default=0.0),
            "steps": replace(PPO["steps"], default=52), "scale": replace(PPO["scale"], default=0.1),
        },
    ),
}  # fmt: skip
"""How each kind is made, and its settings unless a YAML file says otherwise. Rewards of bandits are
pence a card."""
