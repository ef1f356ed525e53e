"""Customer features as of each week, one customer and one week at a time.

For every row the features are computed afresh from the list of trips of earlier weeks; nothing is
added up from week to week.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from math import log, nan
from statistics import fmean, pstdev

import numpy as np
import pandas as pd
import pytest
from ledger import assert_same

# These depend on little that the training weeks say: two warehouses are enough.
pytestmark = pytest.mark.parametrize("build", ["default", "first"], indirect=True, scope="session")

KEY = ["customer_key", "as_of_week"]
TYPES = ["Small Shop", "Top Up", "Full Shop"]
FOCUSES = ["Fresh", "Grocery", "Mixed", "Nonfood"]
SENSITIVITY = {"LA": 0.0, "MM": 0.5, "UM": 1.0}
SIZE = {"S": 0.33, "M": 0.67, "L": 1.0}


@pytest.fixture(scope="module")
def timelines(build) -> dict[int, list[dict]]:
    """Trips of each customer in time, with their items."""
    ledger = build.ledger
    department = ledger.products.set_index("product_key").category_4.to_dict()
    items = defaultdict(list)
    for row in ledger.items.itertuples():
        items[row.trip_key].append(
            (row.product_key, department[row.product_key], row.quantity, row.pence)
        )
    timelines = defaultdict(list)
    for trip in ledger.trips.sort_index().to_dict("records"):
        if trip["customer_key"]:
            timelines[trip["customer_key"]].append(trip | {"items": items[trip["trip_key"]]})
    assert len(timelines) == len(ledger.customers)
    return timelines


@pytest.fixture(scope="module")
def rows(timelines, build) -> list[tuple[int, int, list[dict]]]:
    """Customer, as-of week and the trips of earlier weeks, for every row there should be."""
    after = int(build.ledger.weeks.index.max()) + 1
    return [
        (customer, week, [t for t in trips if t["week"] < week])
        for customer, trips in timelines.items()
        for week in sorted({t["week"] for t in trips} | {after})
    ]


def entropy(shares) -> float:
    """In nats."""
    return -sum(s * log(s) for s in shares if s > 0)


def test_customer_store_affinity(build, rows):
    stores = build.ledger.stores.set_index("store_key")
    region, code = stores.store_region.to_dict(), stores.store_code.to_dict()
    records = []
    for customer, week, trips in rows:
        visits = Counter(t["store_key"] for t in trips)
        shares = sorted((n / len(trips) for n in visits.values()), reverse=True)
        by_week = defaultdict(set)
        for t in trips:
            by_week[t["week"]].add(t["store_key"])
        switched = []
        for w, there in by_week.items():
            before = range(w - build.vars.switching_weeks, w)
            lately = {store for past in before if past in by_week for store in by_week[past]}
            switched.append(bool(there - lately))
        primary = min(visits, key=lambda s, v=visits: (-v[s], code[s])) if trips else nan
        records.append({
            "customer_key": customer,
            "as_of_week": week,
            "primary_store_key": primary,
            "trips": len(trips),
            "stores": len(visits),
            "regions": len({region[s] for s in visits}),
            "primary_store_share": shares[0] if trips else nan,
            "top_3_store_share": sum(shares[:3]) if trips else nan,
            "store_hhi": sum(s * s for s in shares) if trips else nan,
            "switching_rate": fmean(switched) if trips else nan,
        })  # fmt: skip
    expected = pd.DataFrame(records)
    assert (expected.stores > 3).sum() > 50
    assert_same(build.table("customer_store_affinity"), expected, KEY)


def test_customer_missions(build, rows):
    records, shares_of = [], {}
    for customer, week, trips in rows:
        record = {"customer_key": customer, "as_of_week": week, "trips": len(trips)}
        entropies = []
        for kind, column, names in [
            ("type", "trip_type", TYPES),
            ("focus", "trip_focus", FOCUSES),
        ]:
            values = [t[column] for t in trips]
            assert set(values) <= {*names, "XX"}
            shares = [values.count(value) / len(trips) for value in [*names, "XX"] if trips]
            shares_of[customer, week, kind] = shares or None
            record[f"{kind}_entropy"] = entropy(shares) if trips else nan
            entropies.append(record[f"{kind}_entropy"] / log(len(names) + 1))
        for name, column, scale in [
            ("price_sensitivity", "trip_price_sensitivity", SENSITIVITY),
            ("basket_size", "basket_size", SIZE),
        ]:
            classified = [scale[t[column]] for t in trips if t[column] in scale]
            record[f"{name}_mean"] = fmean(classified) if classified else nan
            record[f"{name}_spread"] = pstdev(classified) if classified else nan
        record["consistency"] = 1 - fmean(entropies)
        records.append(record)
    mart = build.table("customer_missions")
    for row in mart.itertuples():
        for kind in ("type", "focus"):
            found = getattr(row, f"{kind}_shares")
            expected = shares_of[row.customer_key, row.as_of_week, kind]
            assert isinstance(found, np.ndarray) == (expected is not None)
            assert expected is None or found.tolist() == pytest.approx(expected)
    columns = ["type_shares", "focus_shares"]
    assert_same(mart.drop(columns=columns), pd.DataFrame(records), KEY)


def test_customer_history(build, rows):
    v = build.vars
    departments = sorted(
        build.ledger.products[build.ledger.products.first_week <= v.train_last_week]
        .category_4.unique()
        .tolist()
    )
    start = build.ledger.weeks.date_from.to_dict()
    start[max(start) + 1] = build.ledger.weeks.date_to.max() + pd.Timedelta(days=1)
    segments = build.ledger.customers.set_index("customer_key").replace("", None)
    records, shares = [], {}
    for customer, week, trips in rows:
        items = [item for t in trips for item in t["items"]]
        dates = [t["date"] for t in trips]
        gaps = [(later - earlier).days for earlier, later in zip(dates, dates[1:], strict=False)]
        seen, repeats = set(), 0
        for t in trips:
            bought = {product for product, *_ in t["items"]}
            repeats += len(bought & seen)
            seen |= bought
        spend = sum(pence for *_, pence in items)
        records.append({
            "customer_key": customer,
            "as_of_week": week,
            "price_sensitivity": segments.price_sensitivity[customer],
            "lifestage": segments.lifestage[customer],
            "trips": len(trips),
            "weeks_with_trips": len({t["week"] for t in trips}),
            "recency_days": (start[week] - dates[-1]).days if trips else nan,
            "tenure_days": (start[week] - dates[0]).days if trips else nan,
            "gap_days_mean": fmean(gaps) if gaps else nan,
            "gap_days_spread": pstdev(gaps) if gaps else nan,
            "spend_pence": spend,
            "spend_pence_per_trip": spend / len(trips) if trips else nan,
            "items": len(items),
            "items_per_trip": len(items) / len(trips) if trips else nan,
            "units_per_item": sum(q for *_, q, _ in items) / len(items) if trips else nan,
            "repeat_rate": repeats / len(items) if trips else nan,
            "history_weight": min(1.0, len(trips) / v.full_history_trips),
        })  # fmt: skip
        if items:
            count = Counter(department for _, department, *_ in items)
            shares[customer, week] = [count[d] / len(items) for d in departments]

    found = build.table("customer_history")
    found_shares = dict(
        zip(zip(*(found[k] for k in KEY), strict=True), found.pop("category_shares"), strict=True)
    )
    assert_same(found, pd.DataFrame(records), KEY)
    for key, values in found_shares.items():
        if key in shares:
            np.testing.assert_allclose(values, shares[key], rtol=1e-9, atol=1e-12, err_msg=str(key))
        else:
            assert pd.api.types.is_scalar(values) and pd.isna(values), key
