"""Figures as text."""

from __future__ import annotations

import pytest

from simulator.whatif.figures import change, flow, interval, relative, verdict
from simulator.whatif.parts import PARTS


def figure(without, change, low=None, high=None, stands_out=False):
    return {
        "without": without, "change": change, "low": low, "high": high, "stands_out": stands_out,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "measure", "text"),
    [
        (1234.5, "units", "+1,234"), (-12.34, "units", "−12.3"), (12, "trips", "+12"),
        (0, "units", "0"), (-0.04, "units", "0.0"), (-123456, "spend_pence", "−1,235"),
        (150, "margin_pence", "+1.5"), (None, "units", "–"),
    ],
)  # fmt: skip
def test_a_change(value, measure, text):
    assert change(figure(1, value), measure) == text


def test_intervals_shares_and_what_they_mean():
    clear = figure(200, -10, -15, -5, stands_out=True)
    assert (interval(clear, "units"), relative(clear), verdict(clear)) == (
        "[−15, −5]",
        "−5.0 %",
        "",
    )
    unclear = figure(1e6, -1, -3, 1)
    assert (relative(unclear), verdict(unclear)) == ("0.0 %", "not distinguishable from 0")
    assert verdict(figure(5, 0, 0, 0)) == "the same in every run"
    assert (interval(figure(5, 1), "units"), relative(figure(0, 1))) == ("", "–")


def test_whom_changed_products_take_from():
    content = {
        "shares": {
            "rivals": (0.354, 0.28, 0.42),
            "elsewhere": (0, 0, 0),
            "beside": (-0.1, -0.2, 0),
        },
        "tables": {"part": [{"part": "changed", "units": figure(100, 60)}]},
    }
    assert flow(content, PARTS) == (
        "For each 100 units that the changed products gain where and while they change, their "
        "rivals lose 35 [28, 42], other products of these stores lose −10 [−20, 0]."
    )
    content["tables"]["part"][0]["units"]["change"] = -60
    assert "products lose where and while they change, their rivals gain 35" in flow(content, PARTS)
    assert flow(content | {"shares": {}}, PARTS) is None
