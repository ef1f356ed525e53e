"""Coupons in the learned world: what a trial tells, and weeks in which they are in hand."""

from __future__ import annotations

import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from toy_coupons import MENU, knows_coupons
from toy_knowledge import knowledge

import simulator.environments  # noqa: F401
from dbt_project.sample import Behaviour, ChainConfig, Coupons
from simulator.coupon_log import CouponLog
from simulator.environments.learned.coupon_lift import _difference, _round, coupon_lift
from simulator.environments.learned.coupon_response import (
    SEGMENTS,
    _shrunk,
    segment,
    usual_units,
    with_coupons,
)
from simulator.environments.learned.knowledge import Knowledge
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.learned.world import LearnedWorld
from simulator.environments.opening import Episode
from simulator.policy.factorial_trial import hold_trial
from simulator.tensor_file import padded, texts
from trainer.commands.errors import InputError

NAME = "RetailSim/Coupons-v0"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("coupons") / "world"
    knows_coupons().save(path)
    return str(path)


def made(checkpoint: str, **more):
    options = {"menu": 2, "weeks": 8} | more
    return gymnasium.make(NAME, world="model", checkpoint=checkpoint, **options)


def trial(known: Knowledge, theta: np.ndarray, phi: float, rounds: int = 40) -> CouponLog:
    """A log drawn by the formula of `coupon_response`: units per week, all of them in one."""
    rng = np.random.default_rng(5)
    cards, n = known.likes.shape
    own, need = usual_units(known, MENU)
    given = rng.random((rounds, cards, 2)) < 0.5
    last_trip, last = np.zeros(cards, int), np.full((cards, 2), -20)
    who, when, bought, units = [], [], [], []
    for number in range(rounds):
        week = 1 + 4 * number
        cell = segment(week - 1 - last_trip, week - 1 - last)
        comes = rng.random(cards) < 0.7
        mean = 4 * known.rate[:, None]
        more = rng.poisson(np.where(given[number], theta[cell] * mean * need, 0)) * comes[:, None]
        base = rng.poisson(mean * own / 0.7) * comes[:, None]
        rest = rng.poisson(mean * (need - own) / 0.7) * comes[:, None]
        rest = np.maximum(rest - rng.binomial(more, phi), 0)
        for at, product in enumerate(MENU):
            for item, count in ((product, base[:, at] + more[:, at]), (product + 1, rest[:, at])):
                some = np.flatnonzero(count)
                who.append(some)
                when.append(np.full(some.size, week + 1))
                bought.append(np.full(some.size, item))
                units.append(count[some])
                last_trip[some], last[some, at] = week + 1, week + 1
    who, when, bought, units = (np.concatenate(x) for x in (who, when, bought, units))
    codes = padded([f"C{i:05}" for i in range(cards)])
    trip = (when - 1) * cards + who
    return CouponLog(
        codes, known.code, MENU, 1 + 4 * np.arange(rounds), given, who, when, trip, bought, units,
        units * known.listed[bought], np.zeros(who.size), first=1, lasts=4, depth=0.1, chain="",
    )  # fmt: skip


def test_a_trial_tells_what_coupons_add_and_take():
    known = replace(
        knowledge(customers=1500, weeks=161), likes=np.full((1500, 62), 0.3, np.float32)
    )
    # Everybody buys; who stayed away for a round, segment 5, answers twice as much as segment 3.
    theta = np.where(np.arange(SEGMENTS) == 5, 0.4, 0.2)
    log = trial(known, theta / 0.7, 0.5)
    found = with_coupons(known, log, texts(log.customer))

    assert np.allclose(found.coupon_lift[[3, 5]], theta[[3, 5]], atol=0.03)
    assert np.allclose(found.coupon_taken, 0.5, atol=0.1)


def test_the_lift_of_each_coupon_is_what_was_drawn():
    """.2 units for each that a card buys of the need, half of them taken from the rest; coupons
    bring no trips, and those of the toy cost nothing."""
    known = replace(
        knowledge(customers=1500, weeks=161), likes=np.full((1500, 62), 0.3, np.float32)
    )
    log = trial(known, np.full(SEGMENTS, 0.2 / 0.7), 0.5)
    found = coupon_lift(known, log, texts(log.customer))
    usual = 4 * known.rate[0] * 2 * 0.3 * 1.2
    margin = 0.3 * known.listed[MENU]  # costs are 70 % of list prices
    said = {name: mean[:2] for name, (mean, _) in found.added.items()}

    assert found.product == ["P000", "P006"]
    assert found.sent[2] == found.sent[:2].sum() == log.given.sum()
    assert (found.used == 0).all()
    assert np.allclose(said["units"], 0.2 * usual, atol=1.5 * found.added["units"][1].max())
    # A little less is taken: nobody loses what they would not have bought.
    assert np.allclose(said["rest"], -0.1 * usual, rtol=0.12)
    lost = 0.1 * usual * 0.3 * known.listed[MENU + 1]
    assert np.allclose(said["profit"], 0.2 * usual * margin - lost, rtol=0.12)
    assert np.allclose(said["trips"], 0, atol=1.5 * found.added["trips"][1].max())
    assert np.allclose(said["cost"], 0)
    mean, half = found.added["units"]
    assert mean[2] == pytest.approx(np.average(mean[:2], weights=found.sent[:2]))
    assert half[2] < half[:2].min()


def test_kilograms_of_goods_sold_by_weight_are_what_was_paid_over_the_price():
    """One portion for 80 pence, 8 of them taken off, at 100 a kilogram that costs 70: 72 less 56.
    As one whole unit it would leave 72 less 70."""
    known = knowledge(customers=2)
    known = replace(known, listed=np.full(62, 100.0), regular=np.full((62, 8), 100.0),
                    cost=np.full((62, 8), 70.0))  # fmt: skip
    one = np.array([1])
    log = CouponLog(
        np.zeros((2, 1), np.uint8), known.code, np.array([0]), one, np.ones((1, 2, 1), bool),
        one - 1, one, one, one - 1, one, one * 72, one * 8, first=1, lasts=4, depth=0.1, chain="",
    )  # fmt: skip
    for amount, profit in ((0.5, 16.0), (1.0, 2.0)):
        of_portion = replace(known, amount=np.full(62, amount))
        found = _round(of_portion, log, 1, np.array([0, 1]))
        assert found["profit"].ravel() == pytest.approx([profit, 0.0])
        assert found["used"].ravel().tolist() == [1, 0]
        assert found["trips"].ravel().tolist() == [1, 0]


def test_what_receipts_expect_takes_noise_away_and_nothing_else():
    """y = 3 x + 2 for holders, by hand: the line takes x away and leaves 2."""
    rng = np.random.default_rng(0)
    x, holds = rng.normal(size=4000), rng.random(4000) < 0.5
    y = 3 * x + 2 * holds
    mean, error = _difference(y, holds, np.column_stack([np.ones(4000), x]))
    plain, wide = _difference(y, holds, np.ones((4000, 1)))

    assert mean == pytest.approx(2, abs=0.01)
    assert error < wide / 2
    assert plain == pytest.approx(y[holds].mean() - y[~holds].mean())


def test_what_few_holders_say_of_a_segment_is_drawn_towards_all():
    exposure = np.full(SEGMENTS, 1000.0)
    error = np.full(SEGMENTS, 10.0)
    error[3] = 1000.0
    lift = np.full(SEGMENTS, 200.0)
    lift[2], lift[3] = 300.0, 900.0
    found = _shrunk(lift, error, exposure)

    assert found[2] == pytest.approx(0.3, abs=0.01)
    assert found[3] < 0.25
    assert np.allclose(_shrunk(np.full(SEGMENTS, -5.0), error, exposure), 0)


def test_a_trial_after_the_history_or_of_other_cards_is_refused():
    known = knowledge(customers=50, weeks=161)
    log = trial(known, np.zeros(SEGMENTS), 0.0, rounds=4)
    with pytest.raises(InputError, match="cards are not those"):
        with_coupons(known, log, ["other"])
    with pytest.raises(InputError, match="ends after week 8"):
        with_coupons(knowledge(customers=50), log, texts(log.customer))


def test_gymnasium_accepts_it_and_segments_are_those_of_the_chain(checkpoint):
    chain = gymnasium.make(NAME, customers=40, products=62, stores=5, warm_up=3, menu=2)
    env = made(checkpoint)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)

    assert env.observation_space == chain.observation_space
    assert env.action_space == chain.action_space
    assert made(checkpoint, to="households").action_space.n == 200 * 2


@pytest.mark.parametrize(
    ("options", "says"),
    [({"menu": 3}, "from 1 to the trial's 2"), ({"depth": 0.2}, "depth must be the trial's, 0.1")],
)
def test_other_coupons_than_the_trials_are_refused(checkpoint, options, says):
    with pytest.raises(InputError, match=says):
        made(checkpoint, **options)


def test_coupons_that_no_trial_tells_of_are_refused():
    world = LearnedWorld(knows_coupons(), 4)
    for product, depth in ((3, 0.1), (0, 0.3)):
        actions = replace(world.plan(), coupons=Coupons.on_products([0], product, depth))
        with pytest.raises(InputError, match="and no others"):
            world.step(actions)


def lived(known: Knowledge, given: list[int], weeks: int = 4, run: int = 1):
    world = LearnedWorld(known, weeks, run)
    coupons = Coupons.on_products(np.array(given, int), 0, 0.1)
    results = []
    for week in range(weeks):
        actions = world.plan()
        results.append(world.step(replace(actions, coupons=coupons) if week == 0 else actions))
    return world, results


def test_a_coupon_adds_what_the_formula_says_and_costs_one_unit_once():
    known = knows_coupons(customers=3000)
    everybody = list(range(3000))
    with_them, none = lived(known, everybody)[1], lived(known, [])[1]
    more = sum(a.units - b.units for a, b in zip(with_them, none, strict=True))
    visits = sum(np.bincount(r.receipts.household, minlength=3000).sum() for r in none)
    expected = visits * 0.3 * usual_units(known, MENU)[1][0, 0]
    off = sum((a.units * known.listed - a.revenue)[0] for a in with_them) / (0.1 * known.listed[0])
    holders = {h for r in with_them for h in r.receipts.household}

    assert more[0] == pytest.approx(expected, rel=0.08)
    assert -more[1] == pytest.approx(0.25 * more[0], rel=0.15)
    assert (np.delete(more, [0, 1]) == 0).all()
    assert 0 < off <= len(holders)


def test_profits_of_households_add_up_and_others_have_no_part():
    known = replace(knows_coupons(), strangers=np.array([0.0]))
    world, (first, *_) = lived(known, [3, 4], weeks=1)
    still, (other, *_) = lived(known, [], weeks=1)

    assert (np.flatnonzero(world.added.any(1)) <= 4).all()
    assert not still.added.any()
    apart = first.household_profit - other.household_profit
    assert np.allclose(np.delete(apart, [3, 4]), 0)
    assert first.profit.sum() - other.profit.sum() == pytest.approx(world.added.sum(), abs=60)


def test_prices_mean_the_same_with_and_without_a_trial():
    plain, more = LearnedWorld(knowledge(), 3, 2), LearnedWorld(knows_coupons(40), 3, 2)
    for _ in range(3):
        a, b = plain.step(), more.step()
        assert np.array_equal(a.units, b.units)
        assert np.allclose(a.profit, b.profit)


def test_who_bought_what_is_in_the_books(checkpoint):
    episode = Episode(LearnedOpening(checkpoint, 4), 0)
    before = episode.books.copy()
    result = episode.step(episode.world.plan())
    came = np.unique(result.receipts.household)

    assert (episode.books.last_trip[came] == result.week).all()
    assert (episode.books.bought == result.week).any()
    assert not np.array_equal(before.spend, episode.books.spend)
    # A card spends about what it did: the toy's prices times what it likes.
    per_trip = result.receipts.spend.sum() / result.receipts.household.size
    known = episode.world.known
    assert per_trip == pytest.approx((known.likes[0] * known.listed).sum(), rel=0.15)


def test_a_trial_is_logged_up_to_the_start_and_by_chance():
    config = ChainConfig(customers=60, products=70, stores=5, weeks=70, seed=7)
    log = hold_trial(config, Behaviour(), 66, 3, 0.3, lambda: None)

    assert log.when.max() <= 66
    assert log.when.min() == log.first == 2
    assert log.week[-1] + 3 == 66
    assert log.given.shape == (13, 60, 3)
    assert log.given.mean() == pytest.approx(0.5, abs=0.05)
    assert set(log.bought[log.used]) <= set(log.product)
    assert log.when[log.used].min() >= log.week[0]
    # A trip is of one card, in one week.
    _, first = np.unique(log.trip, return_index=True)
    at = np.searchsorted(log.trip[first], log.trip)
    assert np.array_equal(log.who[first][at], log.who)
    assert np.array_equal(log.when[first][at], log.when)
    off = log.off[log.used] / (log.paid + log.off)[log.used]
    assert ((off <= 0.3 + 0.01) & (off > 0)).all()
    with pytest.raises(InputError, match="a trial needs 65 weeks"):
        hold_trial(config, Behaviour(), 60, 3, 0.3, lambda: None)
