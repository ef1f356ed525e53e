"""The part of a layout that maps the columns of flat files of order lines to receipt lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .errors import LayoutError

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
DIRECTIVES = {
    "d": "[0-9]{1,2}", "m": "[0-9]{1,2}", "Y": "[0-9]{4}", "y": "[0-9]{2}", "H": "[0-9]{1,2}",
    "I": "[0-9]{1,2}", "M": "[0-9]{2}", "S": "[0-9]{2}", "p": "[AaPp][Mm]", "b": "[A-Za-z]{3}",
    "B": "[A-Za-z]{3,9}",
}  # fmt: skip
"""What a format of dates or times may hold behind %, and what stands for it in a file: strptime
alone takes 24 for the year 24 where %Y is asked for."""
MISSING = {
    "null", "nan", "none", "na", "n/a", "<na>", "\\n", "#n/a", "#ref!", "#value!", "#name?",
    "#null!", "#div/0!", "#num!",
}  # fmt: skip
"""Words for a missing value, as the macro `raw_missing_words` has them."""


@dataclass(frozen=True)
class Format:
    """How dates or times are written."""

    strptime: str
    """As in Python's strptime, of DIRECTIVES."""
    pattern: str
    """A regular expression of such text."""


@dataclass(frozen=True)
class Term:
    """A column, or a product of two, that is added or subtracted."""

    sign: str
    """+ or -."""
    columns: tuple[str, ...]


@dataclass(frozen=True)
class OrderLines:
    """Which files are read, and which columns become what. Names of columns are compared without
    regard to capitals and to blanks around them.
    """

    files: tuple[str, ...]
    """Names of files of lines; * stands for any characters, ? for one."""
    basket: tuple[str, ...]
    """Columns whose values together make a basket's id."""
    product: str
    date: str
    """Column of the date, or of date and time."""
    paid: tuple[Term, ...]
    """What the line came to at the shelf price: loyalty discounts and promotions taken off, coupons
    not."""
    regular: tuple[Term, ...] | None = None
    """What it would have come to at the regular price."""
    coupon: tuple[Term, ...] | None = None
    """What coupons took off at the till."""
    quantity: str | None = None
    """None: each line is one unit."""
    weighed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Column -> its values on lines of weighed portions (or of litres); all columns must agree. A
    fractional quantity is one whatever stands there."""
    customer: str | None = None
    no_card: tuple[str, ...] = ()
    """Codes of `customer` that stand for no card: anonymous shoppers."""
    store: str | None = None
    """None: one store, ALL."""
    time: str | None = None
    """None: in the date's column, or not known and taken for 12 o'clock."""
    date_format: Format | None = None
    """None: 2024-03-31 or 20240331, and a time of day where the date's column holds one."""
    time_format: Format | None = None
    """None: 18:05 or 18:05:59."""
    categories: tuple[str, ...] = ()
    """Columns of the product hierarchy, finest level first."""
    store_format: str | None = None
    store_region: str | None = None
    customer_price_sensitivity: str | None = None
    customer_lifestage: str | None = None
    set_aside: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """Reason -> column -> its values on lines that are no sale of merchandise; all columns must
    agree."""
    lookups: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name of a file with further columns -> column of the lines, and the column of the file that
    has the same values, each once."""
    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."

    @property
    def columns(self) -> list[str]:
        """Every column that is used, once, as `column_name` gives it."""
        amounts = (*self.paid, *(self.regular or ()), *(self.coupon or ()))
        chosen = [
            *self.basket, self.product, self.date, self.time, self.quantity, self.customer,
            self.store, self.store_format, self.store_region, self.customer_price_sensitivity,
            self.customer_lifestage, *self.categories, *self.weighed,
            *(column for conditions in self.set_aside.values() for column in conditions),
            *(column for term in amounts for column in term.columns),
        ]  # fmt: skip
        return list(dict.fromkeys(column_name(column) for column in chosen if column is not None))

    @property
    def has_time(self) -> bool:
        """Whether the files say the time of day."""
        written = self.date_format
        return (
            self.time is not None or written is None or bool(re.search("%[HI]", written.strptime))
        )


KEYS = tuple(name for name in OrderLines.__dataclass_fields__ if name != "categories")
"""Keys of a layout that belong here, in the order in which they are explained."""
REQUIRED = ("files", "basket", "product", "date", "paid")


def column_name(name: str) -> str:
    """A column's name as names are compared."""
    return name.strip().lower()


def code_of(text: str | None) -> str:
    """A code as the warehouse reads it (macro `code`): a table of floats has 501.0 for 501."""
    text = (text or "").strip()
    whole = ".0" in text and re.fullmatch(r"([0-9]+)\.0+", text)
    return whole[1] if whole else text


def order_lines(path: str, content: dict[str, Any], categories: tuple[str, ...]) -> OrderLines:
    """The mapping in a layout's YAML.

    path: the YAML's, for messages. content: its keys among KEYS, with all values as text.
    categories: the layout's. Raises LayoutError.
    """
    read = _Reader(path, content)
    for key in REQUIRED:
        if key not in content:
            raise LayoutError(f"{path}: {key} is missing. Expected {EXPECTED[key]}")
    delimiter = content.get("delimiter", ",")
    encoding = content.get("encoding", "utf-8")
    read.expect(
        isinstance(delimiter, str)
        and len(delimiter := DELIMITERS.get(delimiter, delimiter)) == 1
        and delimiter not in '"\r\n',
        "delimiter",
    )
    read.expect(isinstance(encoding, str) and _is_encoding(encoding), "encoding")
    read.expect(content.get("decimal", ".") in (".", ","), "decimal")
    return OrderLines(
        files=read.names("files"),
        basket=read.names("basket"),
        **{key: read.name(key) for key in KEYS if EXPECTED[key] is COLUMN},
        **{key: read.terms(key) for key in ("paid", "regular", "coupon")},
        date_format=read.format("date_format", has_date=True),
        time_format=read.format("time_format", has_date=False),
        weighed=read.conditions("weighed", content.get("weighed", {})),
        no_card=read.no_card(),
        categories=categories,
        set_aside=read.set_aside(),
        lookups=read.lookups(),
        delimiter=delimiter,
        encoding=encoding,
        decimal=content.get("decimal", "."),
    )


COLUMN = "the name of a column"
AMOUNT = (
    "columns with + or - or * between blanks, such as gross - discount or quantity * price, and a "
    "name that holds those in `backquotes`"
)
EXPECTED = dict.fromkeys(KEYS, COLUMN) | {
    "files": "a name or a list of names of files, such as sales*.csv",
    "basket": "a column, or a list of columns that together tell baskets apart",
    "paid": AMOUNT,
    "regular": AMOUNT,
    "coupon": AMOUNT,
    "no_card": "a code, or a list of codes, of the column `customer`, such as [0, 9999]",
    "weighed": "a column and its values, such as {unit: [kg, g]}",
    "date_format": f"a format of {' '.join('%' + key for key in DIRECTIVES)} with day, month and "
    "year, and %p where there is %I, such as %d.%m.%Y",
    "time_format": "a format of %H, or %I and %p, with or without %M %S, such as %H:%M, for the "
    "column `time`",
    "set_aside": "reasons, each with a column and its values, such as fuel: {department: [FUEL]}",
    "lookups": "names of files, each with a column it shares with the lines, such as "
    "products.csv: sku, or products.csv: sku = id where the file calls it id",
    "delimiter": f"one character, or {', '.join(DELIMITERS)}",
    "encoding": "an encoding that Python knows, such as utf-8, latin-1 or cp1252",
    "decimal": '"." or ","',
}
"""What each key holds."""


class _Reader:
    """Reads the values of a YAML's keys: text, lists of it and mappings to it."""

    def __init__(self, path: str, content: dict[str, Any]) -> None:
        self.path = path
        self.content = content

    def expect(self, condition: bool, key: str) -> None:
        if not condition:
            raise LayoutError(f"{self.path}: {key}: {self.content[key]}. Expected {EXPECTED[key]}")

    def name(self, key: str) -> str | None:
        value = self.content.get(key)
        self.expect(value is None or isinstance(value, str) and value.strip() != "", key)
        return value

    def names(self, key: str) -> tuple[str, ...]:
        return self._texts(key, self.content[key])

    def no_card(self) -> tuple[str, ...]:
        if "no_card" not in self.content:
            return ()
        self.expect("customer" in self.content, "no_card")
        return tuple(map(code_of, self.names("no_card")))

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        self.expect(
            isinstance(texts, list)
            and len(texts) > 0
            and all(isinstance(text, str) and text.strip() for text in texts),
            key,
        )
        return tuple(texts)

    def conditions(self, key: str, value: Any) -> dict[str, tuple[str, ...]]:
        self.expect(isinstance(value, dict), key)
        found = {column: self._texts(key, values) for column, values in value.items()}
        for column, values in found.items():
            if missing := [text for text in values if text.strip().lower() in MISSING]:
                raise LayoutError(
                    f"{self.path}: {key}: {column}: {missing[0]} is read as a missing value, which "
                    "no line has there. Leave it out"
                )
        return {column: tuple(map(code_of, values)) for column, values in found.items()}

    def set_aside(self) -> dict[str, dict[str, tuple[str, ...]]]:
        value = self.content.get("set_aside", {})
        self.expect(isinstance(value, dict) and all(value.values()), "set_aside")
        return {reason: self.conditions("set_aside", of) for reason, of in value.items()}

    def lookups(self) -> dict[str, tuple[str, str]]:
        value = self.content.get("lookups", {})
        self.expect(
            isinstance(value, dict)
            and all(isinstance(on, str) and on.strip() for on in value.values()),
            "lookups",
        )
        pairs = {name: [part.strip() for part in on.split(" = ")] for name, on in value.items()}
        self.expect(all(len(pair) <= 2 and all(pair) for pair in pairs.values()), "lookups")
        return {name: (pair[0], pair[-1]) for name, pair in pairs.items()}

    def terms(self, key: str) -> tuple[Term, ...] | None:
        text = self.content.get(key)
        if text is None:
            return None
        self.expect(isinstance(text, str), key)
        terms = tuple(parse_terms(text))
        self.expect(
            all(len(term.columns) <= 2 and all(term.columns) for term in terms) and bool(terms), key
        )
        return terms

    def format(self, key: str, has_date: bool) -> Format | None:
        text = self.content.get(key)
        if text is None:
            return None
        self.expect(isinstance(text, str), key)
        found = date_format(text)
        self.expect(found is not None, key)
        said = re.findall("%(.)", text)
        counts = [sum(said.count(sign) for sign in part) for part in ("d", "mbB", "Yy", "HI")]
        self.expect(
            counts[:3] == [int(has_date)] * 3
            and counts[3] in ((0, 1) if has_date else (1,))
            and said.count("I") == said.count("p")
            and (has_date or "time" in self.content),
            key,
        )
        return found


def parse_terms(text: str) -> Iterator[Term]:
    """`gross - discount` as terms. An operator has blanks around it; a minus may come first. A name
    between backquotes is one whatever it holds.
    """
    sign, rest = ("-", text.strip()[2:]) if text.strip().startswith("- ") else ("+", text)
    parts = re.split(r"\s([-+*])\s(?=(?:[^`]*`[^`]*`)*[^`]*$)", rest)
    columns: list[str] = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            columns.append(part.strip().strip("`").strip())
        elif part != "*":
            yield Term(sign, tuple(columns))
            sign, columns = part, []
    yield Term(sign, tuple(columns))


def date_format(text: str) -> Format | None:
    """A format with the pattern of what it stands for; None where it holds another directive.

    A number that another follows at once has all its digits: as %H%M, 112 would be 11:02 and 1:12.
    """
    pattern = ""
    for literal, directive, followed in re.findall(
        r"([^%])|%(.?)(?=(%[dmYyHIMS])?)", text, re.DOTALL
    ):
        if not literal and directive not in DIRECTIVES:
            return None
        digits = DIRECTIVES.get(directive, "").replace("{1,2}", "{2}" if followed else "{1,2}")
        pattern += re.sub(r"([][.*+?(){}|^$\\])", r"\\\1", literal) or digits
    return Format(text, pattern) if "%" in text else None


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError):
        return False
    return True
