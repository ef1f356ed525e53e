"""What is counted in the history: sizes, units, portions, new stores, calibrated chances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy import toy_columns, toy_manifest
from toy_start import START

from simulator import item_calibration, visit_calibration
from simulator.basket_sizes import BasketSizeLaw
from simulator.hazards import Hazards
from simulator.item_calibration import ItemCalibration
from simulator.item_figures import Before
from simulator.outlook import KNOWN, known
from simulator.quantities import SHRINKAGE, Portions, Quantities
from simulator.season import CategorySeason, of_last_year
from simulator.stores import NewStores
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.features.trip_log import TripLog
from trainer.features.visits import TAIL
from trainer.model.state import recorded_states


def test_units_are_those_of_the_product_shrunk_to_the_chains(chain):
    """Those on trips of one size shrunk to those on all trips, and these to the chain's."""
    cache, _ = chain
    law = Quantities(cache, START)
    items = np.diff(cache["trips.item_offsets"])
    known = np.repeat(cache["trips.week"] <= START, items)
    token, units = (cache[f"items.{name}"][known].astype(int) for name in ("token", "quantity"))
    size = np.repeat(cache["trips.size"], items)[known]
    product, one, share = int(np.bincount(token).argmax()), units == 1, (units == 1).mean()
    for rows in (token == product, (token == product) & (size == 1)):
        share = (one[rows].sum() + SHRINKAGE * share) / (rows.sum() + SHRINKAGE)
    u = np.array([share - 1e-6, share + 1e-6])
    law._least[:], law._most[:] = 1, 99
    found = law.draw(np.full(2, product), np.arange(2), np.ones(2, int), lambda _, rows: u[rows])
    assert found.tolist() == [1, 2]


def test_units_are_those_of_the_product_on_trips_of_this_size(tmp_path):
    """A product of which large trips have five units, and all others one."""
    columns = toy_columns(trips_of=[30] * 60, seed=4)
    size = np.repeat(columns["trips.size"], np.diff(columns["trips.item_offsets"]))
    own = columns["items.token"] == 3
    columns["items.quantity"][own] = np.where(size[own] == 2, 5, 1)
    write_cache(tmp_path / "cache", columns, toy_manifest())
    law = Quantities(TensorCache(tmp_path / "cache"), START)
    law._least[:], law._most[:] = 1, 99
    u = np.full(2, 0.5)
    found = law.draw(np.array([3, 3]), np.arange(2), np.array([1, 2]), lambda _, rows: u[rows])
    assert found.tolist() == [1, 5]


def test_units_fit_the_size_of_the_trip(chain):
    """Small trips have at most 2 units, others at least 3, all in vain with u = 0."""
    cache, _ = chain
    law = Quantities(cache, START)
    law._least[1:3], law._most[1:3] = (1, 3), (2, 99)
    tokens, trip, size = np.array([1, 2, 3, 4]), np.array([0, 0, 1, 2]), np.array([1, 2, 2])
    rng = np.random.default_rng(0)
    found = law.draw(tokens, trip, size, lambda _, rows: rng.random(len(rows)))
    assert found[:2].sum() == 2 and (found[2:] >= 3).all()
    found = law.draw(tokens, trip, size, lambda _, rows: np.zeros(len(rows)))
    assert found.tolist() == [1, 1, 3, 3]


def test_units_grow_with_what_a_scenario_adds_to_a_trip(chain):
    """Three items on a trip of two units at most: a half more of both, and no unit less of the
    others; where half of the items is left, one of three units at least is two."""
    law = Quantities(chain[0], START)
    law._least[1:3], law._most[1:3] = (1, 3), (2, 99)
    tokens, trip, size = np.array([1, 2, 3, 4]), np.array([0, 0, 0, 1]), np.array([1, 2])

    def none_at_first(attempt, rows):
        """Of units drawn at first there are too many, and then one of each."""
        return np.full(len(rows), 0.0 if attempt else 1.0)

    found = law.draw(tokens, trip, size, none_at_first, np.array([1.5, 0.5]))
    assert found[:3].tolist() == [1, 1, 1] and found[3] >= 2
    rng = np.random.default_rng(0)

    def most_of(grown):
        """Units of a trip of two items, of many draws."""
        given = tokens[:2], trip[:2], size[:1], lambda _, rows: rng.random(len(rows)), grown
        return max(law.draw(*given).sum() for _ in range(50))

    assert most_of(1.0) == 2 and most_of(1.5) == 3 and 3 < most_of(4.0) <= 8


def test_portions_are_what_trips_with_one_show(tmp_path):
    """One product is weighed; every trip with it paid 1.5 times its price beside the others'."""
    columns = toy_columns(trips_of=[30] * 10, seed=2)
    columns["products.is_random_weight"][:] = False
    columns["products.is_random_weight"][2] = True
    items = np.diff(columns["trips.item_offsets"])
    trip = np.repeat(np.arange(len(items)), items)
    columns["items.quantity"][columns["items.token"] == 3] = 1
    cost = columns["shelf_prices.pence"][columns["items.price"]] * columns["items.quantity"]
    cost = np.where(columns["items.token"] == 3, 1.5 * cost, cost)
    columns["trips.spend_pence"] = np.bincount(trip, cost, len(items)).astype(np.uint32)
    write_cache(tmp_path / "cache", columns, toy_manifest())
    law = Portions(TensorCache(tmp_path / "cache"), START)
    found = law.draw(np.array([3, 3, 4]), np.array([0.1, 0.999, 0.5]))
    np.testing.assert_allclose(found, [1.5, 1.5, 1], atol=0.02)


def test_sizes_are_distributions_without_empty_baskets(chain, simulator):
    cache, _ = chain
    law = BasketSizeLaw(cache, START)
    logs = [simulator._states[0].features.log, TripLog.empty()]
    chances = law.chances(np.array([[1, 1, 1, 1], [2, 0, 0, 0]]), logs)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert (chances[:, 0] == 0).all() and (chances[:, 1:6] > 0).any(1).all()


def test_new_stores_are_open_and_new(chain):
    cache, _ = chain
    law = NewStores(cache, START)
    stores = np.arange(len(law.trips))
    tried = np.where(stores == 1, 0, law.trips)
    found = {law.draw(np.array([0]), tried, u) for u in np.linspace(0.01, 0.99, 50)}
    assert found == set(np.flatnonzero(tried)) - {0}
    assert law.draw(stores, tried, 0.5) == -1


def test_nothing_is_calibrated_without_weeks_to_learn_from(chain):
    cache, model = chain
    p, days = np.array([0.2, 0.7]), np.array([3, 1])
    visits = visit_calibration.VisitCalibration(model, cache, 17)
    found = visits.chances(p, days, days, days, np.zeros((2, len(KNOWN))), 18)
    np.testing.assert_allclose(found, p)
    items = ItemCalibration(model, cache, cache.split["train"][1])
    logits = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    logits = logits.repeat(1, 1 + cache.vocabulary.size // 20)[:, : cache.vocabulary.size]
    logits[:, 0] = -torch.inf
    none = torch.empty(0, dtype=torch.long)
    before, inside = Before(none, none, torch.empty(0, 5)), items.assortment.inside(none, none, 3)
    found = items.p(logits, torch.zeros_like(logits), before, inside, 2)
    torch.testing.assert_close(found, logits.softmax(1))


def test_what_is_known_of_customers_who_come_alike_on_every_day():
    """One in ten comes; trips 103, 13 and 3 days ago, and a customer with one of 40 days ago."""
    hazards = np.full((2, TAIL + 1), 0.1)
    hazards[:, 0] = 0.0
    found = known(hazards, np.array([0, 0, 0, 1]), np.array([103, 13, 3, 40]))
    of_model = [np.log(63 * 0.1), np.log(0.1 / 0.9), np.log(1 / 0.9**28 - 1)]
    counted = np.log([[2.5 / 5, 2.5 / 14, 3.5 / 53], [0.5 / 5, 1.5 / 14, 1.5 / 53]])
    times = np.log([[103 / 7, 3], [40 / 7, 40]])
    expected = np.hstack([counted, times, [of_model, of_model]])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_several_trips_a_day_are_expected_where_they_are_usual():
    hazards = np.full((1, TAIL + 1), 0.2)
    found = known(hazards, np.array([0]), np.array([10]))
    assert found[0, KNOWN.index("log trips expected")] == pytest.approx(np.log(63 * 0.2 / 0.8))


def test_days_of_a_window():
    """Four days, the third of which is missing; one customer came twice on the second."""
    recorded = np.array([True, True, False, True])
    found = visit_calibration.days_of_window(
        np.array([0, 0]), np.array([1, 1]), np.array([-5, -2]), recorded
    )
    names = ("customer", "day", "gap", "trips", "stayed", "came")
    rows = {tuple(getattr(found, name)[row] for name in names) for row in range(len(found.day))}
    assert rows == {
        (0, 0, 5, 0, 1, 0), (0, 1, 6, 0, 0, 1), (0, 1, 0, 1, 1, 1), (0, 3, 2, 2, 1, 0),
        (1, 0, 2, 0, 1, 0), (1, 1, 3, 0, 1, 0), (1, 3, 5, 0, 1, 0),
    }  # fmt: skip


def test_a_model_that_is_too_sure_is_put_right():
    """Log-odds of visits are half of what a model says, and .3 higher."""
    rng = np.random.default_rng(0)
    logit = rng.normal(-1, 2, 60_000)
    came = rng.random(60_000) < 1 / (1 + np.exp(-(0.5 * logit + 0.3)))
    columns = np.stack([logit, np.ones_like(logit)], 1)
    weights = visit_calibration.fitted(
        columns, logit, 1.0 - came, came.astype(float), np.array([10.0, 0.0])
    )
    np.testing.assert_allclose(weights, [-0.5, 0.3], atol=0.04)


def test_states_and_batches_tell_the_same(chain, simulator):
    """What is fitted on batches of timelines is applied to customers' states."""
    cache, model = chain
    origin = START - 9
    window = visit_calibration.Window(cache, origin)
    visit_calibration._ask(model, cache, START, [window])
    states = recorded_states(simulator._chain, cache, window.customers, origin)
    hazards = Hazards(model, simulator._hazards._calibration)
    first = simulator._chain.calendar.first_day(origin + 1)
    everyone = np.arange(len(states))
    hazards.begin(everyone, states, np.full(len(states), first))
    np.testing.assert_allclose(hazards._known, window.known, atol=1e-3)
    days = window.days
    fresh = days.trips == 0
    p = hazards._p[days.customer, np.minimum(days.gap, TAIL)]
    np.testing.assert_allclose(np.log(p / (1 - p))[fresh], window.logit[fresh], atol=1e-3)
    again = (days.trips > 0) & (days.gap == 0)
    who, row = np.unique(days.customer[again], return_index=True)
    row = np.flatnonzero(again)[row]
    hazards.came(who, first + days.day[row] - window.first)
    p = hazards._p[who, 0]
    np.testing.assert_allclose(np.log(p / (1 - p)), window.logit[row], atol=1e-3)
    assert fresh.any() and len(who)


def test_a_season_is_last_years_without_its_noise():
    trips = {week: 100 for week in range(1, 60)} | {10: 50, 12: 101, 14: 0}

    class Cache:
        def __getitem__(self, name):
            return np.repeat(list(trips), list(trips.values()))

    season = of_last_year(Cache(), 60)
    half = np.log(0.5)
    assert season(62) == pytest.approx(half**3 / (half**2 + 0.05**2))
    assert 0 < season(64) < 0.001
    assert [season(week) for week in (40, 66, 70, 200)] == [0, 0, 0, 0]
    assert of_last_year(Cache(), 9)(62) == 0


def test_a_season_of_categories_is_last_years():
    """Two of them, of which the second sold half as much a year before, and twice in week 11."""
    weeks = np.repeat(np.arange(1, 61), 300)
    token = np.tile(np.repeat([1, 2], [200, 100]), 60)
    token[(weeks == 11) & (np.arange(len(weeks)) % 300 >= 100)] = 2

    class Cache:
        def __getitem__(self, name):
            return {
                "trips.week": weeks, "items.token": token,
                "trips.item_offsets": np.arange(len(weeks) + 1),
            }[name]  # fmt: skip

    category = np.array([0, 0, 1])
    season = CategorySeason(Cache(), 60, category)
    ratio = np.log(np.array([500 + 5, 400 + 5]) / np.array([600 + 5, 300 + 5]))
    np.testing.assert_allclose(season.difference(63), ratio**3 / (ratio**2 + 0.1**2))
    np.testing.assert_allclose(season.difference(70), 0, atol=1e-6)
    np.testing.assert_array_equal(CategorySeason(Cache(), 55, category).difference(63), 0)


def test_how_far_categories_stray_is_without_what_chance_explains():
    """Shares of two categories move by a tenth up and down from week to week, or not at all."""
    rng = np.random.default_rng(0)
    weeks = np.repeat(np.arange(1, 61), 4000)
    move = np.exp(0.2 * rng.normal(size=61))
    for factor, low, high in ((np.ones(61), 0, 0.03), (move, 0.08, 0.14)):
        second = factor / (1 + factor)
        token = 1 + (rng.random(len(weeks)) < second[weeks])

        class Cache:
            def __getitem__(self, name, token=token):
                return {
                    "trips.week": weeks, "items.token": token,
                    "trips.item_offsets": np.arange(len(weeks) + 1),
                }[name]  # fmt: skip

        assert low <= CategorySeason(Cache(), 60, np.array([0, 0, 1])).spread <= high


def test_products_are_tilted_to_what_went_in():
    """As far as there is evidence, beside their category's; those first sold after training not."""
    expected, went_in = torch.tensor([80.0, 0.0, 30.0]), torch.tensor([180.0, 0.0, 90.0])
    category, is_new = torch.tensor([0, 0, 1]), torch.tensor([False, False, True])
    found = item_calibration._tilt(expected, went_in, category, is_new)
    of_category = 200 / 100
    product = (180 + 20 * of_category) / 100
    torch.testing.assert_close(
        found, torch.tensor([np.log(product), np.log(of_category), 0.0], dtype=torch.float)
    )


def test_calibrated_items_are_likelier_than_before(chain):
    """Chances of what went in next, and of all that was bought before, on the weeks of the fit."""
    from simulator.item_moments import _GrowingLoader
    from trainer.batches.timelines import WorldModelDataset

    cache, model = chain
    fitted, plain = ItemCalibration(model, cache, START), ItemCalibration(model, cache, 20)
    dataset = WorldModelDataset.of_weeks(cache, 21, START)
    nats, own_mass, own_share = {"fitted": 0.0, "plain": 0.0}, 0.0, 0.0
    with torch.no_grad():
        for batch in _GrowingLoader(dataset, "next_known", seed=0, chunk=model.config.chunk):
            questions = batch.questions
            logits = model(batch).logits[: len(questions.trip)]
            barred = torch.zeros_like(logits)
            barred[:, [0, -2, -1]] = -torch.inf
            before = Before.of(questions)
            own = torch.zeros(logits.shape, dtype=torch.bool)
            own[before.question, before.token] = True
            inside = fitted.assortment.inside(*torch.empty(2, 0).long(), len(logits))
            empty = questions.fully_hidden[questions.target_question]
            row, target = questions.target_question[empty], questions.target[empty]
            for name, law in (("fitted", fitted), ("plain", plain)):
                p = law.p(logits, barred, before, inside, 0)
                nats[name] -= float(p[row, target].log().sum())
            own_mass += float((fitted.p(logits, barred, before, inside, 0) * own).sum(1)[row].sum())
            own_share += float(own[row, target].sum())
    assert nats["fitted"] < nats["plain"]
    assert own_mass == pytest.approx(own_share, rel=0.1)


def test_chances_of_items_are_those_of_the_formula(chain):
    """Tilted by figures of products and weeks, what is gone left out, a share spread evenly."""
    cache, model = chain
    items = ItemCalibration(model, cache, START)
    rng = torch.Generator().manual_seed(0)
    items.values = torch.randn(items.values.shape, generator=rng, dtype=torch.float64) / 2
    n, size = 4, cache.vocabulary.size
    items.tilt, of_week = torch.randn(2, size, generator=rng) / 2
    logits = torch.randn(n, size, generator=rng)
    gone = torch.rand(n, size, generator=rng) < 0.2
    barred = torch.where(gone, -torch.inf, 0.0)
    question, token = torch.tensor([0, 0, 2, 3]), torch.tensor([3, 9, 9, 1])
    before = Before(question, token, torch.randn(4, 5, generator=rng))
    basket = torch.tensor([[4, 5], [6, 7], [30, 2], [8, 9]])
    inside = items.assortment.inside(torch.arange(n).repeat_interleave(2), basket.flatten(), n)
    found = items.p(logits, barred, before, inside, 2, of_week)

    log_own_t, log_other_t, odds, *weights = items.values[2].tolist()
    of_before, of_own, of_others = weights[:5], weights[5:8], weights[8:]
    coarse, fine = items.assortment.levels
    for row in range(n):
        own = {int(t): f for q, t, f in zip(*(before.question, token, before.figures), strict=True)
               if q == row}  # fmt: skip
        left = [t for t in range(size) if not gone[row, t]]
        total = sum(np.exp(float(logits[row, t])) for t in left)
        tilted = {}
        for t in left:
            of_all = of_own if t in own else of_others
            score = float(logits[row, t]) - np.log(total)
            score /= np.exp(log_own_t if t in own else log_other_t)
            score += of_all[0] * bool((coarse[basket[row]] == coarse[t]).any())
            score += of_all[1] * bool((fine[basket[row]] == fine[t]).any())
            score += of_all[2] * float(items.assortment.log_share[t])
            if t in own:
                score += float(own[t] @ torch.tensor(of_before))
            score += float(items.tilt[t] + of_week[t])
            tilted[t] = np.exp(score)
        even = 1 / (1 + np.exp(-odds))
        expected = np.zeros(size)
        for t in left:
            expected[t] = (1 - even) * tilted[t] / sum(tilted.values()) + even / len(left)
        np.testing.assert_allclose(found[row], expected, rtol=1e-4)
