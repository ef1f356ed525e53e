"""Households beside their truth: answers worked out by hand, and what is no truth."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import START, WEEKS

from simulator.fidelity.__main__ import main
from simulator.fidelity.truth import Households, Truth

COLUMNS = ("customer", "day", "hour", "store", "kind", "spend", "items", "quantity")


@pytest.fixture(scope="module")
def arrays(window):
    """The truth of a world whose first customer comes twice and the second once, the first with
    products 1 and 2 and the second with 1 alone; both like product 1. Each draw of its weeks gives
    what came."""
    size = window.customers, window.cache.products
    trips, held, favourite = np.zeros(size[0]), np.zeros(size, np.float32), np.zeros(size, bool)
    who = window.population[:2]
    trips[who] = 2, 1
    held[who[0], :2] = held[who[1], 0] = 1
    favourite[who, 0] = True
    real = window.real
    return {
        "cache": window.cache.digest, "start": START, "weeks": WEEKS,
        "trips": trips, "held": held, "favourite": favourite,
        "sample_trips": trips, "sample_held": held,
        "run": np.repeat(np.arange(2), len(real)), "product": np.tile(real.token - 1, 2),
        **{name: np.concatenate([getattr(real, name)] * 2) for name in COLUMNS},
    }  # fmt: skip


@pytest.fixture
def written(arrays, tmp_path):
    """`written(**changes)` writes it with other arrays."""

    def write(**changes):
        np.savez(tmp_path / "truth.npz", **(arrays | changes))
        return tmp_path / "truth.npz"

    return write


def test_figures_by_hand(window, written):
    truth = Truth(written(), window)
    held = np.zeros_like(truth.households.held)
    held[0, :2] = 1.5, 0.5
    trips = np.zeros(len(window.population))
    trips[[0, 2]] = 1, 3
    found = truth.figures(Households(trips, held))
    assert found["trips"] == 4 / len(trips) / WEEKS
    assert found["trips.error"] == (1 + 1 + 3) / 3
    # The second customer never comes: only the first one's trips can be looked at.
    assert found["items"] == 2 and found["items.error"] == 0
    assert found["favourites"] == 0.75
    assert found["categories"] == 0  # both products are of one category
    columns = np.zeros((2, window.cache.products))
    columns[:, :2] = (0.75, 0.25), (0.5, 0.5)
    assert found["products"] == pytest.approx(np.corrcoef(columns)[0, 1])
    held[0] = 0
    held[0, -1] = 1  # of another category
    found = truth.figures(Households(trips, held))
    assert (found["categories"], found["items.error"]) == (1, 0.5)


def test_the_truth_is_at_its_own_truth(window, written):
    truth = Truth(written(), window)
    for known in (truth.households, truth.sample):
        found = truth.figures(known)
        assert found["trips.error"] == found["items.error"] == found["categories"] == 0
        assert found["products"] == pytest.approx(1)
        assert found["items"] == pytest.approx(5 / 3)


def test_households_of_runs(window):
    some = window.real.take(np.arange(0, len(window.real), 2))
    found = Households.of_runs(window, [window.real, some])
    customer = window.population[0]
    mine = [trips.take(trips.customer == customer) for trips in (window.real, some)]
    count = sum(map(len, mine))
    assert found.trips[0] == count / 2
    tokens = np.concatenate([trips.token for trips in mine])
    expected = np.bincount(tokens, minlength=window.cache.products + 1)[1:] / count
    np.testing.assert_allclose(found.held[0], expected)


def test_drawn_again(window, written):
    for run in Truth(written(), window).runs:
        np.testing.assert_array_equal(run.token, window.real.token)
        np.testing.assert_array_equal(run.day, window.real.day)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cache": "another"}, "is of another cache"),
        ({"start": START - 1}, "is of weeks 23-27, not 24-28"),
        ({"trips": np.zeros(3)}, "holds no truth"),
        ({"favourite": np.zeros((3, 3), bool)}, "holds no truth"),
        ({"product": np.zeros(4, int)}, "holds no truth"),
        ({"store": None}, "holds no truth"),
    ],
)
def test_what_is_refused(cache, written, capsys, changes, message):
    common = ["--cache", str(cache.folder), "--start", str(START), "--weeks", str(WEEKS)]
    changes = {name: np.array(value) for name, value in changes.items()}
    assert main([*common, "--truth", str(written(**changes))]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and message in error[0] and "python -m dbt_project.redraw" in error[0]


def test_a_file_that_is_none_is_refused(cache, tmp_path, capsys):
    common = ["--cache", str(cache.folder), "--start", str(START), "--weeks", str(WEEKS)]
    path = tmp_path / "truth.npz"
    for prepare, message in (
        (lambda: None, "does not exist"), (lambda: path.write_text("x"), "holds no truth"),
    ):  # fmt: skip
        prepare()
        assert main([*common, "--truth", str(path)]) == 2
        assert message in capsys.readouterr().err
