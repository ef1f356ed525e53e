"""Intervals and calibration: known answers, a slow implementation, and coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trainer.cache.vocabulary import Vocabulary
from trainer.evaluation.bootstrap import DRAWS, CustomerBootstrap
from trainer.evaluation.calibration_table import ROWS, CalibrationTable
from trainer.evaluation.ground_truth import GroundTruth


def estimate(customer, values, seed=0, chosen=None):
    values = np.asarray(values, dtype=float)
    chosen = np.ones(len(values), dtype=bool) if chosen is None else np.array(chosen)
    (found,) = CustomerBootstrap(np.array(customer), seed).estimate(values[:, None], chosen)
    return found


def test_two_customers_by_hand():
    # Drawn twice of two: means are 0, 3/4 or 1, the outer ones a quarter of the time each.
    found = estimate([5, 5, 5, 9], [1, 1, 1, 0])
    assert (found.value, found.low, found.high, found.trips) == (0.75, 0, 1, 4)


def test_one_customer_has_no_spread():
    found = estimate([3, 3], [0.2, 0.4])
    assert found.value == found.low == found.high == pytest.approx(0.3)


def test_slow_draws_agree():
    draw = np.random.default_rng(1)
    customer = np.sort(draw.integers(0, 9, 40)) * 10
    values = draw.random(40)
    values[::5] = np.nan
    chosen = draw.random(40) < 0.8
    found = estimate(customer, values, seed=7, chosen=chosen)
    names = sorted(set(customer.tolist()))
    means = []
    for drawn in np.random.default_rng(7).integers(len(names), size=(DRAWS, len(names))):
        trips = [
            value
            for number in drawn
            for value in values[chosen & (customer == names[number])].tolist()
            if not math.isnan(value)
        ]
        means.append(sum(trips) / len(trips))
    assert [found.low, found.high] == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist())
    assert found.value == pytest.approx(np.nanmean(values[chosen]))


def test_the_seed_decides():
    draw = np.random.default_rng(2)
    customer, values = draw.integers(0, 30, 200), draw.random(200)
    assert estimate(customer, values, 1) == estimate(customer, values, 1)
    assert estimate(customer, values, 1) != estimate(customer, values, 2)


def test_trips_of_one_customer_are_not_independent():
    draw = np.random.default_rng(3)
    customer = np.repeat(np.arange(40), 25)
    values = draw.random(40)[customer]  # all trips of a customer alike
    clustered = estimate(customer, values)
    alone = estimate(np.arange(1000), values)
    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)


def test_intervals_cover_the_truth_as_often_as_they_say():
    draw = np.random.default_rng(4)
    customer = np.repeat(np.arange(50), 4)
    bootstrap = CustomerBootstrap(customer, 0)
    values = draw.normal(size=(50, 300))[customer] + draw.normal(size=(200, 300))
    found = bootstrap.estimate(values, np.ones(200, dtype=bool))  # 300 samples with mean 0
    assert 0.90 < np.mean([e.low < 0 < e.high for e in found]) < 0.98


def test_nothing_to_average():
    found = estimate([1, 2], [np.nan, np.nan])
    assert found.trips == 0 and math.isnan(found.value) and math.isnan(found.low)


def questions(targets, products, removed=()) -> GroundTruth:
    """One hidden item per question."""
    count = len(targets)
    removed = [*Vocabulary(products, categories=0).specials, *removed]
    every = torch.arange(count)
    return GroundTruth(
        row=every,
        hidden=torch.ones(count, dtype=torch.long),
        target=torch.tensor(targets),
        question=every,
        before=torch.zeros(count, dtype=torch.bool),
        visible=(every[:0], every[:0]),
        removed=(every.repeat_interleave(len(removed)), torch.tensor(removed).repeat(count)),
        kinds=torch.zeros(count, 4, dtype=torch.long),
    )


def add(calibration, scores, truth, chosen=None) -> None:
    """Count questions of a model that was not fitted."""
    chosen = torch.ones(len(scores), dtype=torch.bool) if chosen is None else chosen
    calibration.add(truth.possible(scores).log_softmax(1), torch.ones(4), truth, chosen)


def test_calibration_by_hand():
    # 20 questions, product 1 with probability .9 and product 2 with .1; 15 buy product 1. Of the
    # expected 20 purchases the pairs at .1 hold the first two, those at .9 the others.
    truth = questions([1] * 15 + [2] * 5, 3, removed=[3])
    scores = torch.tensor([[7, 0.9, 0.1, 7, 7, 7]]).log().repeat(20, 1)
    calibration = CalibrationTable()
    for part in (scores[:8], scores[8:]):  # batches
        start = 0 if len(part) == 8 else 8
        some = questions(truth.target[start : start + len(part)].tolist(), 3, removed=[3])
        add(calibration, part, some)
    rows = calibration.rows()
    assert len(rows) == ROWS
    low, high = rows[0], rows[5]
    assert (low.pairs, low.observed) == (20, 5) and low.expected == pytest.approx(2)
    assert (high.pairs, high.observed) == (20, 15) and high.expected == pytest.approx(18)
    assert low.ratio == pytest.approx(5 / 2) and high.ratio == pytest.approx(15 / 18)
    assert all(row.pairs == 0 and math.isnan(row.ratio) for row in rows[1:5] + rows[6:])


def test_only_chosen_questions_are_calibrated():
    truth = questions([1, 1, 2], 3)
    calibration = CalibrationTable()
    chosen = torch.tensor([True, False, True])
    add(calibration, torch.zeros(3, 6), truth, chosen)
    rows = calibration.rows()
    assert sum(row.pairs for row in rows) == 6
    assert sum(row.observed for row in rows) == pytest.approx(sum(row.expected for row in rows))


def test_expected_counts_grow_with_the_basket():
    truth = questions([1], 3)
    two = GroundTruth(
        row=truth.row, hidden=torch.tensor([2]), target=torch.tensor([1, 2]),
        question=torch.tensor([0, 0]), before=torch.zeros(2, dtype=torch.bool),
        visible=truth.visible, removed=truth.removed, kinds=truth.kinds,
    )  # fmt: skip
    calibration = CalibrationTable()
    add(calibration, torch.zeros(1, 6), two)
    rows = [row for row in calibration.rows() if row.pairs]
    assert sum(row.expected for row in rows) == pytest.approx(2)
    assert sum(row.observed for row in rows) == 2


def test_a_true_model_is_calibrated_in_every_row():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 33, generator=generator)
    truth = questions([1] * len(logits), 30)
    drawn = torch.multinomial(truth.possible(logits).softmax(1), 1, generator=generator)[:, 0]
    truth = questions(drawn.tolist(), 30)
    calibration = CalibrationTable()
    add(calibration, logits, truth)
    rows = calibration.rows()
    assert all(1800 < row.expected < 2200 for row in rows)
    assert all(0.9 < row.ratio < 1.1 for row in rows)
    # One that is twice as sure of everything expects too much of its favourites.
    sure = CalibrationTable()
    add(sure, 2 * logits, truth)
    assert sure.rows()[-1].ratio < 0.9 and sure.rows()[0].ratio > 1.5


def test_no_questions_no_rows():
    assert CalibrationTable().rows() == ()
