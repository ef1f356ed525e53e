"""Charts: a value lies on the pixel it should, computed by hand."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
import torch

from trainer.evaluation.bootstrap import Estimate
from trainer.report.charts.bars import bars
from trainer.report.charts.dots import Panel, dots
from trainer.report.charts.lines import Epochs, Series, lines
from trainer.report.charts.points import Axis, Group, points
from trainer.report.charts.scales import Scale, around, decades, round_step
from trainer.report.figures import fixed, percent, signed, spans
from trainer.report.markup import Markup, element, join
from trainer.report.sections.products import two_dimensions


def parsed(chart: Markup) -> ElementTree.Element:
    """The svg of a figure, whose title and description are found by their names."""
    svg = ElementTree.fromstring(chart).find("svg")
    named = svg.get("aria-labelledby").split()
    assert [svg.find("title").get("id"), svg.find("desc").get("id")] == named
    assert svg.find("title").text and svg.find("desc").text
    return svg


def of_class(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [e for e in svg.iter() if name in (e.get("class") or "").split()]


def numbers(part: ElementTree.Element, *names: str) -> list[float]:
    return [float(part.get(name)) for name in names]


def test_scales():
    assert Scale(0, 10, 100, 200)(2.5) == 125
    assert Scale(0, 10, 200, 100)(2.5) == 175  # upwards
    assert Scale(1e-4, 1, 0, 400, True)(1e-2) == pytest.approx(200)
    assert [label for _, label in Scale(0.11, 0.39, 0, 1).ticks()] == ["0.15", "0.20", "0.25",
                                                                       "0.30", "0.35"]  # fmt: skip
    assert Scale(-1, 1, 0, 1).ticks(4)[0] == (-1, "−1.0")
    assert Scale(1e-3, 1, 0, 1, True).ticks() == [
        (1e-3, "10⁻³"), (1e-2, "10⁻²"), (1e-1, "10⁻¹"), (1.0, "1"),
    ]  # fmt: skip
    assert [round_step(v) for v in (1, 1.1, 3, 6, 0.02)] == [1, 2, 5, 10, 0.02]
    assert around([1, 3, math.nan], margin=0.5) == (0, 4)
    assert around([2, 2]) != (2, 2) and around([]) == (-0.06, 1.06)
    assert decades([0.02, 0.5]) == (0.01, 1) and decades([0.1]) == (0.1, 1)
    for low, high, logarithmic in ((1, 1, False), (0, 1, True), (math.nan, 1, False)):
        with pytest.raises(ValueError, match="is no range"):
            Scale(low, high, 0, 1, logarithmic)


def test_dots_stand_at_their_values_and_whiskers_at_the_ends():
    found = [Estimate(0.2, 0.1, 0.3, 9), None, Estimate(0.15, math.nan, math.nan, 1)]
    svg = parsed(dots("d", "Title", ["model", "none", "rule"], [Panel("recall", found)], "model"))
    # Axis: 0..0.318 (6 % of room) on 190..904, so 0.1 lies at 190 + 714 * 0.1 / 0.318.
    whiskers = of_class(svg, "whisker")
    assert [numbers(w, "x1", "x2") for w in whiskers] == [
        [414.5, 863.6], [414.5, 414.5], [863.6, 863.6],
    ]  # fmt: skip
    assert numbers(whiskers[0], "y1", "y2") == [21, 21]  # the middle of the first row
    marks = of_class(svg, "dot")
    assert marks[0].get("d").startswith("M634.6,21a4.5,4.5")  # 639.1 less the radius
    assert marks[1].get("d").startswith("M522.3,73a")  # the third row; no interval, no whisker
    assert [g.get("class") for g in svg if g.get("class") in ("stressed", "other")] == [
        "stressed", "other",
    ]  # fmt: skip
    assert "model 0.200 [0.100, 0.300]" in svg.find("desc").text


def test_differences_have_a_zero_line():
    panels = [Panel("a", [None]), Panel("b", [Estimate(0.01, -0.01, 0.03, 9)], difference=True)]
    svg = parsed(dots("d", "Title", ["rule"], panels, "model"))
    (zero,) = of_class(svg, "zero")
    # Second panel: 567..904, of -0.0124..0.0324.
    assert numbers(zero, "x1", "x2") == [660.3, 660.3]
    assert numbers(of_class(svg, "whisker")[0], "x1", "x2") == [585.1, 885.9]
    assert "rule +0.0100 [−0.0100, +0.0300]" in svg.find("desc").text


def test_lines_borders_and_the_checkpoint():
    epochs = Epochs([("warm-up", 1, 2), ("main", 3, 4)], best=3)
    loss = Series("focal", [1, 2, 3, 4], [4.0, 3.0, 2.0, 1.0])
    late = Series("size", [3, 4], [1.0, 1.0])
    svg = parsed(lines("l", "Loss", "nats", [loss, late], epochs))
    # Epochs 0.5..4.5 on 46..440; values 0.82..4.18 on 246..72.
    first, second = of_class(svg, "line")
    assert first.get("d") == "M95.2,81.3L193.8,133.1L292.2,184.9L390.8,236.7"
    assert second.get("d") == "M292.2,236.7L390.8,236.7"
    (border,) = of_class(svg, "border")
    assert numbers(border, "x1", "x2") == [243, 243]
    assert numbers(of_class(svg, "best")[0], "x1", "x2") == [292.2, 292.2]
    assert [t.text for t in of_class(svg, "phase")] == ["warm-up", "main"]
    # Shapes differ, not only colours.
    shapes = {mark.get("d").count("a") for mark in of_class(svg, "mark")}
    assert shapes == {0, 2}
    one = parsed(lines("l", "Loss", "nats", [Series("a", [1], [2.0])], Epochs([("m", 1, 1)], None)))
    assert [t.text for t in one.find("g[@class='x']").iter("text")] == ["1", "epoch"]


def test_bars_rise_from_zero():
    svg = parsed(bars("b", "Sizes", "items", "%", ["1", "2"], [0.25, 0.125]))
    high, low = of_class(svg, "mark")
    # 0..26.25 % on 206..34; a bar is 0.8 of 429 pixels.
    assert numbers(high, "x", "y", "width", "height") == [88.9, 42.2, 343.2, 163.8]
    assert numbers(low, "y", "height") == [124.1, 81.9]


def test_points_on_logarithms_with_a_diagonal():
    x, y = (Axis(name, 1e-4, 1, 400, True) for name in ("expected", "observed"))
    svg = parsed(
        points("p", "Title", "text", x, y, [Group("a", [1e-2], [1e-3])], radius=5,
               notes=["told"], diagonal=True)
    )  # fmt: skip
    (mark,) = of_class(svg, "mark")
    assert mark.get("d").startswith("M253,334a")  # 58 + 200 less the radius; 434 - 100
    assert mark.find("title").text == "told"
    assert numbers(of_class(svg, "zero")[0], "x1", "y1", "x2", "y2") == [58, 434, 458, 34]


def test_small_groups_are_drawn_over_large_ones_in_shapes_of_their_own():
    axis = Axis("", 0, 1, 100)
    groups = [Group("small", [0.5], [0.5]), Group("large", [0.5, 1.0], [0.5, 0.0])]
    svg = parsed(points("p", "Title", "text", axis, axis, groups, radius=2, legend_width=100))
    drawn = of_class(svg, "points")
    assert [g.get("class").split()[0] for g in drawn] == ["s2", "s1"]
    assert drawn[0].find("path").get("d") == "M106,82h4v4h-4zM156,132h4v4h-4z"
    assert [t.text for t in svg.find("g[@class='legend']").iter("text")] == ["small", "large"]


def test_two_dimensions_keep_what_varies_most():
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)).double())[
        0
    ]
    flat = torch.zeros(4, 5, dtype=torch.float64)
    flat[:, 0] = torch.tensor([-2, 2, 0, 0])
    flat[:, 1] = torch.tensor([0, 0, -1, 1])
    places, shares = two_dimensions(flat @ turn + 7)
    assert shares == pytest.approx((0.8, 0.2))
    assert sorted(abs(places[:2, 0])) == pytest.approx([2, 2])
    assert sorted(abs(places[2:, 1])) == pytest.approx([1, 1])
    again, _ = two_dimensions(flat.clone() @ turn - 3)
    assert again == pytest.approx(places)


def test_whatever_is_not_markup_is_escaped():
    hostile = "<script>\"'&"
    safe = element("td", hostile, None, Markup("<b>"), class_=hostile, id=None)
    escaped = "&lt;script&gt;&quot;&#x27;&amp;"
    assert safe == f'<td class="{escaped}">{escaped}<b></td>'
    assert join([hostile, Markup("<i>")], Markup("<br>")) == f"{escaped}<br><i>"
    assert element("line", x1=1.25, x2=-0.01) == '<line x1="1.2" x2="0"></line>'
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_numbers_as_text():
    assert fixed(1234.5678) == "1,234.568" and fixed(-0.5) == "−0.500" and fixed(math.nan) == "–"
    assert signed(0.00004) == "+0.0000" and signed(-0.01) == "−0.0100"
    assert percent(0.125) == "12.5 %" and percent(math.nan) == "–"
    assert spans([3, 1, 2, 7]) == "1–3, 7" and spans([]) == "–"
