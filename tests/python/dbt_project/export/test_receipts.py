"""The default chain's cache against its receipts, read from the raw files without the warehouse."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from trainer.cache.schema import LABELS_FROM_TRAINING

TRAIN_LAST_WEEK = 80
LABELS = {
    "size": "BASKET_SIZE",
    "sensitivity": "BASKET_PRICE_SENSITIVITY",
    "type": "BASKET_TYPE",
    "focus": "BASKET_DOMINANT_MISSION",
}


@pytest.fixture(scope="module")
def lines(chain) -> pd.DataFrame:
    """One row per receipt line."""
    weeks = pd.read_csv(chain / "time.csv")
    number = dict(zip(weeks.shop_week, range(1, len(weeks) + 1), strict=True))
    rows = pd.concat(
        pd.read_csv(path, keep_default_na=False)
        for path in sorted(chain.glob("transactions_*.csv"))
    )
    day = pd.to_datetime(rows.SHOP_DATE.astype(str)) - pd.Timestamp("1970-01-01")
    return rows.assign(
        week=rows.SHOP_WEEK.map(number),
        day=day.dt.days,
        pence=(rows.SPEND * 100).round().astype(np.int64),
    )


@pytest.fixture(scope="module")
def known(lines) -> pd.DataFrame:
    """Lines of identified customers."""
    return lines[lines.CUST_CODE != ""]


@pytest.fixture(scope="module")
def items(default_cache) -> pd.DataFrame:
    """Every item of the cache with its trip, in the cache's order."""
    c = default_cache
    trip = np.repeat(np.arange(c.rows("trips")), np.diff(c["trips.item_offsets"].astype(int)))
    price = np.array(c["items.price"])
    return pd.DataFrame(
        {
            "trip": trip,
            "basket": c["trips.basket_id"].astype(int)[trip],
            "week": c["trips.week"][trip],
            "store": c["stores.code"][c["trips.store"][trip]].astype(str),
            "product": c["products.code"][c["items.token"] - 1].astype(str),
            "quantity": c["items.quantity"],
            **{
                name: c[f"shelf_prices.{name}"][price]
                for name in ("pence", "previous_pence", "base_pence")
            },
        }
    )


def test_counts_and_spend_agree_with_receipts_and_marts(default_cache, warehouse, known, lines):
    c, manifest = default_cache, default_cache.manifest
    for name, (first, last) in {"all": (1, 117), **c.split}.items():
        inside = known[known.week.between(first, last)]
        trips = (c["trips.week"] >= first) & (c["trips.week"] <= last)
        expected = {
            "trips": inside.BASKET_ID.nunique(), "items": len(inside),
            "spend_pence": inside.pence.sum(),
        }  # fmt: skip
        assert manifest["totals"][name]["identified"] == expected
        assert trips.sum() == expected["trips"]
        assert np.diff(c["trips.item_offsets"].astype(int))[trips].sum() == expected["items"]
        assert c["trips.spend_pence"][trips].sum() == expected["spend_pence"]
        anonymous = lines[(lines.CUST_CODE == "") & lines.week.between(first, last)]
        assert manifest["totals"][name]["anonymous"]["items"] == len(anonymous) > 0
        marts = warehouse.rows(
            f"select count(*), sum(spend_pence) from trips where week between {first} and {last}"
        )
        both = manifest["totals"][name].values()
        assert marts == [tuple(sum(part[n] for part in both) for n in ("trips", "spend_pence"))]
    assert c.split == {"train": (1, 80), "validation": (81, 95), "test": (96, 117)}
    assert c.rows("customers") == known.CUST_CODE.nunique()


def test_every_basket_is_its_receipt(default_cache, items, known):
    """Products and quantities of every trip; who, when, where and of what kind for each."""
    found = items.sort_values(["basket", "product"])
    expected = known.sort_values(["BASKET_ID", "PROD_CODE"])
    assert len(found) == len(expected)
    for name, column in (
        ("basket", "BASKET_ID"), ("product", "PROD_CODE"), ("quantity", "QUANTITY"),
        ("store", "STORE_CODE"), ("week", "week"),
    ):  # fmt: skip
        assert (found[name].to_numpy() == expected[column].to_numpy()).all(), name

    c = default_cache
    receipt = known.drop_duplicates("BASKET_ID").set_index("BASKET_ID")
    receipt = receipt.loc[c["trips.basket_id"].astype(int)]
    customer = np.repeat(
        c["customers.code"].astype(str), np.diff(c["customers.trip_offsets"].astype(int))
    )
    assert (customer == receipt.CUST_CODE).all()
    assert (c["days.date"][c["trips.day"]] == receipt.day).all()
    assert (c["trips.hour"] == receipt.SHOP_HOUR).all()
    for name, column in LABELS.items():
        labels = np.array(["XX", *c.labels[name]])
        assert (labels[c[f"trips.{name}"]] == receipt[column]).all(), name


def test_timelines_are_in_order(default_cache, known):
    c = default_cache
    offsets = c["customers.trip_offsets"].astype(int)
    codes = c["customers.code"].astype(str)
    assert sorted(codes.tolist()) == sorted(known.CUST_CODE.unique())
    when = [c["days.date"][c["trips.day"]].astype(np.int64), c["trips.hour"].astype(np.int64)]
    order = np.lexsort((c["trips.basket_id"], when[1], when[0],
                        np.repeat(np.arange(len(codes)), np.diff(offsets))))  # fmt: skip
    assert (order == np.arange(len(order))).all()
    gaps = np.diff(when[0], prepend=0)
    gaps[offsets[:-1]] = -1
    assert (c["trips.days_since_previous"] == gaps).all()
    numbers = np.arange(len(order)) - np.repeat(offsets[:-1], np.diff(offsets))
    assert (c["trips.is_cold_start"] == (numbers < 5)).all()


def test_items_are_in_the_order_of_tokens(items, default_cache):
    token = default_cache["items.token"].astype(int)
    same_trip = items.trip.to_numpy()[1:] == items.trip.to_numpy()[:-1]
    assert (np.diff(token)[same_trip] > 0).all()


def test_prices(default_cache, items, lines):
    """The week's median at the store, that of the week before with a sale, the highest of four."""
    weighed = default_cache["products.code"][default_cache["products.is_random_weight"]]
    rows = lines[~lines.PROD_CODE.isin(weighed.astype(str))]
    rows = rows.assign(price=rows.pence / rows.QUANTITY)
    shelf = rows.groupby(["PROD_CODE", "STORE_CODE", "week"]).price.median().reset_index()
    shelf["previous"] = shelf.groupby(["PROD_CODE", "STORE_CODE"]).price.shift()
    shelf["previous"] = shelf.previous.fillna(shelf.price)
    shelf["base"] = shelf.price
    for back in (1, 2, 3):
        earlier = shelf[["PROD_CODE", "STORE_CODE", "week", "price"]].assign(week=shelf.week + back)
        with_earlier = shelf.merge(
            earlier, how="left", on=["PROD_CODE", "STORE_CODE", "week"], suffixes=("", "_earlier")
        )
        shelf["base"] = np.fmax(shelf.base, with_earlier.price_earlier)
    found = items.merge(
        shelf, left_on=["product", "store", "week"], right_on=["PROD_CODE", "STORE_CODE", "week"]
    )
    assert len(found) > 0.8 * len(items)
    assert (found.pence != found.previous_pence).mean() > 0.05
    for name, column in (
        ("pence", "price"),
        ("previous_pence", "previous"),
        ("base_pence", "base"),
    ):
        assert (found[name] == found[column].astype(np.float32)).all(), name


def test_price_situations_are_distinct_and_sorted(default_cache):
    names = ("pence", "previous_pence", "base_pence")
    rows = list(
        zip(*(default_cache[f"shelf_prices.{name}"].tolist() for name in names), strict=True)
    )
    assert rows == sorted(set(rows))
    assert np.unique(default_cache["items.price"]).size == len(rows) < default_cache.rows("items")


def test_training_trips_include_anonymous_ones(default_cache, lines):
    training = lines[lines.week <= TRAIN_LAST_WEEK]
    expected = training.groupby("PROD_CODE").BASKET_ID.nunique()
    codes = default_cache["products.code"].astype(str)
    assert default_cache["products.train_trips"].tolist() == [expected.get(c, 0) for c in codes]
    sold = default_cache["products.train_trips"] > 0
    assert (sold == ~default_cache["products.is_novel"]).all()
    assert default_cache["products.is_novel"].sum() > 0


def test_labels_are_those_of_training(default_cache, lines, known):
    """Of those whose first trip is in the training weeks; segments as on that trip."""
    columns = dict(zip(LABELS_FROM_TRAINING, ("seg_1", "seg_2", "STORE_FORMAT", "STORE_REGION"),
                       strict=True))  # fmt: skip
    in_order = ["day", "SHOP_HOUR", "BASKET_ID"]
    customers = known.sort_values(in_order).drop_duplicates("CUST_CODE").set_index("CUST_CODE")
    stores = lines.sort_values(in_order).drop_duplicates("STORE_CODE").set_index("STORE_CODE")
    for name, column in columns.items():
        is_store = name.startswith("store_")
        first = stores if is_store else customers
        training = first[first.week <= TRAIN_LAST_WEEK][column]
        assert list(default_cache.labels[name]) == sorted(set(training) - {""})
        codes = default_cache["stores.code" if is_store else "customers.code"].astype(str)
        table = f"stores.{name[6:]}" if is_store else f"customers.{name}"
        labels = np.array(["", *default_cache.labels[name]])
        assert (labels[default_cache[table]] == first.loc[codes, column]).all()
    trained = lines[lines.week <= TRAIN_LAST_WEEK].PROD_CODE_40
    assert list(default_cache.labels["department"]) == sorted(trained.unique())


def test_as_of_rows_are_those_of_the_trips(default_cache, known):
    c = default_cache
    row = c["trips.customer_week"]
    customer = np.repeat(
        np.arange(c.rows("customers")), np.diff(c["customers.trip_offsets"].astype(int))
    )
    assert (c["customer_weeks.customer"][row] == customer).all()
    assert (c["customer_weeks.week"][row] == c["trips.week"]).all()
    # Earlier trips, counted from the receipts.
    trips = known.drop_duplicates("BASKET_ID").groupby("CUST_CODE").week
    weeks = {code: np.sort(values.to_numpy()) for code, values in trips}
    codes = c["customers.code"].astype(str)
    expected = [
        np.searchsorted(weeks[codes[who]], week)
        for who, week in zip(c["customer_weeks.customer"], c["customer_weeks.week"], strict=True)
    ]
    assert c["customer_weeks.trips"].tolist() == expected


def test_as_of_figures_are_the_marts(default_cache, warehouse):
    """Rounded once, to the dtype of the column; nulls are 0."""
    rows = warehouse.rows(
        """
        select gap_days_mean, repeat_rate, type_shares[2], focus_entropy, switching_rate,
            primary_store_key, category_shares
        from customer_history
        join customer_missions using (customer_key, as_of_week)
        join customer_store_affinity using (customer_key, as_of_week)
        order by customer_key, as_of_week
        """
    )
    names = ("gap_days_mean", "repeat_rate", "type_shares", "focus_entropy", "switching_rate",
             "primary_store")  # fmt: skip
    for n, name in enumerate(names):
        found = default_cache[f"customer_weeks.{name}"]
        found = found[:, 1] if name == "type_shares" else found
        expected = np.array([row[n] or 0 for row in rows])
        assert (found == expected.astype(found.dtype)).all(), name
        assert found.any()
    shares = default_cache["customer_weeks.department_shares"]
    nothing = [0.0] * shares.shape[1]
    expected = np.array([row[-1] or nothing for row in rows])
    assert (shares == expected.astype(np.float16)).all()


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2006, 12, 25), "Christmas Day"),
        (date(2007, 4, 6), "Good Friday"),
        (date(2007, 8, 27), "Late Summer Bank Holiday"),
        (date(2007, 4, 7), None),
    ],
)
def test_holidays(default_cache, day, name):
    c = default_cache
    row = c["days.date"].tolist().index((day - date(1970, 1, 1)).days)
    code = c["days.holiday"][row]
    assert (c.labels["holiday"][code - 1] if code else None) == name
    assert c["days.weekday"][row] == day.isoweekday() % 7 + 1


def test_days_are_those_of_the_calendar_and_a_week_more(default_cache, chain):
    weeks = pd.read_csv(chain / "time.csv")
    first = pd.to_datetime(weeks.date_from.astype(str)).dt.date.min()
    last = pd.to_datetime(weeks.date_to.astype(str)).dt.date.max() + timedelta(days=7)
    dates = default_cache["days.date"]
    assert [dates[0], dates[-1]] == [(d - date(1970, 1, 1)).days for d in (first, last)]
    assert (np.diff(dates) == 1).all()
    assert default_cache["customer_weeks.week"].max() == default_cache["days.week"].max() == 118


def test_graph_is_that_of_the_warehouse(default_cache, warehouse):
    c = default_cache
    nodes = np.concatenate([c["products.code"], c["categories.code"]]).astype(str)
    types = np.array(["copurchase", "substitution", "hierarchy"])
    found = zip(
        nodes[c["graph.source"]], nodes[c["graph.target"]], types[c["graph.type"]],
        c["graph.weight"].tolist(), strict=True,
    )  # fmt: skip
    rows = warehouse.rows(
        """
        select source.code, target.code, edge_type, weight::float
        from product_graph_edges
        join product_graph_nodes as source on source_key = source.node_key
        join product_graph_nodes as target on target_key = target.node_key
        """
    )
    assert sorted(found) == sorted(rows)
    assert len(set(c["graph.type"].tolist())) == 3


def test_novel_products_and_replays_are_the_marts(default_cache, warehouse):
    rows = dict(
        (basket, flags)
        for basket, *flags in warehouse.rows(
            "select basket_id::varchar, has_novel_product, replay_of is not null from trips"
        )
    )
    expected = np.array([rows[basket.decode()] for basket in default_cache["trips.basket_id"]])
    assert (default_cache["trips.has_novel_product"] == expected[:, 0]).all()
    assert (default_cache["trips.is_replay"] == expected[:, 1]).all()
    assert expected.any(axis=0).all()
