"""What must hold of every comparison, of receipts that are made up and of a toy chain's."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_runs import MadeUp
from toy_start import START

from simulator.planned_prices import PriceChange
from simulator.scenario import Opening, Scenario, Weeks
from simulator.simulation import Simulator
from simulator.whatif import compare, what_if
from simulator.whatif.content import notes
from simulator.whatif.counting import ADDITIVE, MEASURES
from simulator.whatif.parts import PARTS
from trainer.commands.errors import InputError

WEEKS, SEEDS = 3, (3, 4, 5)
DELISTED, CHEAPER = 1, 12
"""Tokens. Of the first product, in the second week and on; of another one, in the second week."""


@pytest.fixture(scope="module")
def plan(chain):
    cache, _ = chain
    token = np.zeros(cache.vocabulary.input_size, bool)
    token[CHEAPER] = True
    stores = np.ones(cache.rows("stores"), bool)
    return Scenario(
        prices=(PriceChange(token, stores, START + 2, START + 2, factor=0.5),),
        delisted=((DELISTED, Weeks(START + 2, 99)),),
    )


@pytest.fixture(scope="module")
def made_up(chain):
    return MadeUp(chain[0], START)


@pytest.fixture(scope="module")
def found(chain, made_up, plan):
    cache, _ = chain
    return what_if([made_up], plan, WEEKS, SEEDS, costs=cache["products.pence"] * 0.5)


@pytest.fixture(scope="module")
def simulated(simulator, plan):
    """Of the toy chain: the first week is as it was."""
    return what_if([simulator], plan, 2, SEEDS[:2])


@pytest.fixture(scope="module")
def receipts(made_up, plan):
    """Of each seed, without the plan and with it."""
    return [
        [made_up.run(WEEKS, seed, scenario) for scenario in (Scenario(), plan)] for seed in SEEDS
    ]


def test_no_change_is_exactly_no_difference(chain, simulator, monkeypatch):
    monkeypatch.setattr(compare, "check", lambda *_: None)
    found = what_if([simulator], Scenario(), 1, SEEDS[:2])
    assert not found.is_different
    assert found.measures == ("units", "trips", "customers", "spend_pence")
    for table in found.tables.values():
        assert (table.difference.change == 0).all() and not table.difference.stands_out.any()
    assert found.tables["total"].difference.without[0, 0] > 0
    assert "part" not in found.tables and not found.shares
    assert "Nothing differs in any run" in notes(found, chain[0])[0]


def test_it_counts_what_receipts_hold(chain, found, receipts):
    cache, _ = chain
    expected = np.zeros((len(SEEDS), 2, 5))
    product = np.zeros((len(SEEDS), 2, cache.products))
    for seed, sides in enumerate(receipts):
        for side, each in enumerate(sides):
            cost = each.quantity * cache["products.pence"][each.token - 1].astype(float) * 0.5
            customers = {customer for customer in each.customer.tolist() if customer != -1}
            expected[seed, side] = (
                each.quantity.sum(), len(each.customer), len(customers), each.pence.sum(),
                each.pence.sum() - cost.sum(),
            )  # fmt: skip
            np.add.at(product[seed, side], each.token - 1, each.quantity)
    total = found.tables["total"].difference
    np.testing.assert_allclose(total.without[0], expected[:, 0].mean(0))
    np.testing.assert_allclose(total.change[0], (expected[:, 1] - expected[:, 0]).mean(0))
    by_product = found.tables["product"].difference
    np.testing.assert_allclose(by_product.without[:, 0], product[:, 0].mean(0))
    np.testing.assert_allclose(by_product.change[:, 0], (product[:, 1] - product[:, 0]).mean(0))


def test_trips_and_customers_are_counted_once_in_a_cell(chain, found, receipts):
    cache, _ = chain
    category = cache["products.category"].astype(int)
    trips, customers = np.zeros((2, len(SEEDS), 4))
    for seed, (each, _) in enumerate(receipts):
        trip = np.repeat(np.arange(len(each.items)), each.items)
        for row in range(4):
            inside = category[each.token - 1] == row
            trips[seed, row] = len(set(trip[inside]))
            customers[seed, row] = len(set(each.customer[trip[inside]]) - {-1})
    without = found.tables["category_1"].difference.without
    np.testing.assert_allclose(without[:, 1], trips.mean(0))
    np.testing.assert_allclose(without[:, 2], customers.mean(0))


def test_a_delisted_product_sells_nothing_and_others_take_its_place(simulated):
    table = simulated.tables["changed_product"]
    row = next(
        row
        for row, names in enumerate(zip(*table.keys.values(), strict=True))
        if names == ("PRD0000", "in the weeks of the change")
    )
    sold = table.difference
    assert sold.without[row, 0] > 0 and sold.without[row, 0] + sold.change[row, 0] == 0
    part = dict(zip(PARTS, simulated.tables["part"].difference.change[:, 0], strict=True))
    assert part["rivals"] >= 0 and part["rivals"] + part["beside"] > 0


def test_nothing_differs_before_the_change(simulated):
    weeks = simulated.tables["week"]
    assert weeks.keys["week"].tolist() == [START + 1, START + 2]
    assert not weeks.difference.differs[0].any() and weeks.difference.differs[1].any()
    rest = [*PARTS].index("rest")
    assert not simulated.tables["part"].difference.differs[rest].any()


@pytest.mark.parametrize("name", ["found", "simulated"])
def test_parts_and_every_breakdown_add_up_to_the_total(request, name):
    found = request.getfixturevalue(name)
    total = found.tables["total"].difference
    names = {*found.tables} - {"total", "changed_product"}
    assert len(names) == 11
    for name in names:
        for measure in set(ADDITIVE) & set(found.measures):
            column = found.measures.index(measure)
            for side in ("without", "change"):
                whole = getattr(total, side)[0, column]
                parts = getattr(found.tables[name].difference, side)[:, column]
                assert parts.sum() == pytest.approx(whole, rel=1e-12, abs=1e-6), (name, measure)


def test_shares_are_of_what_changed_products_lose(found):
    part = found.tables["part"].difference
    assert part.stands_out[0, 0] and part.change[0, 0] < 0
    for number, name in enumerate(PARTS):
        if name != "changed":
            value, low, high = found.shares[name]
            assert value == pytest.approx(-part.change[number, 0] / part.change[0, 0])
            assert low <= value <= high


def test_roles_of_products(chain, found):
    keys = found.tables["product"].keys
    roles = dict(zip(keys["product"].tolist(), keys["role"].tolist(), strict=True))
    assert {name for name, role in roles.items() if role == "changed"} == {"PRD0000", "PRD0011"}
    assert sum(role == "rival" for role in roles.values()) == 18


def test_products_without_a_cost_count_nowhere_in_margin(chain, made_up, plan, found):
    cache, _ = chain
    costs = cache["products.pence"] * 0.5
    costs[5:] = np.nan
    some = what_if([made_up], plan, WEEKS, SEEDS, costs=costs)
    margin = [each.tables["product"].difference.without[:, 4] for each in (some, found)]
    np.testing.assert_array_equal(margin[0], np.where(np.arange(cache.products) < 5, margin[1], 0))
    assert any(
        "Margin is that of products with a cost alone" in text for text in notes(some, cache)
    )
    assert not any("Margin" in text for text in notes(found, cache))


def test_demand_that_does_not_answer_to_prices_is_said_so(chain, made_up, plan):
    """Made-up trips buy the same at any price."""
    same = "demand does not answer to the change, only what is paid changes"
    found = what_if([made_up], Scenario(prices=plan.prices), WEEKS, SEEDS)
    part = found.tables["part"].difference
    assert not part.differs[:, 0].any() and part.change[0, MEASURES.index("spend_pence")] < 0
    assert any(same in text for text in notes(found, chain[0]))
    changed = found.tables["changed_product"]
    changed.difference.differs[0, 0] = True
    assert not any(same in text for text in notes(found, chain[0]))


def test_an_ensemble_deals_seeds_out_in_turn(chain, made_up, plan):
    """Two simulators that are the same one: their runs are those of the four seeds."""
    two = what_if([made_up, made_up], plan, 2, (3, 4, 5, 6))
    one = what_if([made_up], plan, 2, (3, 4, 5, 6))
    assert (two.models, two.runs, one.models, one.runs) == (2, 2, 1, 4)
    parts = [what_if([made_up], plan, 2, seeds) for seeds in ((3, 5), (4, 6))]
    change = [each.tables["total"].difference.change for each in (two, one, *parts)]
    np.testing.assert_allclose(change[0], change[1])
    mean, spread = np.mean(change[2:], axis=0), np.abs(change[2] - change[3]) / 2
    np.testing.assert_allclose(change[0], mean)
    np.testing.assert_allclose(two.tables["total"].difference.error, spread)
    np.testing.assert_allclose(two.by_model, np.concatenate(change[2:]))


def test_a_launched_product_is_changed(chain):
    """As of week 20 the last product was never sold."""
    cache, model = chain
    early = Simulator(model, cache, 20)
    plan = Scenario(launched=(Opening(cache.products, DELISTED, 21),))
    found = what_if([early], plan, 1, (0, 1))
    assert found.evidence is None
    part = found.tables["part"].difference
    assert part.without[0, 0] == 0 and part.change[0, 0] > 0


@pytest.mark.parametrize("seeds", [(), (1, 1), (1, 2, 3)])
def test_seeds_that_do_not_fit_are_refused(made_up, plan, seeds):
    with pytest.raises(InputError, match="seeds: expected different ones, as many for each of 2"):
        what_if([made_up, made_up], plan, 1, seeds)


@pytest.mark.parametrize("other", [{"start": START + 1}, {"start": START, "customers": [1]}])
def test_simulators_of_different_starts_or_customers_are_refused(chain, made_up, plan, other):
    with pytest.raises(InputError, match="expected the same cache, start and customers"):
        what_if([made_up, MadeUp(chain[0], **other)], plan, 1, (1, 2))
