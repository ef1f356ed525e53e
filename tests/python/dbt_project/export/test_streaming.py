"""One state, two ways to it: trip by trip it says what whole timelines at once say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainer.batches.loaders import EvaluationDataLoader, VisitDataLoader
from trainer.batches.questions import plan_questions
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.held_out import held_out
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.customers import describe
from trainer.features.plans import UNDECLARED
from trainer.features.replay import finished_trips
from trainer.features.shelf_prices import ShelfPrices
from trainer.features.visits import HORIZON
from trainer.model.state import CustomerState, recorded_states
from trainer.model.world_model import create_world_model

TOLERANCE = dict(rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def model(default_cache):
    """A tiny model in which every part has an effect."""
    torch.manual_seed(0)
    model = create_world_model("tiny", default_cache).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("delta", "output.weight", "score.weight")):
                parameter.normal_(std=0.1)
    return model


@pytest.fixture(scope="module")
def chains(default_cache):
    """`chains(week)` is the chain as of a week: one chain that is set to the week."""
    prices = ShelfPrices.from_cache(default_cache)
    chain = Chain(default_cache, chain_sales_after(default_cache, 0), prices)
    of_week = {}

    def as_of(week: int) -> Chain:
        if week not in of_week:
            of_week[week] = chain_sales_after(default_cache, week - 1)
        chain.sales = of_week[week]
        return chain

    return as_of


def test_whole_timelines_trip_by_trip(default_cache, model, chains):
    """Features to the bit, logits to 1e-4, of known customers and of strangers."""
    cache = default_cache
    whole = WorldModelDataset(cache, "test")
    lengths = whole.spans.stop - whole.spans.first
    strangers = held_out(cache)[whole.customers]
    chosen = [np.flatnonzero(kept & (lengths > 8))[:2] for kept in (strangers, ~strangers)]
    assert all(len(part) == 2 for part in chosen)
    chosen = np.concatenate(chosen)
    spans = whole.spans[chosen]
    spans = replace(spans, first_target=spans.first)  # every trip is a target
    dataset = WorldModelDataset.from_spans(cache, "test", whole.customers[chosen], spans)
    questions = 0
    for task in TASKS:
        for batch in EvaluationDataLoader(dataset, task, tokens=10**6, chunk=model.config.chunk):
            with torch.no_grad():
                expected = model(batch).logits
            questions += len(expected)
            compare(cache, model, chains, task, batch, expected)
    assert questions == 3 * int((spans.stop - spans.first).sum())


def compare(cache, model, chains, task, batch, expected):
    questions = batch.questions
    rows = batch.trips.row[questions.trip].numpy()
    state = None
    for number, trip in enumerate(finished_trips(cache, rows)):
        if int(batch.position[questions.trip[number]]) == 0:
            customer = cache["customer_weeks.customer"][cache["trips.customer_week"][rows[number]]]
            segments = (
                cache[f"customers.{n}"][customer] for n in ("price_sensitivity", "lifestage")
            )
            state = CustomerState(chains(1), tuple(map(int, segments)))
        chains(int(cache["trips.week"][rows[number]]))
        in_question = questions.question == number
        visible = questions.token[in_question][1:]  # behind the [MASK]
        plan = replace(
            trip.plan,
            kind=UNDECLARED if task == "next_unknown" else trip.plan.kind,
            visible=tuple(visible.tolist()),
        )
        described = describe([state.features], [plan])
        same_features(described, batch.trips, int(questions.trip[number]))
        planned = plan_questions([state.features], [plan])
        assert torch.equal(planned.token[1:], visible)
        assert torch.equal(planned.pence[1:], questions.pence[in_question][1:])
        same_purchases(planned.history, questions.history, number)
        assert torch.equal(
            planned.sales.table[0], questions.sales.table[questions.sales.week[number]]
        )
        answer = model.answer([state], [plan])
        torch.testing.assert_close(answer.logits[0], expected[number], **TOLERANCE)
        state.observe(replace(trip, pence=None))


def test_next_visits_trip_by_trip(default_cache, model, chains):
    """The chances of what came next are those of the pass over whole timelines."""
    cache = default_cache
    whole = WorldModelDataset(cache, "test")
    lengths = whole.spans.stop - whole.spans.first
    again = np.append(0, (cache["trips.days_since_previous"] == 0).cumsum())
    again = again[whole.spans.stop] - again[whole.spans.first]
    chosen = np.flatnonzero((lengths > 8) & (lengths < 60) & (again > 0))[:3]
    spans = replace(whole.spans[chosen], first_target=whole.spans.first[chosen])
    dataset = WorldModelDataset.from_spans(cache, "test", whole.customers[chosen], spans)
    (batch,) = VisitDataLoader(dataset, tokens=10**6, chunk=model.config.chunk)
    with torch.no_grad():
        expected = model.visit_nats(batch)
    visits = batch.visits
    assert visits.came.any() and not visits.came.all() and (visits.gap[visits.came] == 0).any()
    chain = chains(int(cache["weeks.shop_week"].shape[0]) + 1)
    trips = list(finished_trips(cache, batch.trips.row.numpy()))
    state = None
    for number, trip in enumerate(trips):
        if int(batch.position[number]) == 0:
            row = cache["trips.customer_week"][int(batch.trips.row[number])]
            customer = cache["customer_weeks.customer"][row]
            segments = (
                cache[f"customers.{n}"][customer] for n in ("price_sensitivity", "lifestage")
            )
            state = CustomerState(chain, tuple(map(int, segments)))
        state.observe(trip)
        if visits.came[number]:
            following = trips[number + 1].plan
            found = nats_of(model.next_visits([state]), trip.plan, following, chain)
            torch.testing.assert_close(torch.tensor(found), expected[number], **TOLERANCE)


def nats_of(visits, last, plan, chain):
    """Minus the logarithms of the chances of a visit, part by part."""
    days, stores = [plan.date], visits.stores([plan.date])
    identity = int(chain.stores.identity(np.array([plan.store]))[0, 2])
    known = stores.identity.tolist()
    gap, each = (plan.date - last.date).days, visits.each_later[0]
    later = visits.later[0] * (1 - each) ** (gap - HORIZON - 1) * each
    chances = [
        visits.days[0, gap] if gap <= HORIZON else later,
        stores.p[known.index(identity)] if identity in known else stores.new[0],
        visits.hours(days, [plan.store])[0, plan.hour],
    ]
    codes = []
    for code in plan.kind:
        p = visits.kind(days, [plan.store], torch.tensor([plan.hour]), *codes)[0]
        chances.append(p[code - 1] if code else torch.tensor(1.0))
        codes.append(torch.tensor([code]))
    return [-float(chance.log()) for chance in chances]


def same_purchases(planned, history, number):
    """The purchases before a plan and those before a question of a batch are equal to the bit."""
    pairs = history.trips.question == number
    assert torch.equal(planned.trips.likeness, history.trips.likeness[pairs])
    for part in ("products", "categories"):
        one, other = getattr(planned, part), getattr(history, part)
        of_question = other.question == number
        for name in ("token", "times", "gaps"):
            assert torch.equal(getattr(one, name), getattr(other, name)[of_question]), (part, name)
        for name in ("gaps", "circumstances"):  # of the last purchases
            last = getattr(other.sequences, name)[other.last[of_question]]
            assert torch.equal(getattr(one.sequences, name)[one.last], last), (part, name)


def same_features(described, trips, place):
    """The row of a plan and that of a trip of a batch are equal to the bit."""
    for name in (
        "segments", "history", "affinity", "at_primary", "history_weight", "has_history", "store",
        "operations",
    ):  # fmt: skip
        assert torch.equal(getattr(described, name)[0], getattr(trips, name)[place]), name
    for name, values in described.calendar.items():
        assert values[0] == trips.calendar[name][place], name


def test_a_saved_state_goes_on_as_if_nothing_had_happened(default_cache, model, chains):
    cache = default_cache
    first, last = cache["customers.trip_offsets"][[0, 1]].astype(int)
    trips = list(finished_trips(cache, np.arange(first, last)))
    chain = chains(1)
    states = [CustomerState(chain), CustomerState(chain)]
    for trip in trips[:-1]:
        for state in states:  # one by one: rows of a batch may be rounded differently
            state.observe(trip)
            model.encode([state])
        states[1] = CustomerState.from_bytes(states[1].to_bytes(), chain)
    first, second = (model.answer([state], [trips[-1].plan]).logits for state in states)
    assert torch.equal(first, second)


def test_everything_at_once_equals_one_by_one(default_cache, model, chains):
    """Trips that waited are encoded together; customers are answered about together."""
    cache = default_cache
    chain = chains(1)
    offsets = cache["customers.trip_offsets"].astype(int)
    alone, together, plans = [], [], []
    for customer in range(5):
        *past, last = finished_trips(cache, np.arange(offsets[customer], offsets[customer + 1]))
        plans.append(last.plan)
        stepwise, at_once = CustomerState(chain), CustomerState(chain)
        for trip in past:
            stepwise.observe(trip)
            at_once.observe(trip)
            model.encode([stepwise])
        alone.append(stepwise)
        together.append(at_once)
    expected = torch.cat([model.answer([s], [p]).logits for s, p in zip(alone, plans, strict=True)])
    answer = model.answer(together, plans)
    torch.testing.assert_close(answer.logits, expected, **TOLERANCE)


def test_a_recorded_past_equals_one_trip_after_the_other(default_cache, model, chains):
    """Also where further trips follow it."""
    cache, chain = default_cache, chains(1)
    middle, last = 40, int(cache["trips.week"].max())
    offsets, week = cache["customers.trip_offsets"].astype(int), cache["trips.week"]
    both = (week[offsets[:-1]] <= middle) & (week[offsets[1:] - 1] > middle)
    customers = np.flatnonzero(both)[[2, 0, 1]]
    early, late = (recorded_states(chain, cache, customers, until) for until in (middle, last))
    replayed = []
    for customer, state in zip(customers, early, strict=True):
        one_by_one = CustomerState(chain, state.features.segments)
        for trip in finished_trips(cache, np.arange(*offsets[[customer, customer + 1]])):
            one_by_one.observe(trip)
            if chain.calendar.day(trip.plan.date).week > middle:
                state.observe(trip)
        replayed.append(one_by_one)
    for states in (early, late, replayed):
        model.encode(states)
    for states in (early, late):
        for state, expected in zip(states, replayed, strict=True):
            one, other = state.features.to_arrays(), expected.features.to_arrays()
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[name], values) for name, values in other.items())
            torch.testing.assert_close(state.encoder.output, expected.encoder.output, **TOLERANCE)
