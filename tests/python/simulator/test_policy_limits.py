"""Guard rails: whatever a policy wants, what is done keeps them, and what breaks them is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_knowledge import knowledge

from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.opening import Episode, Opening
from simulator.policy.knobs import DEPARTMENTS, KNOBS, STILL, Constant, chain_scope, turned
from simulator.policy.limits import Limited, Limits
from trainer.commands.errors import InputError

CHAIN = Opening(customers=40, products=70, stores=5, warm_up=4, weeks=6)


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> LearnedOpening:
    path = tmp_path_factory.mktemp("limits") / "world.safetensors"
    knowledge().save(path)
    return LearnedOpening(str(path), 8)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "limits",
    [
        Limits(),
        Limits(most_move=0.03, index=0.98, budget=0.0, endings=(9,)),
        Limits(least_margin=0.2, deepest=0.2),
    ],
)
def test_what_is_kept_is_not_broken(seed, limits, learned):
    """Any prices from a half to double, any promotions, week after week, in both worlds."""
    rng = np.random.default_rng(seed)
    for opening in (learned, CHAIN):
        episode = Episode(opening, seed)
        for _ in range(3):
            plan = episode.world.plan()
            size = plan.regular.size
            wanted = replace(
                plan,
                regular=np.rint(plan.regular * rng.uniform(0.5, 2, size)).clip(1).astype(np.int64),
                depth=rng.choice([0.0, 0.1, 0.5, 0.8], size),
            )
            kept = limits.keep(wanted, episode)

            assert limits.broken(wanted, episode)
            assert limits.broken(kept, episode) == []
            episode.step(kept)


def test_each_limit_is_named_where_it_is_broken(learned):
    episode = Episode(learned, 0)
    plan = episode.world.plan()
    one = np.arange(plan.regular.size) == 0

    def broken(limits: Limits, **changes) -> list[str]:
        return limits.broken(replace(plan, **changes), episode)

    loose = Limits(10, 0.95, -10, 10, 1, ())
    regular = np.where(one, plan.regular * 2, plan.regular)
    half = np.where(one, 0.5, 0.0)
    assert broken(loose, regular=regular, depth=half) == []
    assert broken(replace(loose, most_move=0.1), regular=regular) == ["most_move"]
    assert broken(replace(loose, deepest=0.4), depth=half) == ["deepest"]
    # The supplier pays .9 of it: .5 p + .45 p - .7 p = .25 p, half the price charged. Of the others
    # .3 of the price is left.
    everywhere = np.where(episode.world.known.funding[:, 0] > 0, 0.5, 0.0)
    assert broken(replace(loose, least_margin=0.25), depth=everywhere) == []
    others = np.where(everywhere > 0, 0.0, 0.3)
    assert broken(replace(loose, least_margin=0.25), depth=others) == ["least_margin"]
    assert broken(replace(loose, index=1.0), regular=plan.regular * 2) == ["index"]
    everything = np.full(plan.regular.size, 0.5)
    assert broken(replace(loose, budget=0.1), depth=everything) == ["budget"]
    digit = int(regular[0] % 10)
    others = tuple(d for d in range(10) if d != digit)
    assert broken(replace(loose, endings=others), regular=regular) == ["endings"]


def test_prices_stay_where_nothing_else_may_be(learned):
    """No ending is within reach of a small move: today's prices stand, and break nothing."""
    episode = Episode(learned, 0)
    plan = episode.world.plan()
    digit = plan.regular % 10
    far = (plan.regular < 200) & (digit != 9) & (digit != 1)
    limits = Limits(most_move=0.01, endings=(0,), index=10)
    kept = limits.keep(replace(plan, regular=plan.regular * 3), episode)

    assert far.any()
    assert (kept.regular == plan.regular)[far].all()
    assert limits.broken(kept, episode) == []


def test_the_budget_goes_to_what_suppliers_pay_most_of(learned):
    episode = Episode(learned, 0)
    plan = episode.world.plan()
    wanted = replace(plan, depth=np.full(plan.regular.size, 0.2))
    kept = Limits(budget=0.03).keep(wanted, episode)
    funding = episode.world.setting.economy.funding[:, episode.world.week - 1]

    assert (kept.depth[funding > 0.5] > 0).mean() > (kept.depth[funding < 0.5] > 0).mean()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"speed": "1"}, "unknown speed"),
        ({"index": "high"}, "index must be a number, not 'high'"),
        ({"most_move": "0_1"}, "most_move must be a number, not '0_1'"),
        ({"index": "nan"}, "index must be a number, not 'nan'"),
        ({"endings": "25"}, "endings must be a list of digits, not '25'"),
        ({"deepest": "2"}, "deepest must be from"),
        ({"endings": ["12"]}, "last digits"),
    ],
)
def test_limits_that_make_no_sense_are_refused(values, says):
    with pytest.raises(InputError, match=says):
        Limits.of(values)


def test_knobs_move_levels_and_paid_promotions(learned):
    scope, episode = chain_scope(learned), Episode(learned, 0)
    plan = episode.world.plan()
    knobs = STILL.copy()
    knobs[:DEPARTMENTS], knobs[DEPARTMENTS] = 1, 1
    actions = turned(scope, episode, knobs)
    funding = episode.world.setting.economy.funding[:, episode.world.week - 1]

    assert KNOBS == DEPARTMENTS + 3
    assert np.array_equal(actions.regular, np.rint(plan.regular * 1.2))
    assert np.array_equal(actions.depth[0], np.where(funding >= 0.75, 0.5, 0.0))
    still = turned(scope, episode, STILL)
    assert np.array_equal(still.regular, plan.regular)
    assert not still.depth.any()


def test_a_limited_policy_is_kept_within(learned):
    scope, limits = chain_scope(learned), Limits()
    policy = Constant(scope, np.ones(KNOBS))
    episode = Episode(learned, 0)

    assert limits.broken(policy(episode), episode)
    assert limits.broken(Limited(policy, limits)(episode), episode) == []
