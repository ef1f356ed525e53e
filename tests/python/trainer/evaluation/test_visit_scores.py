"""Nats per visit of models and counts: what is divided by what, and the intervals."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from toy import toy_cache, toy_columns, toy_manifest

from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.cache.writer import write_cache
from trainer.evaluation.visits import COLUMNS, COUNTS, VisitEvaluator, VisitScores, report, table
from trainer.model.world_model import create_world_model


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=30, seed=6)


@pytest.fixture(scope="module")
def evaluator(cache):
    return VisitEvaluator(cache, "validation")


@pytest.fixture(scope="module")
def model(cache):
    torch.manual_seed(0)
    return create_world_model("tiny", cache)


def test_sums_by_hand():
    """Two customers with two visits and one, and a kind that is not known."""
    visits = np.array([[2.0, 2, 2, 1], [1, 1, 1, 1]])
    one = VisitScores(np.array([[4.0, 2, 6, 3], [2, 1, 3, 1]]), visits)
    other = VisitScores(np.array([[6.0, 2, 6, 3], [3, 1, 3, 3]]), visits)
    assert one.means().tolist() == [2, 1, 3, 2, 8]
    ahead = dict(zip(COLUMNS, one.ahead(other, seed=0), strict=True))
    # Both customers save 1 nat per visit in the day, whoever is drawn.
    assert (ahead["day"].value, ahead["day"].low, ahead["day"].high) == (1, 1, 1)
    assert (ahead["store"].value, ahead["kind"].value, ahead["visit"].value) == (0, 1, 2)
    assert (ahead["kind"].low, ahead["kind"].high) == (0, 2)
    assert ahead["day"].trips == 3


def test_differences_of_ten_nats_and_more_are_printed_as_they_are():
    values = {column: {"value": 10.5, "low": -20.123, "high": 0.25} for column in COLUMNS}
    nats = {"day": 1.0, "store": 2.0, "hour": 3.0, "kind": None, "visit": None}
    content = {"split": "test", "weeks": [1, 2], "visits": 3, "customers": 2}
    content |= {"nats": {COUNTS: nats, "a": nats}, "ahead of counts": {"a": values}}
    lines = list(report(content | {"first ahead of others": {}}))
    assert lines[-1].split() == ["a", *["+10.500", "[-20.123,", "+.250]"] * len(COLUMNS)]
    assert lines[2].split() == [COUNTS, "1.0000", "2.0000", "3.0000", "-", "-"]


def test_draws_and_parts_without_visits_are_no_numbers():
    """Half of the customers never come again, and no kind is known: JSON has no NaN."""
    visits = np.array([[1.0, 1, 1, 0], [0, 0, 0, 0]])
    one, other = (VisitScores(np.array([[n, 1, 1, 0], [n, 0, 0, 0]]), visits) for n in (1.0, 2))
    assert one.means()[:3].tolist() == [2, 1, 1] and np.isnan(one.means()[3:]).all()
    day, *_, kind, _ = one.ahead(other, seed=0)
    assert (day.value, day.low, day.high) == (2, 1, pytest.approx(day.high))
    assert math.isfinite(day.high) and math.isnan(kind.value)


def test_no_kind_is_known(tmp_path, model):
    columns = toy_columns(customers=30, seed=6)
    columns |= {f"trips.{name}": np.zeros(len(columns["trips.day"])) for name in CONTEXT}
    write_cache(tmp_path / "cache", columns, toy_manifest())
    evaluator = VisitEvaluator(TensorCache(tmp_path / "cache"), "validation")
    content = table({COUNTS: evaluator.counts(), "a": evaluator.model(model)}, evaluator)
    json.dumps(content, allow_nan=False)
    assert content["nats"]["a"]["kind"] is None and content["nats"]["a"]["hour"] > 0


def test_models_and_counts_are_measured_on_the_same_visits(evaluator, model):
    counts, ours = evaluator.counts(), evaluator.model(model)
    assert np.array_equal(counts.visits, ours.visits)
    again = evaluator.model(model, tokens=50)  # other batches
    np.testing.assert_allclose(ours.sums, again.sums, rtol=1e-5)
    content = table({COUNTS: counts, "a": ours, "b": again}, evaluator)
    assert content["nats"]["a"]["visit"] == pytest.approx(sum(ours.means()[:-1]))
    assert content["visits"] == counts.visits[:, 1].sum()
    assert abs(content["first ahead of others"]["b"]["visit"]["value"]) < 1e-5
    lines = list(report(content))
    assert f"{content['visits']:,} visits" in lines[0] and "weeks 21-25" in lines[0]
    assert [line.split()[0] for line in lines[2:5]] == [COUNTS, "a", "b"]
    assert "a ahead of" in lines
