"""Long tables of a page: searched and sorted in a browser, and whole without a script."""

from __future__ import annotations

import re

import pytest

from trainer.report.document import document
from trainer.report.markup import element, join
from trainer.report.script import SCRIPT
from trainer.report.tables import searchable, table

SHOWN = "[...document.querySelectorAll('tbody tr')].map(row => row.cells[0].textContent)"
ROWS = 40


def written(script: str) -> str:
    """A page with a table of products P00 to P39; figures fall from 20.0, and that of P07 is not
    known."""
    figures = [f"{20 - row:.1f}".replace("-", "\N{MINUS SIGN}") for row in range(ROWS)]
    figures[7] = "not known"
    interval = element("span", "[1.0, 2.0]", class_="interval")
    rows = [[f"P{row:02}", join([figures[row], " ", interval])] for row in range(ROWS)]
    found = searchable(table("All", ["product", "figure"], rows), "product")
    return document("Products", "", {"All": found}, script)


@pytest.fixture
def page(browser, tmp_path):
    path, opened = tmp_path / "page.html", browser.new_page()
    path.write_text(written(SCRIPT), encoding="utf-8")
    wrong = []
    opened.on("console", lambda said: wrong.append(said.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(path.as_uri())
    yield opened
    opened.close()
    assert not wrong


def test_rows_are_searched(page):
    assert len(page.evaluate(SHOWN)) == 25 and "25 of 40" in page.inner_text("output")
    page.fill("input", "p3")
    assert page.evaluate(SHOWN) == [f"P{row}" for row in range(30, 40)]
    page.fill("input", "P0 known")
    assert page.evaluate(SHOWN) == ["P07"]
    page.fill("input", "")
    page.click("text=Show all")
    assert len(page.evaluate(SHOWN)) == ROWS


def test_rows_are_sorted_as_numbers_and_the_unknown_are_last(page):
    page.click("text=Show all")
    others = [f"P{row:02}" for row in range(ROWS) if row != 7]
    page.click("th >> text=figure")
    assert page.evaluate(SHOWN) == [*others[::-1], "P07"]
    page.click("th >> text=figure")
    assert page.evaluate(SHOWN) == [*others, "P07"]
    assert page.get_attribute("th:nth-child(2)", "aria-sort") == "descending"
    page.click("th >> text=product")
    assert page.evaluate(SHOWN) == [f"P{row:02}" for row in range(ROWS)]


def test_without_a_script_all_rows_are_there_and_none_may_run():
    text = written("")
    assert len(re.findall("<tr>", text)) == 1 + ROWS
    assert "<script" not in text and "script-src" not in text and 'hidden=""' in text
