"""The likeliest day, store and hour, from chances made up by hand."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy import toy_cache

from trainer.features.calendar import EPOCH
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.plans import UNKNOWN_STORE
from trainer.features.visits import HORIZON, TAIL
from trainer.model.next_visits import NextVisits, StoreChances
from trainer.next_baskets.likely_visits import Given, likely_visits, possible_visits

LAST = EPOCH + timedelta(13_000 + 209)
"""The last day of the toy calendar."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    cache = toy_cache(tmp_path_factory.mktemp("cache"), trips_of=[3, 3])
    return Chain(cache, chain_sales_after(cache, 30))


class Visits:
    """Chances of two customers, each the same whatever is asked; keeps what it was asked."""

    def __init__(self, days, each_later=0.05):
        self.hazards = torch.zeros(2, TAIL + 1, dtype=torch.float64)
        self.hazards[:, TAIL] = each_later
        for row, chances in enumerate(days):
            left = 1.0
            for gap, p in sorted(chances.items()):
                self.hazards[row, gap] = p / left
                left -= p

    def days_from(self, first):
        return NextVisits.days_from(self, first)

    def _here(self, tensor):
        return tensor

    def stores(self, dates):
        self.asked = dates
        return StoreChances(
            customer=torch.tensor([0, 0, 1, 1]), identity=torch.tensor([2, 4, 0, 1]),
            p=torch.tensor([0.2, 0.3, 0.6, 0.2]), new=torch.tensor([0.5, 0.2]),
        )  # fmt: skip

    def hours(self, dates, stores):
        assert dates == getattr(self, "asked", dates)
        p = torch.zeros(2, 24)
        p[0, 9], p[1, 17] = 0.7, 0.4
        return p

    def kind(self, dates, stores, hours, *codes):
        """Code 2 of each column first, after code 2 code 1."""
        after = len(codes) and int(codes[-1][0]) == 2
        p = torch.tensor([[0.6, 0.4, 0.0]] if after else [[0.2, 0.5, 0.3]])
        return p.expand(2, -1).clone()


def customers(chain, *last):
    return [SimpleNamespace(chain=chain, last=(day, 12)) for day in last]


NOTHING = Given()


def likeliest(chain, visits, *last, given=NOTHING):
    return likely_visits(visits, customers(chain, *last), given, LAST + timedelta(1))


def test_the_day_is_the_likeliest_of_those_after_the_data(chain):
    """The first customer came ten days before the end: days up to there are over."""
    visits = Visits([{1: 0.5, 11: 0.1, 14: 0.2, 20: 0.1}, {0: 0.3, 1: 0.2, 2: 0.4}])
    found = likeliest(chain, visits, LAST - timedelta(10), LAST)
    assert found.dates == [LAST + timedelta(4), LAST + timedelta(2)]
    assert found.date_p == pytest.approx([0.2 / 0.5, 0.4 / 0.7])
    assert visits.asked == found.dates


def test_a_later_customer_comes_on_the_day_after_at_the_earliest(chain):
    """Strangers may have trips after the end of the cache."""
    visits = Visits([{0: 0.6, 1: 0.1, 2: 0.05}, {0: 0.6, 1: 0.1, 2: 0.2}])
    found = likeliest(chain, visits, LAST + timedelta(1), LAST + timedelta(5))
    assert found.dates == [LAST + timedelta(2), LAST + timedelta(7)]


def test_the_tail_has_one_hazard(chain):
    """Who stayed away for longer than the horizon comes on the first day, if at all; whose only
    chance is the tail comes on its first day."""
    visits = Visits([{1: 0.9}, {0: 0.9}])
    found = likeliest(chain, visits, LAST - timedelta(150), LAST)
    assert found.dates == [LAST + timedelta(1), LAST + timedelta(HORIZON + 1)]
    assert found.date_p == pytest.approx([0.05, 0.05])


def test_store_hour_and_kind_follow(chain):
    found = likeliest(chain, Visits([{1: 0.9}, {1: 0.9}]), LAST, LAST)
    assert found.stores.tolist() == [3, UNKNOWN_STORE] and found.store_p == pytest.approx(
        [0.3, 0.6]
    )
    assert found.hours.tolist() == [9, 17] and found.hour_p == pytest.approx([0.7, 0.4])
    assert found.kind.tolist() == [[2, 1, 2, 1]] * 2
    assert found.kind_p == pytest.approx([0.5 * 0.6 * 0.5 * 0.6] * 2)


def test_possible_visits_share_out_days_stores_and_hours(chain):
    """Each stands for a quarter, of each at another place."""
    visits = Visits([{1: 0.3, 2: 0.2, 5: 0.5}, {}], each_later=0.02)
    visits.hazards[1] = 0.02  # every day
    hours = torch.zeros(2, 24)
    hours[:, [6, 9, 13, 20]] = 0.25
    visits.hours = lambda dates, stores: hours
    found = possible_visits(visits, customers(chain, LAST, LAST), NOTHING, LAST + timedelta(1))
    assert [each.dates[0] for each in found] == [LAST + timedelta(n) for n in (1, 2, 5, 5)]
    # The days of a geometric law up to the horizon at 1/8, 3/8, 5/8 and 7/8.
    within = 1 - 0.98 ** (HORIZON + 1)
    days = np.ceil(np.log(1 - np.array([1, 3, 5, 7]) / 8 * within) / np.log(0.98))
    assert [(each.dates[1] - LAST).days for each in found] == days.tolist()
    # Of the known stores the first customer's have .2 and .3, the second's .6 and .2.
    assert [each.stores.tolist() for each in found] == [
        [1, UNKNOWN_STORE], [3, 0], [1, UNKNOWN_STORE], [3, UNKNOWN_STORE],
    ]  # fmt: skip
    assert sorted(each.hours[0] for each in found) == [6, 9, 13, 20]
    for each in found:
        np.testing.assert_allclose(each.size_p, [[0.2, 0.5, 0.3]] * 2, rtol=1e-6)


def test_of_a_visit_that_is_given_there_is_one(chain):
    given = Given(date(2012, 1, 1), 7, 4, (3, 0, 0, 1))
    (only,) = possible_visits(
        Visits([{}, {}]), customers(chain, LAST, LAST), given, LAST + timedelta(1)
    )
    assert (only.dates, only.hours.tolist(), only.stores.tolist()) == (
        [given.date] * 2, [7, 7], [4, 4],
    )  # fmt: skip
    assert only.size_p.tolist() == [[0, 0, 1]] * 2


def test_what_is_given_is_kept(chain):
    day = date(2012, 1, 1)
    given = Given(day, 7, 4, (3, 0, 0, 1))
    found = likeliest(chain, Visits([{}, {}]), LAST, LAST, given=given)
    assert found.dates == [day] * 2 and found.hours.tolist() == [7, 7]
    assert found.stores.tolist() == [4, 4] and found.kind.tolist() == [[3, 0, 0, 1]] * 2
    for p in (found.date_p, found.hour_p, found.store_p, found.kind_p):
        assert np.isnan(p).all()
