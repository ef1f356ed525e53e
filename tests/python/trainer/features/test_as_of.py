"""Figures of a customer kept up trip by trip, against definitions over the list of earlier trips.

That they equal those of the warehouse to the bit:
tests/python/dbt_project/export/test_streamed_as_of.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from toy import toy_cache

from trainer.cache.schema import LabelCounts
from trainer.features.as_of import (
    AggregatedTrip,
    AsOfSettings,
    CustomerAggregates,
    as_of_dtype,
    department_of_token,
    store_order,
)

DEPARTMENTS = 3
COUNTS = LabelCounts(size=3, sensitivity=4, type=3, focus=5, department=DEPARTMENTS)


def trip(day: int, **values) -> AggregatedTrip:
    """A trip; weeks start on days 0, 7, 14 and so on."""
    usual = AggregatedTrip(
        day=day,
        week=day // 7 + 1,
        store=4,
        region=1,
        kind=(1, 1, 1, 1),
        spend_pence=500,
        products=np.array([1]),
        departments=np.array([1]),
        quantities=np.array([1]),
    )
    return replace(usual, **values)


def random_trips(seed: int, trips: int = 40) -> list[AggregatedTrip]:
    """A timeline with several trips on some days, weeks without any, ties between stores, and every
    code of a kind."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.integers(0, 200, trips))
    stores = rng.choice(6, trips, p=rng.dirichlet(np.ones(6)))
    timeline = []
    for day, store in zip(days.tolist(), stores.tolist(), strict=True):
        products = rng.choice(40, rng.integers(1, 9), replace=False)
        timeline.append(
            trip(
                day,
                store=store,
                region=store // 2,
                store_order=5 - store,
                kind=[int(rng.integers(codes)) for codes in COUNTS.codes.values()],
                spend_pence=int(rng.integers(0, 10_000)),
                products=products,
                departments=products % (DEPARTMENTS + 1),
                quantities=rng.integers(1, 5, len(products)),
            )
        )
    return timeline


def observed(timeline: list[AggregatedTrip], **settings) -> CustomerAggregates:
    state = CustomerAggregates(COUNTS, AsOfSettings(**settings))
    for finished in timeline:
        state.observe(finished)
    return state


def figures_of(timeline: list[AggregatedTrip], week: int) -> dict:
    """The columns from their definitions, by looking through the trips of earlier weeks."""
    earlier = [t for t in timeline if t.week < week]
    days = np.array([t.day for t in earlier])
    gaps = np.diff(days)
    sizes = [(0.33, 0.67, 1)[t.kind[0] - 1] for t in earlier if t.kind[0]]
    sensitivities = [(0, 1 / 3, 2 / 3, 1)[t.kind[1] - 1] for t in earlier if t.kind[1]]
    items = sum(len(t.products) for t in earlier)
    by_type, by_focus = (
        np.bincount([(t.kind[column] - 1) % codes for t in earlier], minlength=codes) / len(earlier)
        for column, codes in ((2, 4), (3, 6))
    )
    entropies = [-sum(p * np.log(p) for p in shares if p > 0) for shares in (by_type, by_focus)]
    bought, repeats = set(), 0
    for t in earlier:
        repeats += len(bought & set(t.products.tolist()))
        bought |= set(t.products.tolist())
    weeks = sorted({t.week for t in earlier})
    switched = 0
    for w in weeks:
        just_before = {t.store for t in earlier if w - 4 <= t.week < w}
        switched += any(t.store not in just_before for t in earlier if t.week == w)
    visits = Counter(t.store for t in earlier)
    order = {t.store: t.store_order for t in earlier}
    ranked = sorted(visits, key=lambda store: (-visits[store], order[store]))
    shares = np.array([visits[store] for store in ranked]) / len(earlier)
    return {
        "week": week,
        "trips": len(earlier),
        "history_weight": min(1, len(earlier) / 20),
        "weeks_with_trips": len(weeks),
        "recency_days": 7 * (week - 1) - days[-1],
        "tenure_days": 7 * (week - 1) - days[0],
        "gap_days_mean": gaps.mean() if len(gaps) else 0,
        "gap_days_spread": gaps.std() if len(gaps) else 0,
        "spend_pence_per_trip": np.mean([t.spend_pence for t in earlier]),
        "items_per_trip": items / len(earlier),
        "units_per_item": sum(t.quantities.sum() for t in earlier) / items,
        "repeat_rate": repeats / items,
        "department_shares": [
            sum((t.departments == department).sum() for t in earlier) / items
            for department in range(1, DEPARTMENTS + 1)
        ],
        "type_shares": by_type,
        "focus_shares": by_focus,
        "type_entropy": entropies[0],
        "focus_entropy": entropies[1],
        "price_sensitivity_mean": np.mean(sensitivities) if sensitivities else 0,
        "price_sensitivity_spread": np.std(sensitivities) if sensitivities else 0,
        "basket_size_mean": np.mean(sizes) if sizes else 0,
        "basket_size_spread": np.std(sizes) if sizes else 0,
        "consistency": 1 - (entropies[0] / np.log(4) + entropies[1] / np.log(6)) / 2,
        "primary_store": ranked[0] + 1,
        "stores": len(visits),
        "regions": len({store // 2 for store in visits}),
        "primary_store_share": shares[0],
        "top_3_store_share": shares[:3].sum(),
        "store_hhi": (shares**2).sum(),
        "switching_rate": switched / len(weeks),
    }


@pytest.mark.parametrize("seed", range(4))
def test_rows_are_what_their_definitions_say(seed):
    timeline = random_trips(seed)
    state = CustomerAggregates(COUNTS)
    for known, finished in enumerate(timeline, start=1):
        state.observe(finished)
        for week in (finished.week, finished.week + 1, finished.week + 9):
            row = state.as_of(week, 7 * (week - 1))
            if row["customer_weeks.trips"] == 0:
                assert timeline[0].week == week
                continue
            expected = figures_of(timeline[:known], week)
            assert len(expected) == len(row.dtype.names)
            for name, value in expected.items():
                found = row[f"customer_weeks.{name}"]
                error = 0 if found.dtype.kind == "i" else 2 * np.finfo(found.dtype).eps
                np.testing.assert_allclose(found, value, rtol=error, atol=error, err_msg=name)


def test_a_customer_without_trips_has_zeros():
    row = CustomerAggregates(COUNTS).as_of(5, 28)
    assert row["customer_weeks.week"] == 5
    assert not any(row[name].any() for name in row.dtype.names if name != "customer_weeks.week")


def test_a_product_is_bought_before_by_its_identity():
    first, other = (trip(day, products=np.array([p])) for day, p in ((0, 901), (7, 902)))
    assert observed([first, other]).as_of(3, 14)["customer_weeks.repeat_rate"] == 0
    assert observed([first, first]).as_of(3, 14)["customer_weeks.repeat_rate"] == 0.5


def test_settings_decide_what_is_new_and_what_is_enough():
    timeline = [trip(0), trip(7, store=5), trip(21)]  # the first store again after three weeks
    usual, patient = observed(timeline), observed(timeline, switching_weeks=2)
    assert usual.as_of(9, 56)["customer_weeks.switching_rate"] == np.float16(2 / 3)
    assert patient.as_of(9, 56)["customer_weeks.switching_rate"] == 1
    assert usual.is_cold_start and not observed(timeline, cold_start_trips=3).is_cold_start
    short = observed(timeline, full_history_trips=2)
    assert short.as_of(9, 56)["customer_weeks.history_weight"] == 1


def test_a_state_goes_on_from_its_arrays_as_if_nothing_had_happened():
    timeline = random_trips(seed=9)
    for cut in range(0, len(timeline) + 1, 7):
        state = observed(timeline[:cut])
        arrays = state.to_arrays()
        assert all(array.dtype == np.int64 for array in arrays.values())
        assert state.nbytes == sum(array.nbytes for array in arrays.values())
        read = CustomerAggregates.from_arrays(arrays, COUNTS, state.settings)
        again = read.to_arrays()
        assert {name: a.tobytes() for name, a in arrays.items()} == {
            name: a.tobytes() for name, a in again.items()
        }
        copy = state.copy()
        for finished in timeline[cut:]:
            for one in (state, read):
                one.observe(finished)
        assert copy.to_arrays()["totals"].tobytes() == arrays["totals"].tobytes()
        week = timeline[-1].week
        for one in (week, week + 1):
            assert state.as_of(one, 0).tobytes() == read.as_of(one, 0).tobytes()


def test_size_does_not_depend_on_how_many_trips_there_were():
    once, often = (observed([trip(day) for day in range(days)]) for days in (1, 700))
    assert once.nbytes == often.nbytes


def test_what_is_over_cannot_be_asked_for_or_added():
    state = observed([trip(15)])
    with pytest.raises(ValueError, match="week 2 is over: there are trips in week 3"):
        state.as_of(2, 7)
    for day in (14, 13):
        with pytest.raises(ValueError, match="cannot follow one on day 15 of week 3"):
            state.observe(trip(day))


def test_lookups_of_a_cache(tmp_path):
    cache = toy_cache(tmp_path, customers=5, seed=4)
    assert len(department_of_token(cache)) == cache.vocabulary.input_size
    dtype = as_of_dtype(cache.label_counts)
    for name, width in (("department", 2), ("type", 4), ("focus", 5)):
        assert dtype[f"customer_weeks.{name}_shares"].shape == (width,)
    assert sorted(store_order(cache)) == list(range(cache.rows("stores")))
