"""The optimiser re-run each week: what it expects, what it finds, and what it may not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_knowledge import knowledge

from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.lives import live
from simulator.environments.opening import Episode
from simulator.environments.policies import Schedule
from simulator.policy.knobs import chain_scope
from simulator.policy.limits import Limited, Limits
from simulator.policy.weekly import Weekly, _Coming, beliefs


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> LearnedOpening:
    path = tmp_path_factory.mktemp("weekly") / "world.safetensors"
    known = knowledge(weeks=16)
    offers = np.array([0.0, 0.9, 0.5, 0.9])[np.arange(16) // 4]
    replace(known, funding=known.funding * offers).save(path)
    return LearnedOpening(str(path), 12)


def weekly(opening: LearnedOpening, limits: Limits, every: int = 1) -> Weekly:
    return Weekly(chain_scope(opening), limits, beliefs(opening.start()[0].known, every))


def test_the_gain_of_a_candidate_is_profit_after_less_profit_before(learned):
    """Of one product alone, in its need, with what the price level does to visits."""
    policy, episode = weekly(learned, Limits()), Episode(learned, 0)
    policy(episode)
    coming = _Coming(policy, episode)
    n = coming.before.size
    regular = np.stack([coming.before, coming.before * 1.1, coming.before])
    depth = np.stack([np.zeros(n), np.zeros(n), np.full(n, 0.3)])
    change, margin = coming.change(regular, depth), coming.margin(regular, depth)
    gains, _ = coming._gains(np.zeros(n, int), change, margin)

    def profit(level: np.ndarray, margins: np.ndarray) -> float:
        return float((coming.units(level) * margins).sum())

    before = profit(change[0], margin[0])
    for candidate in (1, 2):
        for product in (0, 5):
            level, margins = change[0].copy(), margin[0].copy()
            level[product] = change[candidate, product]
            margins[product] = margin[candidate, product]
            visits = policy.b["visits"][product] * (level - change[0])[product] * before
            expected = profit(level, margins) - before - visits
            assert gains[candidate, product] == pytest.approx(expected, abs=1e-6)


def test_it_takes_what_suppliers_pay_for_in_the_weeks_in_which_they_do(learned):
    policy, episode = weekly(learned, Limits(budget=1.0)), Episode(learned, 3)
    taken = []
    for _ in range(8):
        funding = episode.world.setting.economy.funding[:, episode.world.week - 1]
        actions = policy(episode)
        depth = np.atleast_2d(actions.depth).mean(0)
        taken.append((depth[funding > 0.8].mean(), depth[funding == 0].mean()))
        episode.step(actions)
    paid, unpaid = np.mean(taken, axis=0)

    assert paid > 0.3
    assert unpaid < paid / 2


def test_it_earns_more_than_base_prices_and_keeps_the_limits(learned):
    limits = Limits()
    policy = Limited(weekly(learned, limits, every=4), limits)
    still = Limited(Schedule(chain_scope(learned)), limits)
    earned = [live(policy, learned, run, lambda: None).profit for run in range(3)]
    base = [live(still, learned, run, lambda: None).profit for run in range(3)]
    episode = Episode(learned, 0)
    while not episode.at_its_end:
        actions = policy(episode)
        assert limits.broken(actions, episode) == []
        episode.step(actions)

    assert np.mean(earned) > 1.05 * np.mean(base)


def test_costs_and_offers_of_later_weeks_change_nothing(learned):
    plans = []
    for spoilt in (False, True):
        policy, episode = weekly(learned, Limits()), Episode(learned, 1)
        economy = episode.world.setting.economy
        costs, funding = economy.cost.copy(), economy.funding.copy()
        if spoilt:
            costs[:, episode.world.week + 1 :] = 1.0
            funding[:, episode.world.week + 1 :] = 0.5
        economy.cost, economy.funding = costs, funding
        for _ in range(2):
            actions = policy(episode)
            episode.step(actions)
        plans.append(actions)

    assert np.array_equal(plans[0].regular, plans[1].regular)
    assert np.array_equal(plans[0].depth, plans[1].depth)


def test_between_plans_regular_prices_stay(learned):
    policy, episode = weekly(learned, Limits(), every=4), Episode(learned, 2)
    prices = []
    for _ in range(5):
        actions = policy(episode)
        prices.append(actions.regular)
        episode.step(actions)

    assert all(np.array_equal(prices[0], each) for each in prices[1:4])
    assert not np.array_equal(prices[0], prices[4])


def test_an_episode_knows_nothing_of_the_one_before(learned):
    policy = weekly(learned, Limits())
    first = live(policy, learned, 0, lambda: None).profits
    live(policy, learned, 1, lambda: None)

    assert np.array_equal(live(policy, learned, 0, lambda: None).profits, first)


def test_one_that_does_not_look_ahead_does_not_mind_the_price_level(learned):
    """Within a wide index: what is learnt of high prices costs visits later, and only then."""
    limits = Limits(index=10)
    levels = []
    for ahead in (True, False):
        known = replace(learned.start()[0].known, of_need=np.array([0.5, 0.0, 0.0, 1.5]))
        policy = Weekly(chain_scope(learned), limits, beliefs(known, 1, ahead))
        episode = Episode(learned, 0)
        for _ in range(6):
            episode.step(policy(episode))
        levels.append(episode.books.level.mean())

    assert levels[1] > levels[0] + 0.1
