"""T3: hats, harmonics and closeness by hand, and the place of each part."""

from __future__ import annotations

import math

import pytest
import torch
from toy import TRAIN_LAST, toy_cache

from trainer.features.calendar import training_days
from trainer.model.embeddings import TimeEmbedding
from trainer.model.embeddings.time import closeness, harmonics, hats, recency_hats

PARTS = {
    "week_of_year": slice(0, 16),
    "weekday": slice(16, 24),
    "hour": slice(24, 32),
    "holiday": slice(32, 40),
    "season": slice(40, 48),
    "trend": slice(48, 56),
    "recency": slice(56, 64),
}
PART_OF = {
    "week_of_year": "week_of_year",
    "weekday": "weekday",
    "hour": "hour",
    "holiday": "holiday",
    "until_holiday": "holiday",
    "since_holiday": "holiday",
    "day_of_year": "season",
    "day": "trend",
    "days_since_previous": "recency",
}
DAYS = 71
"""Training days 0 to 70: a knot of the trend every ten days."""
DOUBLE = torch.float64


@pytest.fixture
def time() -> TimeEmbedding:
    torch.manual_seed(0)
    return TimeEmbedding(holidays=2, training_days=DAYS).double()


def arguments(**changed: int) -> dict[str, torch.Tensor]:
    values = {
        "weekday": 3,
        "week_of_year": 20,
        "day_of_year": 140,
        "hour": 12,
        "holiday": 0,
        "until_holiday": 5,
        "since_holiday": 30,
        "day": 33,
        "days_since_previous": 6,
    } | changed
    return {name: torch.tensor([value]) for name, value in values.items()}


def test_hats():
    place = torch.tensor([0, 0.25, 2, 2.5, 3, -4, 99], dtype=DOUBLE)
    expected = [
        [1, 0, 0, 0],
        [0.75, 0.25, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0.5, 0.5],
        [0, 0, 0, 1],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
    ]
    assert hats(place, 4).tolist() == expected


def test_recency_hats():
    """1 + days = 1, 2, 4, 8, 64 and 3 = 2^1.58..., then the longest gap and a first trip."""
    days = torch.tensor([0, 1, 3, 7, 63, 2, 32767, -1])
    fraction = math.log2(3) - 1
    expected = torch.zeros(8, 8, dtype=DOUBLE)
    for row, hat in enumerate([0, 1, 2, 3, 6]):
        expected[row, hat] = 1
    expected[5, 1], expected[5, 2] = 1 - fraction, fraction
    expected[6, 6] = 1
    expected[7, 7] = 1
    torch.testing.assert_close(recency_hats(days, DOUBLE), expected, rtol=0, atol=1e-15)


def test_harmonics():
    """A quarter of a 365.25-day year: angles of 90, 180, 270 and 360 degrees."""
    torch.testing.assert_close(
        harmonics(torch.tensor([0, 1461]), DOUBLE),
        torch.tensor([[0.0] * 4 + [1.0] * 4] * 2, dtype=DOUBLE),
        rtol=0,
        atol=1e-12,
    )
    day = 140
    angle = 2 * math.pi * day / 365.25
    expected = [math.sin(k * angle) for k in (1, 2, 3, 4)]
    expected += [math.cos(k * angle) for k in (1, 2, 3, 4)]
    found = harmonics(torch.tensor([day]), DOUBLE)[0]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=DOUBLE))


def test_closeness():
    found = closeness(torch.tensor([0, 7, 255]), torch.tensor([14, 0, 1]), DOUBLE)
    expected = [[1, math.exp(-2)], [math.exp(-1), 1], [math.exp(-255 / 7), math.exp(-1 / 7)]]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=DOUBLE))


def test_season_is_not_learned(time):
    found = time(**arguments())[:, PARTS["season"]]
    assert torch.equal(found, harmonics(torch.tensor([140]), DOUBLE))
    found.sum().backward()
    assert all(parameter.grad.eq(0).all() for parameter in time.parameters())


@pytest.mark.parametrize("name", PART_OF)
def test_each_input_moves_its_part_only(time, name):
    base = time(**arguments())
    moved = time(**arguments(**{name: 1}))
    differs = [part for part, at in PARTS.items() if not torch.equal(base[:, at], moved[:, at])]
    assert differs == [PART_OF[name]]


def test_trend_is_linear_between_knots_and_flat_outside(time):
    trend = [time(**arguments(day=day))[0, PARTS["trend"]] for day in (10, 15, 20, 70, 71, 900)]
    torch.testing.assert_close(trend[1], (trend[0] + trend[2]) / 2)
    assert torch.equal(trend[3], trend[4]) and torch.equal(trend[3], trend[5])
    assert not torch.equal(trend[2], trend[3])
    first, before = (time(**arguments(day=day))[0, PARTS["trend"]] for day in (0, -5))
    assert torch.equal(first, before)


def test_holiday_adds_label_and_closeness(time):
    weight = time.closeness.weight
    near = torch.tensor([math.exp(-5 / 7), math.exp(-30 / 7)], dtype=DOUBLE)
    for label in range(3):
        expected = time.holiday.weight[label] + weight @ near
        found = time(**arguments(holiday=label))[0, PARTS["holiday"]]
        torch.testing.assert_close(found, expected)


def test_first_trip_has_a_separate_vector(time):
    found = time(**arguments(days_since_previous=-1))[0, PARTS["recency"]]
    assert torch.equal(found, time.recency.weight[:, 7])
    same_day = time(**arguments(days_since_previous=0))[0, PARTS["recency"]]
    assert torch.equal(same_day, time.recency.weight[:, 0])


def test_labels_at_the_ends_of_their_range(time):
    for ends in ({"weekday": 7, "week_of_year": 53, "hour": 23, "holiday": 2}, {"weekday": 1}):
        assert time(**arguments(**ends)).isfinite().all()


@pytest.mark.parametrize(
    "wrong",
    [{"weekday": 0}, {"weekday": 8}, {"week_of_year": 54}, {"hour": 24}, {"holiday": 3}],
)
def test_labels_out_of_range_are_refused(time, wrong):
    with pytest.raises(IndexError):
        time(**arguments(**wrong))


def test_training_days_of_a_cache(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    assert training_days(cache) == range(0, 7 * TRAIN_LAST)
    assert int(TimeEmbedding.from_cache(cache).last_day) == 7 * TRAIN_LAST - 1


def test_a_single_training_day_is_no_division_by_zero():
    assert TimeEmbedding(holidays=2, training_days=1)(**arguments(day=0)).isfinite().all()
