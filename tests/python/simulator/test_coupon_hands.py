"""What coupons do in the hands of their holders, worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from simulator.coupon_hands import Hands, Reminders
from simulator.coupons import Answer, Coupon

WEEK, TOKENS = 30, 6
SEGMENT = np.array([0, 1, 1, 0])
"""Of four customers of the cache."""
EFFECTS = SimpleNamespace(
    token=np.array([1, 2]),
    need=np.array([0, 0]),
    factors=np.array([1.0, 2.0]),
    of_coupon=lambda coupon, store, week: (np.log([1.5, 0.9]), np.array([coupon.share, 0.0])),
)
"""A coupon takes a half more of product 1, and a tenth from product 2, of the same need."""


def coupon(
    tokens=(1,), holders=(1, 2), noticed=1.0, strength=1.0, reminds=0.0, depth=1.0, **how
) -> Coupon:
    token, customer = np.zeros(TOKENS, bool), np.zeros(len(SEGMENT), bool)
    token[list(tokens)], customer[list(holders)] = True, True
    how = {"share": 0.2} | how
    answer = Answer(noticed, strength, "", reminds, depth)
    return Coupon(token, customer, WEEK, WEEK + 1, **how, answer=answer)


def hands(*coupons, effects=EFFECTS) -> Hands:
    return Hands(coupons, effects, SEGMENT, TOKENS - 1, seed=3)


def weights(held: Hands, customers, week=WEEK, found=None):
    customers = np.array(customers)
    return held.weights(customers, np.zeros(len(customers), int), week, found)[0]


def reminders(held: Hands, customers) -> Reminders | None:
    customers = np.array(customers)
    return held.weights(customers, np.zeros(len(customers), int), WEEK, None)[1]


def used(held: Hands, customers, tokens, pence, week=WEEK):
    which, off = held.used(*map(np.array, (customers, tokens, pence)), week)
    return which.tolist(), off.tolist()


def test_holders_alone_answer_as_strongly_as_their_segment():
    found = weights(hands(coupon()), [0, 1, -1, -2]).numpy()
    assert (found[[0, 2, 3]] == 1).all()
    assert found[1, 1] == pytest.approx(1.5**2) and found[1, 2] == pytest.approx(0.9**2)
    assert (found[1, [0, 3, 4]] == 1).all()


def test_a_strength_times_what_a_price_adds():
    found = weights(hands(coupon(holders=(0,), strength=0.5)), [0]).numpy()
    assert found[0, 1:3] == pytest.approx([1.25, 0.95])


def test_what_it_reminds_of_is_taken_from_nothing():
    held = hands(coupon(holders=(0,), reminds=0.1, depth=0.2))
    chances = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.0]]).repeat(2, 1)
    found = reminders(held, [0, 3]).added(chances, weights(held, [0, 3]))
    # A tenth of the need's .2 + .3, beside 1.5 and 0.9 times; who holds nothing buys as usual.
    assert found[0].tolist() == pytest.approx([0.1, 0.3 + 0.05, 0.27, 0.4, 0])
    assert found[1].tolist() == pytest.approx(chances[1].tolist())
    assert reminders(hands(coupon(holders=(0,))), [0]) is None
    assert reminders(held, [3]) is None


@pytest.mark.parametrize(("share", "reminds"), [(0.1, 0.05), (0.2, 0.1), (0.8, 0.1)])
def test_it_reminds_by_less_where_it_takes_off_less_than_the_trials(share, reminds):
    found = reminders(hands(coupon(share=share, reminds=0.1, depth=0.2)), [1])
    assert found.share[0].tolist() == pytest.approx([reminds, 0])


def test_it_reminds_of_a_need_once_and_of_nothing_that_cannot_be_bought():
    """Of four products, three in a need of which two have a coupon."""
    share = torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    told = Reminders(share, torch.arange(4), torch.tensor([0, 0, 0, 1]))
    chances = torch.tensor([[0.1, 0.3, 0.2, 0.4]])
    once = torch.ones(1, 4)
    assert (told.added(chances, once) - chances)[0].tolist() == pytest.approx(
        [0.3 / 4, 3 * 0.3 / 4, 0, 0]
    )
    chances[0, 0] = 0  # in the basket already
    assert (told.added(chances, once) - chances)[0].tolist() == pytest.approx([0, 0.25, 0, 0])
    chances[0, 1] = 0
    assert (told.added(chances, once) == chances).all()


def test_weights_of_planned_prices_are_kept_and_two_coupons_multiply():
    held = hands(coupon(holders=(0,)), coupon(tokens=(3,), holders=(0,)))
    own = weights(held, [0])
    assert own[0, 1] == pytest.approx(1.5**2)
    assert (weights(held, [0], found=own.clone()) == own**2).all()


def test_nobody_answers_without_a_coupon_in_mind():
    held = hands(coupon())
    assert weights(held, [0, -1]) is None
    assert weights(held, [1], week=WEEK - 1) is None and weights(held, [1], week=WEEK + 2) is None
    assert weights(hands(coupon(noticed=0.0)), [1, 2]) is None
    assert weights(hands(coupon(), effects=None), [1]) is None


def test_it_is_used_once_where_it_saves_most():
    held = hands(coupon(tokens=(1, 2)))
    assert used(held, [1, 1, 1, 2], [1, 2, 3, 1], [100, 152, 999, 51]) == (
        [0, 1, 0, 1],
        [0, 30, 0, 10],
    )
    assert used(held, [1, 2], [1, 1], [100, 100]) == ([0, 0], [0, 0])
    assert weights(held, [1, 2]) is None


def test_it_is_used_by_holders_in_its_weeks_and_takes_no_more_than_the_price():
    held = hands(coupon(pence=150.0))
    assert used(held, [1], [1], [100], week=WEEK + 2) == ([0], [0])
    assert used(held, [0, -1, -2, 2], [1, 1, 1, 1], [100] * 4) == ([0, 0, 0, 1], [0, 0, 0, 100])
    assert used(held, [1], [1], [400], week=WEEK + 1) == ([1], [150])


def test_coupons_have_numbers_and_a_line_one_coupon():
    held = hands(coupon(tokens=(1, 2)), coupon(tokens=(2, 3)))
    assert used(held, [1, 1, 1], [1, 2, 3], [100, 200, 100]) == ([0, 1, 2], [0, 40, 20])


def test_so_many_have_it_in_mind():
    many = np.ones(20_000, bool)
    answer = Answer(0.3, 1.0, "")
    every = [Coupon(np.arange(TOKENS) == 1, many, WEEK, WEEK, 0.2, answer=answer) for _ in "ab"]
    held = Hands(every[:1], None, np.zeros(len(many), int), TOKENS - 1, seed=5)
    which, _ = held.used(np.arange(len(many)), np.ones(len(many), int), np.ones(len(many)), WEEK)
    assert which.mean() == pytest.approx(0.3, abs=0.01)
    both = Hands(every, None, np.zeros(len(many), int), TOKENS - 1, seed=5)
    assert not np.array_equal(*both._held)
