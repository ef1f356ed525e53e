"""The mapping in a layout's YAML: what it says, and one line for whatever cannot be."""

from __future__ import annotations

import re

import pytest

from dbt_project.layouts import LayoutError, load_layout
from dbt_project.layouts.order_lines import Term, date_format, parse_terms

LEAST = {
    "currency": "EUR", "files": "s.csv", "basket": "b", "product": "p", "date": "d", "paid": "x"
}  # fmt: skip


def load(tmp_path, changes: dict[str, str | None]):
    path = tmp_path / "my.yml"
    keys = {key: value for key, value in (LEAST | changes).items() if value is not None}
    path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
    return load_layout(str(path))


def test_the_least_a_layout_says(tmp_path):
    layout = load(tmp_path, {})
    lines = layout.order_lines
    assert (layout.name, layout.repeated_lines, layout.time_zone) == ("my", "add", None)
    assert (lines.files, lines.basket, lines.product) == (("s.csv",), ("b",), "p")
    assert (lines.delimiter, lines.encoding, lines.decimal) == (",", "utf-8", ".")
    assert lines.columns == ["b", "p", "d", "x"]
    assert lines.has_time and load_layout("lgsr").order_lines is None


def test_departments_have_a_focus(tmp_path):
    layout = load(tmp_path, {"focus_of_department": "{BREAD: Fresh, 017: Fresh, SOAP: Nonfood}"})
    expected = {"BREAD": "Fresh", "017": "Fresh", "SOAP": "Nonfood"}
    assert layout.focus_of_department == expected and layout.kinds is None
    built_in = load_layout("complete_journey")
    assert set(built_in.focus_of_department.values()) == {"Fresh", "Grocery", "Nonfood"}


def test_values_are_text_as_they_stand(tmp_path):
    layout = load(
        tmp_path,
        {
            "product": "NO", "set_aside": "{deposit: {NO: [007, 1.50, yes]}, fuel: {b: [x], d: y}}",
            "lookups": "{p.csv: sku, s.csv: Shop = 1}", "delimiter": "tab", "quantity": "' Qty '",
            "categories": "[no, 1]", "country": "NO",
        },
    )  # fmt: skip
    assert (layout.categories, layout.country) == (("no", "1"), "NO")
    lines = layout.order_lines
    assert lines.set_aside == {
        "deposit": {"NO": ("007", "1.50", "yes")}, "fuel": {"b": ("x",), "d": ("y",)}
    }  # fmt: skip
    assert lines.lookups == {"p.csv": ("sku", "sku"), "s.csv": ("Shop", "1")}
    assert lines.delimiter == "\t"
    assert lines.columns == ["b", "no", "d", "qty", "1", "x"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("net", [("+", "net")]),
        ("gross - discount", [("+", "gross"), ("-", "discount")]),
        ("- x + a * b - c", [("-", "x"), ("+", "a", "b"), ("-", "c")]),
        ("Net amount-2 + tax", [("+", "Net amount-2"), ("+", "tax")]),
        ("`a - b` - `c * d` * e", [("+", "a - b"), ("-", "c * d", "e")]),
    ],
)
def test_terms(text, terms):
    assert list(parse_terms(text)) == [Term(sign, tuple(columns)) for sign, *columns in terms]


def test_formats_are_strict():
    assert date_format("%d.%m.%Y").pattern == r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}"
    assert date_format("%d %B %Y, %I:%M %p") is not None
    assert [date_format(text) for text in ("%Q", "%d.%", "dd.mm.yyyy", "%c", "%%d")] == [None] * 5


def test_numbers_without_anything_between_them_have_all_their_digits():
    """A table of whole numbers shows 01:12 as 112, which DuckDB would read as 11:02."""
    pattern = date_format("%H%M").pattern
    assert re.fullmatch(pattern, "0112") and not re.fullmatch(pattern, "112")
    assert date_format("%d%m%Y").pattern == "[0-9]{2}[0-9]{2}[0-9]{4}"
    assert date_format("%Y%m%d %I%p").pattern == "[0-9]{4}[0-9]{2}[0-9]{1,2} [0-9]{1,2}[AaPp][Mm]"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"custmer": "c"}, "unknown key custmer. Known are files, basket, product"),
        ({"date": None}, "date is missing. Expected the name of a column"),
        ({"paid": None}, "paid is missing. Expected columns with + or - or *"),
        ({"paid": "a * b * c"}, "paid: a * b * c. Expected columns with"),
        ({"paid": "'a - '"}, "paid: a - . Expected columns with"),
        ({"paid": "[a, b]"}, "paid: ['a', 'b']. Expected"),
        ({"basket": "[]"}, "basket: []. Expected a column, or a list of columns"),
        ({"customer": "''"}, "customer: . Expected the name of a column"),
        ({"delimiter": ";;"}, "delimiter: ;;. Expected one character, or comma, semicolon, tab"),
        ({"encoding": "latin-99"}, "encoding: latin-99. Expected an encoding that Python knows"),
        ({"encoding": "base64"}, "encoding: base64. Expected"),
        ({"decimal": "';'"}, 'decimal: ;. Expected "." or ","'),
        ({"date_format": "dd.mm.yyyy"}, "date_format: dd.mm.yyyy. Expected a format of %d %m %Y"),
        ({"weighed": "unit"}, "weighed: unit. Expected a column and its values"),
        ({"set_aside": "{fuel: FUEL}"}, "set_aside: {'fuel': 'FUEL'}. Expected reasons"),
        (
            {"set_aside": "{other: {dept: [N/A]}}"},
            "set_aside: dept: N/A is read as a missing value",
        ),
        ({"weighed": "{unit: [kg, None]}"}, "weighed: unit: None is read as a missing value"),
        ({"no_card": "{card: 0}"}, "no_card: {'card': '0'}. Expected a code, or a list of codes"),
        ({"no_card": "[0]", "customer": None}, "no_card: ['0']. Expected a code"),
        ({"lookups": "{p.csv: a = b = c}"}, "lookups: {'p.csv': 'a = b = c'}. Expected"),
        ({"categories": "[a, b, c, d, e]"}, "categories: ['a', 'b', 'c', 'd', 'e']. Expected"),
        ({"country": "DE-"}, "country: DE-. Expected a code of ISO 3166"),
        ({"currency": None}, "currency: None. Expected a code of ISO 4217"),
        ({"kinds": "{size: [S], sensitivity: [A], type: [T], focus: [F]}"}, "Expected none: "),
        ({"focus_of_department": "[BREAD, Fresh]"}, "Expected a label for each of some"),
        ({"focus_of_department": "{BREAD: [Fresh]}"}, "Expected a label for each of some"),
        (
            {"focus_of_department": "{a: a, b: b, c: c, d: d, e: e, f: f, g: g, h: h, i: i}"},
            "at most 8 different ones",
        ),
        ({"time_zone": "[a]"}, "time_zone: ['a']. Expected one such as Europe/Paris"),
        ({"time_zone": "localtime"}, "time_zone: localtime. Expected one such as Europe/Paris"),
        ({"time_zone": "Factory"}, "time_zone: Factory. Expected one such as Europe/Paris"),
        ({"thresholds": "{max_rejected_share: 5%}"}, "thresholds: {'max_rejected_share': '5%'}."),
        # Silent otherwise: the last value, a key less, a time of day in the wrong half, or a month
        # that is not read.
        ({"weighed": "{u: kg, u: g}"}, "not read as YAML: u stands more than once"),
        ({"<<": "{store: s}"}, "unknown key <<. Known are"),
        ({"date_format": "'%d.%d.%Y'"}, "date_format: %d.%d.%Y. Expected a format of %d %m %Y"),
        ({"date_format": "'%d.%m.%Y %I:%M'"}, "Expected a format of %d %m %Y"),
        ({"time": "t", "time_format": "'%d'"}, "time_format: %d. Expected a format of %H"),
        ({"time_format": "'%H:%M'"}, "time_format: %H:%M. Expected a format of %H, or %I and %p"),
        # Stack traces otherwise.
        ({"about": "[" * 3000}, "not read as YAML: nested too deeply"),
        ({"set_aside": "{a: {d: [2024-02-30]}}", "paid": None}, "paid is missing"),
        ({"encoding": '"a\nb"'}, "encoding: a b. Expected an encoding"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, changes, told):
    with pytest.raises(LayoutError) as error:
        load(tmp_path, changes)
    assert str(error.value).startswith(f"{tmp_path}/my.yml: ") and "\n" not in str(error.value)
    assert told in str(error.value)


def test_a_key_that_stands_twice_is_one_line(tmp_path):
    path = tmp_path / "my.yml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in LEAST.items()) + "paid: y\n")
    with pytest.raises(LayoutError, match="not read as YAML: paid stands more than once"):
        load_layout(str(path))


def test_what_is_no_layout_is_one_line(tmp_path):
    (tmp_path / "lines.csv").write_bytes(b"a,b\n" * 300_000)
    for name, told in [
        (str(tmp_path), "the path of a YAML file"),
        ("lgsr.yaml", "expected complete_journey, lgsr or the path of a YAML file"),
        ("\0", "the path of a YAML file"),
        (str(tmp_path / "lines.csv"), "larger than 1 MB. Expected a short YAML file"),
    ]:
        with pytest.raises(LayoutError, match=told):
            load_layout(name)
