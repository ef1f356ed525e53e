"""States of customers: what they refuse, and what comes back from bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from toy import toy_cache

from trainer.batches.questions import plan_questions
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.customers import describe
from trainer.features.plans import UNKNOWN_STORE, FinishedTrip, TripPlan
from trainer.features.purchases import HISTORY_TRIPS
from trainer.features.replay import finished_trips
from trainer.features.shelf_prices import ShelfPrices
from trainer.features.trip_log import TripLog
from trainer.model.checkpoint import load_checkpoint, save_checkpoint
from trainer.model.state import CustomerState
from trainer.model.world_model import create_world_model


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), trips_of=[9, 4, 6], seed=3)


@pytest.fixture(scope="module")
def chain(cache):
    return Chain(cache, chain_sales_after(cache, 0))


@pytest.fixture(scope="module")
def model(cache):
    torch.manual_seed(0)
    return create_world_model("tiny", cache).eval()


@pytest.fixture(scope="module")
def trips(cache):
    return list(finished_trips(cache, np.arange(9)))


def observed(chain, trips):
    state = CustomerState(chain, (1, 2))
    for trip in trips:
        state.observe(trip)
    return state


def test_bytes_hold_everything(chain, model, trips):
    state = observed(chain, trips[:-1])
    with pytest.raises(ValueError, match="wait for the encoder"):
        state.to_bytes()
    model.encode([state])
    again = CustomerState.from_bytes(state.to_bytes(), chain)
    assert again.to_bytes() == state.to_bytes()
    assert again.features.segments == (1, 2) and again.features.last == state.features.last
    one, other = model.answer([state, again], [trips[-1].plan] * 2).logits
    assert torch.equal(one, other)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\x08" + b"\0" * 7 + b"{}      ", b"x" * 400])
def test_other_bytes_are_refused(chain, damage):
    with pytest.raises(ValueError, match="not the state of a customer"):
        CustomerState.from_bytes(damage, chain)


def read_anew(model, state, plan):
    """Logits from a scan of all purchases, in place of what is kept of them."""
    customers, plans = [state.features], [plan]
    questions = replace(plan_questions(customers, plans), trip=torch.zeros(1, dtype=torch.long))
    with torch.no_grad():
        return model.answer_questions(describe(customers, plans), questions).logits


@pytest.fixture(scope="module")
def scanner(cache):
    """A model in which what is kept has an effect."""
    torch.manual_seed(0)
    model = create_world_model("tiny", cache).eval()
    with torch.no_grad():
        for name, parameter in model.purchases.named_parameters():
            if name.endswith(("score.weight", "out.weight")):
                parameter.normal_()
    return model


def same_answer(model, state, plan):
    answer = model.answer([state], [plan]).logits
    torch.testing.assert_close(answer, read_anew(model, state, plan), rtol=0, atol=1e-5)
    return answer


def test_what_is_kept_of_purchases_is_what_a_scan_of_all_says(chain, scanner, trips):
    """One trip at a time, whole histories, copies and bytes; all customers together."""
    stepwise, plan = observed(chain, []), replace(trips[-1].plan, visible=())
    alone = []
    for number, trip in enumerate(trips[:-1]):
        alone.append(same_answer(scanner, stepwise, plan))
        stepwise.observe(trip)
        copy = stepwise.copy()
        if number % 3 == 1:
            scanner.encode([stepwise])
            again = CustomerState.from_bytes(stepwise.to_bytes(), chain)
            assert torch.equal(
                same_answer(scanner, again, plan), same_answer(scanner, stepwise, plan)
            )
        at_once = observed(chain, trips[: number + 1])
        for state in (copy, at_once):
            same_answer(scanner, state, plan)
            for kept, other in zip(state.kept, stepwise.kept, strict=True):
                if not stepwise.waiting:
                    assert np.array_equal(kept.bought, other.bought)
                    np.testing.assert_allclose(kept.outputs, other.outputs, atol=1e-5)
    assert (alone[-1] - alone[1]).abs().nan_to_num(0).max() > 0.01
    states = [observed(chain, trips[:number]) for number in range(len(trips) - 1)]
    scanner.encode(states[::2])
    together = scanner.answer(states, [plan] * len(states)).logits
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


def test_only_what_a_trip_touches_is_scanned_again(chain, scanner, trips, monkeypatch):
    state = observed(chain, trips[:5])
    scanner.encode([state])
    before = state.kept
    state.observe(trips[5])
    scanned, scan = [], scanner.purchases.product_encoder.scan

    def recorded(purchases, products):
        scanned.extend(purchases.token.tolist())
        return scan(purchases, products)

    monkeypatch.setattr(scanner.purchases.product_encoder, "scan", recorded)
    scanner.encode([state])
    touched = set(trips[5].tokens[trips[5].tokens <= chain.vocabulary.products].tolist())
    assert touched and set(scanned) == touched
    others = ~np.isin(before[0].bought, list(touched))
    kept = np.isin(state.kept[0].bought, before[0].bought[others])
    assert others.any() and np.array_equal(state.kept[0].outputs[kept], before[0].outputs[others])
    scanner.answer([state], [trips[6].plan])
    assert set(scanned) == touched  # a question scans nothing


def test_what_is_computed_once_goes_with_the_weights(cache, chain, trips):
    """Answers after training and loading are those of a model that never had other weights."""
    torch.manual_seed(0)
    model, plan = create_world_model("tiny", cache).eval(), trips[3].plan

    def answer(of):
        return of.answer([observed(chain, trips[:3])], [plan]).logits

    first, weights = answer(model), {n: v.clone() for n, v in model.state_dict().items()}
    model.train()
    with torch.no_grad():
        for part in (model.product.token_delta, model.purchases.product.score.weight):
            part.normal_()
    other = create_world_model("tiny", cache).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(answer(model.eval()), answer(other)) and not first.equal(answer(other))
    other.load_state_dict(weights)
    assert torch.equal(answer(other), first)


def test_what_the_log_forgets_is_forgotten(chain, scanner, trips, monkeypatch):
    monkeypatch.setattr("trainer.features.trip_log.HISTORY_TRIPS", 3)
    monkeypatch.setattr("trainer.features.purchases.HISTORY_TRIPS", 3)
    state = observed(chain, [])
    for trip in trips[:-1]:
        state.observe(trip)
        scanner.encode([state])
        for kept, logged in zip(state.kept, state.logged, strict=True):
            assert kept.bought.tolist() == sorted({*logged.tolist()} - {-1})
    assert len(state.features.log.trips) == 3
    assert scanner.answer([state], [trips[-1].plan]).logits[:, 1:-2].isfinite().all()
    late = observed(chain, trips[:-1])  # more trips wait than the log remembers
    same_answer(scanner, late, trips[-1].plan)


def test_a_cut_state_is_refused(chain, model, trips):
    state = observed(chain, trips)
    model.encode([state])
    data = state.to_bytes()
    for length in range(0, len(data), 997):
        with pytest.raises(ValueError, match="not the state of a customer"):
            CustomerState.from_bytes(data[:length], chain)


def test_a_copy_goes_its_own_way(chain, model, trips):
    state = observed(chain, trips[:4])
    model.encode([state])
    before, copy = state.to_bytes(), state.copy()
    copy.observe(trips[4])
    model.encode([copy])
    assert state.to_bytes() == before != copy.to_bytes()


def test_another_models_state_is_refused(cache, chain, model, trips):
    state = observed(chain, trips[:3])
    model.encode([state])
    torch.manual_seed(1)
    other = create_world_model("tiny", cache).eval()
    for ask in (other.next_visits, lambda states: other.answer(states, [trips[3].plan])):
        with pytest.raises(ValueError, match="other weights"):
            ask([state])


def test_a_stranger_is_answered_about_from_the_checkpoint_alone(cache, model, trips, tmp_path):
    """The checkpoint knows the chain; neither customer nor store nor kind is known."""
    save_checkpoint(tmp_path / "best", model, cache, {})
    checkpoint = load_checkpoint(tmp_path / "best")
    chain = checkpoint.chain()
    assert chain.sales.week == cache["trips.week"].max() + 1
    late = trips[-1].plan.date + timedelta(weeks=60)  # years after the calendar's end
    state = CustomerState(chain)
    state.observe(replace(trips[0], pence=None))
    plan = TripPlan(late, 12, UNKNOWN_STORE, visible=tuple(trips[1].tokens.tolist()))
    logits = checkpoint.model().answer([state], [plan]).logits
    assert logits.shape == (1, cache.vocabulary.size) and logits[:, 1:-2].isfinite().all()


def test_a_first_trip_ever_is_answered_about(chain, model, trips):
    """Nothing was bought before, by anybody who is asked about, and nothing is visible."""
    stranger, known = CustomerState(chain), observed(chain, trips[:5])
    plan = replace(trips[5].plan, visible=())
    alone = model.answer([stranger], [plan]).logits
    assert alone[:, 1:-2].isfinite().all()
    both = model.answer([stranger, known], [plan, plan]).logits
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-4)
    assert (both[0] - both[1])[1:-2].abs().max() > 0.01


def test_the_chains_sales_of_later_weeks_are_refused(cache, model, trips):
    """Whoever knows what the chain sold after a trip may not answer about it."""
    chain = Chain(cache, chain_sales_after(cache, 20))
    with pytest.raises(ValueError, match="must not know what the chain sold"):
        model.answer([CustomerState(chain)], [trips[0].plan])


def test_wrong_input_is_named(cache, chain, model, trips):
    state = observed(chain, trips[:2])
    with pytest.raises(ValueError, match="observed in order of time"):
        state.observe(trips[0])
    with pytest.raises(ValueError, match="one for each of 1"):
        model.answer([state], [])
    plan = trips[2].plan
    for changed, message in (
        (replace(plan, store=99), "store: expected a row below 5"),
        (replace(plan, kind=(1, 0, 4, 0)), "kind: type is a code from 0 to 3, not 4"),
        (replace(plan, date=plan.date.replace(year=1999)), "calendar"),
        (replace(plan, visible=(cache.vocabulary.mask,)), "visible: expected tokens"),
    ):
        with pytest.raises(ValueError, match=message):
            model.answer([CustomerState(chain)], [changed])
    with pytest.raises(ValueError, match="hour"):
        replace(plan, hour=24)
    with pytest.raises(ValueError, match="kind: size: expected 0 to 255"):
        replace(plan, kind=(256, 0, 0, 0))
    with pytest.raises(ValueError, match="at least one item"):
        FinishedTrip(plan, np.empty(0, np.int64), np.empty(0, np.int64), 0)
    with pytest.raises(ValueError, match="quantities: expected 2 items"):
        FinishedTrip(plan, np.array([1, 2]), np.array([1]), 100)


def test_the_log_forgets_the_oldest_trips():
    log = TripLog.empty()
    for day in range(HISTORY_TRIPS + 3):
        log = log.append(day, 9, 1, (1, 1, 1, 1), np.array([1] * (day % 3 + 1)))
    assert len(log.trips) == HISTORY_TRIPS and log.trips["day"][0] == 3
    assert len(log.tokens) == log.trips["items"].sum()
    again = TripLog.from_arrays(log.to_arrays())
    assert np.array_equal(again.trips, log.trips) and np.array_equal(again.tokens, log.tokens)
    with pytest.raises(ValueError, match="items, found"):
        TripLog.from_arrays(log.to_arrays() | {"tokens": log.tokens[:-1]})


def test_codes_and_labels_of_the_raw_data(cache, chain):
    assert chain.tokens(["PRD0002", "PRD0000"]).tolist() == [3, 1]
    assert chain.codes(chain.tokens(["PRD0002", "PRD0000"])) == ["PRD0002", "PRD0000"]
    with pytest.raises(KeyError):
        chain.codes([0])  # [PAD]
    assert chain.store("STORE001") == 1 and chain.store("STORE999") == UNKNOWN_STORE
    assert chain.segments("BG", "no such") == (2, 0)
    assert chain.kind(size="M", focus="Fresh") == (2, 0, 0, 1)
    with pytest.raises(ValueError, match="size: expected one of S, M, L"):
        chain.kind(size="XL")


PLAN = TripPlan(date(2008, 7, 8), 12, 0)


@pytest.mark.parametrize(
    "name, value",
    [
        ("date", datetime(2008, 7, 8)), ("date", "2008-07-08"), ("hour", 12.5), ("hour", None),
        ("store", 1.5), ("store", "STORE001"), ("kind", (0, 0, 0)), ("kind", (1.5, 0, 0, 0)),
        ("kind", "SMLX"), ("visible", (1.5,)), ("visible", 5), ("visible", ("1",)),
        ("visible", (10**30,)), ("pence", np.ones((1, 3))), ("pence", np.ones((2, 1))),
        ("pence", np.full((2, 3), np.nan)), ("pence", np.full((2, 3), -1.0)),
    ],
)  # fmt: skip
def test_a_plans_wrong_values_are_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}: "):
        replace(PLAN, **({"visible": (1, 2)} | {name: value}))


@pytest.mark.parametrize(
    "name, value",
    [
        ("plan", None), ("tokens", [1.5, 2.5]), ("tokens", [[1, 2]]), ("tokens", [True, False]),
        ("quantities", [0, 1]), ("quantities", [0.5, 1]), ("quantities", [2**62, 1]),
        ("spend_pence", 1.5), ("spend_pence", -1), ("spend_pence", 10**30),
        ("products", ["a", "b"]), ("products", [1]), ("pence", np.ones(2)),
        ("pence", np.ones((2, 2))), ("pence", np.full((2, 3), np.inf)),
    ],
)  # fmt: skip
def test_a_finished_trips_wrong_values_are_named(name, value):
    trip = FinishedTrip(PLAN, np.array([1, 2]), np.array([1, 1]), 100)
    with pytest.raises(ValueError, match=f"^{name}: "):
        replace(trip, **{name: value})


def test_numbers_of_other_types_mean_the_same():
    """A list of zeros is an undeclared kind, too."""
    plan = replace(PLAN, hour=np.uint8(12), store=np.int16(0), kind=[0] * 4, visible=np.array([3]))
    assert plan == replace(PLAN, visible=(3,))


@pytest.mark.parametrize("with_prices", [False, True])
@pytest.mark.parametrize("wrong", [-1, 0, "mask", "beyond", 2**40, "twice"])
def test_a_refused_trip_leaves_the_state_as_it_is(cache, chain, trips, wrong, with_prices):
    vocabulary = cache.vocabulary
    token = {"mask": vocabulary.mask, "beyond": vocabulary.input_size, "twice": 1}.get(wrong, wrong)
    state = observed(chain, trips[:2])
    before, waiting = state.features.to_arrays(), list(state.waiting)
    tokens, pence = np.array([1, token]), np.ones((2, 3), np.float32) if with_prices else None
    with pytest.raises(ValueError, match="^tokens: "):
        state.observe(FinishedTrip(trips[2].plan, tokens, np.array([1, 1]), 100, pence=pence))
    after = state.features.to_arrays()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert state.waiting == waiting
    state.observe(trips[2])


def test_prices_changed_after_a_trip_change_nothing(chain, trips):
    trip = replace(trips[0], pence=trips[0].pence.copy())
    given, state = trip.pence.copy(), observed(chain, [trip])
    trip.pence[:] = np.nan
    assert np.array_equal(state.waiting[0][1].pence.numpy(), given)


@pytest.mark.parametrize("segments", [(99, 0), (-1, 0), (0,), (0, 1, 1), (0.5, 1), ("AZ", "AT"), 1])
def test_unknown_segments_are_refused(chain, segments):
    with pytest.raises(ValueError, match="^segments: "):
        CustomerState(chain, segments)


def test_a_visible_product_is_there_once(cache, chain, model, trips):
    state, fallback = observed(chain, trips[:2]), cache.vocabulary.fallback(0)
    with pytest.raises(ValueError, match="visible: product 3 is there more than once"):
        model.answer([state], [replace(trips[2].plan, visible=(3, 3))])
    model.answer([state], [replace(trips[2].plan, visible=(3, fallback, fallback), pence=None)])


def test_the_same_state_twice_reads_its_trips_once(chain, model, trips):
    one, two = observed(chain, trips[:4]), observed(chain, trips[:4])
    model.encode([one, two])
    for trip in trips[4:7]:
        one.observe(trip)
        two.observe(trip)
    model.encode([one])
    model.encode([two, two])
    assert one.to_bytes() == two.to_bytes()
    model.answer([two, two], [trips[7].plan] * 2)


def test_an_error_in_the_encoder_loses_no_trip(chain, model, trips, monkeypatch):
    state = observed(chain, trips[:3])
    model.encode([state])
    state.observe(trips[3])
    expected = state.copy()
    with monkeypatch.context() as patched:
        patched.setattr(model, "step", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            model.encode([state])
    model.encode([state])
    model.encode([expected])
    assert state.to_bytes() == expected.to_bytes()


def test_states_of_several_chains_are_refused(cache, chain, model, trips, tmp_path):
    states = [observed(chain, trips[:1]), observed(Chain(cache, chain.sales), trips[:1])]
    with pytest.raises(ValueError, match="one and the same Chain"):
        model.answer(states, [trips[1].plan] * 2)
    smaller = toy_cache(tmp_path / "smaller", trips_of=[3, 3], products=20)
    stranger = CustomerState(Chain(smaller, chain_sales_after(smaller, 0)))
    with pytest.raises(ValueError, match="not the model's vocabulary"):
        model.answer([stranger], [trips[1].plan])


def test_one_wrong_bit_is_refused(chain, model, trips):
    state = observed(chain, trips)
    model.encode([state])
    data = state.to_bytes()
    for place in range(0, 8 * len(data), 8 * 97 + 1):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError, match="not the state of a customer"):
            CustomerState.from_bytes(bytes(damaged), chain)


def test_prices_that_are_observed_later_are_the_chains(cache):
    """A chain keeps the very prices that it is given, also while none is observed."""
    prices = ShelfPrices.static(cache)
    chain = Chain(cache, chain_sales_after(cache, 0), prices)
    assert not len(prices) and chain.prices is prices


def test_the_best_products_are_those_of_the_answer(cache, chain, model, trips, monkeypatch):
    """In blocks of one row too; without special tokens and what is visible."""
    monkeypatch.setattr("trainer.model.token_scores.DENSE", 1)
    state, plan = observed(chain, trips[:-1]), trips[-1].plan
    visible = tuple(trips[-1].tokens[:2].tolist())
    plans = [plan, replace(plan, visible=visible)]
    possible = model.answer([state] * 2, plans).logits
    possible[:, cache.vocabulary.specials] = -torch.inf
    possible[1, list(visible)] = -torch.inf
    logits, tokens = model.best([state] * 2, plans, 12)
    expected = possible.topk(12, dim=1)
    torch.testing.assert_close(logits, expected.values)
    assert torch.equal(tokens, expected.indices)
    every, _ = model.best([state] * 2, plans, cache.products)
    assert every.isneginf().sum(1).tolist() == [0, 2]
    for wrong in (0, cache.products + 1):
        with pytest.raises(ValueError, match="k: expected 1..40"):
            model.best([state], [plan], wrong)
