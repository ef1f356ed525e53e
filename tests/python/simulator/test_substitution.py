"""Who buys what when products go and come, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simulator.prices.absences import Instead
from simulator.substitution import Substitution


def of(share, need, category) -> Substitution:
    found = object.__new__(Substitution)
    found.instead = Instead(share, 0.0, 9)
    found._need, found._category = np.array(need), np.array(category)
    return found


def tokens(*chosen, size=4):
    return np.isin(np.arange(size), chosen)


def test_a_loyal_household_goes_without_more_than_one_that_switches():
    """Token 1 goes, 2 is its rival, 3 is of another need; half of its buyers take the rival."""
    one_need = of(0.5, [-1, 0, 0, 1], [0, 0, 0, 0])
    p = torch.tensor([[0, 0.8, 0.1, 0.1], [0, 0.1, 0.8, 0.1]])
    found = one_need.moved(p, tokens(2, 3), tokens(1), tokens())
    assert found.numpy() == pytest.approx(np.array([[0, 0, 0.5, 0.1], [0, 0, 0.85, 0.1]]))
    assert found.sum(1).tolist() == pytest.approx([0.6, 0.95])


def test_a_launched_product_takes_from_its_rivals_what_its_buyers_would_take_instead():
    one_need = of(0.5, [-1, 0, 0, 1], [0, 0, 0, 0])
    p = torch.tensor([[0, 0.2, 0.4, 0.4]])
    found = one_need.moved(p, tokens(1, 2, 3), tokens(), tokens(1))
    # Without it .5 and .5; it has .25, of which half are its rival's.
    assert found[0].tolist() == pytest.approx([0, 0.25, 0.375, 0.5])


def test_to_delist_what_was_launched_is_as_if_it_had_never_been():
    one_need = of(0.3, [-1, 0, 0, 1], [0, 0, 0, 0])
    p = torch.tensor([[0, 0.2, 0.4, 0.4], [0, 0.01, 0.9, 0.09]])
    launched = one_need.moved(p, tokens(1, 2, 3), tokens(), tokens(1))
    found = one_need.moved(launched, tokens(2, 3), tokens(1), tokens())
    without = p.masked_fill(torch.from_numpy(tokens(1)), 0)
    assert found.numpy() == pytest.approx((without / without.sum(1, keepdim=True)).numpy())


def test_products_without_a_need_have_their_category_as_rivals():
    """Token 1 has no need; 2 of the same category has one, 3 is of another category."""
    found = of(0.4, [-1, -1, 0, 0], [9, 5, 5, 6]).moved(
        torch.tensor([[0, 0.5, 0.25, 0.25]]), tokens(2, 3), tokens(1), tokens()
    )
    assert found[0].tolist() == pytest.approx([0, 0, 0.45, 0.25])


def test_where_all_rivals_are_missing_everybody_goes_without():
    found = of(0.4, [-1, 0, 0, 1], [0, 0, 0, 0]).moved(
        torch.tensor([[0, 0.5, 0.25, 0.25]]), tokens(3), tokens(1, 2), tokens()
    )
    assert found[0].tolist() == pytest.approx([0, 0, 0, 0.25])
