"""The next visit: probabilities, known answers, and that use says what whole timelines say."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from test_world_model import double, model_without, timelines
from toy import toy_cache, toy_columns, toy_manifest

from trainer.batches.loaders import VisitDataLoader, WorldModelDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.plans import UNKNOWN_STORE, FinishedTrip, TripPlan
from trainer.features.replay import finished_trips
from trainer.features.visits import HORIZON, NEW_STORE
from trainer.model.checkpoint import load_checkpoint, save_checkpoint
from trainer.model.state import CustomerState
from trainer.model.visits import PARTS
from trainer.model.world_model import create_world_model

CUSTOMERS = [0, 1, 3, 4, 6]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), trips_of=[20, 15, 8, 12, 9, 25, 3], seed=5)


def stirred(cache, without=()):
    """A model in which every part of a visit depends on everything it may."""
    model = model_without(cache, without)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.visits.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture(scope="module")
def state(cache):
    """A customer after all trips."""
    state = CustomerState(Chain(cache, chain_sales_after(cache, 0)))
    start, stop = cache["customers.trip_offsets"][:2].tolist()
    for trip in finished_trips(cache, np.arange(start, stop)):
        state.observe(trip)
    return state


@pytest.fixture(scope="module")
def model(cache):
    return stirred(cache)


def nats(model, batch):
    with torch.no_grad():
        return model.visit_nats(batch)


def test_both_passes_agree_and_packing_does_not_matter(cache, model):
    batch = double(timelines(cache, CUSTOMERS))
    together = nats(model, batch)
    with torch.no_grad():
        assert torch.equal(model(batch, dense=False).visits, together)
    alone = torch.cat([nats(model, double(timelines(cache, [each]))) for each in CUSTOMERS])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-10)
    assert together.shape == (len(batch.trips), len(PARTS)) and (together >= 0).all()
    came = batch.visits.came
    assert (together[~came, 1:] == 0).all() and (together[:, 0] > 0).all()
    unknown = batch.trips.context[batch.visits.next][came] == 0
    assert torch.equal(together[came][:, 3:] == 0, unknown)


def test_chances_add_up(cache, model):
    chain = Chain(cache, chain_sales_after(cache, 0))
    states = []
    for customer in (0, 6):
        start, stop = cache["customers.trip_offsets"][customer : customer + 2].tolist()
        state = CustomerState(chain)
        for trip in finished_trips(cache, np.arange(start, stop)):
            state.observe(trip)
        states.append(state)
    model = create_world_model("tiny", cache).eval()
    visits = model.next_visits(states)
    assert visits.days.shape == (2, HORIZON + 1)
    assert (visits.days > 0).all() and (visits.each_later > 0).all()
    torch.testing.assert_close(visits.days.sum(1) + visits.later, torch.ones(2))
    days = [state.features.last[0] for state in states]
    dates = [days[0], days[1] + timedelta(weeks=100)]  # after the end of the calendar
    stores = visits.stores(dates)
    total = stores.new.clone().index_add_(0, stores.customer, stores.p)
    torch.testing.assert_close(total, torch.ones(2))
    hours = visits.hours(dates, [UNKNOWN_STORE, 0])
    torch.testing.assert_close(hours.sum(1), torch.ones(2))
    assert not hours[0, : states[0].features.last[1]].any()  # the same day, not before the last
    assert hours[1].all()
    with pytest.raises(ValueError, match="before the customer's last trip"):
        visits.stores([days[0] - timedelta(1), days[1]])
    with pytest.raises(ValueError, match="after the first one"):
        model.next_visits([CustomerState(chain)])
    with pytest.raises(ValueError, match="one and the same Chain"):
        model.next_visits([])


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("dates", {"dates": ["2006-03-02"]}),
        ("dates", {"dates": [datetime(2006, 3, 2, 10)]}),
        ("stores", {"stores": []}),
        ("stores", {"stores": [0, 1]}),
        ("stores", {"stores": [5]}),
        ("stores", {"stores": [0.5]}),
        ("hours", {"hours": 18}),
        ("hours", {"hours": torch.tensor([24])}),
        ("hours", {"hours": torch.tensor([-1])}),
        ("hours", {"hours": torch.tensor([18.0])}),
        ("size", {"size": torch.tensor([4])}),
        ("size", {"size": torch.tensor([1, 1])}),
    ],
)
def test_what_is_given_wrongly_is_named(cache, state, name, changed):
    model = create_world_model("tiny", cache)
    visits = model.next_visits([state.copy()])  # each model encodes its own
    given = {"dates": [state.features.last[0]], "stores": [0], "hours": torch.tensor([23])}
    given |= {"size": torch.tensor([3])}
    assert visits.kind(*given.values()).shape == (1, 3)
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        visits.kind(*(given | changed).values())


def test_what_was_asked_is_not_changed_by_later_trips(cache, state):
    model = create_world_model("tiny", cache)
    state, day = state.copy(), [state.features.last[0] + timedelta(9)]
    visits = model.next_visits([state])
    before = visits.hours(day, [0])
    state.observe(FinishedTrip(TripPlan(day[0], 8, 1), np.array([1]), np.array([1]), 100))
    assert torch.equal(visits.hours(day, [0]), before)
    assert not torch.equal(model.next_visits([state]).hours(day, [0]), before)


def test_days_by_hand(cache):
    """A hazard of a half on every day: 2^-(g + 1) after g days, 2^-d where d of them censor it."""
    model = model_without(cache)
    torch.nn.init.zeros_(model.visits.hazard.weight)
    torch.nn.init.zeros_(model.visits.hazard.bias)
    batch = double(timelines(cache, CUSTOMERS))
    visits = batch.visits
    # A week without any trip is one that the records lack, and counts for nothing.
    days = torch.zeros(len(visits), dtype=torch.double)
    days.index_add_(0, visits.days.visit, visits.days.stayed.double() + visits.days.came)
    assert (days[visits.came] < visits.gap[visits.came] + 1).any()
    torch.testing.assert_close(nats(model, batch)[:, 0], days * math.log(2))


def test_stores_by_hand(cache):
    """Every earlier trip weighs the same, a new store as much as one."""
    model = model_without(cache)
    heads = model.visits.stores
    torch.nn.init.zeros_(heads.weight)
    with torch.no_grad():
        heads.weight[:, -1] = -math.log(len(heads.weight))
        for parameter in model.visits.new_store.parameters():
            parameter.zero_()
    batch = timelines(cache, CUSTOMERS)
    visits, store = batch.visits, batch.trips.store[:, 2]
    found = nats(model, double(batch))[:, 1]
    news = 0
    for number, (trip, following) in enumerate(
        zip(visits.trip.tolist(), visits.next.tolist(), strict=True)
    ):
        if not visits.came[number]:
            continue
        mine = store[trip - int(batch.position[trip]) : trip + 1]
        times = int((mine == store[following]).sum())
        news += not times
        assert (visits.store[number] == NEW_STORE) == (times == 0)
        share = max(times, 1) / (len(mine) + 1)
        assert float(found[number]) == pytest.approx(-math.log(share), abs=1e-6)
    assert news > 3


def test_a_trip_says_nothing_of_itself(cache, model):
    """What follows a trip is predicted from it and those before: later ones have no effect."""
    batch = timelines(cache, [5])
    changed = batch.position >= 12
    trips = replace(batch.trips, history=batch.trips.history + changed[:, None].float())
    items = replace(batch.items, pence=batch.items.pence * (1 + changed[batch.items.trip])[:, None])
    one, other = (nats(model, double(b)) for b in (batch, replace(batch, trips=trips, items=items)))
    same = (one == other).all(1)
    assert same[:12].all() and not same[12:].any()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_nothing_after_the_split_is_read(tmp_path, split):
    """Trips after it change, or there are none: the same nats, to the bit."""
    columns = toy_columns(customers=10, seed=4)
    week = columns["trips.week"]
    last = toy_manifest()["split"][split][1]
    later = week > last
    changed = dict(columns)
    changed["trips.hour"] = np.where(later, 7, columns["trips.hour"])
    changed["trips.store"] = np.where(later, 0, columns["trips.store"])
    changed["trips.size"] = np.where(later, 1, columns["trips.size"])
    # Another day of the same week: the order stays.
    changed["trips.day"] = np.where(later, week * 7 - 1, columns["trips.day"])
    found = []
    for name, values in (("one", columns), ("other", changed)):
        write_cache(tmp_path / name, values, toy_manifest())
        cache = TensorCache(tmp_path / name)
        torch.manual_seed(0)
        model = create_world_model("tiny", cache).eval()
        loader = VisitDataLoader(WorldModelDataset(cache, split), tokens=10**6, chunk=16)
        found.append(torch.cat([nats(model, batch) for batch in loader]))
    assert later.any() and (columns["trips.day"] != changed["trips.day"]).any()
    assert torch.equal(*found)


def test_a_hidden_store_is_no_new_one(cache):
    """Where the loader hides stores, as a novel one's, the next store is still the true one."""
    dataset = WorldModelDataset(cache)
    loader = WorldModelDataLoader(dataset, tokens=10**6, chunk=16)
    loader.masking = replace(loader.masking, hide_store=1.0)
    (batch,) = loader
    (plain,) = VisitDataLoader(dataset, tokens=10**6, chunk=16)
    assert not batch.trips.store[batch.questions.trip, 2].any()
    ours = {int(row): n for n, row in enumerate(batch.trips.row[batch.visits.trip])}
    assert len(ours) == len(plain.visits)
    for number, row in enumerate(plain.trips.row[plain.visits.trip].tolist()):
        one, other = plain.visits.store[number], batch.visits.store[ours[row]]
        assert (one == NEW_STORE) == (other == NEW_STORE)


def test_a_checkpoint_predicts_the_same(cache, tmp_path):
    torch.manual_seed(0)
    model = create_world_model("tiny", cache).eval()
    with torch.no_grad():
        for parameter in model.visits.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    save_checkpoint(tmp_path / "best", model, cache, {})
    checkpoint = load_checkpoint(tmp_path / "best")
    batch = timelines(cache, CUSTOMERS)
    assert torch.equal(nats(checkpoint.model(), batch), nats(model, batch))
    state = CustomerState(checkpoint.chain())
    trip = next(iter(finished_trips(cache, np.arange(1))))
    state.observe(replace(trip, pence=None))
    assert checkpoint.model().next_visits([state]).days.shape == (1, HORIZON + 1)
