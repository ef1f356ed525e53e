"""Store attributes against the training receipts."""

from __future__ import annotations

import pandas as pd
from ledger import assert_same

FIGURES = ["assortment_breadth", "trips_per_week", "items_per_week", "local_competition"]


def test_stores(build):
    last = build.vars.train_last_week
    stores = build.ledger.stores
    training = build.ledger.training(last).merge(stores[["store_key", "store_region"]])
    by_store = training.groupby("store_key")
    weeks = by_store.week.nunique()
    trips = by_store.trip_key.nunique()
    in_region = training.groupby("store_region").trip_key.nunique()
    region = stores.set_index("store_key").store_region[trips.index]
    own = pd.DataFrame({
        "assortment_breadth": by_store.product_key.nunique(),
        "trips_per_week": trips / weeks,
        "items_per_week": by_store.size() / weeks,
        "local_competition": (region.map(in_region) - trips) / trips,
    }).astype(float)  # fmt: skip

    known = own.join(stores.set_index("store_key")[["store_format", "store_region"]])
    rows = []
    for store in stores.itertuples():
        basis, figures = "chain", known[FIGURES].median()
        alike = known[known.store_format == store.store_format]
        nearby = alike[alike.store_region == store.store_region]
        if store.store_key in own.index:
            basis, figures = "store", own.loc[store.store_key]
        elif len(nearby):
            basis, figures = "format and region", nearby[FIGURES].median()
        elif len(alike):
            basis, figures = "format", alike[FIGURES].median()
        rows.append(
            store._asdict()
            | figures.to_dict()
            | {
                "statics_basis": basis,
                "age_weeks": max(0, last - store.first_week + 1),
                "is_novel": store.first_week > last,
            }
        )
    expected = pd.DataFrame(rows).drop(columns="Index")
    if last < 80:
        assert expected.is_novel.sum() >= 2
    assert_same(build.table("stores"), expected, ["store_key"])
