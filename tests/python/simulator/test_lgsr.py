"""Simulated receipts as files: every field of a line by hand."""

from __future__ import annotations

import dataclasses
import gzip

import numpy as np
import pytest
from worlds import columns, world

from simulator.lgsr import write_receipts
from simulator.receipts import Receipts
from trainer.commands.errors import InputError
from trainer.features.plans import UNKNOWN_STORE

PRODUCTS = 40
FIRST_CATEGORY = PRODUCTS + 3
CL2, G2 = FIRST_CATEGORY + 1, FIRST_CATEGORY + 7


def receipts(**changes) -> Receipts:
    """Three trips in the last week of the toy chain's calendar, one in the first after it.

    Weeks 30 and 31 begin on days 13,203, a Friday, and 13,210.
    """
    given = {
        "customer": [4, -1, -2, -3], "week": [30, 30, 30, 31],
        "day": [13_203, 13_204, 13_209, 13_216],
        "hour": [9, 23, 0, 12], "store": [2, UNKNOWN_STORE, 0, 0], "items": [2, 1, 1, 1],
        "token": [1, PRODUCTS, CL2, 30, G2], "quantity": [1, 12, 1, 2, 3],
        "pence": [5, 1230, 100, 0, 2_147_483_647],
    }  # fmt: skip
    kind = np.array([[1, 2, 3, 4], [0, 0, 0, 0], [3, 1, 1, 1], [2, 2, 2, 2]])
    return Receipts(kind=kind, **{name: np.array(rows) for name, rows in (given | changes).items()})


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A toy chain whose labels are known."""
    found = columns()
    found["customers.price_sensitivity"] = np.full(60, 2)
    found["customers.lifestage"] = np.zeros(60, int)
    found["stores.format"], found["stores.region"] = np.array([1, 1, 3, 1, 1]), np.arange(5)
    return world(tmp_path_factory.mktemp("lgsr") / "cache", found)


def lines(folder, week: int) -> list[str]:
    path = folder / f"transactions_{week}.csv.gz"
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def test_every_field_of_a_line(cache, tmp_path):
    write_receipts(receipts(), cache, tmp_path / "run")
    assert lines(tmp_path / "run", 200630) == [
        "SHOP_WEEK,SHOP_DATE,SHOP_WEEKDAY,SHOP_HOUR,QUANTITY,SPEND,PROD_CODE,PROD_CODE_10,"
        "PROD_CODE_20,PROD_CODE_30,PROD_CODE_40,CUST_CODE,CUST_PRICE_SENSITIVITY,CUST_LIFESTAGE,"
        "BASKET_ID,BASKET_SIZE,BASKET_PRICE_SENSITIVITY,BASKET_TYPE,BASKET_DOMINANT_MISSION,"
        "STORE_CODE,STORE_FORMAT,STORE_REGION",
        "200630,20060224,6,9,1,0.05,PRD0000,CL1,DEP1,G1,D1,CUST0004,BG,,SIM200630-0000001,"
        "S,MM,Full Shop,Nonfood,STORE002,SS,N01",
        "200630,20060224,6,9,12,12.30,PRD0039,CL4,DEP2,G2,D2,CUST0004,BG,,SIM200630-0000001,"
        "S,MM,Full Shop,Nonfood,STORE002,SS,N01",
        "200630,20060225,7,23,1,1.00,PRDSIM1-CL2,CL2,DEP1,G1,D1,,,,SIM200630-0000002,"
        "XX,XX,XX,XX,STORESIM,XX,XX",
        "200630,20060302,5,0,2,0.00,PRD0029,CL3,DEP2,G2,D2,CUSTSIM0000001,,,SIM200630-0000003,"
        "L,LA,Small Shop,Fresh,STORE000,LS,XX",
    ]


def test_weeks_follow_the_calendar(cache, tmp_path):
    """A category of the third level has categories of its own below."""
    write_receipts(receipts(), cache, tmp_path / "run")
    assert lines(tmp_path / "run", 200631)[1:] == [
        "200631,20060309,5,12,3,21474836.47,PRDSIM3-G2,PRDSIM3-G2,PRDSIM3-G2,G2,D2,CUSTSIM0000002,"
        ",,SIM200631-0000001,M,MM,Top Up,Grocery,STORE000,LS,XX"
    ]
    calendar = (tmp_path / "run" / "time.csv").read_text().splitlines()
    assert len(calendar) == 1 + 31
    assert calendar[:2] == ["shop_week,date_from,date_to", "200601,20050805,20050811"]
    assert calendar[30:] == ["200630,20060224,20060302", "200631,20060303,20060309"]


def test_years_have_52_weeks(cache, tmp_path):
    shift = 24
    later = receipts(
        week=np.array([30, 30, 30, 31]) + shift,
        day=np.array([13_203, 13_204, 13_209, 13_216]) + 7 * shift,
    )
    write_receipts(later, cache, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "time.csv", "transactions_200702.csv.gz", "transactions_200703.csv.gz",
    ]  # fmt: skip
    calendar = (tmp_path / "run" / "time.csv").read_text().splitlines()
    assert [row[:6] for row in calendar[51:]] == ["200651", "200652", "200701", "200702", "200703"]


def test_the_same_receipts_are_the_same_bytes(cache, tmp_path):
    for name in ("a", "b"):
        write_receipts(receipts(), cache, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token": [1, 2, PRODUCTS + 1, 30, 31]}, "token 41 is neither a product nor a category"),
        ({"token": [1, 2, 3, 0, 31]}, "token 0 is neither"),
        ({"day": [13_202, 13_204, 13_209, 13_216]}, "trip 0: day 13202 is not in week 30"),
        ({"day": [13_203, 13_204, 13_209, 13_217]}, "trip 3: day 13217 is not in week 31"),
        ({"items": [2, 2, 1, 1]}, "token has 5 rows, not 6"),
        ({"items": [3, 1, 1, 0]}, "a trip without items"),
    ],
)
def test_receipts_that_contradict_themselves_are_refused(cache, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        write_receipts(receipts(**changes), cache, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_is_written_over(cache, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is there already: name another folder"):
        write_receipts(receipts(), cache, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_code_that_would_break_a_line_is_refused(tmp_path):
    found = columns()
    found["products.code"] = np.where(np.arange(PRODUCTS) == 7, "A,B", found["products.code"])
    cache = world(tmp_path / "cache", found)
    with pytest.raises(InputError, match="products.code 'A,B' holds a comma"):
        write_receipts(receipts(), cache, tmp_path / "run")


def test_a_label_that_would_break_a_line_is_refused(cache, tmp_path, monkeypatch):
    """Labels of layouts of one's own are free text."""
    regions = ["North, by the sea" for _ in cache.labels["store_region"]]
    monkeypatch.setitem(cache.labels, "store_region", regions)
    with pytest.raises(InputError, match="label of store_region 'North, by the sea' holds a comma"):
        write_receipts(receipts(), cache, tmp_path / "run")


def test_a_run_without_trips_is_a_calendar(cache, tmp_path):
    full = receipts()
    empty = Receipts(**{f.name: getattr(full, f.name)[:0] for f in dataclasses.fields(Receipts)})
    write_receipts(empty, cache, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["time.csv"]
