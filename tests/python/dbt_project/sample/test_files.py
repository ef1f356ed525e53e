"""What the files hold: columns, codes, identities, dates."""

from __future__ import annotations

import csv
import datetime as dt
import re

import pytest

from dbt_project.sample import Behaviour, ChainConfig, generate_chain
from dbt_project.sample.calendar import monday, shop_week, time_rows
from dbt_project.sample.effects import made_of

CLASSIC = (
    "SHOP_WEEK,SHOP_DATE,SHOP_WEEKDAY,SHOP_HOUR,QUANTITY,SPEND,PROD_CODE,PROD_CODE_10,"
    "PROD_CODE_20,PROD_CODE_30,PROD_CODE_40,CUST_CODE,seg_1,seg_2,BASKET_ID,BASKET_SIZE,"
    "BASKET_PRICE_SENSITIVITY,BASKET_TYPE,BASKET_DOMINANT_MISSION,STORE_CODE,STORE_FORMAT,"
    "STORE_REGION"
)
PATTERNS = {
    "PROD_CODE": r"PRD09\d{5}",
    "PROD_CODE_10": r"CL\d{5}",
    "PROD_CODE_20": r"DEP\d{5}",
    "PROD_CODE_30": r"G\d{5}",
    "PROD_CODE_40": r"D\d{5}",
    "CUST_CODE": r"(CUST\d{10})?",
    "seg_1": "(CT|AZ|BG|DY)?",
    "seg_2": "(BU|AT|DI|CZ|FN|EQ)?",
    "BASKET_ID": r"9941\d{11}",
    "BASKET_SIZE": "S|M|L",
    "BASKET_PRICE_SENSITIVITY": "LA|MM|UM|XX",
    "BASKET_TYPE": "Small Shop|Top Up|Full Shop|XX",
    "BASKET_DOMINANT_MISSION": "Fresh|Grocery|Mixed|Nonfood|XX",
    "STORE_CODE": r"STORE\d{5}",
    "STORE_FORMAT": "LS|MS|SS|XLS",
    "STORE_REGION": "[ENSW]0[123]",
    "SPEND": r"\d+\.\d\d",
    "QUANTITY": r"[1-9]\d*",
    "SHOP_HOUR": r"[89]|1\d|2[01]",
}


def test_weeks_are_numbered_like_lgsr():
    assert time_rows(117)[0] == (200607, 20060410, 20060416)
    assert [shop_week(w) for w in (46, 47, 98, 99, 117)] == [200652, 200701, 200752, 200801, 200819]
    assert monday(47) == dt.date(2007, 2, 26)


def test_one_file_per_week_with_the_classic_header(chain):
    files = sorted(p.name for p in chain.folder.glob("transactions*"))
    assert files == [f"transactions_{shop_week(w)}.csv" for w in range(1, 118)]
    for name in files[:3]:
        assert (chain.folder / name).read_text().splitlines()[0] == CLASSIC
    lines = (chain.folder / "time.csv").read_text().splitlines()
    assert lines[0] == "shop_week,date_from,date_to"
    assert len(lines) == 118


def test_every_field_is_written_as_in_lgsr(chain):
    with (chain.folder / "transactions_200620.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 300
    for column, pattern in PATTERNS.items():
        bad = [r[column] for r in rows if not re.fullmatch(pattern, r[column])]
        assert not bad, (column, bad[:3])


def test_truth_has_no_name_that_a_reader_of_raw_data_would_take(chain):
    names = [p.name for p in (chain.folder / "truth").iterdir()]
    assert "chain.json" in names
    assert not [n for n in names if n.startswith("transactions") or n == "time.csv"]
    assert {p.name for p in chain.folder.iterdir() if p.is_dir()} == {"truth"}


@pytest.mark.parametrize(
    ("child", "parents"),
    [
        ("PROD_CODE", "PROD_CODE_10, PROD_CODE_20, PROD_CODE_30, PROD_CODE_40"),
        ("PROD_CODE_10", "PROD_CODE_20"),
        ("PROD_CODE_20", "PROD_CODE_30"),
        ("PROD_CODE_30", "PROD_CODE_40"),
        ("STORE_CODE", "STORE_FORMAT, STORE_REGION"),
        ("CUST_CODE", "seg_1, seg_2"),
        (
            "BASKET_ID",
            "CUST_CODE, STORE_CODE, SHOP_DATE, SHOP_HOUR, BASKET_SIZE, BASKET_TYPE, "
            "BASKET_DOMINANT_MISSION, BASKET_PRICE_SENSITIVITY",
        ),
    ],
)
def test_hierarchies_and_baskets_are_consistent(chain, child, parents):
    assert chain.one(
        f"""select count(*) from (select {child} from item where {child} is not null
        group by {child} having count(distinct ({parents})) > 1)"""
    ) == 0  # fmt: skip


def test_a_product_stands_once_in_a_basket(chain):
    assert chain.one("select count(*) - count(distinct (BASKET_ID, PROD_CODE)) from item") == 0


def test_anonymous_rows_have_no_customer_and_no_segments(chain):
    assert chain.one(
        "select count(*) from item where CUST_CODE is null and coalesce(seg_1, seg_2) is not null"
    ) == 0  # fmt: skip
    assert chain.one("select count(*) from item where CUST_CODE is not null and seg_1 is null") == 0


def test_dates_lie_in_their_week_and_weekdays_count_from_sunday(chain):
    assert chain.one(
        """select count(*) from item where
        date_diff('day', date '2006-04-10', strptime(SHOP_DATE::varchar, '%Y%m%d')::date) // 7 + 1
            != w
        or dayofweek(strptime(SHOP_DATE::varchar, '%Y%m%d')) + 1 != SHOP_WEEKDAY"""
    ) == 0  # fmt: skip
    assert chain.one("select count(distinct SHOP_WEEKDAY) from item") == 7


def test_basket_size_counts_units(chain):
    assert chain.one(
        """select count(*) from (select sum(QUANTITY) as units, any_value(BASKET_SIZE) as size
            from item group by BASKET_ID)
        where size != case when units <= 2 then 'S' when units <= 9 then 'M' else 'L' end"""
    ) == 0  # fmt: skip


def test_one_item_baskets_take_the_mission_of_their_department(chain):
    rows = chain.sql(
        """with b as (select BASKET_ID, any_value(BASKET_DOMINANT_MISSION) as m,
            any_value(PROD_CODE_40) as d from item group by BASKET_ID having count(*) = 1)
        select distinct d, m from b"""
    )
    allowed = {
        "D00001": {"Fresh"}, "D00002": {"Fresh"}, "D00003": {"Grocery"}, "D00004": {"Nonfood"},
        "D00005": {"Nonfood", "XX"}, "D00006": {"XX"}, "D00007": {"Nonfood"},
        "D00008": {"Grocery", "XX"}, "D00009": {"Grocery", "XX"},
    }  # fmt: skip
    assert {("D00002", "Fresh"), ("D00003", "Grocery")} <= set(rows)
    assert [r for r in rows if r[1] not in allowed[r[0]]] == []


def test_chain_json_adds_up(chain):
    rows, baskets, pence = chain.sql(
        "select count(*), count(distinct BASKET_ID), sum(pence)::bigint from item"
    )[0]
    facts = chain.facts
    assert (facts["rows"], facts["baskets"], facts["spend_pence"]) == (rows, baskets, pence)


def test_both_headers_differ_in_two_names_only(write_chain, tiny):
    one, two = (write_chain(**tiny, header=h) for h in ("classic", "new"))
    for path in one.folder.glob("transactions*"):
        head, _, rows = path.read_text().partition("\n")
        new_head, _, new_rows = (two.folder / path.name).read_text().partition("\n")
        assert rows == new_rows
        assert head.replace("seg_1,seg_2", "CUST_PRICE_SENSITIVITY,CUST_LIFESTAGE") == new_head


def test_csv_and_parquet_hold_the_same_rows(write_chain, tiny):
    one, two = (write_chain(**tiny, format=f) for f in ("csv", "parquet"))
    query = "select * exclude (SPEND) from item order by all"
    rows = one.sql(query)
    assert rows == two.sql(query)
    assert len(rows) > 200


def test_a_chain_without_a_trip_is_written(tmp_path):
    """A household that has not come yet in the only week: no rows, and no elasticities."""
    config = ChainConfig(customers=1, products=62, stores=1, weeks=1)
    assert generate_chain(config, tmp_path)["rows"] == 0
    assert (tmp_path / "truth" / "elasticities.parquet").exists()


def test_a_chain_of_another_behaviour_says_so(tmp_path):
    hasty = Behaviour(review=0.5)
    config = ChainConfig(customers=20, products=62, stores=1, weeks=2)
    generate_chain(config, tmp_path, behaviour=hasty)
    assert made_of(tmp_path) == (config, hasty)
