"""The panel of a toy chain beside a slow way to it, and the command that reads it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from toy import TRAIN_LAST, WEEKS, toy_columns, toy_manifest

from simulator.prices.changes import MARK, main
from simulator.prices.panel import MIN_TRIPS, carried, read_panel
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.commands.options import check_output

PRODUCTS = 25


def moving_columns() -> dict[str, np.ndarray]:
    """25 products, each of which costs 80 % of its price in one week in five."""
    columns = toy_columns(trips_of=[60] * 60, products=PRODUCTS, seed=2)
    week = np.repeat(columns["trips.week"], np.diff(columns["trips.item_offsets"]))
    token = columns["items.token"].astype(int)
    columns["items.price"] = token - 1 + PRODUCTS * ((token + week) % 5 == 0)
    return columns


def written(folder, **changes) -> TensorCache:
    write_cache(folder, moving_columns() | changes, toy_manifest())
    return TensorCache(folder)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return written(tmp_path_factory.mktemp("prices") / "cache")


@pytest.fixture(scope="module")
def panel(cache):
    return read_panel(cache, TRAIN_LAST)


def test_products_that_are_sold_often_and_not_by_weight(cache, panel):
    enough = np.flatnonzero(cache["products.train_trips"] >= MIN_TRIPS) + 1
    weighed = np.flatnonzero(cache["products.is_random_weight"]) + 1
    assert set(panel.token) <= set(enough) - set(weighed)
    assert len(panel.token) > 15
    assert (panel.trips[..., :TRAIN_LAST].sum((1, 2)) >= MIN_TRIPS).all()


def test_sums_and_means_of_a_cell(cache, panel):
    trip = np.repeat(np.arange(cache.rows("trips")), np.diff(cache["trips.item_offsets"]))
    for product, zone, week in [(0, 0, 1), (3, panel.zone.max(), 7), (10, 0, WEEKS)]:
        is_there = (
            (cache["items.token"] == panel.token[product])
            & (panel.zone[cache["trips.store"]][trip] == zone)
            & (cache["trips.week"][trip] == week)
        )
        cell = product, zone, week - 1
        assert panel.trips[cell] == is_there.sum()
        assert panel.units[cell] == cache["items.quantity"][is_there].sum()
        assert panel.is_observed[cell] == is_there.any()
        if is_there.any():
            pence = cache["shelf_prices.pence"][cache["items.price"][is_there]]
            assert panel.pence[cell] == pytest.approx(pence.mean())
    assert panel.traffic.sum() == cache.rows("trips")


def test_a_price_is_carried_on():
    pence = np.array([[0.0, 7, 0, 5, 0, 0]])
    assert carried(pence, pence > 0).tolist() == [[7, 7, 7, 5, 5, 5]]


def test_display_and_mailer_are_shares_of_the_trips_to_stores_that_are_known(cache, panel):
    """Promotions are known of the first store only, where they hold for all its trips."""
    zone = panel.zone[0]
    there = np.zeros(panel.shape, dtype=bool)
    row = {token: row for row, token in enumerate(panel.token.tolist())}
    for product, week, display in zip(
        cache["promotions.product"].tolist(), cache["promotions.week"].tolist(),
        cache["promotions.display"].tolist(), strict=True,
    ):  # fmt: skip
        if product + 1 in row and display:
            there[row[product + 1], zone, week - 1] = True
    visited = np.zeros(WEEKS, dtype=bool)
    visited[cache["trips.week"][cache["trips.store"] == 0] - 1] = True
    np.testing.assert_array_equal(panel.display, there & visited)
    assert panel.mailer.max() == 1


def test_the_panel_is_chosen_without_later_weeks(cache, panel, tmp_path):
    later = np.repeat(cache["trips.week"] > TRAIN_LAST, np.diff(cache["trips.item_offsets"]))
    price = np.where(later, 0, cache["items.price"])
    changed = written(tmp_path / "cache", **{"items.price": price})
    found = read_panel(changed, TRAIN_LAST)
    for name in ("token", "zone", "moved"):
        np.testing.assert_array_equal(getattr(found, name), getattr(panel, name))


def test_prices_that_never_move_are_refused(tmp_path, capsys):
    columns, names = moving_columns(), ("shelf_prices.pence", "anonymous_prices.pence")
    still = {name: np.full_like(columns[name], 100) for name in names}
    written(tmp_path / "cache", **still)
    assert main(["--cache", str(tmp_path / "cache")]) == 2
    line = capsys.readouterr().err
    assert "the price of 0 of 24 products moved by 10 % or more" in line and line.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--start", "5"], "weeks 6 to 30 cannot be predicted"),
        (["--start", "20", "--end", "20"], "weeks 21 to 20 cannot be predicted"),
        (["--end", "31"], "has 30 weeks"),
        (["--json", "/nowhere/prices.json"], "--json: /nowhere is not a folder"),
    ],
)
def test_what_cannot_be_done_is_said(cache, capsys, options, told):
    assert main(["--cache", str(cache.folder), *options]) == 2
    assert told in capsys.readouterr().err


def test_the_command_prints_goals_beside_figures(cache, tmp_path, capsys):
    file = tmp_path / "changes.json"
    options = ["--cache", str(cache.folder), "--start", "20", "--json", str(file)]
    assert main(options) == 0
    check_output("--json", file, MARK)
    out = capsys.readouterr().out
    assert "LightGBM, with features" in out and "not identified" in out
    content = json.loads(file.read_text())
    assert len(content["products"]) == content["elasticity"]["products"]
    for goal in content["goals"].values():
        low, high = goal["range"]
        assert goal["met"] == (low <= goal["value"] <= high)
        assert f"{goal['value']:.3f}" in out
