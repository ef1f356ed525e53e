"""Numbers as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from trainer.evaluation.bootstrap import Estimate
from trainer.report.markup import Markup, element, join

NONE = "–"
"""Written where there is no number."""
MINUS = "−"


def fixed(value: float, digits: int = 3) -> str:
    """Decimals such as 0.123, with a real minus sign."""
    if not math.isfinite(value):
        return NONE
    return f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float) -> str:
    """A difference with its sign, to four decimals: an interval may end close to zero."""
    return f"{value:+.4f}".replace("-", MINUS) if math.isfinite(value) else NONE


def percent(share: float, digits: int = 1) -> str:
    """A share of 1 as a percentage."""
    return f"{fixed(100 * share, digits)} %" if math.isfinite(share) else NONE


def count(number: int) -> str:
    """1,234."""
    return f"{number:,}"


def interval(estimate: Estimate, show: Callable[[float], str] = fixed) -> str:
    """[low, high]."""
    return f"[{show(estimate.low)}, {show(estimate.high)}]"


def with_interval(estimate: Estimate | None, show: Callable[[float], str] = fixed) -> Markup:
    """A table cell: the value above its interval."""
    if estimate is None:
        return Markup(NONE)
    range_ = element("span", interval(estimate, show), class_="interval")
    return join([show(estimate.value), " ", range_])


def spans(numbers: Iterable[int]) -> str:
    """Whole numbers as ranges: 1–3, 5."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in runs) or NONE
