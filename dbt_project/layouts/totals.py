"""Rows and money of files of order lines, counted in plain Python: SQL has to come to the same."""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from pathlib import Path

from .order_lines import MISSING, OrderLines, column_name
from .text_tables import read_lookups, rows_of_files

LARGEST = 2**31 - 1
"""Hundredths of the largest amount that is staged."""


def totals(layout: OrderLines, folder: Path, names: Collection[str]) -> list[dict[str, str | int]]:
    """For each file of lines that is named its `name`, `rows` and `pence`, the hundredths paid on
    them; what cannot be read counts nothing. Raises LayoutError.
    """
    paid = list(dict.fromkeys(column_name(name) for term in layout.paid for name in term.columns))
    places = [layout.columns.index(name) for name in paid]

    @lru_cache(1 << 16)  # most amounts come again and again
    def pence(*texts: str | None) -> int:
        return _pence(layout, dict(zip(paid, texts, strict=True)))

    found = []
    for path, rows in rows_of_files(layout, folder, names, read_lookups(layout, folder)):
        count = total = 0
        for row in rows:
            count += 1
            if row.fault is None:
                total += pence(*[row.fields[place] for place in places])
        found.append({"name": path.name, "rows": count, "pence": total})
    return found


def _pence(layout: OrderLines, values: dict[str, str | None]) -> int:
    total = Decimal(0)
    for place, term in enumerate(layout.paid):
        texts = [_known(values[column_name(name)]) for name in term.columns]
        if place > 0 and None in texts:
            continue
        factors = [_number(text, layout.decimal) for text in texts]
        if None in factors:
            return 0
        product = factors[0]
        if len(factors) == 2:
            product = (product * factors[1]).quantize(Decimal("0.01"), ROUND_HALF_UP)
        total += product if term.sign == "+" else -product
    hundredths = total * 100
    return int(hundredths) if hundredths == int(hundredths) and abs(hundredths) <= LARGEST else 0


def _known(value: str | None) -> str | None:
    """Trimmed text; None where there is none, or a word for a missing value."""
    text = (value or "").strip(" \t\u00a0")
    return None if text == "" or text.lower() in MISSING else text


def _number(text: str | None, point: str) -> Decimal | None:
    if text is None or not re.fullmatch(rf"[+-]?[0-9]+([{point}][0-9]{{1,6}}0*)?", text):
        return None
    number = Decimal(text.replace(point, "."))
    return number if abs(number) < 10**13 else None
