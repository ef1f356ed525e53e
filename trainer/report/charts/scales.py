"""From values to pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """A straight or logarithmic map of low..high to the pixels start..stop."""

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def __post_init__(self):
        if not (self.low < self.high and (self.low > 0 or not self.logarithmic)):
            raise ValueError(f"scale: {self.low}..{self.high} is no range")

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.stop - self.start)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Round values within the range and how they are written: at most about `most`."""
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [(10.0**n, _power(n)) for n in range(first, last + 1)]
        step = round_step((self.high - self.low) / most)
        digits = max(0, -math.floor(math.log10(step)))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        values = [n * step for n in range(first, last + 1)]
        return [(value, f"{value:.{digits}f}".replace("-", "−")) for value in values]


def round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, ... times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= least * (1 - 1e-9))


def around(values: Iterable[float], *others: float, margin: float = 0.06) -> tuple[float, float]:
    """A range that holds the finite values and the others, with some room."""
    held = [value for value in (*values, *others) if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(held), max(held)
    room = (high - low) * margin or abs(high) * margin or 1.0
    return low - room, high + room


def decades(values: Iterable[float]) -> tuple[float, float]:
    """Powers of ten around positive values."""
    held = [math.log10(value) for value in values]
    low, high = math.floor(min(held)), math.ceil(max(held))
    return 10.0**low, 10.0 ** max(high, low + 1)


def _power(exponent: int) -> str:
    return "1" if exponent == 0 else "10" + str(exponent).translate(SUPERSCRIPT)
