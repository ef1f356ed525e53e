"""Answers are those of the model: alone, in a batch, and after states were built in other ways."""

from __future__ import annotations

import random
from datetime import date, timedelta

import numpy as np
import pytest
import torch
from running import AFTER, by_hand, receipt, same

from serving import schemas as s
from serving.requests import Describe, Observe
from serving.schemas import Segments
from trainer.features.plans import TripPlan
from trainer.features.replay import finished_trips
from trainer.model.calibration import basket_p
from trainer.model.state import CustomerState, recorded_states

CUSTOMERS = [f"CUST{n:04d}" for n in range(5)]


def model_of(service):
    return service.engine._now.model


def recorded(service, customer):
    """A recorded customer's state, one trip after the other."""
    cache, chain = service.cache, service.served.chain
    row = CUSTOMERS.index(customer)
    codes = [int(cache[f"customers.{n}"][row]) for n in ("price_sensitivity", "lifestage")]
    state = CustomerState(chain, tuple(codes))
    first, last = cache["customers.trip_offsets"][row : row + 2].astype(int)
    for trip in finished_trips(cache, np.arange(first, last)):
        state.observe(trip)
    return state


def questions():
    """Of every kind, and of different dates, stores, kinds and baskets."""
    draw = random.Random(0)
    asked = []
    for number in range(24):
        about = {
            "customer": CUSTOMERS[number % 5],
            "date": (date.fromisoformat(AFTER) + timedelta(draw.randrange(40))).isoformat(),
            "hour": draw.randrange(24),
            "store": draw.choice([None, "STORE001", "nowhere"]),
            "kind": draw.choice([{}, {"size": "S"}, {"focus": "Fresh", "type": "Top Up"}]),
        }
        basket = draw.sample([f"PRD{n:04d}" for n in range(40)], 3)
        asked.append(
            [
                s.NextBasketIn(**about, products=5, among=draw.choice(["all", "repeat", "new"])),
                s.CompletionIn(**about, products=9, basket=[*basket, "unknown"]),
                s.ExplainIn(**about, product="PRD0007"),
                s.NextVisitIn(customer=about["customer"]),
                s.NextVisitIn(customer=about["customer"], date=about["date"], hour=3),
            ][number % 5]
        )
    strange = [{k: v for k, v in receipt().items() if k not in ("customer", "trip_id")}]
    history = {"segments": {"lifestage": "BU"}, "trips": strange}
    asked.append(s.NextBasketIn(history=history, date=AFTER, hour=12))
    asked.append(s.NextVisitIn(history=history))
    return asked


def test_a_batch_is_answered_as_one_by_one(service):
    asked = questions()
    together = by_hand(service, *asked)
    for question, answer in zip(asked, together, strict=True):
        assert not isinstance(answer, Exception)
        same(answer, by_hand(service, question)[0])


def test_a_next_basket_is_the_models_calibrated_as_evaluate_does(service):
    model, served = model_of(service), service.served
    question = s.NextBasketIn(
        customer="CUST0002", date=AFTER, hour=9, store="STORE002", kind={"size": "M"}, products=40
    )
    (answer,) = by_hand(service, question)
    state = recorded(service, "CUST0002")
    plan = TripPlan(date.fromisoformat(AFTER), 9, 2, served.chain.kind(size="M"))
    logits = model.answer([state], [plan]).logits
    logits[:, [0, 41, 42]] = -torch.inf
    log_p = model.calibration.items(logits, "next_known")
    # Of a medium trip: own medium trips, and three of the chain's.
    cache = service.cache
    items = np.diff(cache["trips.item_offsets"].astype(int))
    first, last = cache["customers.trip_offsets"][2:4].astype(int)
    is_medium = cache["trips.size"] == 2
    own = items[first:last][is_medium[first:last]]
    expected = (own.sum() + 3 * items[is_medium].mean()) / (len(own) + 3)
    p = basket_p(log_p, torch.tensor([expected]), model.calibration.slopes("next_known"))[0]
    assert answer["expected_items"] == pytest.approx(expected, rel=1e-5)
    given = {each["product"]: each["p"] for each in answer["products"]}
    assert sum(given.values()) == pytest.approx(expected, rel=1e-3)
    for code, chance in given.items():
        assert chance == pytest.approx(p[served.chain.tokens([code])].item(), abs=2e-5)
    assert list(given.values()) == sorted(given.values(), reverse=True)
    bought = {each["product"] for each in answer["products"] if each["bought"]}
    assert bought == set(served.chain.codes(np.unique(state.features.log.tokens)))


def test_repeat_and_new_share_out_the_products(service):
    parts = []
    for among in ("all", "repeat", "new"):
        question = s.NextBasketIn(customer="CUST0001", date=AFTER, hour=9, products=40, among=among)
        parts.append(by_hand(service, question)[0]["products"])
    everything, repeat, new = parts
    key = lambda each: each["product"]  # noqa: E731
    assert sorted(repeat + new, key=key) == sorted(everything, key=key)
    assert all(each["bought"] for each in repeat) and not any(each["bought"] for each in new)


def test_a_completion_leaves_out_what_is_in_the_basket(service):
    question = s.CompletionIn(
        customer="CUST0000", date=AFTER, hour=9, products=40, basket=["PRD0003", "what", "PRD0001"]
    )
    (answer,) = by_hand(service, question)
    listed = [each["product"] for each in answer["products"]]
    assert not {"PRD0003", "PRD0001"} & set(listed) and len(listed) == 38
    assert answer["left_out"] == ["what"]


def test_more_items_than_any_trip_held_are_refused_and_hit_no_other(service):
    about = {"customer": "CUST0000", "date": AFTER, "hour": 9}
    many = s.CompletionIn(**about, basket=[f"PRD{n:04d}" for n in range(30)])
    few = s.CompletionIn(**about, basket=["PRD0001"])
    refused, answered = by_hand(service, many, few)
    assert (refused.status, refused.field) == (422, "basket")
    same(answered, by_hand(service, few)[0])


def test_an_explanation_adds_up_and_names_the_trips(service):
    asked = s.ExplainIn(customer="CUST0002", date=AFTER, hour=9, product="PRD0000")
    listed = s.NextBasketIn(customer="CUST0002", date=AFTER, hour=9, products=40)
    why, answer = by_hand(service, asked, listed)
    assert sum(why["parts"].values()) == pytest.approx(why["logit"], abs=1e-4)
    place = [each["product"] for each in answer["products"]].index("PRD0000")
    assert why["rank"] == place + 1 and why["p"] == answer["products"][place]["p"]
    state = recorded(service, "CUST0002")
    log = state.features.log
    trip = np.repeat(np.arange(len(log.trips)), log.trips["items"])
    assert why["with_product"] == len(set(trip[log.tokens == 1].tolist())) > 0
    assert why["with_category"] >= why["with_product"]
    dates = [each["date"] for each in why["bought"]]
    assert dates == sorted(dates, reverse=True)
    last = int(service.cache["customers.trip_offsets"][3]) - 1
    rows = np.flatnonzero(log.tokens == 1)
    if trip[rows[-1]] == len(log.trips) - 1:
        day = service.cache["days.date"][service.cache["trips.day"][last]]
        assert dates[0] == (date(1970, 1, 1) + timedelta(int(day))).isoformat()
    missing = s.ExplainIn(customer="CUST0002", date=AFTER, hour=9, product="what")
    assert by_hand(service, missing)[0].status == 404


def test_a_next_visit_is_the_models(service):
    model, served = model_of(service), service.served
    last = recorded(service, "CUST0004").features.last[0]
    asked = s.NextVisitIn(customer="CUST0004", store="STORE001", not_before=last.isoformat())
    (answer,) = by_hand(service, asked)
    # The toy cache's aggregates are none of its trips, and what the encoder reads is the cache's.
    visits = model.next_visits(recorded_states(served.chain, service.cache, [4], 30))
    days = [each["p"] for each in answer["days"]]
    assert days == pytest.approx(visits.days[0].tolist(), abs=1e-5)
    assert answer["later"] == pytest.approx(visits.later.item(), abs=1e-5)
    likeliest = max(answer["days"], key=lambda each: each["p"])["value"]
    assert answer["date"] == likeliest and answer["store"] == "STORE001"
    day = date.fromisoformat(likeliest)
    assert answer["hours"] == pytest.approx(visits.hours([day], [1])[0].tolist(), abs=1e-5)
    size = visits.kind([day], [1], torch.tensor([answer["hour"]]))[0].tolist()
    assert list(answer["kind"]["size"].values()) == pytest.approx(size, abs=1e-5)
    chances = visits.stores([day])
    total = sum(each["p"] for each in answer["stores"]) + answer["new_store"]
    assert total == pytest.approx(1, abs=1e-4)
    assert answer["new_store"] == pytest.approx(chances.new.item(), abs=1e-5)
    assert [each["value"] for each in answer["stores"]] == [
        served.chain.store_code(int(n) - 1)
        for n in chances.identity[chances.p.argsort(descending=True)]
    ]


def test_a_visit_not_before_a_day_leaves_the_ratios_of_later_days(service):
    (free,) = by_hand(service, s.NextVisitIn(customer="CUST0004"))
    assert free["days"][0]["value"] == service.served.first_date.isoformat()
    first = free["days"][5]["value"]
    (bound,) = by_hand(service, s.NextVisitIn(customer="CUST0004", not_before=first))
    assert [each["value"] for each in bound["days"]][0] == first
    assert sum(each["p"] for each in bound["days"]) + bound["later"] == pytest.approx(1, abs=1e-4)
    ratio = free["days"][7]["p"] / free["days"][6]["p"]
    assert bound["days"][2]["p"] / bound["days"][1]["p"] == pytest.approx(ratio, rel=1e-2)


def test_who_stayed_away_for_long_has_one_chance_a_day(service):
    """The likeliest day is the first possible one, however far it lies from the last trip."""
    first = service.served.last_date - timedelta(7)
    (answer,) = by_hand(service, s.NextVisitIn(customer="CUST0004", not_before=first.isoformat()))
    days = [each["p"] for each in answer["days"]]
    assert answer["date"] == answer["days"][0]["value"] == first.isoformat()
    assert days == pytest.approx([days[0] * (1 - days[0]) ** n for n in range(len(days))], abs=2e-6)
    assert answer["later"] == pytest.approx((1 - days[0]) ** len(days), abs=1e-4)


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"not_before": "2099-01-01"}, "not_before"),
        ({"not_before": "2006-03-11", "date": AFTER}, "date"),
    ],
)
def test_days_of_a_visit_that_cannot_be(service, changes, field):
    (error,) = by_hand(service, s.NextVisitIn(customer="CUST0004", **changes))
    assert (error.status, error.field) == (422, field)


def test_told_trips_count_as_recorded_ones(service):
    """A stranger who tells the trips of a recorded customer is answered as that customer."""
    cache, served = service.cache, service.served
    first, last = cache["customers.trip_offsets"][:2].astype(int)
    told = []
    for number, trip in enumerate(finished_trips(cache, np.arange(first, last))):
        is_product = served.chain.vocabulary.is_product(trip.tokens)
        labels = {k: v for k, v in served.labels(trip.plan.kind).items() if v is not None}
        told.append(
            s.FinishedTripIn(
                customer="copy", trip_id=str(number), date=trip.plan.date.isoformat(),
                hour=trip.plan.hour, store=served.chain.store_code(trip.plan.store), kind=labels,
                items=[
                    {"product": code or "other", "quantity": int(quantity)}
                    for code, quantity in zip(
                        served.codes(trip.tokens), trip.quantities, strict=True
                    )
                ],
                spend_pence=trip.spend_pence,
                segments=Segments(
                    **{
                        name: cache.labels[name][code - 1] if code else None
                        for name, code in (
                            (n, int(cache[f"customers.{n}"][0]))
                            for n in ("price_sensitivity", "lifestage")
                        )
                    }
                ),
            )
        )  # fmt: skip
        assert is_product.all()
    answers = by_hand(service, *map(Observe, told))
    assert [each["number"] for each in answers] == list(range(1, last - first + 1))
    one, other = by_hand(
        service,
        s.NextBasketIn(customer="copy", date=AFTER, hour=9, products=40),
        s.NextBasketIn(customer="CUST0000", date=AFTER, hour=9, products=40),
    )
    same(one | {"customer": None}, other | {"customer": None})
    about, original = by_hand(service, Describe("copy", 3), Describe("CUST0000", 3))
    assert about["latest"] == original["latest"] and about["recorded"] == 0
    assert original["recorded"] == original["trips"] == last - first
