"""The gate as a whole: a perfect copy passes, a broken one is noticed; the command's files."""

from __future__ import annotations

import dataclasses
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from worlds import START, WEEKS, rows, trip_set, world

from simulator.fidelity import measure
from simulator.fidelity.__main__ import main
from simulator.fidelity.gate import _Measurement
from simulator.fidelity.goals import MEASURES, Measure
from simulator.fidelity.text_report import report
from trainer.commands.errors import InputError

pytest.importorskip("lightgbm")


def doubled(trips):
    return trip_set([(*row[:5], 2 * row[5], row[6]) for row in rows(trips)])


def shuffled(window):
    """Every trip is another customer's: trips stay as they are, tastes do not."""
    order = np.random.default_rng(0).permutation(window.population)
    return trip_set([(int(order[window.place[row[0]]]), *row[1:]) for row in rows(window.real)])


@pytest.fixture(scope="module")
def content(window):
    simulations = {
        "copy": [window.real] * 20,
        "doubled spend": [doubled(window.real)],
        "shuffled customers": [shuffled(window)],
    }
    return measure(window, simulations)


def test_a_perfect_copy_is_at_the_floor(content):
    found = content["figures"]["copy"]
    for measures in MEASURES.values():
        for one in measures:
            if one.key.startswith("ks."):
                assert found[one.key] == 0
    assert found["auc.trip"] == pytest.approx(0.5, abs=0.01)
    assert found["auc.customer"] == pytest.approx(0.5, abs=0.01)
    assert (found["units.wmape"], found["units.bias"], found["lifts"]) == (0, 0, pytest.approx(1))
    assert found["units.coverage"] == pytest.approx(0.9)
    assert found["visits.crps"] == 0
    real = content["real"]
    assert {name: found[name] for name in real} == pytest.approx(real)


def test_doubled_spend_is_noticed(content):
    found = content["figures"]["doubled spend"]
    assert found["ks.trip.spend"] > 0.2 > 0.04 > found["ks.trip.items"]
    assert found["auc.trip"] > 0.6
    first = content["noticed"]["doubled spend"]["trip"][0]
    assert "spend" in first["words"] and first["simulated"] > first["real"]


def test_shuffled_customers_are_noticed(content):
    found, real = content["figures"]["shuffled customers"], content["real"]
    assert found["ks.trip.items"] == 0 and found["units.wmape"] == 0
    assert found["repeat"] < real["repeat"] - 0.02
    assert found["auc.trip"] > 0.55 and found["visits.crps"] > 0.5


def test_the_report_says_which_goals_are_met(content):
    lines = list(report(content))
    head = lines[1].split("  ")
    assert "copy (20 runs)" in "  ".join(head) and "goal" in lines[1]
    (spend,) = [line for line in lines if line.startswith("  spend") and "not met" in line][:1]
    assert spend.rstrip().endswith("met")
    assert any(
        line.startswith("What the detector noticed, doubled spend, by trip") for line in lines
    )


def test_goals_in_words():
    assert Measure("a", "", high=0.04).goal == "<= .040"
    assert Measure("a", "", low=-1.95).goal == ">= -1.950"
    assert Measure("a", "").goal == "" and Measure("a", "").is_met(1, None) is None
    near = Measure("a", "", low=-0.02, high=0.02, of_real=True)
    assert near.goal == "real ± .020"
    assert near.is_met(0.67, 0.66) and not near.is_met(0.69, 0.66)
    assert near.is_met(0.67, None) is None and near.is_met(None, 0.66) is None
    assert Measure("a", "", high=0.01, of_real=True).goal == "<= real + .010"


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("customer", 60, "customer .* has 0 to 59"),
        ("store", -1, "store -1 to"),
        ("token", 41, "token 0 to .* has 1 to"),  # [MASK]
        ("day", 9999, "day .* to 9999"),
    ],
)
def test_rows_of_a_simulation_are_checked(window, column, value, message):
    run = window.real.take(np.arange(20))
    changed = getattr(run, column).copy()
    changed[0] = value
    with pytest.raises(InputError, match=message):
        measure(window, {"mine": [dataclasses.replace(run, **{column: changed})]})


def test_nobody_comes(content, window):
    """A simulation without a trip is wrong, and is measured all the same."""
    nothing = _Measurement(window, {"nothing": [window.real.take(np.arange(0))]}, 0)
    found = nothing._of_set(nothing.sets["nothing"])["figures"]
    assert found["units.wmape"] == 1 and found["retention.4"] == 0
    assert np.isnan(found["ks.trip.gap"]) and np.isnan(found["repeat"])
    assert found["ks.customer.trips"] == 1  # all come in these weeks


def test_names_and_runs_are_asked_for(window):
    for simulations in ({"bootstrap": [window.real]}, {"mine": []}):
        with pytest.raises(InputError, match="needs a name of its own, and runs"):
            measure(window, simulations)


class Page(HTMLParser):
    """Tags are balanced, and nothing is loaded from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        for name, value in attrs:
            assert name not in ("src", "onload") and not (value or "").startswith("http")
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_command(tmp_path, capsys, monkeypatch):
    for name, few in (("RUNS", 2), ("CLOSE_RUNS", 1), ("HALVES", 1)):
        monkeypatch.setattr(f"simulator.fidelity.gate.{name}", few)
    world(tmp_path / "cache")
    common = ["--cache", str(tmp_path / "cache"), "--start", str(START), "--weeks", str(WEEKS)]
    out, page = tmp_path / "figures.json", tmp_path / "page.html"
    both = [*common, "--simulated", str(tmp_path / "cache"), "--json", str(out)]
    assert main([*both, "--html", str(page)]) == 0
    printed = capsys.readouterr().out
    content = json.loads(out.read_text())
    assert content["simulated beside real"] == ["previous weeks", "bootstrap", "simulated"]
    assert content["figures"]["simulated"]["ks.trip.gap"] == 0
    assert "What the detector noticed, bootstrap, by customer" in printed
    seen = Page(page.read_text(encoding="utf-8")).seen
    assert seen.count("svg") == 9 + 2 + 2  # distributions, the chain's weeks, categories
    assert "script" not in seen
    assert main([*both, "--html", str(page)]) == 0  # its own files are replaced


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "24", "--weeks", "9"], "end with week 30"),
        (["--start", "0"], "expected a whole number from 1"),
        (["--simulated", "a", "a"], "the same folder twice"),
        (["--simulated", "missing"], "does not exist"),
        (["--json", "toy.json"], "this command did not write it"),
        (["--html", "toy.json"], "this command did not write it"),
        (["--cache", "missing"], "does not exist"),
    ],
)
def test_what_is_refused(cache, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.json").write_text('{"mine": 1}')
    # 26-28 are the fresh test weeks of the toy chain
    assert main(["--cache", str(cache.folder), "--weeks", "3", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("error: ") and message in error[-1]
    assert (tmp_path / "toy.json").read_text() == '{"mine": 1}'


def test_without_lightgbm(window, monkeypatch):
    monkeypatch.setattr("simulator.fidelity.gate.is_installed", lambda: False)
    content = measure(window, {})
    assert content["forecast"] is None and not any(content["noticed"].values())
    assert content["figures"]["bootstrap"].get("auc.trip") is None
    assert list(report(content))[-1].endswith("python -m pip install lightgbm")
