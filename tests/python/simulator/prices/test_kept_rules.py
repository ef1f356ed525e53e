"""Which rules hold a plan back, by hand."""

from __future__ import annotations

import numpy as np

from simulator.prices.kept_rules import kept
from simulator.prices.optimise import Plan, Rules


def found(rules, before, after, cost=(1, 1, 1)):
    prices = np.array(before, float), np.array(after, float)
    units, nothing = np.full(len(before), 10.0), np.zeros(len(before))
    plan = Plan(*prices, units, units, nothing, 1.0, 2.0, 1.0)
    return {
        each["rule"]: (each["reached"], each["binds"])
        for each in kept(rules, plan, np.array(cost, float))
    }


def test_a_price_at_the_end_of_its_range():
    """110 is as far as 10 % go; from 105 a penny more is possible."""
    assert found(Rules(0.1), [100, 100, 100], [110, 105, 100]) == {"most_move": (1, True)}
    assert found(Rules(0.1), [100, 100, 100], [90, 91, 100]) == {"most_move": (1, True)}
    assert found(Rules(0.1), [100, 100, 100], [105, 100, 100]) == {"most_move": (0, False)}


def test_with_endings_the_next_price_is_farther():
    """After 105 comes 109, and after that 115, which is too far."""
    rules = Rules(0.1, endings=tuple(sorted((*range(5, 100, 10), *range(9, 100, 10)))))
    assert found(rules, [100, 100, 100], [105, 109, 100]) == {
        "most_move": (1, True), "endings": (2, True),
    }  # fmt: skip


def test_a_price_at_its_least_margin():
    """Of 100 with a cost of 80 a fifth is left; of 101 a little more."""
    rules = Rules(0.2, least_margin=0.2)
    cost = [80, 80, 80]
    assert found(rules, [105, 105, 90], [100, 101, 90], cost)["least_margin"] == (1, True)
    assert found(rules, [105, 105, 90], [102, 105, 90], cost)["least_margin"] == (0, False)


def test_the_price_level_the_number_of_changes_and_links():
    rules = Rules(0.2, index=1.0, most_changes=2, parity=((0, 2, 2.0, 0.1),))
    assert found(rules, [100, 50, 50], [105, 45, 50]) == {
        "most_move": (0, False), "index": (1.0, True), "most_changes": (2, True),
        "parity": (0, False),
    }  # fmt: skip
    assert found(rules, [100, 50, 50], [110, 45, 50])["parity"] == (1, True)  # 110 = 2 x 50 x 1.1
    assert found(rules, [100, 50, 50], [90, 50, 50])["index"] == (0.95, False)
