"""Counts of visits: known answers, and that they read no future."""

from __future__ import annotations

import numpy as np
import pytest
from toy import TRAIN_LAST, VALIDATION_LAST, toy_cache, toy_columns, toy_manifest

from trainer.baselines.visit_counts import VisitCounts, mixture_weights
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache

EVERY = np.array([3] * 8 + [7] * 8)


def rhythmic_columns():
    """Customers who come every third or every seventh day, each at an hour, to a store and for a
    kind of trip of their own."""
    trips_of = (28 * 7 // EVERY).tolist()
    columns = toy_columns(trips_of=trips_of, seed=1)
    customer = np.repeat(np.arange(16), trips_of)
    number = np.concatenate([np.arange(n) for n in trips_of])
    day = customer % 3 + EVERY[customer] * number
    return columns | {
        "trips.day": day,
        "trips.week": day // 7 + 1,
        "trips.hour": 8 + customer % 12,
        "trips.store": customer % 4,
        "trips.days_since_previous": np.where(number == 0, -1, EVERY[customer]),
        "trips.size": 1 + customer % 3,
        "trips.sensitivity": 1 + customer // 3 % 3,
        "trips.type": np.full(len(day), 1),
        "trips.focus": np.full(len(day), 2),
    }


def validation_rows(cache):
    week = cache["trips.week"]
    return np.flatnonzero((week > TRAIN_LAST) & (week <= VALIDATION_LAST))


@pytest.fixture(scope="module")
def rhythmic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "cache"
    write_cache(folder, rhythmic_columns(), toy_manifest())
    return TensorCache(folder)


def test_what_is_certain_is_learnt(rhythmic):
    counts, rows = VisitCounts(rhythmic), validation_rows(rhythmic)
    nats = counts.nats(rows, VALIDATION_LAST)
    last = np.append(np.diff(rhythmic["customer_weeks.customer"][
        rhythmic["trips.customer_week"][rows]].astype(int)) != 0, True)  # fmt: skip
    assert np.array_equal(np.isnan(nats[:, 1:]).all(1), last)  # censored
    came = nats[~last]
    # The chain comes on the third day or the seventh; who comes on which, own gaps say.
    assert came[:, 0].mean() < 0.8
    assert (came[:, 1] < 0.05).all() and (came[:, 2] < 0.05).all() and (came[:, 3] < 0.05).all()
    assert (nats[last, 0] > 0).all() and nats[last, 0].mean() < 2


def test_weights_of_a_mixture_are_the_likeliest():
    """Two counts, one right twice as often: their weights are two to one, whatever a third says."""
    right = np.array([[1.0, 0, 0.2], [1, 0, 0.2], [0, 1, 0.2]])
    np.testing.assert_allclose(mixture_weights(right), [2 / 3, 1 / 3, 0], atol=1e-6)
    np.testing.assert_array_equal(mixture_weights(np.empty((0, 4))), [0.25] * 4)


def test_nothing_after_the_split_is_read(tmp_path):
    columns = toy_columns(customers=20, seed=4)
    later = columns["trips.week"] > VALIDATION_LAST
    changed = dict(columns)
    changed["trips.day"] = np.where(later, columns["trips.week"] * 7 - 1, columns["trips.day"])
    for name, value in (("hour", 7), ("store", 0), ("size", 1), ("focus", 4)):
        changed[f"trips.{name}"] = np.where(later, value, columns[f"trips.{name}"])
    found = []
    for name, values in (("one", columns), ("other", changed)):
        write_cache(tmp_path / name, values, toy_manifest())
        cache = TensorCache(tmp_path / name)
        found.append(VisitCounts(cache).nats(validation_rows(cache), VALIDATION_LAST))
    assert later.any()
    np.testing.assert_array_equal(*found)


def test_every_part_is_a_probability(tmp_path):
    """Nats are positive and finite, also of customers with one trip and of unknown kinds."""
    cache = toy_cache(tmp_path / "cache", customers=30, seed=9)
    nats = VisitCounts(cache).nats(validation_rows(cache), VALIDATION_LAST)
    assert (nats[:, 0] > 0).all() and np.isfinite(nats[:, 0]).all()
    came = ~np.isnan(nats[:, 1])
    assert came.any() and not came.all()
    assert (nats[came, 1:3] > -1e-9).all() and np.isfinite(nats[came, 1:3]).all()
    assert np.nanmin(nats[:, 3]) > -1e-9 and np.isnan(nats[came, 3]).any()
