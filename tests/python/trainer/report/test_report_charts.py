"""Charts: what a reader sees of them, in the page's own colours."""

from __future__ import annotations

import math
import re
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from trainer.evaluation.bootstrap import Estimate
from trainer.report.charts.bars import bars
from trainer.report.charts.dots import dots
from trainer.report.charts.drawing import VARIABLES
from trainer.report.charts.lines import Epochs, Series, lines
from trainer.report.charts.points import Group, points
from trainer.report.charts.weeks import weeks
from trainer.report.figures import fixed, percent, signed, spans
from trainer.report.markup import Markup, element, join
from trainer.report.sections.products import two_dimensions
from trainer.report.style import DARK, LIGHT

HOSTILE = "<script>\"'& $x_1^$ \x01\n\u4e2d"


class Drawn:
    """An svg: its texts, its tooltips, and where its marks are."""

    def __init__(self, chart: Markup):
        self.svg = ElementTree.fromstring(chart).find("svg")
        self.parents = {child: part for part in self.svg.iter() for child in part}
        self.title, self.description = self.svg.find("title"), self.svg.find("desc")
        named = self.svg.get("aria-labelledby").split()
        assert [self.title.get("id"), self.description.get("id")] == named
        assert self.svg.get("role") == "img" and self.title.text and self.description.text
        self.texts = [text.text for text in self.svg.iter("text")]
        self.tooltips = [t.text for t in self.svg.iter("title") if t is not self.title]

    def colour(self, part: ElementTree.Element, what: str) -> str:
        """Of an element or what it inherits from: the variable's name."""
        while part is not None:
            if found := re.search(rf"{what}: var\(--(\w+)\)", part.get("style", "")):
                return found[1]
            part = self.parents.get(part)
        return ""

    def marks(self, colour: str) -> list[tuple[float, float]]:
        """Places of the marks filled with this colour, but for those of the legend."""
        found = [use for use in self.svg.iter("use") if self.colour(use, "fill") == colour]
        return [(float(use.get("x")), float(use.get("y"))) for use in found]

    def scale(self, axis: str) -> tuple[list[float], list[float]]:
        """Numbers beside an axis, and the places of their grid lines along it."""
        anchor = {"x": "text-anchor: middle", "y": "text-anchor: end"}[axis]
        numbers = [
            float(text.text.replace("\u2212", "-"))
            for text in self.svg.iter("text")
            if anchor in text.get("style") and re.fullmatch(r"\u2212?[\d.]+", text.text)
        ]
        ends = [
            [float(number) for number in re.findall(r"[\d.]+", path.get("d"))]
            for path in self.svg.iter("path")
            if self.colour(path, "stroke") == "rule"
        ]
        along = "xy".index(axis)
        return numbers, [end[along] for end in ends if end[along] == end[along + 2]]

    def values(self, axis: str, places: list[float]) -> list[float]:
        """What a reader takes places along an axis for, by its numbers."""
        numbers, at = self.scale(axis)
        slope, offset = np.polyfit(at, numbers, 1)
        return [slope * place + offset for place in places]


def test_dots_stand_at_their_values_and_whiskers_at_the_ends():
    found = [Estimate(0.2, 0.1, 0.3, 9), None, Estimate(0.15, math.nan, math.nan, 1)]
    names = ["model", "none", "rule"]
    drawn = Drawn(dots("d", "Title", "recall", names, found, "model"))
    low, high, dot = drawn.values("x", [x for x, _ in drawn.marks("accent")])
    assert (low, dot, high) == pytest.approx((0.1, 0.2, 0.3), abs=1e-3)
    (hollow,) = drawn.marks("paper")  # no interval, no whisker
    assert drawn.values("x", [hollow[0]]) == pytest.approx([0.15], abs=1e-3)
    assert drawn.marks("soft") == []
    assert drawn.scale("x")[0][0] == 0
    # A row in the middle between the others is empty, but named.
    rows = {t.text: float(t.get("y")) for t in drawn.svg.iter("text") if t.text in names}
    assert rows["none"] == pytest.approx((rows["model"] + rows["rule"]) / 2)
    assert hollow[1] - drawn.marks("accent")[0][1] == pytest.approx(rows["rule"] - rows["model"])
    assert drawn.tooltips == ["model 0.200 [0.100, 0.300]"] * 2 + ["rule 0.150 [–, –]"]
    assert drawn.description.text == "recall: model 0.200 [0.100, 0.300]; rule 0.150 [–, –]."


def test_differences_have_a_zero_line_and_signs():
    found = [None, Estimate(0.01, -0.01, 0.03, 9)]
    chart = dots("d", "Title", "gain", ["model", "a rule"], found, "model", difference=True)
    drawn = Drawn(chart)
    (zero,) = [p for p in drawn.svg.iter("path") if "dasharray" in p.get("style", "")]
    x = float(re.match(r"M ([\d.]+) ", zero.get("d"))[1])
    assert drawn.values("x", [x]) == pytest.approx([0], abs=1e-4)
    places = [x for x, _ in drawn.marks("soft") + drawn.marks("paper")]
    assert drawn.values("x", places) == pytest.approx([-0.01, 0.03, 0.01], abs=1e-4)
    assert set(drawn.tooltips) == {"a rule +0.0100 [−0.0100, +0.0300]"}
    assert "dasharray" not in dots("d", "Title", "gain", ["rule"], found[1:], "model")


def test_a_long_name_is_broken_between_words():
    name = "popularity x the kind of trip x co-occurrence"
    drawn = Drawn(dots("d", "Title", "recall", [name], [Estimate(0.2, 0.1, 0.3, 9)], "model"))
    assert "popularity x the kind of" in drawn.texts and "trip x co-occurrence" in drawn.texts
    assert name in drawn.tooltips[0]


def test_lines_phases_and_the_checkpoint():
    epochs = Epochs([("warm-up", 1, 2), ("main", 3, 4)], best=3)
    loss = Series("focal", [1, 2, 3, 4], [4.0, 3.0, 2.0, 1.0])
    late = Series("size", [3, 4], [1.0, 1.5])
    drawn = Drawn(lines("l", "Loss", "nats", [loss, late], epochs))
    for colour, series in (("c1", loss), ("c2", late)):
        marks = drawn.marks(colour)[: len(series.epochs)]  # the legend's mark comes last
        assert drawn.values("x", [x for x, _ in marks]) == pytest.approx(series.epochs, abs=0.01)
        assert drawn.values("y", [y for _, y in marks]) == pytest.approx(series.values, abs=0.02)
    shapes = {use.get("href") for use in drawn.svg.iter("use")}
    assert len(shapes) == 2  # they differ in shape, not only in colour
    (border,) = [p for p in drawn.svg.iter("path") if "dasharray" in p.get("style", "")]
    x = float(re.match(r"M ([\d.]+) ", border.get("d"))[1])
    assert drawn.values("x", [x]) == pytest.approx([2.5], abs=0.01)
    assert {"warm-up", "main", "focal", "size", "epoch", "nats"} <= set(drawn.texts)
    assert drawn.tooltips == [
        *(f"focal, epoch {e}: {5 - e}.0000" for e in (1, 2, 3, 4)),
        "size, epoch 3: 1.0000", "size, epoch 4: 1.5000", "checkpoint: epoch 3",
    ]  # fmt: skip
    assert "focal goes from 4.000 in epoch 1 to 1.000 in epoch 4" in drawn.description.text


def test_a_single_epoch_is_drawn():
    one = lines("l", "Loss", "nats", [Series("a", [1], [2.0])], Epochs([("m", 1, 1)], None))
    drawn = Drawn(one)
    assert drawn.scale("x")[0] == [1] and drawn.tooltips == ["a, epoch 1: 2.0000"]


def test_bars_rise_from_zero():
    drawn = Drawn(bars("b", "Sizes", "items", "% of trips", ["1", "2"], [0.25, 0.125]))
    found = [part for part in drawn.svg.iter("path") if drawn.colour(part, "fill") == "c1"]
    corners = [[float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", p.get("d"))] for p in found]
    for ys, percentage in zip(corners, (25, 12.5), strict=True):
        ends = drawn.values("y", [max(ys), min(ys)])
        assert ends == pytest.approx([0, percentage], abs=0.05)
    assert drawn.tooltips == ["1: 25.0 %", "2: 12.5 %"]
    assert drawn.description.text == "1: 25.0 %, 2: 12.5 %."


def test_of_many_bars_the_last_is_named():
    names = [*map(str, range(1, 25)), "25+"]
    drawn = Drawn(bars("b", "Sizes", "items", "% of trips", names, [0.04] * 25))
    assert "25+" in drawn.texts and "24" not in drawn.texts and len(drawn.tooltips) == 25


def test_points_on_logarithms_with_a_diagonal():
    group = Group("", [1e-2, 1e-1], [1e-3, 1.0])
    drawn = Drawn(
        points("p", "Title", "text", "expected", "observed", [group], radius=5,
               tooltips=["first", "second"], logarithmic=True)
    )  # fmt: skip
    powers = [p for p in drawn.texts if p.startswith("1")]
    assert powers == ["10⁻³", "10⁻²", "10⁻¹", "1"] * 2
    (x, y), (x_, y_) = drawn.marks("c1")
    places = {(t.text, "end" in t.get("style")): t for t in drawn.svg.iter("text")}
    assert x == float(places["10⁻²", False].get("x")) and x_ == float(
        places["10⁻¹", False].get("x")
    )
    decade = float(places["10⁻¹", False].get("x")) - x
    assert y - y_ == pytest.approx(3 * decade, abs=0.2)  # a decade is as long on both axes
    assert drawn.tooltips == ["first", "second"]
    (diagonal,) = [p for p in drawn.svg.iter("path") if "dasharray" in p.get("style", "")]
    a, b, c, d = map(float, re.findall(r"[\d.]+", diagonal.get("d")))
    assert c - a == pytest.approx(b - d, abs=0.2)


def test_small_groups_are_drawn_over_large_ones_in_shapes_of_their_own():
    groups = [Group("small", [0.5], [0.5]), Group("large", [0.5, 1.0, 1.5], [0.5, 0.0, 2.0])]
    drawn = Drawn(points("p", "Title", "text", "x", "y", groups, radius=2))
    order = [drawn.colour(use, "fill") for use in drawn.svg.iter("use")]
    assert order == ["c2", "c2", "c2", "c1", "c1", "c2"]  # the last two are the legend's
    assert drawn.texts[-2:] == ["small", "large"]
    places = drawn.marks("c2")[:3]
    across, up = ([p[i] for p in places] for i in (0, 1))
    assert drawn.values("x", across) == pytest.approx([0.5, 1.0, 1.5], abs=0.01)
    assert drawn.values("y", up) == pytest.approx([0.5, 0.0, 2.0], abs=0.01)
    unit = across[1] - across[0]
    assert up[1] - up[0] == pytest.approx(unit, abs=0.2)  # a unit is as long on both axes


BEFORE = [5.0, math.nan, 7.0, 6.0]
"""Weeks 10 to 13, of which one is missing."""


def simulated(runs: list[list[float]]) -> Drawn:
    return Drawn(weeks("w", "Trips", 14, BEFORE, np.array(runs), lambda value: fixed(value, 1)))


def test_weeks_to_come_have_a_mean_and_a_band_of_many_runs():
    runs = [[10.0 + run, 20.0 + 2 * run] for run in range(21)]
    drawn = simulated(runs)
    was, will = drawn.marks("soft")[:3], drawn.marks("c1")[:2]  # the legend's come last
    assert drawn.values("x", [x for x, _ in was + will]) == pytest.approx([10, 12, 13, 14, 15],
                                                                          abs=0.01)  # fmt: skip
    assert drawn.values("y", [y for _, y in was + will]) == pytest.approx([5, 7, 6, 20, 40],
                                                                          abs=0.05)  # fmt: skip
    (band,) = [p for p in drawn.svg.iter("path") if "opacity: 0.25" in p.get("style", "")
               and drawn.colour(p, "fill") == "c1"]  # fmt: skip
    places = re.findall(r"[ML] ([\d.]+) ([\d.]+)", band.get("d"))
    across, up = (drawn.values(axis, [float(p[i]) for p in places]) for i, axis in enumerate("xy"))
    # Of 0 to 20, the middle 90 % is 1 to 19: half a week further on either side.
    corners = [(13.5, 29), (14, 29), (15, 58), (15.5, 58), (15.5, 22), (15, 22), (14, 11),
               (13.5, 11)]  # fmt: skip
    assert [*zip(across, up, strict=True)][:8] == [pytest.approx(c, abs=0.1) for c in corners]
    (start,) = [p for p in drawn.svg.iter("path") if "dasharray" in p.get("style", "")]
    x = float(re.match(r"M ([\d.]+) ", start.get("d"))[1])
    assert drawn.values("x", [x]) == pytest.approx([13.5], abs=0.01)
    assert "simulation starts" in drawn.texts and "middle 90 % of the runs" in drawn.texts
    assert drawn.tooltips == [
        "week 10: 5.0", "week 12: 7.0", "week 13: 6.0",
        "simulated, week 14: 20.0 [11.0, 29.0]", "simulated, week 15: 40.0 [22.0, 58.0]",
    ]  # fmt: skip
    assert drawn.description.text == (
        "As it was, week 10: 5.0; week 13: 6.0. Simulated, mean of the runs, week 14: 20.0 "
        "[11.0, 29.0]; week 15: 40.0 [22.0, 58.0]."
    )


def test_of_few_runs_each_is_drawn():
    drawn = simulated([[10.0, 11.0], [20.0, 13.0]])
    marks = drawn.marks("c1")
    heights = drawn.values("y", [y for _, y in marks[:6]])
    assert heights == pytest.approx([10, 11, 20, 13, 15, 12], abs=0.05)
    assert "single runs" in drawn.texts and "middle 90 % of the runs" not in drawn.texts
    assert drawn.tooltips[-1] == "simulated, week 15: 12.0"
    alone = simulated([[10.0, 11.0]])
    assert "one run" in alone.texts and "single runs" not in alone.texts


def every_chart() -> list[Markup]:
    found = Estimate(0.2, 0.1, 0.3, 9)
    epochs = Epochs([(HOSTILE, 1, 1), ("b", 2, 2)], 2)
    groups = [Group(f"{HOSTILE} {n}", [0.5], [0.5]) for n in range(14)]
    return [
        dots("a", HOSTILE, "recall", ["model", "rule"], [found, found], "model"),
        lines("b", "Loss", "nats", [Series("x", [1, 2], [1.0, 2.0])], epochs),
        bars("c", "Sizes", "items", "%", ["1", "2"], [0.25, 0.125]),
        points("d", "Map", "text", "x", "y", groups, radius=2),
        points("e", "Log", "text", "x", "y", [Group("", [0.1], [0.2])], radius=2, logarithmic=True),
        weeks("f", "Weeks", 3, [1.0, 2.0], np.ones((10, 2)), fixed),
        weeks("g", "Weeks", 3, [1.0, 2.0], np.ones((2, 2)), fixed),
    ]


def test_charts_follow_the_page_and_refer_to_themselves_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that a font lacks is no concern of the reader
        charts = every_chart()
    assert charts == every_chart()  # the same bytes
    identifiers = []
    for chart in charts:
        own = re.findall(r' id="([^"]+)"', chart)
        assert {name[1:] for name in re.findall(r' href="([^"]+)"', chart)} <= set(own)
        identifiers += own
        assert re.findall(r"(?:fill|stroke): (?!none|var\(--)", chart) == []
        assert set(re.findall(r"var\(--(\w+)\)", chart)) <= set(VARIABLES)
        assert not re.search(r"#[0-9a-f]{6}|font-family|font-size|url\(|<style|metadata", chart)
    assert len(set(identifiers)) == len(identifiers)
    for scheme in (LIGHT, DARK):
        assert set(VARIABLES) <= set(re.findall(r"--(\w+):", scheme))


def test_names_from_the_data_are_text():
    # HTML takes the control character of a description, the XML of this test does not.
    _, phases, _, groups, *_ = (chart.replace("\x01", "") for chart in every_chart())
    assert "<script" not in phases + groups
    readable = HOSTILE.replace("\x01", "\ufffd").replace("\n", "\ufffd")
    assert readable in Drawn(phases).texts
    assert [t for t in Drawn(groups).texts if "script" in t] == [
        f"{readable} {n}" for n in range(14)
    ]
    assert groups.count("<use ") == 2 * 14  # a point and its mark in the legend


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
