"""What each coupon of a trial did, by chance alone: holders beside others.

Of a figure y of a card in the weeks of a round, what a coupon adds is the mean of holders less that
of all others, y less what a least-squares line expects from what receipts say of the card: units of
the product, of its need, and trips. Chance decides who holds a coupon, so that the line takes away
noise and no part of what the coupon does (CUPED: Deng and others, 2013). The interval is Neyman's
(1923): coins are independent from round to round, whatever cards do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.coupon_log import CouponLog
from simulator.tensor_file import texts

from .coupon_response import usual_units
from .knowledge import Knowledge

SURE = 1.959964
"""Standard errors to each side of a 95 % interval."""
FIGURES = {
    "units": "units more", "rest": "of the rest of its need", "trips": "trips more",
    "cost": "taken off, £", "profit": "profit, £",
}  # fmt: skip
"""Of 100 coupons that are sent."""


@dataclass(frozen=True)
class Lift:
    """What coupons did. C coupons, and after them all together."""

    product: list[str]
    """(C,) codes."""
    sent: np.ndarray
    """(C + 1,) coupons, and `used` (C + 1,), the share of them that was used."""
    used: np.ndarray
    added: Mapping[str, tuple[np.ndarray, np.ndarray]]
    """(C + 1,) by figure, for a coupon that is sent, and half a 95 % interval: `units` of the
    product, `rest` units of other products of its need, `trips`, `cost` (pence that coupons take
    off) and net `profit` of product and need (pence, coupons and unit costs taken off)."""

    def of_hundred(self, figure: str, at: int) -> tuple[float, float, str]:
        """Ends of the interval for 100 coupons sent, money in pounds, and the cell of a table."""
        mean, half = (scale(figure) * x[at] for x in self.added[figure])
        low, high = mean - half, mean + half
        return low, high, f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def scale(figure: str) -> int:
    """From one coupon to 100, and from pence to pounds."""
    return 1 if figure in ("cost", "profit") else 100


def coupon_lift(known: Knowledge, log: CouponLog, customers: list[str]) -> Lift:
    """What receipts of a trial say of its coupons. customers: codes of the cards that are known."""
    row = log.rows(customers, known.start)
    here = np.flatnonzero(row >= 0)
    of_product, of_need = (x[row[here]] for x in usual_units(known, log.product))
    trips = known.rate[row[here]]
    rounds = [_round(known, log, int(week), here) for week in log.week]
    given = log.given[:, here]
    coupons = log.product.size
    found = {name: np.zeros((2, coupons + 1)) for name in FIGURES}
    sent, used = np.zeros((2, coupons + 1))
    for coupon in range(coupons):
        holds = given[:, :, coupon].ravel()
        x = np.column_stack([np.ones_like(trips), of_product[:, coupon], of_need[:, coupon], trips])
        x = np.tile(x, (len(rounds), 1))
        sent[coupon] = holds.sum()
        used[coupon] = np.concatenate([r["used"][:, coupon] for r in rounds])[holds].mean()
        for name, values in found.items():
            y = np.concatenate([r[name][:, coupon] for r in rounds])
            values[:, coupon] = _difference(y, holds, x)
    share = sent[:-1] / sent.sum()
    sent[-1], used[-1] = sent.sum(), share @ used[:-1]
    for mean, error in found.values():
        mean[-1], error[-1] = share @ mean[:-1], np.sqrt((share**2) @ (error[:-1] ** 2))
    codes = texts(known.code[log.product])
    return Lift(codes, sent, used, {name: (m, SURE * e) for name, (m, e) in found.items()})


def _round(known: Knowledge, log: CouponLog, week: int, here: np.ndarray) -> dict[str, np.ndarray]:
    """(H, C) figures of known cards in a round."""
    cards, coupons = len(log.customer), log.product.size
    chosen = (log.when >= week) & (log.when < week + log.lasts)
    who, bought, units, paid, off, when, trip = (
        getattr(log, name)[chosen]
        for name in ("who", "bought", "units", "paid", "off", "when", "trip")
    )
    price = known.regular * (1 - known.depth)
    unit = known.cost - known.funding * (known.regular - price)
    # Of goods sold by weight a unit is a portion: its kilograms are what was paid over the price.
    weight = (paid + off) / price[bought, when - 1]
    amount = np.where(known.amount[bought] == 1, units, weight)
    profit = paid - amount * unit[bought, when - 1]
    _, first = np.unique(trip, return_index=True)
    came = np.bincount(who[first], minlength=cards).astype(float)
    shape = cards, coupons
    found = {name: np.zeros(shape) for name in ("used", "units", "rest", "cost", "profit")}
    for at, product in enumerate(log.product):
        own = bought == product
        need = known.need[bought] == known.need[product]
        for name, some, values in (
            ("used", own, off > 0), ("units", own, units), ("rest", need & ~own, units),
            ("cost", own, off), ("profit", need, profit),
        ):  # fmt: skip
            found[name][:, at] = np.bincount(who[some], values[some], cards)
    found["trips"] = np.repeat(came[:, None], coupons, axis=1)
    return {name: values[here] for name, values in found.items()}


def _difference(y: np.ndarray, holds: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """What holding adds to y (n,), and its standard error. x: (n, F) what is expected by."""
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    one, other = rest[holds], rest[~holds]
    error = np.sqrt(one.var(ddof=1) / one.size + other.var(ddof=1) / other.size)
    return float(one.mean() - other.mean()), float(error)


def lift_table(found: Lift) -> list[list[str]]:
    """Cells, the head first: figures of 100 coupons sent, with 95 % intervals."""
    head = ["coupon on", "sent", "used", *(f"{name} (95 %)" for name in FIGURES.values())]
    rows = [head]
    for at, name in enumerate([*found.product, "all"]):
        cells = [name, f"{found.sent[at]:,.0f}", f"{found.used[at]:.1%}"]
        rows.append([*cells, *(found.of_hundred(figure, at)[2] for figure in FIGURES)])
    return rows
