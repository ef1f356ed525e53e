"""Replays are found by content: in a chain that has them, and against a slow search for copies."""

from __future__ import annotations

from collections import defaultdict

import pytest

from dbt_project.sample import ChainConfig, generate_chain

FIRST_REPLAYED_WEEK = 24


@pytest.fixture(scope="module")
def replayed(dbt, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replays")
    config = ChainConfig(
        customers=60, products=200, stores=6, weeks=30, replay_from=FIRST_REPLAYED_WEEK
    )
    generate_chain(config, folder)
    result = dbt("build", raw=folder)
    assert result.returncode == 0, result.output
    return result


def test_replayed_weeks_are_found_by_their_share(replayed):
    weeks = replayed.rows("select week from weeks where is_replayed_week order by week")
    assert [week for (week,) in weeks] == list(range(FIRST_REPLAYED_WEEK, 31))
    # The chain copies 96 % of identified trips from then on; before, larger trips hardly repeat.
    share = "select sum(compared_replays) / sum(compared_trips) from replays_by_week where week"
    assert 0.9 < replayed.value(f"{share} >= {FIRST_REPLAYED_WEEK}") <= 1
    assert replayed.value(f"{share} < {FIRST_REPLAYED_WEEK}") < 0.05
    flagged = "select bool_and(is_in_replayed_week = (week >= 24)) from trips"
    assert replayed.value(flagged) is True


def test_replay_of_is_the_first_earlier_trip_with_the_same_content(replayed):
    lines = defaultdict(set)
    for trip, *line in replayed.rows(
        "select trip_key, product_key, quantity, spend_pence from trip_items"
    ):
        lines[trip].add(tuple(line))
    first = {}
    expected = {}
    for trip, customer, store, hour in replayed.rows(
        "select trip_key, customer_key, store_key, shop_hour from trips"
        " where customer_key is not null order by trip_key"
    ):
        content = (customer, store, hour, frozenset(lines[trip]))
        if content in first:
            expected[trip] = first[content]
        else:
            first[content] = trip
    found = replayed.rows("select trip_key, replay_of from trips where replay_of is not null")
    assert dict(found) == expected
    assert len(expected) > 100
