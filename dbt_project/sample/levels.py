"""What is moved, and what is counted, to measure elasticities.

With prices a step up (+) and a step down (-),

    e = (units+ - units-) / (mean of both x (log p+ - log p-)),

which keeps its meaning where few units are sold. One product of every need is moved at a time, all
needs at once, half of them up and half down, so that the price level of the chain stays what it is
and needs do not disturb each other. So are whole needs; departments and the chain are moved one by
one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .catalogue import pairs_of_needs
from .draw import stream, within
from .setting import Setting

STEP = 0.1
"""Log price change of each side."""
CHEAPEST = 10
"""Pence below which rounding spoils the step: such products are not moved one by one."""


@dataclass(frozen=True)
class Level:
    """M moves, N products, L labels, n elasticities."""

    signs: np.ndarray
    """(M, N) in -1, 0, 1: how each move changes prices."""
    label: np.ndarray
    """(N,) by which products are counted together."""
    move: np.ndarray
    """(n,) the move that shows each elasticity."""
    sold: np.ndarray
    """(n,) label of the units counted, and `priced` of the price that moves."""
    priced: np.ndarray


@dataclass(frozen=True)
class Elasticities:
    """Elasticities of units to prices that are held for `weeks` weeks. n elasticities."""

    sold: np.ndarray
    """(n,) product, need or department whose units are counted."""
    priced: np.ndarray
    """(n,) the one whose price moves."""
    value: np.ndarray
    """(n,) nan where nothing is sold."""
    standard_error: np.ndarray
    """(n,) from the differences between repetitions; nan where there is one."""
    by_class: np.ndarray
    """(n, classes) the same of households of one price-sensitivity class."""
    weeks: int


def priced(regular: np.ndarray, factor: np.ndarray | float) -> np.ndarray:
    """Regular prices times a factor, in whole pence."""
    return np.maximum(np.rint(regular * factor), 1).astype(np.int64)


def levels_of(s: Setting) -> dict[str, Level]:
    """The levels at which elasticities are measured."""
    need, size = s.catalogue.need, np.diff(s.start)
    place = np.empty_like(need)
    place[s.by_need] = within(size)
    pairs = pairs_of_needs(need)
    dear = s.catalogue.price >= CHEAPEST
    balanced = (stream(s.config.seed, "signs").permutation(s.needs) % 2 * 2 - 1)[need]
    sold, moved = (x[dear[pairs[1]]] for x in pairs)
    departments, department = np.unique(s.catalogue.department, return_inverse=True)
    whole = np.zeros_like(need)
    numbers, needs = np.arange(departments.size), np.arange(s.needs)
    one_by_one = (place == np.arange(size.max())[:, None]) * dear * balanced
    return {
        "product": Level(one_by_one, np.arange(need.size), place[moved], sold, moved),
        "need": Level(balanced[None, :], need, 0 * needs, needs, needs),
        "department": Level((department == numbers[:, None]) * 1, department, *[numbers] * 3),
        "chain": Level(whole[None, :] + 1, whole, *[whole[:1]] * 3),
    }


def estimate(level: Level, units: np.ndarray, step: np.ndarray, weeks: int) -> Elasticities:
    """Elasticities from units up and down and log price differences.

    units: (R, M, 2, classes, N) of R repetitions; step: (R, M, N).
    """
    labels = int(level.label.max()) + 1
    size = np.bincount(level.label, minlength=labels)
    membership = np.argsort(level.label, kind="stable")
    start = np.cumsum(size) - size
    counted = np.add.reduceat(units[..., membership], start, axis=-1)
    moved = np.add.reduceat(step[..., membership], start, axis=-1) / size
    change = moved[:, level.move, level.priced]  # (R, n)
    up, down = (counted[:, level.move, side, :, level.sold] for side in (0, 1))  # (n, R, classes)
    value, error = _ratio(up.sum(2).T, down.sum(2).T, change)
    by_class = [_ratio(up[..., c].T, down[..., c].T, change)[0] for c in range(up.shape[2])]
    by_class = np.stack(by_class, axis=1)
    return Elasticities(level.sold, level.priced, value, error, by_class, weeks)


def _ratio(up: np.ndarray, down: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Elasticities (n,) and standard errors from units and log steps (R, n): jackknife over R."""
    top, bottom = (up - down) * np.sign(step), (up + down) / 2 * np.abs(step)

    def value(t: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(b > 0, t / np.where(b > 0, b, 1), np.nan)

    whole, runs = value(top.sum(0), bottom.sum(0)), len(top)
    if runs == 1:
        return whole, np.full(whole.shape, np.nan)
    left_out = value(top.sum(0) - top, bottom.sum(0) - bottom)
    return whole, np.sqrt((runs - 1) / runs * ((left_out - left_out.mean(0)) ** 2).sum(0))
