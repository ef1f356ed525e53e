"""Coupon policies made in the learned world: which segment gets which coupon, every four weeks.

The learned world tells what each coupon added for each card (`LearnedWorld.added`), which no till
does; so a policy is made from what its own coupons add and not from noisy profits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dbt_project.sample import Actions
from dbt_project.sample.coupons import LASTS
from simulator.environments.coupons import Menu
from simulator.environments.learned.coupon_response import SEGMENTS, segment
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.lives import FITTED, Progress
from simulator.environments.opening import Episode

from .learners import required

EXPLORES = 0.1
"""alpha of LinTS; rewards are pence a card."""


@dataclass(frozen=True)
class CouponTable:
    """The policy. product: (C,) rows; gives: (C, segments of `coupon_response`) bool; stops: weeks
    after which nobody gets any."""

    product: np.ndarray
    depth: float
    gives: np.ndarray
    stops: int = 1 << 30

    def __call__(self, episode: Episode) -> Actions:
        if episode.passed % LASTS or episode.passed >= self.stops:
            return episode.world.plan()
        need = episode.world.setting.catalogue.need[self.product]
        menu = Menu(self.product, need, self.depth)
        given = self.gives[np.arange(need.size), segments(episode, need)]
        return menu.actions(episode.world, given)


def segments(episode: Episode, need: np.ndarray) -> np.ndarray:
    """(H, C) segment of each card for coupons of some needs (C,)."""
    books = episode.books
    return segment(books.weeks - books.last_trip, books.weeks - books.bought[:, need])


def made_in(
    opening: LearnedOpening, episodes: int, seed: int, week: Progress
) -> dict[str, CouponTable]:
    """The policies, by name. episodes: lives in which each is made."""
    known = opening.start()[0].known
    shape = known.coupon.size, SEGMENTS
    none = CouponTable(known.coupon, float(known.coupon_depth[0]), np.zeros(shape, bool))
    everybody = replace(none, gives=np.ones(shape, bool))
    gains = np.zeros(shape)
    for number in range(episodes):
        gains += _lived(everybody, opening, FITTED + number, week)[0]
    best = int(gains.sum(1).argmax())
    one = np.zeros(shape, bool)
    one[best] = gains[best].sum() > 0
    return {
        "nobody": none, "everybody": everybody, "best fixed coupon": replace(none, gives=one),
        "by segment": replace(none, gives=gains > 0),
        "LinTS": replace(none, gives=_bandit(none, opening, episodes, seed, week)),
    }  # fmt: skip


def _lived(policy: CouponTable, opening, run: int, week: Progress):
    """(2, C, segments) pence that coupons added in a life, and cards that got them."""
    episode, need = Episode(opening, run), opening.start()[0].known.need[policy.product]
    found = np.zeros((2, *policy.gives.shape))
    coupon = np.broadcast_to(np.arange(need.size), (episode.books.last_trip.size, need.size))
    while not episode.at_its_end:
        if episode.passed % LASTS == 0:
            cell = segments(episode, need)
            np.add.at(found[1], (coupon, cell), policy.gives[coupon, cell])
        episode.step(policy(episode))
        np.add.at(found[0], (coupon, cell), episode.world.added)
        week()
    return found


def _bandit(none: CouponTable, opening, episodes: int, seed: int, week: Progress) -> np.ndarray:
    """(C, segments) whether LinTS, once trained, expects a coupon to add to profit: for each coupon
    and segment it gives or does not, and sees what was added for a card on average."""
    mab = required("mabwiser.mab")
    chooser = mab.MAB([0, 1], mab.LearningPolicy.LinTS(alpha=EXPLORES, l2_lambda=1.0), seed=seed)
    coupons = none.product.size
    contexts = np.array([
        np.r_[1.0, cell % 2, np.eye(SEGMENTS // 2)[cell // 2], np.eye(coupons)[coupon]]
        for coupon in range(coupons) for cell in range(SEGMENTS)
    ])  # fmt: skip
    short = replace(opening, weeks=LASTS)
    rng = np.random.default_rng(seed)
    fitted = False
    for number in range(episodes * opening.weeks // LASTS):
        decided = chooser.predict(contexts) if fitted else rng.integers(0, 2, len(contexts))
        gives = np.array(decided, bool).reshape(coupons, SEGMENTS)
        added, cards = _lived(replace(none, gives=gives), short, FITTED + 1000 + number, week)
        reward = (added / np.maximum(cards, 1)).ravel()
        seen = (cards > 0).ravel() | ~gives.ravel()
        fit = chooser.partial_fit if fitted else chooser.fit
        fit(gives.ravel()[seen].astype(int), reward[seen], contexts[seen])
        fitted = True
    models = chooser._imp.arm_to_model  # the library has no public way to the coefficients
    return (contexts @ models[1].beta > contexts @ models[0].beta).reshape(coupons, SEGMENTS)
