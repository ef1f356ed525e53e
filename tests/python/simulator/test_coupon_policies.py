"""Coupon policies as files: made where coupons are known, played as the environment would, within
their budget."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from toy_coupons import MENU, knows_coupons
from toy_knowledge import knowledge

import simulator.environments  # noqa: F401
from dbt_project.sample import Coupons
from dbt_project.sample.coupons import LASTS
from simulator.environments.coupons import SEGMENTS as GROUPS
from simulator.environments.coupons import Menu
from simulator.environments.learned.coupon_response import SEGMENTS
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.opening import Episode, Opening, price_list
from simulator.policy.coupon_counts import CouponCount
from simulator.policy.coupon_learners import RoundEnv
from simulator.policy.coupon_tables import CouponPolicy, face_value
from simulator.policy.learners import LEARNERS
from simulator.policy.limits import Limits
from simulator.policy.made import Made, decides
from simulator.policy.values import lives_of
from trainer.commands.errors import InputError


def opening_of(known, path, weeks: int = 8) -> LearnedOpening:
    known.save(path)
    return LearnedOpening(str(path), weeks)


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> LearnedOpening:
    return opening_of(knows_coupons(), tmp_path_factory.mktemp("coupon_policies") / "world")


def arrays_of(kind: str, opening, limits: Limits | None = None, **settings):
    learner, known = LEARNERS[f"coupons-{kind}"]
    defaults = {name: setting.default for name, setting in known.items()}
    return learner(opening, limits or Limits(), defaults | settings, 3, lambda: None)


def given_in(policy, episode) -> int:
    return len(policy(episode).coupons)


def test_policies_give_where_it_pays(tmp_path):
    """Coupons that add much to one of ten pay for all; those that add nothing, for nobody."""
    pytest.importorskip("mabwiser", reason="mabwiser is of the extra policies")
    for lift, best in ((3.0, 1.0), (0.0, 0.0)):
        opening = opening_of(knows_coupons(lift=lift, taken=0.0), tmp_path / f"world{lift}")
        for kind, settings in (("by-segment", {"lives": 1}), ("lin-ts", {"rounds": 4}),
                               ("lin-ucb", {"rounds": 4})):  # fmt: skip
            gives = arrays_of(kind, opening, **settings)[0]["gives"]
            assert gives.shape == (2, SEGMENTS)
            # All cards of the toy are of segment 1: they came lately, and bought of the need.
            assert gives[:, 1].mean() == best
        gives = arrays_of("best", opening, lives=1)[0]["gives"]
        assert gives.any(1).sum() == best


def test_everybody_stops_and_nobody_never_begins(learned):
    arrays, _ = arrays_of("everybody", learned, lives=1, stops=4)
    policy, episode = CouponPolicy(learned, Limits(), arrays), Episode(learned, 0)
    handed = []
    while not episode.at_its_end:
        handed.append(given_in(policy, episode))
        episode.step(policy(episode))

    assert handed == [400, 0, 0, 0, 0, 0, 0, 0]
    none, _ = arrays_of("nobody", learned)
    assert given_in(CouponPolicy(learned, Limits(), none), Episode(learned, 0)) == 0


def test_a_file_plays_as_the_environment_does(learned, tmp_path):
    """A policy's coupons as actions of `RetailSim/Coupons-v0` earn the same, to the penny."""
    gives = np.zeros((2, SEGMENTS), bool)
    gives[0] = True
    arrays = arrays_of("everybody", learned, lives=1)[0] | {"gives": gives}
    made = Made("mine", "coupons-best", price_list(learned.start()[0]), Limits(), arrays,
                {"curve": []})  # fmt: skip
    made.save(tmp_path / "policy")
    policy = Made.load(tmp_path / "policy").policy(learned)
    values = lives_of(policy, Limits(), learned, 2, lambda: None, coupons=True)
    env = gymnasium.make("RetailSim/Coupons-v0", world="model", checkpoint=learned.checkpoint,
                         menu=2, weeks=8, to="households").unwrapped  # fmt: skip
    env.reset(seed=0)
    env.episode = Episode(learned, 1)
    profits = []
    for week in range(8):
        action = np.zeros((200, 2), np.int8)
        action[:, 0] = week % LASTS == 0
        profits.append(env.step(action.ravel())[1])

    assert np.allclose(values["profit"][1], profits, atol=1e-3)
    assert values["coupons"][1]["given"] == 2 * 200
    assert 0 < values["coupons"][1]["used"] <= 400
    assert values["broken"] == {}


def test_a_network_of_coupons_plays_as_stable_baselines_does(learned, monkeypatch):
    sb3 = pytest.importorskip("stable_baselines3", reason="it is of the extra policies")
    kept, make = {}, sb3.PPO

    def spied(*arguments, **options):
        kept["model"] = make(*arguments, **options)
        return kept["model"]

    monkeypatch.setattr(sb3, "PPO", spied)
    arrays, curve = arrays_of("ppo", learned, rounds=8, envs=2, steps=4, batch=4)
    env = RoundEnv(learned, Limits(), arrays["used"])
    env.reset(seed=1)
    asked, _ = kept["model"].predict(env._observed(), deterministic=True)
    policy = CouponPolicy(learned, Limits(), arrays)
    given = policy.chosen(env.episode)

    assert np.array_equal(
        given, asked.reshape(GROUPS, 2).astype(bool)[env._group(env.episode.books)]
    )
    assert [weeks for weeks, _ in curve] == [32]


def test_a_round_is_four_weeks_and_earns_what_coupons_add(learned):
    env = RoundEnv(learned, Limits(), np.zeros((2, SEGMENTS)))
    env.reset(seed=1)
    _, nothing, _, _, _ = env.step(np.zeros(GROUPS * 2, np.int8))
    assert (nothing, env.episode.passed) == (0.0, 4)
    _, added, _, truncated, info = env.step(np.ones(GROUPS * 2, np.int8))

    assert added == info["added"] != 0
    assert truncated


def test_coupons_are_as_many_as_the_budget_allows(learned):
    """Half of what all cost: by lot about half of the cards, each with all of its coupons."""
    arrays, _ = arrays_of("everybody", learned, lives=2)
    episode = Episode(learned, 0)
    menu = Menu(MENU, MENU // 2, 0.1)
    expected = (arrays["used"][:, 1] * face_value(episode, menu)).sum() * 200 / 100
    budget = expected / 2 / (LASTS * episode.books.usual.revenue)
    given = CouponPolicy(learned, Limits(budget=budget), arrays)(episode).coupons

    assert len(given) == pytest.approx(200, abs=4)
    assert (np.bincount(given.household)[np.unique(given.household)] == 2).all()
    assert given_in(CouponPolicy(learned, Limits(budget=2.1 * budget), arrays), episode) == 400
    assert given_in(CouponPolicy(learned, Limits(budget=0.0), arrays), episode) == 0


def test_a_bandit_without_a_budget_sees_nothing_and_gives_nothing(learned):
    pytest.importorskip("mabwiser", reason="mabwiser is of the extra policies")
    arrays, curve = arrays_of("lin-ts", learned, Limits(budget=0.0), rounds=3)

    assert not arrays["gives"].any()
    assert [added for _, added in curve] == [0.0, 0.0, 0.0]


def test_what_coupons_took_off_is_judged_and_not_what_was_expected(learned):
    """A policy that thinks that its coupons are never used keeps to no budget."""
    used = np.zeros((2, SEGMENTS))
    arrays = arrays_of("everybody", learned, lives=1)[0] | {"used": used}
    tight = Limits(budget=1e-4)
    blind = lives_of(CouponPolicy(learned, tight, arrays), tight, learned, 2, lambda: None, True)
    free = lives_of(CouponPolicy(learned, tight, arrays), Limits(), learned, 2, lambda: None, True)

    assert blind["broken"] == {"budget": 4}
    assert free["broken"] == {}
    # 3 % of 1,200 pounds a week, by hand: 36 a week or 144 in four weeks.
    assert Limits().overspent(np.r_[np.zeros(4), 200.0, 0, 0, 0, 100.0], 1200.0) == 1


def test_what_is_given_and_taken_off_is_counted_by_class():
    """Of the chain: coupons of a half for two cards, for four weeks."""
    opening = Opening(customers=60, products=70, stores=5, warm_up=8, weeks=4)
    episode = Episode(opening, 0)
    count, off = CouponCount(episode), 0.0
    label = episode.world.setting.households.sensitivity[:60]
    holders = np.array([np.flatnonzero(label == 0)[0], np.flatnonzero(label == 2)[0]])
    bought = Menu.of(opening).product
    who, what = np.repeat(holders, bought.size), np.tile(bought, 2)
    for week in range(4):
        coupons = Coupons.on_products(who, what, 0.5) if week == 0 else Coupons.none()
        actions = replace(episode.world.plan(), coupons=coupons)
        result = episode.step(actions)
        off += result.discount.sum() / 100
        count.note(episode, week, actions, result)
    figures = count.figures(episode.world)
    cards = np.bincount(label, minlength=3)

    assert figures["given"] == 16
    given = np.array(figures["of_class"]["given"]) * cards * 4 / 52
    assert np.allclose(given, [8, 0, 8])
    assert sum(figures["off"]) == pytest.approx(off, abs=1e-3)
    assert np.dot(figures["of_class"]["off"], cards) * 4 / 52 == pytest.approx(off)


def test_where_no_trial_tells_of_coupons_none_are_made_or_played(learned, tmp_path):
    plain = opening_of(knowledge(), tmp_path / "plain")
    chain = Opening(customers=40, products=62, stores=5, warm_up=3, weeks=8)
    for opening, says in ((plain, "Hold a trial"), (chain, "name it by --world")):
        for kind in ("nobody", "everybody", "by-segment", "ppo"):
            with pytest.raises(InputError, match=says):
                arrays_of(kind, opening)
    arrays, _ = arrays_of("nobody", learned)
    with pytest.raises(InputError, match="Hold a trial"):
        CouponPolicy(plain, Limits(), arrays)
    for other in ({"product": np.array([0, 3])}, {"depth": np.array([0.3])}):
        with pytest.raises(InputError, match="trial of other coupons"):
            CouponPolicy(learned, Limits(), arrays | other)


def test_kinds_say_what_they_decide():
    assert {decides(kind) for kind in LEARNERS if "coupons" in kind} == {"coupons"}
    assert {decides(kind) for kind in LEARNERS if "coupons" not in kind} == {"prices"}
