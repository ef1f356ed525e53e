"""The table of coupon policies: gains over nobody, chains the units where there are several."""

from __future__ import annotations

from benchmarks.coupons import _gains, table


def chain(gain: float) -> dict:
    """Two lives of two weeks; everybody earns a gain and, in the second week, twice that."""
    lives = {"nobody": [[10.0, 20.0], [30.0, 40.0]]}
    lives["everybody"] = [[a + gain, b + 2 * gain] for a, b in lives["nobody"]]
    return {
        "gives": {"nobody": [[False]], "everybody": [[True]]}, "truth": lives, "model": lives,
    }  # fmt: skip


def test_gains_of_all_weeks_and_of_halves():
    found = chain(4.0)

    assert _gains(found, "truth", "everybody").tolist() == [6.0, 6.0]
    assert _gains(found, "truth", "everybody", half=0).tolist() == [4.0, 4.0]
    assert _gains(found, "truth", "everybody", half=1).tolist() == [8.0, 8.0]


def test_chains_are_the_units():
    """Gains of 1.5 and 4.5: 3 on average, 12.706 x 1.5 to each side."""
    row = table([chain(1.0), chain(3.0)])[2]

    assert row[0] == "everybody"
    assert row[1].startswith("100%")
    assert row[3] == "+3.0 (-16.1 to +22.1)"
    assert row[4] == "2 of 2"
