"""Textbook methods find what a made-up chain was made with. Skipped without their packages."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.prices.panel import Panel

for package in ("pyfixest", "doubleml", "causaldemand"):
    pytest.importorskip(package)

from benchmarks.price_methods import Cells  # noqa: E402
from benchmarks.price_rivals import _by_the_judge  # noqa: E402
from benchmarks.price_scenarios import Truth, counterfactual_errors, scenarios  # noqa: E402

PRODUCTS, ZONES, WEEKS = 40, 2, 80
CATEGORY = np.arange(PRODUCTS) // 4
ELASTICITY = np.random.default_rng(1).normal(-2, 0.4, PRODUCTS)


@pytest.fixture(scope="module")
def cells() -> Cells:
    """Prices follow costs, and demand shocks that the receipts do not show."""
    rng = np.random.default_rng(0)
    shape = PRODUCTS, ZONES, WEEKS
    cost = np.cumsum(rng.normal(0, 0.04, (PRODUCTS, WEEKS)), axis=1)
    demand = rng.normal(0, 0.25, (PRODUCTS, 1, WEEKS))
    price = 0.8 * cost[:, None] + 0.4 * demand + rng.normal(0, 0.02, shape)
    mean = np.exp(3 + ELASTICITY[:, None, None] * price + demand)
    units = rng.poisson(mean).astype(float)
    panel = Panel(
        token=np.arange(1, PRODUCTS + 1), category=CATEGORY, department=CATEGORY // 5,
        zone=np.arange(ZONES), last_week=WEEKS, moved=np.ones(PRODUCTS), trips=units, units=units,
        pence=100 * np.exp(price), is_observed=units > 0, display=np.zeros(shape),
        mailer=np.zeros(shape), traffic=np.full(shape[1:], 1000.0),
    )  # fmt: skip
    change = np.stack([
        np.full(PRODUCTS, np.log(1.1)), np.where(np.arange(PRODUCTS) == 0, -0.1, 0),
    ])  # fmt: skip
    return Cells(panel, price, cost, WEEKS, change)


def test_constant_elasticities_by_hand(cells):
    own, beside = np.full(PRODUCTS, -2.0), 0.5
    found = cells.answer(own, beside)
    assert found.factors[0] == pytest.approx(np.full(PRODUCTS, 1.1**-1.5))
    # The others of the category see a price of three go down, in proportion to its sales.
    share = cells._share[0] / (cells._share[:4].sum() - cells._share[1])
    assert found.factors[1, :2] == pytest.approx([np.exp(0.2), np.exp(-0.1 * share * 0.5)])
    assert (found.factors[1, 4:] == 1).all()


@pytest.mark.parametrize(
    ("biased", "instrumented"),
    [
        ("log_log", "instrumented"), ("poisson", "control_function"),
        ("double_learning", "double_learning"),
    ],
)  # fmt: skip
def test_instruments_take_out_what_confounds(cells, biased, instrumented):
    more = ((False,), (True,)) if biased == "double_learning" else ((), ())
    without, with_it = (
        getattr(cells, name)(*arguments).own.mean()
        for name, arguments in zip((biased, instrumented), more, strict=True)
    )
    truth = ELASTICITY.mean()
    assert without > truth + 0.3
    assert with_it == pytest.approx(truth, abs=0.2)


def test_own_slopes_tell_products_apart(cells):
    found = cells.control_function().own
    assert np.corrcoef(found, ELASTICITY)[0, 1] > 0.6


def test_trees_answer_to_prices(cells):
    """Less than there is to answer: past sales, which they are told, have followed slow prices."""
    found = cells.boosting()
    assert ELASTICITY.mean() < found.own.mean() < -0.1
    assert found.factors[0].mean() < 1
    assert (found.factors[1, 4:] == 1).all()  # other categories


def test_the_judge_has_the_same_error():
    rng = np.random.default_rng(0)
    need = np.arange(15) // 3
    asked = scenarios(need, need, seed=0)
    before = rng.uniform(50, 90, (2, 15))
    change = np.stack([np.log(each.factor) for each in asked])
    after = before * np.exp(-2 * change)[:, None] * rng.uniform(0.9, 1.1, (32, 2, 15))
    truth, rows = Truth(asked, change, before, after), np.arange(15)
    factors = np.exp(-2.4 * change)
    judge = pytest.importorskip("causaldemand.metrics.panel_scorer")
    found = _by_the_judge(judge, truth, factors, rows, np.full(15, 70.0))
    assert found["status"] == "valid"
    ours = counterfactual_errors(truth, factors, rows, need)["all"]
    assert found["mean_accuracy_cf_wmape"] == pytest.approx(ours)
    assert found["share_overstated"] > 0.8  # -2.4 in place of -2
