"""Weeks of a chain drawn again, beside those that came: they follow the same law."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from scipy import stats

from dbt_project import redraw
from simulator.fidelity.__main__ import main as fidelity
from simulator.fidelity.truth import Households, Truth
from simulator.fidelity.window import Window
from trainer.commands.errors import InputError

START, WEEKS, RUNS = 60, 30, 8


@pytest.fixture(scope="module")
def window(default_cache):
    return Window(default_cache, START, WEEKS)


@pytest.fixture(scope="module")
def path(chain, default_cache, tmp_path_factory):
    found = tmp_path_factory.mktemp("redrawn") / "truth.npz"
    arguments = ["--raw", chain, "--cache", default_cache.folder, "--out", found]
    arguments += ["--start", START, "--weeks", WEEKS, "--runs", RUNS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redraw, "BATCHES", 3)
        for _ in range(2):  # its own file is replaced
            assert redraw.main([str(argument) for argument in arguments]) == 0
    return found


@pytest.fixture(scope="module")
def truth(path, window):
    return Truth(path, window)


def test_what_came_and_what_is_drawn_again_are_as_expected(window, truth):
    """Trips are Poisson counts; so, nearly, are the sales of a product."""
    expected = truth.households.trips
    assert len(truth.runs) == RUNS
    for trips in (window.real, *map(window.restrict, truth.runs)):
        window.check(trips)
        came = window.trips_by_week(trips).sum(1)
        often = expected > 5
        squares = (came - expected)[often] ** 2 / expected[often]
        assert stats.chi2.sf(squares.sum(), often.sum()) > 0.001
        assert came[expected == 0].sum() == 0
        sold = np.bincount(trips.token, minlength=window.cache.products + 1)[1:]
        mean = expected @ truth.households.held
        many = mean > 20
        z = (sold - mean)[many] / np.sqrt(mean[many])
        assert many.sum() > 50 and abs(z.mean()) < 0.5 and 0.7 < z.std() < 1.5


def test_runs_differ_and_look_like_the_chain(window, truth):
    first, second = (window.restrict(run) for run in truth.runs[:2])
    assert len(first) != len(second) or (first.token[:50] != second.token[:50]).any()
    real = window.real
    for name in ("spend", "hour", "items", "units"):
        assert stats.ks_2samp(getattr(first, name), getattr(real, name)).pvalue > 0.001, name
    weekday = [np.bincount(window.weekday[trips.day], minlength=8) for trips in (first, real)]
    assert stats.chi2_contingency(np.stack(weekday)[:, 1:]).pvalue > 0.001
    for column in range(4):
        of_kind = [np.bincount(trips.kind[:, column], minlength=6) for trips in (first, real)]
        table = np.stack(of_kind)[:, np.sum(of_kind, 0) > 0]
        assert stats.chi2_contingency(table).pvalue > 0.001


def test_nobody_knows_a_household_better_than_its_truth(window, truth):
    found = {
        "redrawn": Households.of_runs(window, [window.restrict(run) for run in truth.runs]),
        "one": Households.of_runs(window, [window.real]),
        "sample": truth.sample,
        "history": Households.of_runs(window, [window.history]),
    }
    figures = {name: truth.figures(each) for name, each in found.items()}
    for name in ("trips.error", "items.error", "categories"):
        assert 0 < figures["redrawn"][name] < figures["one"][name], name
    assert figures["redrawn"]["products"] > figures["one"]["products"]
    own = truth.figures(truth.households)
    assert figures["redrawn"]["favourites"] == pytest.approx(own["favourites"], abs=0.02)
    # A history is as long as the sample, and what was liked then is not quite what is liked now.
    assert figures["sample"]["categories"] < figures["history"]["categories"]


def test_the_table_has_the_truth(path, default_cache, tmp_path, capsys, monkeypatch):
    for name, few in (("RUNS", 2), ("CLOSE_RUNS", 1), ("HALVES", 1)):
        monkeypatch.setattr(f"simulator.fidelity.gate.{name}", few)
    monkeypatch.setattr("simulator.fidelity.gate.is_installed", lambda: False)
    out, page = tmp_path / "figures.json", tmp_path / "page.html"
    arguments = ["--cache", default_cache.folder, "--start", START, "--weeks", WEEKS]
    arguments += ["--truth", path, "--json", out, "--html", page]
    assert fidelity([str(argument) for argument in arguments]) == 0
    printed = capsys.readouterr().out
    assert f"drawn again ({RUNS} runs)" in printed and "Each household beside its truth" in printed
    households = json.loads(out.read_text())["households"]
    assert households["truth"]["trips.error"] == 0
    assert households["truth"]["products"] == pytest.approx(1)
    assert households["drawn again"]["categories"] < households["bootstrap"]["categories"]
    assert "Households beside their truth" in page.read_text(encoding="utf-8")


def test_another_window_is_refused(path, default_cache):
    with pytest.raises(InputError, match="is of weeks 61-90, not 62-91"):
        Truth(path, Window(default_cache, START + 1, WEEKS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "110"], "ends with week 117"),
        (["--start", "100"], "those from 105 on are replayed"),
        (["--out", "."], "is a folder"),
    ],
)
def test_weeks_that_are_not_drawn_are_refused(
    chain, default_cache, tmp_path, capsys, arguments, message
):
    raw = tmp_path / "raw"
    shutil.copytree(chain / "truth", raw / "truth")
    path = raw / "truth/chain.json"
    content = json.loads(path.read_text())
    content["config"]["replay_from"] = 105
    path.write_text(json.dumps(content))
    common = ["--raw", str(raw), "--cache", str(default_cache.folder)]
    assert redraw.main([*common, "--out", str(tmp_path / "truth.npz"), *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not (tmp_path / "truth.npz").exists()
