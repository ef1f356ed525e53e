"""Tables: numbers are right-aligned, the first column names the row."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from trainer.report.markup import Markup, element, join


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    text: Container[int] = (),
    marked: Container[int] = (),
    wraps: Container[int] = (),
) -> Markup:
    """A table that scrolls sideways if the window is too narrow for it.

    text: columns of words, apart from the first; marked: rows to highlight; wraps: columns of
    words whose lines may break.
    """

    def align(column: int) -> str | None:
        if column in wraps:
            return "wraps"
        return None if column == 0 or column in text else "number"

    heads = [element("th", name, scope="col", class_=align(i)) for i, name in enumerate(columns)]
    body = [
        element(
            "tr",
            element("th", cells[0], scope="row"),
            *(element("td", cell, class_=align(i)) for i, cell in enumerate(cells[1:], start=1)),
            class_="marked" if number in marked else None,
        )
        for number, cells in enumerate(rows)
    ]
    content = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", join(body, "\n")),
    )
    return element("div", content, class_="wide")


def searchable(found: Markup, placeholder: str) -> Markup:
    """A `table` with a field to search its rows and heads to sort by, on a page with `SCRIPT`."""
    field = element("input", type="search", placeholder=placeholder, aria_label="Search the table")
    tools = (field, element("button", "Show all", type="button"), element("output"))
    return join([element("div", *tools, class_="search", hidden=""), found])


def definitions(pairs: Iterable[tuple[str, str]]) -> Markup:
    """A list of names with their values."""
    parts = (element("div", element("dt", name), element("dd", value)) for name, value in pairs)
    return element("dl", *parts)
