"""A retailer's trial of coupons in the chain: the year before a start, lived once more with it.

Every four weeks each card gets each coupon of the menu with chance one half, independently of all
else (a factorial design: Fisher, 1935), so that every card tells of every coupon.
"""

from __future__ import annotations

import numpy as np

from dbt_project.sample import Behaviour, ChainConfig
from dbt_project.sample.chain import build_chain
from dbt_project.sample.coupons import LASTS
from simulator.coupon_log import CouponLog
from simulator.environments.coupons import LATELY, Menu
from simulator.environments.learned.world import YEAR
from simulator.environments.lives import Progress
from simulator.environments.opening import Episode, Opening, price_list
from simulator.tensor_file import padded
from trainer.commands.errors import InputError

CHANCE = 0.5


def opening_of(config: ChainConfig, behaviour: Behaviour, start: int) -> tuple[Opening, np.ndarray]:
    """Where a trial that ends with week `start` begins, and (R,) first weeks of its rounds.

    Raises InputError where less than a year and a quarter has passed by then.
    """
    rounds = YEAR // LASTS
    first = start - rounds * LASTS - LATELY
    if first < 1:
        raise InputError(f"--start: a trial needs {start - first} weeks before it, not {start}")
    opening = Opening.of(config, behaviour, first)
    return opening, start - rounds * LASTS + LASTS * np.arange(rounds) + 1


def hold_trial(
    config: ChainConfig, behaviour: Behaviour, start: int, size: int, depth: float, week: Progress
) -> CouponLog:
    """The log of a trial that ends with week `start`. size: coupons of the menu.

    Raises InputError where less than a year and a quarter has passed by then.
    """
    opening, weeks = opening_of(config, behaviour, start)
    menu, episode = Menu.of(opening, size, depth), Episode(opening, 0)
    cards = episode.books.last_trip.size
    rng = np.random.default_rng([config.seed, start])
    given = rng.random((weeks.size, cards, size)) < CHANCE
    logged: list[tuple[np.ndarray, ...]] = []
    trips = 0
    while episode.books.weeks < start:
        coming = episode.books.weeks + 1
        actions = episode.world.plan()
        if coming in weeks:
            actions = menu.actions(episode.world, given[np.searchsorted(weeks, coming)])
        result = episode.step(actions)
        r = result.receipts
        who = r.household[r.trip]
        card = who < cards
        logged.append((
            who[card], np.full(card.sum(), coming), trips + r.trip[card], r.product[card],
            r.quantity[card], r.spend[card], result.discount[card],
        ))  # fmt: skip
        trips += result.trips
        week()
    codes = build_chain(config).codes
    found = [np.concatenate(each) for each in zip(*logged, strict=True)]
    return CouponLog(
        padded(codes.customer[:cards]),
        padded(codes.product),
        menu.product,
        weeks,
        given,
        *found,
        first=opening.warm_up + 1,
        lasts=LASTS,
        depth=depth,
        chain=price_list(episode.world),
    )
