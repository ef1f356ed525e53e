"""Scenarios as files: what is read, and the one line for what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.scenario import Opening, Weeks
from simulator.scenario_entries import LAST
from simulator.scenario_file import read_scenario
from trainer.commands.errors import InputError

NOVEL = 20
"""The last week before the chain's last product is sold and its last store visited."""


@pytest.fixture
def read(chain, tmp_path):
    """`read(text)` is the scenario of a file with this text for weeks 26 to 30; product0, product1,
    store0 and so on are codes of the chain, product9 and store9 its last ones."""
    cache, _ = chain

    def run(text, start=25):
        codes = {
            f"{name}{row}": cache[f"{table}.code"][row].decode()
            for name, table in (
                ("product", "products"), ("store", "stores"), ("category", "categories"),
            )
            for row in (0, 1, 2)
        }  # fmt: skip
        for name, table in (("product", "products"), ("store", "stores")):
            codes[f"{name}9"] = cache[f"{table}.code"][-1].decode()
        path = tmp_path / "scenario.yml"
        path.write_text(text % codes)
        return read_scenario(path, cache, start, weeks=30 - start)

    return run


def test_a_promotion_of_some_products_in_some_stores(read, chain):
    cache, _ = chain
    scenario = read(
        "prices:\n  - products: [%(product0)s, %(product2)s]\n    stores: [%(store1)s]\n"
        "    weeks: 27-28\n    change: -20%%\n"
    )
    (change,) = scenario.prices
    assert np.flatnonzero(change.token).tolist() == [1, 3]
    assert np.flatnonzero(change.store).tolist() == [1]
    assert (change.first, change.last, change.factor, change.pence) == (27, 28, 0.8, None)


def test_a_price_of_a_category_everywhere_for_good(read, chain):
    cache, _ = chain
    (change,) = read("prices: [{categories: [%(category0)s], weeks: 27-, price: 1.25}]").prices
    parent, category = cache["categories.parent"], cache["products.category"].astype(int)
    inside = []
    for row, above in enumerate(category):
        while above >= 0 and above != 0:
            above = parent[above]
        if above == 0:
            inside.append(row + 1)
    assert np.flatnonzero(change.token).tolist() == inside and inside
    assert change.store.all() and change.last == LAST
    assert change.pence == 125


def test_what_is_announced_needs_no_new_price(read):
    scenario = read(
        "prices:\n  - {weeks: 27, display: yes}\n  - {weeks: 27, change: -20%%, mailer: true}\n"
    )
    alone, cut = scenario.prices
    assert (alone.display, alone.mailer, alone.factor, alone.pence) == (True, False, 1.0, None)
    assert (cut.display, cut.mailer, cut.factor) == (False, True, 0.8)


def test_a_coupon_for_some_groups_and_a_list_of_customers(read, chain, tmp_path):
    cache, _ = chain
    segment, codes = cache["customers.price_sensitivity"], cache["customers.code"]
    label = cache.labels["price_sensitivity"][0]
    listed = [codes[row].decode() for row in (0, 3, *np.flatnonzero(segment == 1)[:4])]
    (tmp_path / "codes.txt").write_text("\ufeff" + "\n".join(listed) + "\n\n")
    text = (
        "coupons:\n  - products: [%(product0)s]\n    categories: [%(category1)s]\n"
        f"    groups: [{label}]\n    customers: codes.txt\n"
        "    weeks: 27-28\n    off: 20%%\n    redeemed: 2.5%%\n"
        "  - {products: [%(product2)s], weeks: 27, off: 0.35, redeemed: 1%%}\n"
    )
    one, other = read(text).coupons
    wanted = np.isin(np.arange(len(codes)), [0, 3, *np.flatnonzero(segment == 1)[:4]])
    assert np.array_equal(one.customer, wanted & (segment == 1)) and one.customer.sum() >= 4
    assert one.token[1] and one.token.sum() > 1
    assert (one.first, one.last, one.share, one.pence, one.redeemed) == (27, 28, 0.2, None, 0.025)
    assert other.customer.all() and np.flatnonzero(other.token).tolist() == [3]
    assert (other.share, other.pence, other.redeemed) == (0.0, 35.0, 0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"products": "[PRD9]"}, "entry 1: products: PRD9 is none of the chain's 40"),
        ({"products": None}, "entry 1: expected products or categories"),
        ({"groups": "[rich]"}, "groups: rich is none of the chain's"),
        ({"customers": "none.txt"}, "none.txt: there is no such file"),
        ({"customers": "bad.txt"}, "bad.txt, line 2: CUST9 is no customer with a trip up to week"),
        ({"customers": "empty.txt"}, "entry 1: no customer is all of what it says"),
        ({"customers": "binary.txt"}, "binary.txt: not text in UTF-8"),
        ({"weeks": "25-27"}, "weeks: expected some of the simulated ones, 26-30"),
        ({"weeks": "29-"}, "the last in which it is good among them"),
        ({"weeks": "40"}, "weeks: 40 holds none of the simulated weeks"),
        ({"off": "96%%"}, "off: expected a number from 1 to 95, not 96"),
        ({"off": "0.123"}, "off: expected at most two decimals"),
        ({"off": None}, "off: expected a part of the price, such as 20%, or an amount"),
        ({"redeemed": "0.12"}, "redeemed: expected a percentage, such as 20%, not 0.12"),
        ({"redeemed": "101%%"}, "redeemed: expected a number from 0.01 to 100"),
        ({"stores": "[E01]"}, "unknown key stores. Known are products, categories, groups"),
    ],
)
def test_coupons_that_make_no_sense_are_refused(read, tmp_path, change, message):
    (tmp_path / "bad.txt").write_text("\nCUST9\n")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    entry = {"products": "[%(product0)s]", "weeks": "27", "off": "20%%", "redeemed": "1%%"} | change
    values = ", ".join(f"{key}: {value}" for key, value in entry.items() if value is not None)
    with pytest.raises(InputError) as error:
        read(f"coupons: [{{{values}}}]")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_everything_else_that_can_change(read, chain):
    cache, _ = chain
    scenario = read(
        "stores:\n  - {close: %(store0)s, weeks: 27}\n"
        "  - {open: %(store9)s, like: %(store0)s, weeks: 28-}\n"
        "products:\n  - {delist: %(product1)s, weeks: 27-30}\n"
        "  - {launch: %(product9)s, like: %(product0)s, weeks: 27-}\n"
        "days: [{closed: 2006-02-04}]\ncustomers: [{new: 12, weeks: 27-29}]\n",
        start=NOVEL,
    )
    assert scenario.closed_stores == ((0, Weeks(27, 27)),)
    assert scenario.opened_stores == (Opening(cache.rows("stores") - 1, 0, 28),)
    assert scenario.delisted == ((2, Weeks(27, 30)),)
    assert scenario.launched == (Opening(cache.products, 1, 27),)
    assert scenario.closed_days == {13_183}
    assert [scenario.arrivals(week) for week in (26, 27, 29, 30)] == [0, 12, 12, 0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pricing: []", "unknown part pricing. Known are prices, stores"),
        ("prices: 3", "prices: expected a list of changes"),
        ("prices: [3]", "prices, entry 1: expected keys and values"),
        ("prices: [{weeks: 27}]", "entry 1: expected either change"),
        ("prices: [{weeks: 27, change: -20%%, price: 1}]", "entry 1: expected either change"),
        ("prices: [{weeks: 27, change: -20}]", "change: expected a percentage"),
        ("prices: [{weeks: 27, change: -100%%}]", "change: expected a number from -99"),
        ("prices: [{weeks: 27, change: nan%%}]", "change: expected a number"),
        ("prices: [{weeks: 27, display: no}]", "entry 1: expected either change"),
        ("prices: [{weeks: 27, display: big}]", "display: expected yes or no, not big"),
        ("prices: [{weeks: 27, price: 0}]", "price: expected a number from 0.01"),
        (
            "prices: [{weeks: 27, price: 1_25}]",
            "price: expected a number from 0.01 to 10000, not 1_25",
        ),
        ("prices: [{weeks: 27, change: -1_0%%}]", "change: expected a number from -99"),
        ("prices: [{weeks: 27, price: 1.255}]", "price: expected at most two decimals"),
        ("prices: [{weeks: soon, price: 1}]", "weeks: expected weeks such as 97-100"),
        ("prices: [{weeks: 29-27, price: 1}]", "weeks: 29-27 ends before it begins"),
        ("prices: [{price: 1}]", "weeks: expected weeks, such as"),
        ("prices: [{products: [XX], weeks: 27, price: 1}]", "products: XX is none of the chain"),
        ("prices: [{products: XX, weeks: 27, price: 1}]", "products: expected a list"),
        ("prices: [{regions: [XX], weeks: 27, price: 1}]", "regions: XX is none"),
        ("prices: [{prod: [XX], weeks: 27, price: 1}]", "unknown key prod"),
        ("stores: [{weeks: 27}]", "stores, entry 1: close: expected a store, or use open"),
        ("stores: [{open: %(store0)s, like: %(store0)s, weeks: 27-}]", "like: expected another"),
        ("stores: [{open: %(store0)s, like: %(store1)s, weeks: 27-30}]", "weeks: expected 27-"),
        ("products: [{weeks: 27, launch: XX, like: YY}]", "launch: XX is none"),
        ("days: [{closed: 2008-02-30}]", "closed: expected a day such as"),
        ("days: [{closed: 1970-02-01}]", "1970-02-01 is none of the simulated days, 2006-01-"),
        (
            "prices: [{weeks: 20-25, price: 1}]",
            "weeks: 20-25 holds none of the simulated weeks, 26",
        ),
        ("prices: [{weeks: 31-, price: 1}]", "weeks: 31- holds none of the simulated weeks, 26-30"),
        (
            "products: [{launch: %(product0)s, like: %(product1)s, weeks: 27-}]",
            "products, entry 1: launch: customers know it already, as of week 2",
        ),
        (
            "stores: [{open: %(store0)s, like: %(store1)s, weeks: 27-}]",
            "stores, entry 1: open: customers know it already, as of week 2",
        ),
        (
            "stores: [{open: %(store1)s, like: %(store0)s, weeks: 24-}]",
            "weeks: expected a first week of 26 or later",
        ),
        ("customers: [{new: -3, weeks: 27}]", "new: expected customers a week"),
        ("prices: [{weeks: 27, weeks: 28, price: 1}]", "weeks stands more than once"),
        ("[", "not read as YAML"),
        ("", "expected keys and values"),
    ],
)
def test_what_cannot_be_read_ends_in_one_line(read, text, told):
    with pytest.raises(InputError) as error:
        read(text)
    message = str(error.value)
    assert told in message and "scenario.yml" in message and "\n" not in message
