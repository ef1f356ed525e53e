"""Reading a layout's YAML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from dbt_project.countries import is_country
from trainer.commands.errors import InputError
from trainer.commands.yaml_files import read_yaml

from .errors import LayoutError
from .order_lines import KEYS, OrderLines, order_lines

KINDS = ("size", "sensitivity", "type", "focus")
"""What a kind of trip consists of."""
MAX_FOCUSES = 8
"""Labels of a derived focus: the trainer knows every product's lift for every kind of trip."""
NO_ZONES = {"localtime", "Factory"}
"""Names of time zones that say none: that of the machine, and that of one not set up."""
THRESHOLDS = {
    "max_rejected_share": 0.01,
    "max_rejected_share_of_file_or_week": 0.1,
    "trips_are_mostly_small": 0.95,
    "trips_anonymous_are_a_minority": 0.5,
    "trips_are_mostly_classified": 0.1,
    "trips_with_novel_products_are_exceptions": 0.5,
    "prices_free_are_rare": 0.001,
    "prices_high_are_rare": 0.001,
    "prices_deep_discounts_are_rare": 0.01,
    "prices_volatile_are_rare": 0.02,
    "prices_promotions_are_exceptions": 0.4,
    "products_sold_by_weight_are_a_minority": 0.2,
    "products_are_mostly_known_from_training": 0.3,
}
"""Shares that the tests of the warehouse allow unless the layout says otherwise, by the name of the
threshold: of lines that are rejected, and of rows of a mart (their properties say which)."""


@dataclass(frozen=True)
class Layout:
    """What is known of a source."""

    name: str
    about: str
    currency: str
    """ISO 4217; whatever is called pence in the warehouse is in its hundredths."""
    country: str = "GB"
    """Whose public holidays; ISO 3166-1 with an ISO 3166-2 subdivision after a dash."""
    time_zone: str | None = None
    """Of the stores, where the files' times are UTC; None where they are local."""
    categories: tuple[str, ...] = ()
    """What the levels of the product hierarchy are called, finest first; at most four."""
    repeated_lines: str = "add"
    """Of several lines of one product in a basket: `add` them, or `reject` all but the first."""
    kinds: dict[str, tuple[str, ...]] | None = None
    """Labels of each of KINDS, in their order; None where kinds are derived (docs/kinds.md)."""
    focus_of_department: dict[str, str] | None = None
    """What departments count as in a derived focus, the others as nothing; None: as themselves."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """All of THRESHOLDS, with what the layout says of them."""
    order_lines: OrderLines | None = None
    """How flat files of order lines are read; None where a layout has SQL of its own for that."""


def load_layout(name: str) -> Layout:
    """A layout that comes with the project, by name, or one in a YAML file, by path.

    Raises LayoutError.
    """
    built_in = {path.stem: path for path in Path(__file__).parent.glob("*.yml")}
    path = built_in.get(name, Path(name))
    content = _content(name, path, ", ".join(sorted(built_in)))
    if name in built_in:
        return _layout(name, str(path), content)
    if content.get("kinds") is not None:
        raise LayoutError(
            f"{path}: kinds: {content['kinds']}. Expected none: order lines have no column for "
            "them, and kinds of trip are derived"
        )
    common = {key: value for key, value in content.items() if key not in KEYS}
    layout = _layout(path.stem, str(path), common, also_known=KEYS)
    mapping = {key: value for key, value in content.items() if key in KEYS}
    return replace(layout, order_lines=order_lines(str(path), mapping, layout.categories))


def _content(name: str, path: Path, built_in: str) -> dict[Any, Any]:
    if "\0" in name or not path.is_file():
        raise LayoutError(f"layout {name}: expected {built_in} or the path of a YAML file")
    try:
        return read_yaml(path)
    except InputError as error:
        raise LayoutError(str(error)) from None


def _layout(
    name: str, path: str, content: dict[Any, Any], also_known: tuple[str, ...] = ()
) -> Layout:
    known = [key for key in Layout.__dataclass_fields__ if key not in ("name", "order_lines")]
    for key in content:
        if key not in known:
            names = ", ".join((*also_known, *known))
            raise LayoutError(f"{path}: unknown key {key}. Known are {names}")

    def expect(condition: bool, key: str, what: str) -> None:
        if not condition:
            raise LayoutError(f"{path}: {key}: {content.get(key)}. Expected {what}")

    def is_labels(value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) > 0
            and all(isinstance(label, str) and label.strip() for label in value)
            and len(set(value)) == len(value)
        )

    get = content.get
    expect(isinstance(get("about", ""), str), "about", "a sentence")
    currency = get("currency")
    expect(
        isinstance(currency, str) and len(currency) == 3 and currency.isalpha(),
        "currency", "a code of ISO 4217, such as EUR",
    )  # fmt: skip
    country = get("country", "GB")
    known = isinstance(country, str) and is_country(country)
    expect(known, "country", "a code of ISO 3166, such as US or DE-BY")
    zone = None if get("time_zone") == "null" else get("time_zone")
    expect(
        zone is None or isinstance(zone, str) and zone in available_timezones() - NO_ZONES,
        "time_zone", "one such as Europe/Paris",
    )  # fmt: skip
    categories = get("categories", [])
    expect(
        categories == [] or is_labels(categories) and len(categories) <= 4,
        "categories", "a list of at most four different names, finest level first",
    )  # fmt: skip
    repeated = get("repeated_lines", "add")
    expect(repeated in ("add", "reject"), "repeated_lines", "add or reject")
    kinds = get("kinds")
    expect(
        kinds is None
        or isinstance(kinds, dict)
        and set(kinds) == set(KINDS)
        and all(map(is_labels, kinds.values())),
        "kinds", f"a list of labels for each of {', '.join(KINDS)}",
    )  # fmt: skip
    focus = get("focus_of_department")
    expect(
        focus is None
        or isinstance(focus, dict)
        and len(focus) > 0
        and all(isinstance(text, str) and text.strip() for pair in focus.items() for text in pair)
        and len(set(focus.values())) <= MAX_FOCUSES,
        "focus_of_department",
        "a label for each of some departments, such as `BAKERY: Fresh`, at most "
        f"{MAX_FOCUSES} different ones",
    )  # fmt: skip
    expect(
        focus is None or kinds is None,
        "focus_of_department", "none where `kinds` says that the source has a focus",
    )  # fmt: skip
    thresholds = get("thresholds", {})
    expect(
        isinstance(thresholds, dict)
        and set(thresholds) <= set(THRESHOLDS)
        and all(map(_is_share, thresholds.values())),
        "thresholds", f"shares from 0 to 1 for any of {', '.join(THRESHOLDS)}",
    )  # fmt: skip
    return Layout(
        name=name,
        about=" ".join(get("about", "").split()),
        currency=currency.upper(),
        country=country,
        time_zone=zone,
        categories=tuple(categories),
        repeated_lines=repeated,
        kinds=None if kinds is None else {key: tuple(kinds[key]) for key in KINDS},
        focus_of_department=focus,
        thresholds=THRESHOLDS | {key: float(share) for key, share in thresholds.items()},
    )


def _is_share(text: Any) -> bool:
    return isinstance(text, str) and bool(re.fullmatch(r"0?\.[0-9]+|[01](\.0*)?", text))
