"""What is counted in the history: sizes, units, portions, new stores, calibrated chances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy import toy_columns, toy_manifest
from toy_start import START

from simulator import visit_calibration
from simulator.basket_sizes import BasketSizeLaw
from simulator.item_calibration import Before, ItemCalibration
from simulator.quantities import SHRINKAGE, Portions, Quantities
from simulator.stores import NewStores
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.features.trip_log import TripLog


def test_units_are_those_of_the_product_shrunk_to_the_chains(chain):
    cache, _ = chain
    law = Quantities(cache, START)
    week = np.repeat(cache["trips.week"], np.diff(cache["trips.item_offsets"]))
    known = week <= START
    token, units = (cache[f"items.{name}"][known].astype(int) for name in ("token", "quantity"))
    product = int(np.bincount(token).argmax())
    of_chain = (units == 1).mean()
    own = token == product
    share = ((units[own] == 1).sum() + SHRINKAGE * of_chain) / (own.sum() + SHRINKAGE)
    u = np.array([share - 1e-6, share + 1e-6])
    found = law.draw(np.full(2, product), np.arange(2), np.zeros(2, int), lambda _, rows: u[rows])
    assert found.tolist() == [1, 2]


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
    last = cache.split["train"][1]
    p = np.array([[0.2, 0.7]])
    visits = visit_calibration.VisitCalibration(model, cache, last)
    np.testing.assert_array_equal(visits.apply(p, []), p)
    items = ItemCalibration(model, cache, last)
    logits = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    logits = logits.repeat(1, 1 + cache.vocabulary.size // 20)[:, : cache.vocabulary.size]
    logits[:, 0] = -torch.inf
    none = torch.empty(0, dtype=torch.long)
    before, inside = Before(none, none, torch.empty(0, 5)), items.assortment.inside(none, none, 3)
    found = items.p(logits, torch.zeros_like(logits), before, inside, 2)
    torch.testing.assert_close(found, logits.softmax(1))


def test_how_customers_came_before():
    """One came today, 10 and 100 days ago; another one once."""
    customer, since = np.array([0, 0, 0, 1]), np.array([103, 13, 3, 40])
    found = visit_calibration._past(customer, since, 2)
    expected = [
        [np.log(3), 1 / 3, np.log1p(100), np.log1p(2), np.log1p(2), np.log1p(10), 0],
        [0, 1, 0, np.log1p(1), np.log1p(1), 0, 1],
    ]
    np.testing.assert_allclose(found, expected)


def test_a_model_that_is_too_sure_is_put_right():
    """Log-odds of visits are half of what a model says, and .3 higher."""
    rng = np.random.default_rng(0)
    logit = rng.normal(-1, 2, 60_000)
    came = rng.random(60_000) < 1 / (1 + np.exp(-(0.5 * logit + 0.3)))
    figures = np.stack([logit, np.ones_like(logit)], 1)
    weights = visit_calibration._fitted(figures, logit, 1.0 - came, came.astype(float))
    np.testing.assert_allclose(weights, [-0.5, 0.3], atol=0.04)


def test_states_and_batches_tell_the_same_past(chain, simulator):
    """What is fitted on batches of timelines is applied to customers' states."""
    from trainer.batches.loaders import VisitDataLoader
    from trainer.batches.timelines import WorldModelDataset

    cache, model = chain
    dataset = WorldModelDataset.of_weeks(cache, START, START)
    with torch.no_grad():
        batches = list(VisitDataLoader(dataset, chunk=model.config.chunk))
        found = {}
        for batch in batches:
            own, days, visits = batch.visits.own, batch.visits.days, batch.visits
            since = np.rint(own.when[:, 2].numpy() * 60)
            past = visit_calibration._past(own.visit.numpy(), since, len(visits))
            last = ~visits.came.numpy()
            logit = model.hazard_logits(batch).numpy()
            for visit in np.flatnonzero(last):
                row = int(batch.trips.row[visits.trip[visit]])
                found[row] = past[visit], logit[days.visit.numpy() == visit]
    last_trip = cache["customers.trip_offsets"].astype(int)
    for customer, state in zip(simulator.customers, simulator._states, strict=True):
        rows = np.arange(last_trip[customer], last_trip[customer + 1])
        row = rows[cache["trips.week"][rows] <= START][-1]
        if row in found:
            day = state.features.log.trips["day"].astype(int)
            past = visit_calibration._past(np.zeros(len(day), int), day[-1] - day, 1)[0]
            np.testing.assert_allclose(past, found[row][0], atol=1e-5)
            p = model.next_visits([state]).hazards[0].numpy()[: len(found[row][1])]
            np.testing.assert_allclose(np.log(p / (1 - p)), found[row][1], atol=1e-3)


def test_calibrated_items_are_likelier_than_before(chain):
    """Chances of what went in next, and of all that was bought before, on the weeks of the fit."""
    from simulator.item_calibration import _GrowingLoader
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
    """Tilted by figures of products, what is gone left out, a share spread evenly."""
    cache, model = chain
    items = ItemCalibration(model, cache, START)
    rng = torch.Generator().manual_seed(0)
    items.values = torch.randn(items.values.shape, generator=rng, dtype=torch.float64) / 2
    n, size = 4, cache.vocabulary.size
    logits = torch.randn(n, size, generator=rng)
    gone = torch.rand(n, size, generator=rng) < 0.2
    barred = torch.where(gone, -torch.inf, 0.0)
    question, token = torch.tensor([0, 0, 2, 3]), torch.tensor([3, 9, 9, 1])
    before = Before(question, token, torch.randn(4, 5, generator=rng))
    basket = torch.tensor([[4, 5], [6, 7], [30, 2], [8, 9]])
    inside = items.assortment.inside(torch.arange(n).repeat_interleave(2), basket.flatten(), n)
    found = items.p(logits, barred, before, inside, 2)

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
            tilted[t] = np.exp(score)
        even = 1 / (1 + np.exp(-odds))
        expected = np.zeros(size)
        for t in left:
            expected[t] = (1 - even) * tilted[t] / sum(tilted.values()) + even / len(left)
        np.testing.assert_allclose(found[row], expected, rtol=1e-4)
