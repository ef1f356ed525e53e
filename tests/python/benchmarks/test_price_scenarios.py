"""Scenarios of the price benchmarks, and scores by hand; without the rivals' packages."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks import price_events_truth, price_rivals, price_rivals_table
from benchmarks.price_scenarios import (
    SCOPES,
    Scenario,
    Truth,
    agreement,
    counterfactual_errors,
    lived,
    ndcg,
    noise,
    scenarios,
    shrunk,
    wmape,
)
from dbt_project.sample import ChainConfig, World
from trainer.commands.errors import InputError

NEED = np.array([0, 0, 1, 1, 1, 2, 3, 3])
DEPARTMENT = np.array([0, 0, 1, 1, 1, 2, 3, 4])


def test_there_are_32_scenarios_of_which_half_are_dearer():
    made = scenarios(NEED, DEPARTMENT, seed=0)
    assert len(made) == 32 and len({each.name for each in made}) == 32
    for each in made:
        assert set(each.factor) <= {1.0, 1.1} or set(each.factor) <= {1.0, 0.9}
    assert sum(each.factor.max() > 1 for each in made) == 16
    for scope, count in SCOPES.items():
        assert sum(each.scope == scope for each in made) == 2 * count


def test_scenarios_move_what_they_say():
    made = scenarios(NEED, DEPARTMENT, seed=0)
    for each in made:
        moved = each.factor != 1
        if each.scope == "products":
            assert (np.bincount(NEED, moved) == 1).all()
        elif each.scope == "departments":
            assert moved.any() and len(set(DEPARTMENT[moved])) == 1
            assert (moved == np.isin(DEPARTMENT, DEPARTMENT[moved])).all()
        else:
            assert moved.all()
    every = np.any([each.factor != 1 for each in made if each.scope == "products"], axis=0)
    assert every.all()  # not always the same of a need
    again = scenarios(NEED, DEPARTMENT, seed=0)
    assert all((a.factor == b.factor).all() for a, b in zip(made, again, strict=True))


def test_wmape_by_hand():
    assert wmape(np.array([8.0, 12.0]), np.array([10.0, 10.0])) == pytest.approx(0.2)


def _truth() -> tuple[Truth, np.ndarray, np.ndarray]:
    """Two products of one need and one of another: the first gets dearer, then all of them."""
    factor = np.array([[1.1, 1, 1], [1.1, 1.1, 1.1]])
    asked = [
        Scenario("first", "products", factor[0]), Scenario("all", "everything", factor[1]),
    ]  # fmt: skip
    before = np.array([[100.0, 40, 60], [100, 60, 40]])
    after = np.array([[[80.0, 50, 60], [80, 70, 40]], [[90, 45, 45], [90, 45, 45]]])
    return Truth(asked, np.log(factor), before, after), np.arange(3), np.array([0, 0, 1])


def test_errors_by_hand():
    truth, rows, need = _truth()
    # In the mean 100, 50, 50 before; 80, 60, 50 and 90, 45, 45 after.
    factors = np.array([[0.7, 1.0, 1.0], [0.9, 0.9, 0.8]])
    found = counterfactual_errors(truth, factors, rows, need)
    first, everything = 10 / 80, 5 / 180
    assert found == {
        "all": pytest.approx((first + everything) / 2),
        "products": pytest.approx(first), "everything": pytest.approx(everything),
        "rivals": pytest.approx(10 / 60),  # the other need is no rival
        "total": pytest.approx((20 / 200 + 5 / 200) / 2),
    }  # fmt: skip


def test_what_was_not_sold_is_not_scored():
    truth, rows, need = _truth()
    nothing = Truth(truth.scenarios, truth.change, truth.before * [1, 1, 0], truth.after)
    factors = np.array([[0.8, 1.2, 1.0], [0.9, 0.9, 99.0]])
    assert counterfactual_errors(nothing, factors, rows, need)["all"] == pytest.approx(0)


def test_chance_is_half_of_what_halves_differ_by():
    truth, rows, _ = _truth()
    # The second run says 80 / 100; 90 / 100, 45 / 60, 45 / 40 for the first run's units.
    everything = abs(40 * 45 / 60 - 45) + abs(60 * 45 / 40 - 45)
    assert noise(truth, rows) == pytest.approx((0 + everything / 180 / 2) / 2)


def test_estimates_are_drawn_to_their_mean_as_far_as_they_are_uncertain():
    value = np.array([-1.0, -3.0, 7.0, np.nan])
    error = np.array([1e-6, 1e-6, np.inf, 1.0])
    found = shrunk(value, error)
    assert found == pytest.approx([-1, -3, -2, -2], abs=1e-4)
    alike = shrunk(np.array([-2.1, -1.9]), np.array([1.0, 1.0]))
    assert alike == pytest.approx([-2, -2])


def test_shrinking_brings_estimates_nearer_to_what_they_estimate():
    rng = np.random.default_rng(0)
    true = rng.normal(-2, 0.5, 2000)
    error = rng.uniform(0.1, 2, 2000)
    raw = rng.normal(true, error)
    found = shrunk(raw, error)
    weight = 0.25 / (0.25 + error**2)
    best = -2 + weight * (raw - -2)
    assert np.abs(found - best).mean() < 0.05
    assert ((found - true) ** 2).mean() < 0.3 * ((raw - true) ** 2).mean()


def test_agreement_by_hand():
    found = agreement(np.array([-1.0, -2.0, 0.5]), np.array([-2.0, -4.0, 1.0]))
    assert found["r"] == pytest.approx(1) and found["slope"] == pytest.approx(0.5)
    assert found["sign"] == pytest.approx(2 / 3)
    assert np.isnan(agreement(np.zeros(3), np.array([-2.0, -4.0, 1.0]))["r"])


def test_ndcg_by_hand():
    gain = np.array([3.0, 0.0, 1.0, -5.0])
    second = 1 / np.log2(3)
    assert ndcg(np.array([3.0, 2, 1, 0]), gain) == pytest.approx((3 + 0.5) / (3 + second))
    assert ndcg(gain, gain) == 1
    assert ndcg(np.array([0.0, 1, 2]), np.array([1.0, 0, 0]), k=1) == 0
    assert np.isnan(ndcg(gain, -np.abs(gain)))


def test_lived_weeks_are_kept_and_not_taken_for_others(tmp_path):
    world = World(ChainConfig(customers=20, products=80, weeks=6, seed=1))
    world.step()
    catalogue = world.setting.catalogue
    _, department = np.unique(catalogue.department, return_inverse=True)
    asked = scenarios(catalogue.need, department, seed=1)[-3:]
    file = tmp_path / "truth.npz"
    first = lived(world, asked, weeks=2, runs=2, kept=file)
    again = lived(world, asked, weeks=2, runs=2, kept=file)
    assert (first.before == again.before).all() and (first.after == again.after).all()
    assert first.after.shape == (3, 2, 80) and first.change.shape == (3, 80)
    dearer, cheaper = first.after[1:].sum((1, 2))
    assert dearer < first.before.sum() < cheaper
    with pytest.raises(InputError, match="delete it"):
        lived(world, asked, weeks=3, runs=2, kept=file)
    file.write_bytes(b"PK")
    with pytest.raises(InputError, match="cannot be read"):
        lived(world, asked, weeks=2, runs=2, kept=file)


def test_events_draw_one_of_each_need_that_has_several():
    allowed = np.array([0, 1, 3, 4, 5, 7])
    for chosen in price_events_truth._one_of_each(NEED, allowed, 5, seed=0):
        assert set(chosen) <= set(allowed)
        assert sorted(NEED[chosen]) == [0, 1, 3]  # of need 2 there is one


def test_without_the_rivals_packages_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in ("causaldemand", "causaldemand.metrics"):  # other tests may have imported both
        monkeypatch.setitem(sys.modules, name, None)
    assert price_rivals.main([str(tmp_path)]) == 2
    assert "[rivals]" in capsys.readouterr().err


def _result(pricing: str, seed: int, ours: float, rival: float) -> dict:
    def method(error: float) -> dict:
        own = {"r": 0.5, "slope": 1, "mean": -2, "sign": 1, "true_mean": -2.5}
        names = ("all", "products", "departments", "everything", "rivals", "total")
        judge = {"mean_abs_bias": 0.1, "share_overstated": 0.5}
        return {"own": own, "wmape": dict.fromkeys(names, error), "causaldemand": judge}

    return {
        "configuration": {"chain": {"pricing": pricing, "seed": seed}}, "noise": 0.01,
        "instrument": {"first_stage_f": 20},
        "methods": {
            "Poisson": method(rival), price_rivals.OURS: method(ours),
            price_rivals.OURS_INSTRUMENTED: method(ours - 0.02),
        },
    }  # fmt: skip


def test_tables_are_means_over_seeds(tmp_path, capsys):
    files = []
    for number, result in enumerate([
        _result("managed", 3, 0.05, 0.2), _result("managed", 5, 0.07, 0.3),
        _result("random", 3, 0.04, 0.1), _result("random", 5, 0.04, 0.1),
    ]):  # fmt: skip
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(result))
    assert price_rivals_table.main([str(file) for file in files]) == 0
    printed = capsys.readouterr().out
    assert "confounded, seeds 3, 5" in printed and "0.250" in printed
    assert "clean: ours 0.040, best rival 0.100 (Poisson)" in printed
    assert "confounded: ours 0.060, 1.50 x clean; with the instrument 0.040, 1.00 x" in printed
    files[0].write_text("{}")
    assert price_rivals_table.main([str(files[0])]) == 2
