"""The same seed gives the same bytes; sizes and seeds matter, workers do not."""

from __future__ import annotations

import hashlib
import json

from dbt_project.sample.config import read


def contents(written) -> dict[str, bytes]:
    return {
        p.relative_to(written.folder).as_posix(): p.read_bytes()
        for p in sorted(written.folder.rglob("*"))
        if p.is_file()
    }


def test_same_seed_same_bytes_for_any_number_of_workers(write_chain, tiny):
    replayed = tiny | {"replay_from": 9}
    first, again, two = (write_chain(workers=n, **replayed) for n in (1, 1, 2))
    assert contents(first) == contents(again)
    assert contents(first) == contents(two)
    assert len(contents(first)) == 12 + 1 + 15


def test_independent_weeks_are_what_they_were_before_there_were_others(write_chain, tiny):
    """The files of a seed, byte by byte."""
    options = tiny | {"behaviour": "independent", "replay_from": 9}
    one, two = (write_chain(workers=n, **options) for n in (1, 2))
    assert contents(one) == contents(two)
    content = contents(one)
    digest = hashlib.sha256()
    for name in sorted(content):
        if not name.startswith("truth"):
            digest.update(content[name])
    assert digest.hexdigest() == "5d6ecd87c050beae0dc059d47975c5e84876ff831c555fe7afaa22735414c1d9"
    config = json.loads(content["truth/chain.json"])["config"]
    assert "behaviour" not in config and "pricing" not in config
    assert read(config) == one.config


def test_another_seed_is_another_chain(write_chain, tiny):
    # Some are lost within a year, so that the list of them is not empty.
    first, other = (write_chain(**tiny | {"weeks": 60, "seed": seed}) for seed in (7, 8))
    files, others = contents(first), contents(other)
    same = [n for n in files if files[n] == others.get(n)]
    assert same == ["time.csv"]


def test_replays_leave_earlier_weeks_alone(write_chain, tiny):
    plain, replayed = write_chain(**tiny), write_chain(**tiny, replay_from=9)
    a, b = contents(plain), contents(replayed)
    same = [n for n in a if n.startswith("transactions") and a[n] == b[n]]
    assert same == sorted(n for n in a if n.startswith("transactions"))[:8]


def test_replays_are_copies_of_earlier_trips(write_chain):
    options = {"customers": 60, "products": 300, "stores": 10, "weeks": 40, "seed": 5}
    query = """
        with line as (select BASKET_ID, any_value(CUST_CODE) as c, any_value(w) as w, count(*) as n,
                any_value(STORE_CODE) as s, any_value(SHOP_HOUR) as h,
                list_sort(list((PROD_CODE, QUANTITY, pence)))::varchar as content
            from item where CUST_CODE is not null group by BASKET_ID),
        old as (select distinct c, s, h, content from line where w < 31)
        select avg((old.c is not null)::int)
        from line left join old using (c, s, h, content)
        where w >= 31 and n >= 3 and c in (select c from old)"""
    plain, replayed = write_chain(**options), write_chain(**options, replay_from=31)
    assert plain.one(query) < 0.02
    assert 0.94 < replayed.one(query) < 0.98
    assert replayed.one("select count(*) - count(distinct (BASKET_ID, PROD_CODE)) from item") == 0
    ids = "select count(distinct BASKET_ID) = count(distinct (BASKET_ID, w)) from item"
    assert replayed.one(ids)


def test_anonymous_trips_are_never_replayed(write_chain):
    options = {"customers": 60, "products": 300, "stores": 10, "weeks": 12, "seed": 5}
    query = """select BASKET_ID, PROD_CODE, QUANTITY, pence from item where CUST_CODE is null
        order by all"""
    plain, replayed = write_chain(**options), write_chain(**options, replay_from=6)
    assert plain.sql(query) == replayed.sql(query)
