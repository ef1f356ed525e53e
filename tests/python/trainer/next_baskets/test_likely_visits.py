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
from trainer.next_baskets.likely_visits import Given, likely_visits

LAST = EPOCH + timedelta(13_000 + 209)
"""The last day of the toy calendar."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    cache = toy_cache(tmp_path_factory.mktemp("cache"), trips_of=[3, 3])
    return Chain(cache, chain_sales_after(cache, 30))


class Visits:
    """Chances of two customers, each the same whatever is asked; keeps what it was asked."""

    def __init__(self, days, each_later=0.05):
        self._hazards = torch.zeros(2, TAIL + 1, dtype=torch.float64)
        self._hazards[:, TAIL] = each_later
        for row, chances in enumerate(days):
            left = 1.0
            for gap, p in sorted(chances.items()):
                self._hazards[row, gap] = p / left
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
    np.testing.assert_allclose(found.size_p, [[0.2, 0.5, 0.3]] * 2, rtol=1e-6)


def test_what_is_given_is_kept(chain):
    day = date(2012, 1, 1)
    given = Given(day, 7, 4, (3, 0, 0, 1))
    found = likeliest(chain, Visits([{}, {}]), LAST, LAST, given=given)
    assert found.dates == [day] * 2 and found.hours.tolist() == [7, 7]
    assert found.stores.tolist() == [4, 4] and found.kind.tolist() == [[3, 0, 0, 1]] * 2
    assert found.size_p.tolist() == [[0, 0, 1]] * 2
    for p in (found.date_p, found.hour_p, found.store_p, found.kind_p):
        assert np.isnan(p).all()
