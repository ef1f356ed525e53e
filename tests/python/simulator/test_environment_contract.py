"""The environments keep Gymnasium's contract: spaces, seeds, ends, rewards, pictures."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import simulator.environments  # noqa: F401
from simulator.environments.coupons import SEGMENTS
from simulator.environments.opening import Episode, Opening
from trainer.commands.errors import InputError

SMALL = {"customers": 40, "products": 62, "stores": 5, "warm_up": 3, "weeks": 4}
VARIANTS = [
    ("RetailSim/Pricing-v0", {}),
    ("RetailSim/Pricing-v0", {"category": 3}),
    ("RetailSim/Coupons-v0", {}),
    ("RetailSim/Coupons-v0", {"to": "households", "menu": 3}),
]
ROOT = Path(__file__).resolve().parents[3]


def made(name: str, **more):
    return gymnasium.make(name, **SMALL | more)


def episode(env, seed: int, options=None) -> list[tuple]:
    """Observations and rewards of an episode of actions that are the same for a seed."""
    env.action_space.seed(3)
    seen = [(env.reset(seed=seed, options=options)[0], 0.0)]
    over = False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        seen.append((observation, reward))
        over = terminated or truncated
    return seen


def same(a: list[tuple], b: list[tuple]) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x, y) and u == v for (x, u), (y, v) in zip(a, b, strict=True)
    )


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_gymnasium_accepts_it(name, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made(name, render_mode="rgb_array", **options).unwrapped)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_stable_baselines_accepts_it(name, options):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(made(name, **options), warn=True)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_a_seed_is_an_episode(name, options):
    env = made(name, **options)
    first = episode(env, 5)

    assert same(episode(env, 5), first)
    assert same(episode(made(name, **options), 5), first)
    assert not same(episode(env, 6), first)


def test_another_seed_keeps_the_chain_and_an_option_draws_another():
    env = made("RetailSim/Pricing-v0").unwrapped
    prices = []
    for seed, options in ((1, None), (2, None), (2, {"chain": 8}), (3, None)):
        env.reset(seed=seed, options=options)
        prices.append(env.episode.world.setting.catalogue.price)

    assert np.array_equal(prices[0], prices[1])
    assert not np.array_equal(prices[1], prices[2])
    assert np.array_equal(prices[2], prices[3])


def test_the_reward_is_the_profit_in_pounds_with_costs():
    env = made("RetailSim/Pricing-v0").unwrapped
    env.reset(seed=1)
    twin = env.episode.copy()
    action = env.action_space.sample()
    _, reward, *_, info = env.step(action)
    result = twin.step(env.scope.actions(twin, *levers(env, action)))

    assert reward == pytest.approx((result.revenue.sum() - result.cost.sum()) / 100)
    assert reward == info["profit"] == pytest.approx(info["revenue"] - info["cost"])
    assert (info["units"], info["trips"]) == (result.units.sum(), result.trips)


def levers(env, action):
    size = env.scope.levers
    return 2.0 ** action[:size].astype(float), 0.5 * np.maximum(action[size:].astype(float), 0)


def test_no_action_is_the_margin_of_the_first_week_and_no_promotion():
    env = made("RetailSim/Pricing-v0").unwrapped
    env.reset(seed=1)
    s, week = env.episode.world.setting, env.episode.world.week
    actions = env._actions(np.zeros(env.action_space.shape))
    dear = s.catalogue.price > 200
    margin = 1 - s.economy.cost[dear, week - 1] / actions.regular[dear]

    assert np.allclose(margin, s.economy.margin[dear], atol=0.005)
    assert not actions.depth.any()


def test_a_category_leaves_the_rest_to_the_manager():
    env = made("RetailSim/Pricing-v0", category=3).unwrapped
    env.reset(seed=1)
    plan, inside = env.episode.world.plan(), env.scope.product
    actions = env._actions(np.ones(env.action_space.shape))
    rest = np.setdiff1d(np.arange(plan.regular.size), inside)

    assert inside.size == env.action_space.shape[0] // 2
    assert np.array_equal(actions.regular[rest], plan.regular[rest])
    assert np.array_equal(actions.depth[:, rest], plan.depth[:, rest])
    assert (actions.depth[:, inside] == 0.5).all()


def test_the_end_of_the_weeks_truncates_and_an_empty_chain_terminates():
    env = made("RetailSim/Pricing-v0", weeks=60)
    ends = []
    for action in (np.zeros(env.action_space.shape), np.ones(env.action_space.shape)):
        env.reset(seed=0)
        action[action.size // 2 :] = 0
        over = weeks = 0
        while not over:
            _, _, terminated, truncated, info = env.step(action.astype(np.float32))
            over, weeks = terminated or truncated, weeks + 1
        ends.append((terminated, truncated, weeks, info["trips"]))

    (kept, lost) = ends
    assert kept[:3] == (False, True, 60)
    assert lost[:2] == (True, False)
    assert lost[2] < 60
    assert lost[3] < 0.3 * kept[3]


def test_observations_hold_nothing_that_a_manager_does_not_see():
    """Two chains that differ only in who is lost look alike."""
    env = made("RetailSim/Pricing-v0").unwrapped
    env.reset(seed=1)
    before = env._observed()
    memory = env.episode.world.memory
    memory.lost[:] = ~memory.lost
    memory.image[:] += 1
    memory.pantry[:] += 1
    memory.habit[:] = 0.5

    assert np.array_equal(env._observed(), before)


def test_coupons_go_to_the_chosen_group_and_cost_what_they_take_off():
    env = made("RetailSim/Coupons-v0", to="households", menu=3, depth=0.5).unwrapped
    env.reset(seed=1)
    choice = np.zeros((SMALL["customers"], 3), np.int8)
    choice[[2, 5], [0, 2]] = 1
    coupons = env._actions(choice.ravel()).coupons
    assert coupons.household.tolist() == [2, 5]
    assert coupons.product.tolist() == env.menu.product[[0, 2]].tolist()

    twin = env.episode.copy()
    *_, info = env.step(np.ones(choice.size, np.int8))
    given = twin.step(env.menu.actions(twin.world, np.ones(choice.shape, bool)))
    assert given.discount.sum() > 0
    assert info["revenue"] == pytest.approx(given.receipts.spend.sum() / 100)


def test_segments_are_recency_by_spend():
    env = made("RetailSim/Coupons-v0").unwrapped
    env.reset(seed=1)
    books = env.episode.books
    since = books.weeks - books.last_trip
    group = env._group(books)
    given = np.zeros((SEGMENTS, env.menu.product.size), np.int8)
    given[0, 0] = 1
    coupons = env._actions(given.ravel()).coupons

    assert (group[since < 2] < 3).all() and (group[since >= 13] >= 9).all()
    for recency in range(4):
        low, high = (books.spend[group == 3 * recency + third] for third in (0, 2))
        assert not low.size or not high.size or low.max() < high.min()
    assert coupons.household.tolist() == np.flatnonzero(group == 0).tolist()


def test_a_picture_grows_with_the_weeks():
    env = made("RetailSim/Pricing-v0", render_mode="rgb_array")
    env.reset(seed=1)
    empty = env.render()
    env.step(env.action_space.sample())
    one = env.render()

    assert empty.dtype == np.uint8 and empty.shape == one.shape and empty.shape[2] == 3
    assert (empty != one).any()


@pytest.mark.parametrize("mode", ["sync", "async", None])
def test_vectorised_episodes_are_those_of_single_ones(mode):
    vector = gymnasium.make_vec(
        "RetailSim/Pricing-v0", num_envs=2, vectorization_mode=mode, **SMALL
    )
    single = made("RetailSim/Pricing-v0")
    try:
        seen, _ = vector.reset(seed=[4, 9])
        actions = np.zeros((2, *single.action_space.shape), np.float32)
        after, rewards, *_ = vector.step(actions)
    finally:
        vector.close()

    for row, seed in enumerate((4, 9)):
        observation, _ = single.reset(seed=seed)
        assert np.array_equal(seen[row], observation)
        observation, reward, *_ = single.step(actions[row])
        assert np.array_equal(after[row], observation)
        assert rewards[row] == pytest.approx(reward)


def test_episodes_share_one_chain():
    opening = Opening(**SMALL)
    first, second = Episode(opening, 1), Episode(Opening(**SMALL), 2)

    assert first.world.setting is second.world.setting
    first.step(first.world.plan())
    assert second.passed == opening.start()[1].weeks - opening.warm_up == 0


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("RetailSim/Pricing-v0", {"category": 99}, "category must be from 0 to"),
        ("RetailSim/Pricing-v0", {"weeks": 0}, "weeks must be at least 1"),
        ("RetailSim/Pricing-v0", {"customers": 0}, "customers must be"),
        ("RetailSim/Coupons-v0", {"menu": 0}, "menu must be from 1 to"),
        ("RetailSim/Coupons-v0", {"depth": 1.0}, "depth must be above 0"),
        ("RetailSim/Coupons-v0", {"to": "all"}, "segments or households"),
    ],
)
def test_what_cannot_be_is_said(name, options, words):
    with pytest.raises(InputError, match=words):
        made(name, **options)


def test_a_name_with_its_module_needs_no_import():
    code = (
        "import gymnasium as g; g.make('simulator.environments:RetailSim/Coupons-v0', customers=9)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_an_action_of_another_shape_is_refused(name, options):
    """One that is too short could otherwise be spread over all levers."""
    env = made(name, **options)
    env.reset(seed=0)
    size = env.action_space.shape[0]
    for wrong in (np.ones(size // 2 + 1), np.ones(size // 2), np.ones((1, size)), 1, None, "up"):
        with pytest.raises(InputError, match=f"numbers of the shape \\({size},\\)"):
            env.step(wrong)
    with pytest.raises(InputError, match="without NaN"):
        env.step(np.full(size, np.nan))
    env.step(np.ones(size, int))


def test_a_coupon_is_given_or_not():
    env = made("RetailSim/Coupons-v0")
    env.reset(seed=0)
    with pytest.raises(InputError, match="gets a coupon, 1, or does not, 0"):
        env.step(np.full(env.action_space.shape, 0.3))


@pytest.mark.parametrize("chain", [-1, 8.7])
def test_a_chain_that_cannot_be_changes_nothing(chain):
    env, same_env = (made("RetailSim/Pricing-v0").unwrapped for _ in range(2))
    with pytest.raises((InputError, TypeError)):
        env.reset(options={"chain": chain})
    assert same(episode(env, 5), episode(same_env, 5))


@pytest.mark.filterwarnings("error")
def test_one_household_that_has_not_come_yet():
    few = {"customers": 1, "stores": 1, "warm_up": 1, "weeks": 3}
    assert len(episode(made("RetailSim/Pricing-v0", **few), 0)) == 4
    few |= {"customers": 2, "chain": 3, "weeks": 10}
    assert len(episode(made("RetailSim/Pricing-v0", **few), 0)) == 11
