"""Who uses a coupon and who answers to it: assumed, and told by a trial."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from toy_start import START

from simulator.coupon_answers import YEAR, Habits, prospects, with_answers
from simulator.coupon_log import CouponLog
from simulator.coupons import Answer, Coupon
from simulator.scenario import Scenario
from simulator.simulation import Simulator
from simulator.tensor_file import padded
from simulator.words import percent
from trainer.commands.errors import InputError

FIRST, WEEKS = START + 1, 4
LIKED = 3
"""Token."""
X = np.log(1.8)
"""What a coupon adds to the log weight of its product."""


def effects(moved=(LIKED,)):
    """Of all customers alike, on products that moved; both of one need."""
    return SimpleNamespace(
        token=np.array([LIKED, LIKED + 1]),
        need=np.array([0, 0]),
        moved=np.isin([LIKED, LIKED + 1], moved),
        factors=np.ones(99),
        of_coupon=lambda coupon, *_: (np.where(coupon.token[[LIKED, LIKED + 1]], X, 0.0), None),
    )


@pytest.fixture
def habits(chain):
    return Habits(chain[0], effects(), START, 0)


@pytest.fixture
def coupon(chain):
    cache, _ = chain
    token = np.zeros(cache.vocabulary.input_size, bool)
    token[LIKED] = True
    everybody = np.ones(cache.rows("customers"), bool)
    return Coupon(token, everybody, FIRST, FIRST + WEEKS - 1, share=0.1)


def bought(cache, customer, token):
    """Times, up to the start, by walking through the trips."""
    found = 0
    for trip in range(*cache["customers.trip_offsets"][customer : customer + 2].astype(int)):
        lines = slice(*cache["trips.item_offsets"][trip : trip + 2].astype(int))
        if START - YEAR < cache["trips.week"][trip] <= START:
            found += int((cache["items.token"][lines] == token).sum())
    return found


def test_prospects_are_those_of_the_formula(chain, habits, coupon):
    cache, _ = chain
    usual, rival = (
        np.array([bought(cache, row, token) for row in range(60)]) * WEEKS / min(YEAR, START)
        for token in (LIKED, LIKED + 1)
    )
    assert usual.sum() > 5 and rival.sum() > 5
    rates = habits.rates(coupon)
    np.testing.assert_allclose(rates, [usual, 1.8 * usual, usual + rival])
    buys, added = prospects(rates)
    np.testing.assert_allclose(buys, 1 - np.exp(-1.8 * usual))
    np.testing.assert_allclose(added, (1 - 1 / 1.8) * buys)
    buys, added = prospects(rates, reminds=0.5)
    with_it = 1.8 * usual + 0.5 * (usual + rival)
    np.testing.assert_allclose(buys, 1 - np.exp(-with_it))
    some = with_it > 0
    np.testing.assert_allclose(added[some], (buys * (1 - usual / with_it.clip(1e-9)))[some])
    assert (added[~some] == 0).all()
    np.testing.assert_allclose(prospects(rates, 0.25)[0], 1 - np.exp(-1.2 * usual))


def test_a_need_counts_once_and_only_where_its_answer_is_known(chain, habits, coupon):
    both = replace(coupon, token=coupon.token | np.roll(coupon.token, 1))
    np.testing.assert_allclose(habits.rates(both)[2], habits.rates(coupon)[2])
    unknown = Habits(chain[0], effects(moved=()), START, 0)
    assert (unknown.rates(coupon)[2] == 0).all()
    assert (Habits(chain[0], None, START, 0).rates(coupon)[2] == 0).all()


def test_so_many_have_it_in_mind_that_the_assumed_share_uses_it(chain, habits, coupon):
    some = replace(coupon, customer=np.arange(60) < 40, redeemed=0.05)
    (found,) = with_answers([some], habits, np.arange(20, 60), None)
    assert np.flatnonzero(found.customer).tolist() == [*range(20, 40)]
    buys, _ = prospects(habits.rates(coupon))
    assert found.answer.noticed * buys[20:40].mean() == pytest.approx(0.05)
    assert found.answer.strength == 1 and found.answer.reminds == 0
    assert "is an assumption of the scenario" in found.answer.words


def test_products_whose_demand_is_not_known_are_said_so(chain, coupon):
    habits = Habits(chain[0], effects(moved=()), START, 0)
    (found,) = with_answers([replace(coupon, redeemed=0.01)], habits, np.arange(60), None)
    assert "Of 1 of its 1 products receipts do not tell how demand answers" in found.answer.words
    assert "PRD0002" in found.answer.words


def test_what_cannot_be_assumed_is_refused(chain, habits, coupon):
    for share, customers, says in (
        (0.99, np.arange(60), "entry 1: redeemed: 99 % of its holders, where "),
        (None, np.arange(60), "entry 1: redeemed: say what share of its holders use it"),
        (0.01, np.arange(0), "entry 1: none of its holders is simulated"),
    ):
        with pytest.raises(InputError, match=says):
            with_answers([replace(coupon, redeemed=share)], habits, customers, None)


NOTICED, REMINDS, CARDS, ROUNDS = 0.6, 0.3, 3000, 6


@pytest.fixture(scope="module")
def told():
    """A chain of 3,000 cards, and a trial in it of coupons on two of its five products, drawn by
    the formula: who has one in mind buys more until it is used."""
    return held(strength=1.0, reminds=REMINDS)


def held(strength: float, reminds: float):
    """A trial of coupons that are so strong, and what customers usually buy."""
    rng = np.random.default_rng(7)
    usual = rng.gamma(0.5, 0.5, (CARDS, 5))
    product = np.array([1, 4])
    given = rng.random((ROUNDS, CARDS, 2)) < 0.5
    lines = []
    for number in range(ROUNDS):
        week = 1 + WEEKS * number
        for place, own in enumerate(product):
            minds = given[number, :, place] & (rng.random(CARDS) < NOTICED)
            need = usual[:, own] + usual[:, own - 1]
            before = rng.exponential(1 / (usual[:, own] * (1 + strength * 0.8) + reminds * need))
            uses = minds & (before < 1)
            # After it is used, or without it, as usual.
            rest = rng.poisson(usual[:, own] * np.where(minds, 1 - np.minimum(before, 1), 1))
            who = np.repeat(np.arange(CARDS), uses + rest)
            first = np.diff(who, prepend=-1) > 0
            lines.append((who, np.full(len(who), week), np.full(len(who), own), first & uses[who]))
    who, when, item, used = map(np.concatenate, zip(*lines, strict=True))
    codes, products = (
        [f"{name}{row:04}" for row in range(n)] for name, n in (("C", CARDS), ("P", 5))
    )
    one = np.ones(len(who), int)
    log = CouponLog(
        padded(codes), padded(products), product, 1 + WEEKS * np.arange(ROUNDS), given, who, when,
        one.cumsum(), item, one, 100 - 10 * used, 10 * used, first=1, lasts=WEEKS, depth=0.1,
        chain="",
    )  # fmt: skip

    def rates(coupon):
        own = np.flatnonzero(coupon.token)[0] - 1
        return np.stack([usual[:, own], 1.8 * usual[:, own], usual[:, own] + usual[:, own - 1]])

    class Cache(dict):
        products = 5
        vocabulary = SimpleNamespace(input_size=6)

        def rows(self, _):
            return CARDS

    cache = Cache(
        {"customers.code": np.array(codes, "S"), "products.code": np.array(products, "S")}
    )
    habits = SimpleNamespace(
        cache=cache, start=START, rates=rates, answers=lambda coupon: coupon.token
    )
    return log, habits


def asked(told, log=None, **how):
    (own, habits) = told
    token = np.arange(6) == 2
    coupon = Coupon(token, np.ones(CARDS, bool), FIRST, FIRST + WEEKS - 1, **({"share": 0.1} | how))
    return with_answers([coupon], habits, np.arange(CARDS), log or own)[0].answer


def test_a_trial_tells_who_uses_coupons_and_how_strongly_they_answer(told):
    found = asked(told)
    assert found.noticed == pytest.approx(NOTICED, abs=0.05)
    assert found.strength == 1 and found.depth == 0.1
    assert found.reminds == pytest.approx(REMINDS, rel=0.2)
    assert "beyond that it reminds of a product" in found.words
    used = told[0].used.sum() / told[0].given.sum()
    assert f"In the trial {percent(used)} [" in found.words
    assert "is an assumption" not in found.words


def test_what_nobody_knows_the_answers_to_tells_nothing_of_others(told):
    """The second coupon's product answers to no price that receipts know of."""
    log, habits = told

    def rates(coupon):
        usual, at_shelf, need = habits.rates(coupon)
        return np.stack([usual, usual, 0 * need] if coupon.token[5] else [usual, at_shelf, need])

    some = SimpleNamespace(
        **vars(habits) | {"rates": rates, "answers": lambda c: c.token & (np.arange(6) != 5)}
    )
    assert asked((log, some)).reminds == pytest.approx(REMINDS, rel=0.3)


def test_coupons_that_are_weaker_than_a_price_remind_of_nothing():
    found = asked(held(strength=0.5, reminds=0.0))
    assert found.strength == pytest.approx(0.5, abs=0.15) and found.reminds == 0
    assert "reminds" not in found.words


def test_more_than_coupons_can_remind_of_tells_nothing(told):
    log, habits = told
    nobody = SimpleNamespace(
        **vars(habits) | {"rates": lambda c: habits.rates(c) * [[1], [1], [0]]}
    )
    with pytest.raises(InputError, match="bought more than coupons can remind of"):
        asked((log, nobody))


@pytest.mark.parametrize("how", [{"share": 0.2}, {"share": 0.0, "pence": 10.0}])
def test_other_coupons_than_the_trials_are_assumed_to_be_alike(told, how):
    found = asked(told, **how)
    assert found.reminds == asked(told).reminds
    assert "that this one is answered to alike is an assumption" in found.words


def test_coupons_that_add_nothing_have_no_strength_below_nothing(told):
    log, _ = told
    given = np.random.default_rng(1).random(log.given.shape) < 0.5
    given[:, :, 0] = ~log.given[:, :, 0]
    given[:, :, 1] = ~log.given[:, :, 1]
    some = replace(log, given=given | (np.arange(CARDS)[:, None] % 7 == 0))
    found = asked(told, some)
    assert found.strength == 0 and found.reminds == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda log: {"week": log.week + START}, f"the trial ends after week {START}"),
        (lambda log: {"customer": padded(["X"] * CARDS)}, "cards are not those of the receipts"),
        (lambda log: {"code": padded(["X"] * 5)}, "coupon on X, which the receipts do not have"),
        (lambda log: {"off": 0 * log.off}, "the trial tells nothing: no coupon was used"),
        (lambda log: {"given": log.given | True}, "the trial tells nothing: all had its coupons"),
    ],
)
def test_a_trial_that_does_not_fit_is_refused(told, change, says):
    with pytest.raises(InputError, match=says):
        asked(told, replace(told[0], **change(told[0])))


def test_words_of_shares():
    assert [percent(x) for x in (0.0712, 0.123, 1.0, 0.0996)] == ["7.1 %", "12 %", "100 %", "10 %"]


def test_an_answer_that_is_there_is_kept(coupon):
    """Nothing of a simulator is asked for."""
    plan = Scenario(coupons=(replace(coupon, answer=Answer(0.5, 1.0, "so")),))
    assert Simulator.settled(None, plan) is plan
    assert Simulator.settled(None, Scenario()).coupons == ()
