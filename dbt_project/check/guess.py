"""A first layout for a folder of order lines, from names and contents of the columns."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dbt_project.layouts.order_lines import DELIMITERS, MISSING, column_name, date_format
from dbt_project.layouts.text_tables import is_like

from .amounts import amounts, names_in, paid
from .tables import Table, first_rows
from .vocabulary import FUEL, NAMES, WEIGHTS, plain

DATES = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y",
    "%d/%m/%y", "%m/%d/%y", "%d-%b-%Y", "%d %b %Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y",
)  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
CLOCKS = ("%I:%M %p", "%I:%M:%S %p", "%H.%M", "%H%M", "%H%M%S", "%H")
ISO_DATE = r"\d{8}(\.0+)?|\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?Z?"
ISO_TIME = r"([01]\d|2[0-3]):\d\d(:\d\d(\.\d+)?)?"
JOINED = 0.5
"""Share of codes that another file must know to add columns to them."""
SHOPPERS = 10
"""With so many times the lines of the next, a customer may be all who show no card."""
MOST = 0.9
"""Share of a column's values that must be dates for it to be one of dates."""

ATTRIBUTES = ("store_format", "store_region", "customer_price_sensitivity", "customer_lifestage")
"""Parts that describe stores and customers."""

WITHOUT = {
    "customer": "all shoppers are anonymous",
    "store": "there is one store",
    "quantity": "each line is one unit",
}
"""What a layout says by not naming a column."""


@dataclass
class Guess:
    """A layout, what it leaves out and what a reader should know of it."""

    keys: dict[str, Any]
    """As a layout's YAML has them."""
    tables: list[Table]
    """Files of lines."""
    unused: list[str]
    """Columns of these and of the files looked up in that are not mapped."""
    missing: list[str]
    """Parts that a layout must have and for which no column was found."""
    notes: list[str] = field(default_factory=list)
    """What may be otherwise."""


def guess(tables: list[Table]) -> Guess:
    """The layout of the files with the same columns that look most like receipts."""
    first = _likest(tables)
    own = _roles(first.columns)
    lines = [table for table in tables if not _lacks(table, first, own)]
    others = [table for table in tables if table not in lines]
    shared = {other.path.name: _shared(first, other, own) for other in others}
    joined = [other for other in others if shared[other.path.name]]
    values = _values(first, lines, joined)
    # A part that the lines have is theirs, whatever other files call so.
    roles = _roles(list(values)) | own
    if "date" not in roles:
        dated = (name for name, found in values.items() if _date_format(found) is not None)
        if date := next(dated, None):
            roles["date"] = date
    added = set(roles.values()) - set(first.columns)
    joined = [other for other in joined if added & set(other.columns)]
    values = _values(first, lines, joined)
    unread = [other for other in others if other not in joined]
    notes = [
        f"{other.path.name} is not read: {_lacks(other, first, own)}, nor codes that add columns"
        for other in unread
    ]

    keys: dict[str, Any] = {"files": _patterns(lines, unread)}
    keys |= _format(first, [*lines, *joined], notes)
    money = amounts(roles, values, notes)
    if "decimal" in money:
        keys["decimal"] = money.pop("decimal")
    parts = ("basket", "customer", "product", "store", "date")
    keys |= {part: roles[part] for part in parts if part in roles}
    if "date" in roles:
        keys |= _dates(roles, values, notes)
    if "basket" in roles:
        keys["basket"] = _basket(lines, roles, notes)
    if "customer" in roles:
        _note_no_card(lines, roles["customer"], notes)
    if "quantity" in roles:
        keys["quantity"] = roles["quantity"]
    if "unit" in roles:
        weights = sorted(text for text in values[roles["unit"]] if plain(text) in WEIGHTS)
        if weights:
            keys["weighed"] = {roles["unit"]: weights}
    keys |= money
    if "basket" in roles and "paid" in keys:
        _note_totals(lines, keys, values, notes)
    levels = [roles[f"category_{level}"] for level in range(1, 5) if f"category_{level}" in roles]
    if levels:
        keys["categories"] = levels
    keys |= {part: roles[part] for part in ATTRIBUTES if part in roles}
    for level in reversed(levels):
        if fuel := sorted(text for text in values[level] if plain(text) in FUEL):
            keys["set_aside"] = {"fuel": {level: fuel}}
            break
    if joined:
        keys["lookups"] = {other.path.name: shared[other.path.name] for other in joined}
    notes += [
        f"no column found for {part}: {otherwise}"
        for part, otherwise in WITHOUT.items()
        if part not in keys
    ]
    used = {column_name(name) for name in _used(keys)}
    return Guess(
        keys=keys,
        tables=lines,
        unused=[name for name in values if column_name(name) not in used],
        missing=[part for part in ("basket", "product", "date", "paid") if part not in keys],
        notes=notes,
    )


def _likest(tables: list[Table]) -> Table:
    """The first of the files with the same columns that look most like receipts."""
    groups: dict[tuple[str, ...], list[Table]] = {}
    for table in tables:
        groups.setdefault(tuple(map(column_name, table.columns)), []).append(table)

    def likeness(group: list[Table]) -> tuple[int, int]:
        roles = _roles(group[0].columns)
        known = [role for role in ("basket", "product", "date", "quantity") if role in roles]
        return len(known) + bool(paid(roles)), sum(table.lines for table in group)

    return max(groups.values(), key=likeness)[0]


def _values(first: Table, lines: list[Table], joined: list[Table]) -> dict[str, set[str]]:
    """What columns hold: those of all files of lines, and those that other files add."""
    values = {
        name: set().union(
            *(
                table.values[table.columns[_place(table, name)]]
                for table in lines
                if _has(table, name)
            )
        )
        for name in first.columns
    }
    for other in joined:
        for name in other.columns:
            values.setdefault(name, other.values[name])
    return values


def _format(first: Table, read: list[Table], notes: list[str]) -> dict[str, str]:
    """Keys that say how the files are written: delimiter and encoding."""
    keys = {}
    if first.delimiter != ",":
        words = {sign: word for word, sign in DELIMITERS.items()}
        keys["delimiter"] = words[first.delimiter]
    encodings = [table.encoding for table in read if table.encoding != "ascii"]
    if set(encodings) - {"utf-8"}:
        keys["encoding"] = encodings[0]
    if len(set(encodings)) > 1:
        notes.append(f"files in {' and '.join(sorted(set(encodings)))}: save all in one")
    return keys


def _place(table: Table, name: str) -> int:
    """Where a column stands; ValueError where it does not."""
    return list(map(column_name, table.columns)).index(column_name(name))


def _has(table: Table, name: str) -> bool:
    return column_name(name) in map(column_name, table.columns)


def _lacks(table: Table, first: Table, roles: dict[str, str]) -> str:
    """Why a file is not one of lines like the first; empty if it is."""
    if lacking := [name for name in roles.values() if not _has(table, name)]:
        return f"no column {lacking[0]}"
    if _is_parquet(table) or _is_parquet(first) or table.delimiter == first.delimiter:
        return ""
    return f"another delimiter than {first.path.name} has"


def _is_parquet(table: Table) -> bool:
    return table.path.name.lower().endswith(".parquet")


def _roles(columns: list[str]) -> dict[str, str]:
    """Part of a layout -> the column that is called so. No column plays two parts."""
    by_name = {plain(name): name for name in reversed(columns)}
    return {
        part: by_name[names[0]]
        for part, words in NAMES.items()
        if (names := [word for word in words.split() if word in by_name])
    }


def _basket(lines: list[Table], roles: dict[str, str], notes: list[str]) -> str | list[str]:
    """Which columns tell baskets apart: receipts may be numbered by store, or by day."""
    columns, date = [roles["basket"]], roles.get("date")
    for part in ("store", "date"):
        if part in roles and roles[part] in lines[0].columns:
            with_part = [*columns, roles[part]]
            together, alone = (_together(lines, of, date) for of in (with_part, columns))
            if len(together) > 1.02 * len(alone):
                columns = with_part
    if date in columns and len(_together(lines, columns)) > len(_together(lines, columns, date)):
        notes.append(
            f"{date} has different times on the lines of a receipt, which makes several baskets of "
            "it: give the day a column of its own, and name that in basket"
        )
    return columns if len(columns) > 1 else columns[0]


def _note_totals(
    lines: list[Table], keys: dict[str, Any], values: dict[str, set[str]], notes: list[str]
) -> None:
    """Note where all lines of a receipt have one amount, which may be the sum of them."""
    names = names_in(keys["paid"])
    if len(names) > 1 or names[0] not in lines[0].columns or len(values[names[0]]) == 1:
        return
    basket = [keys["basket"]] if isinstance(keys["basket"], str) else keys["basket"]
    baskets = len(_together(lines, basket))
    if (
        sum(table.lines for table in lines) > 1.5 * baskets
        and len(_together(lines, [*basket, *names])) == baskets
    ):
        notes.append(
            f"{names[0]} is the same on all lines of each receipt: if it is the sum of them, name "
            "in paid what the line came to"
        )


def _note_no_card(lines: list[Table], customer: str, notes: list[str]) -> None:
    """Note where one customer has far more lines than any other."""
    if not _has(lines[0], customer):
        return
    codes = Counter(
        (fields[place] or "").strip()
        for table, place in [(table, _place(table, customer)) for table in lines]
        for fields in first_rows(table, table.lines)
        if fields
    )
    known = [(code, n) for code, n in codes.most_common() if code and code.lower() not in MISSING]
    if len(known) > 1 and known[0][1] > SHOPPERS * known[1][1]:
        code, most = known[0]
        notes.append(
            f"{customer} is {code} on {most / codes.total():.0%} of the lines: if that stands for "
            f"no card, add no_card: [{code}]"
        )


def _together(
    tables: list[Table], names: list[str], date: str | None = None
) -> set[tuple[str, ...]]:
    """The different values that columns have together in the first lines.

    date: the column of which the time of day does not count.
    """

    def value(text: str, of_date: bool) -> str:
        return re.split("[ T]", text)[0] if of_date else text

    return {
        tuple([value((fields[place] or "").strip(), of_date) for place, of_date in places])
        for table in tables
        for places in [[(_place(table, name), name == date) for name in names]]
        for fields in first_rows(table, table.lines)
        if fields
    }


def _used(keys: dict[str, Any]) -> list[str]:
    names = []
    for key, value in keys.items():
        if key in ("paid", "regular", "coupon"):
            names += names_in(value)
        elif key == "lookups":
            names += [name for on in value.values() for name in on.split(" = ")]
        elif key == "weighed":
            names += value
        elif key == "set_aside":
            names += [name for conditions in value.values() for name in conditions]
        elif key not in ("files", "delimiter", "encoding", "decimal", "date_format", "time_format"):
            names += [value] if isinstance(value, str) else value
    return names


def _shared(lines: Table, other: Table, roles: dict[str, str]) -> str | None:
    """By which column another file adds columns to the lines, as `lookups` has it."""
    if not _is_parquet(other) and other.delimiter != lines.delimiter:
        return None
    its_parts = {name: part for part, name in _roles(other.columns).items()}
    keys = ("product", "store", "customer")
    for part, mine in ((part, roles[part]) for part in keys if part in roles):
        for its in other.columns:
            # Stores may be numbered as products are.
            if its_parts.get(its, part) in set(keys) - {part}:
                continue
            if its in other.repeated or mine not in lines.columns:
                continue
            known = {value for (value,) in _together([other], [its])}
            if len(lines.values[mine] & known) >= JOINED * len(lines.values[mine]):
                return mine if column_name(mine) == column_name(its) else f"{mine} = {its}"
    return None


def _patterns(lines: list[Table], unread: list[Table]) -> str | list[str]:
    """One pattern for all files of lines and none that is not read, or their names."""
    names = [table.path.name for table in lines]
    if len(names) == 1:
        return names[0]
    # The next file has another number or date.
    start = os.path.commonprefix(names).rstrip("0123456789-")
    end = os.path.commonprefix([name[len(start) :][::-1] for name in names])[::-1]
    end = end.lstrip("0123456789-")
    by_digits = {re.sub("[0-9]", "?", name) for name in names}
    pattern = f"{start}*{end}" if start else min(by_digits) if len(by_digits) == 1 else None
    if pattern and not any(is_like(table.path.name, [pattern]) for table in unread):
        return pattern
    return names


def _dates(roles: dict[str, str], values: dict[str, set[str]], notes: list[str]) -> dict[str, str]:
    """Keys that say how dates and times are written."""
    keys = {}
    dates = values[roles["date"]]
    written = _date_format(dates, least=0)
    if written:
        keys["date_format"] = written
        swapped = written.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
        if "." not in written and swapped != written and _share(dates, swapped) == 1:
            notes.append(f"{roles['date']}: day and month could be either way round")
    if any(text.endswith("Z") for text in dates):
        notes.append(f"{roles['date']} is in UTC: add time_zone, such as Europe/Paris")
    if "time" in roles and "%H" not in (written or "") and "%I" not in (written or ""):
        times = values[roles["time"]]
        keys["time"] = roles["time"]
        if not all(re.fullmatch(ISO_TIME, text) for text in times):
            shares = {clock: _share(times, clock) for clock in ("%H:%M", "%H:%M:%S", *CLOCKS)}
            keys["time_format"] = max(shares, key=shares.__getitem__)
    return keys


def _date_format(values: set[str], least: float = MOST) -> str | None:
    """The format of most values, "" for ISO; None where less than `least` are dates."""
    if not values:
        return None
    best, share = "", sum(bool(re.fullmatch(ISO_DATE, text)) for text in values) / len(values)
    for written in (date + time for time in TIMES for date in DATES):
        if share < 1 and (found := _share(values, written)) > share:
            best, share = written, found
    return best if share >= least else None


def _share(values: set[str], written: str) -> float:
    """Share of values in a format."""
    known = date_format(written)
    assert known is not None
    fits = 0
    for text in values:
        if re.fullmatch(known.pattern, text):
            try:
                datetime.strptime(text, written)
            except ValueError:
                continue
            fits += 1
    return fits / len(values) if values else 0.0
