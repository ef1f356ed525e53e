"""Cross-price effects where there are some, and where there are none."""

from __future__ import annotations

from panels import drawn_panel

from simulator.prices.cross import cross_prices
from simulator.prices.demand import fit


def test_none_are_found_where_there_are_none():
    panel, _ = drawn_panel()
    found = cross_prices(panel, fit(panel, 40))
    assert not found.is_identifiable
    assert 0 < found.placebo < 0.12 and 0 < found.within < 0.12
    assert str(found).startswith("cross-price effects are not identifiable: ")


def test_strong_ones_are_found():
    """Of five neighbours in the category, the price of one matters."""
    panel, _ = drawn_panel(cross=1.5)
    found = cross_prices(panel, fit(panel, 40))
    assert found.is_identifiable
    assert found.within > 0.2 and found.substitutes > 0.8


def test_pairs_are_of_products_whose_price_moves():
    """Of 60 products in categories of six, five are left out, all of the first."""
    panel, _ = drawn_panel()
    assert cross_prices(panel, fit(panel, 40)).pairs == 9 * 6 * 5
