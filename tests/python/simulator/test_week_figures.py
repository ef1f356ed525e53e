"""Figures by week, counted by hand."""

from __future__ import annotations

import numpy as np
from toy_start import START

from simulator.receipts import Receipts
from simulator.summary import HISTORY, before, by_week, lines, summary


def receipts(trips: list[tuple[int, int, list[int]]]) -> Receipts:
    """Trips of a customer in a week, with what is paid for each line."""
    customer, week, pence = zip(*trips, strict=True) if trips else ((), (), ())
    items = np.array([len(paid) for paid in pence], np.int64)
    zeros = np.zeros(len(trips), np.int64)
    lines_ = np.arange(1, items.sum() + 1)
    return Receipts(
        customer=np.array(customer, np.int64), week=np.array(week, np.int64), day=zeros, hour=zeros,
        store=zeros, kind=np.zeros((len(trips), 4), np.int64), items=items, token=lines_,
        quantity=lines_, pence=np.array([p for paid in pence for p in paid], np.int64),
    )  # fmt: skip


def test_a_run_is_counted_by_week():
    found = by_week(
        receipts([(3, 11, [100, 50]), (3, 11, [25]), (-2, 11, [10]), (-1, 11, [999, 999]),
                  (-2, 13, [1, 2, 3]), (-3, 13, [4]), (-1, 13, [5]), (-1, 13, [5])]),
        start=10, weeks=3,
    )  # fmt: skip
    assert found == {
        "trips": [3, 0, 2],
        "customers": [2, 0, 2],  # new ones, -2 and less, are customers too
        "items": [4, 0, 4],
        "spend_pence": [185, 0, 10],
        "anonymous_trips": [1, 0, 2],
    }


def test_a_run_without_trips_has_figures_too():
    assert by_week(receipts([]), 10, 2) == {
        name: [0, 0] for name in ("trips", "customers", "items", "spend_pence", "anonymous_trips")
    }


def test_weeks_before_are_those_of_the_cache(chain):
    cache, _ = chain
    offsets = cache["trips.item_offsets"].astype(int)
    whose = np.repeat(
        np.arange(cache.rows("customers")), np.diff(cache["customers.trip_offsets"].astype(int))
    )
    for start in (START, 30):
        found, first = before(cache, start), max(start - HISTORY + 1, 1)
        assert {len(values) for values in found.values()} == {min(HISTORY, start)}
        for place, week in enumerate(range(first, start + 1)):
            rows = [row for row, its in enumerate(cache["trips.week"]) if its == week]
            expected = {
                "trips": len(rows),
                "customers": len({whose[row] for row in rows}),
                "items": sum(offsets[row + 1] - offsets[row] for row in rows),
                "spend_pence": sum(int(cache["trips.spend_pence"][row]) for row in rows),
            }
            assert {name: values[place] for name, values in found.items()} == expected


def test_a_table_has_a_row_a_week_and_the_middle_of_many_runs(chain):
    cache, _ = chain
    names = ("trips", "customers", "items", "spend_pence", "anonymous_trips")
    runs = [dict.fromkeys(names, [1000 + run, 7]) for run in range(21)]
    content = summary(cache, "w" * 64, START, None, 0, runs)
    head, _, first, second = lines(content)
    assert head == "| week | trips | customers | items | spend pence | anonymous trips |"
    assert first == f"| {START + 1} |" + " 1,010 [1,001, 1,019] |" * 5
    assert second == f"| {START + 2} |" + " 7 [7, 7] |" * 5
    assert lines(content | {"runs": runs[:2]})[2] == f"| {START + 1} |" + " 1,000 |" * 5
