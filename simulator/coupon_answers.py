"""What share of a coupon's holders have it in mind, and how strongly they answer.

Customer h bought of the coupon's product lambda_h times, and of its need nu_h times, in as many
weeks of the last year as it is good for. With the coupon in mind lambda_h becomes

    mu_h = lambda_h (1 + s (exp(m_h x) - 1)) + theta nu_h

x is what the price response says of a price that is so much lower for them alone
(`PriceEffects.of_coupon`), and takes from rivals what that takes, times s, which is 1 at most. The
rest is what the coupon reminds of, beside what is chosen, and takes nothing. As purchases are
Poisson and a coupon is gone with the first one,

    b_h = 1 - exp(-mu_h)                      use it while it is good, if they have it in mind
    a_h = b_h (1 - lambda_h / mu_h)           purchases that it adds

**Assumed**: the scenario says that a share r of the holders use it. Then r / mean(b) have it in
mind, and answer as to a price at the shelf: s is 1 and theta 0.

**Told by a trial**, in which chance decided who got what. Holders who do not have theirs in mind
buy as others do, so that the share who do is

    n = 1 - share of holders who bought and did not use it / share of others who bought

and what holders bought beyond others is n x the sum of a_h over holders. Where s = 1 and theta = 0
make that too little, theta is what makes both agree; else s is. Both sums are of coupons on
products of which receipts tell how demand answers, which alone answer in a simulation. Said are
ratios of sums over cards, with intervals that count a card once.

What rivals lose in a trial is in the log too, but among all that holders buy of a need a trial of
usual size leaves it open by as much as the price response does (docs/whatif.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from simulator.coupon_log import CouponLog
from simulator.coupons import Answer, Coupon
from simulator.intervals import share
from simulator.price_effects import PriceEffects
from simulator.tensor_file import texts
from simulator.words import named, percent
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError

YEAR = 52
MOST_REMINDED = 1e3
"""theta beyond which nobody is reminded of anything."""


class Habits:
    """What customers bought in the last year of the history, and what coupons make of it.

    effects: of prices on demand, None where nobody knows them. store: whose prices count.
    """

    def __init__(
        self, cache: TensorCache, effects: PriceEffects | None, start: int, store: int
    ) -> None:
        self.cache, self.start, self.effects, self._store = cache, start, effects, store
        self._weeks = min(YEAR, start)
        trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
        items = np.diff(cache["trips.item_offsets"].astype(np.int64))
        week = cache["trips.week"]
        inside = np.repeat((week <= start) & (week > start - self._weeks), items)
        self._token = cache["items.token"][inside].astype(np.int64)
        customer = np.repeat(np.arange(len(trips)), trips)
        self._customer = np.repeat(customer, items)[inside]
        self.segment = cache["customers.price_sensitivity"].astype(np.int64)

    def rates(self, coupon: Coupon) -> np.ndarray:
        """(3, customers) lambda, lambda exp(m x) and nu, which is 0 where it is not known how
        demand answers."""
        x, answers = np.zeros(len(coupon.token)), self.answers(coupon)
        need = np.zeros(len(coupon.token), bool)
        if self.effects is not None:
            x[self.effects.token], _ = self.effects.of_coupon(coupon, self._store, coupon.first)
            own = self.effects.need[answers[self.effects.token]]
            need[self.effects.token] = np.isin(self.effects.need, own)
        of_need = self._purchases(need, coupon, np.zeros(len(x)))
        return np.stack([*(self._purchases(coupon.token, coupon, y) for y in (0 * x, x)), of_need])

    def answers(self, coupon: Coupon) -> np.ndarray:
        """(input tokens,) bool: products of a coupon of which it is known how demand answers."""
        found = np.zeros(len(coupon.token), bool)
        if self.effects is not None:
            found[self.effects.token] = self.effects.moved
        return found & coupon.token

    def _purchases(self, of: np.ndarray, coupon: Coupon, x: np.ndarray) -> np.ndarray:
        """(customers,) of tokens (input tokens,) bool, in the weeks of a coupon, if x (input
        tokens,) holds for all."""
        inside = of[self._token]
        customer, token = self._customer[inside], self._token[inside]
        times = np.ones(len(token))
        if self.effects is not None:
            times = np.exp(self.effects.factors[self.segment[customer]] * x[token])
        weeks = (coupon.last - coupon.first + 1) / self._weeks
        return weeks * np.bincount(customer, times, len(self.segment))


def prospects(
    rates: np.ndarray, strength: float = 1.0, reminds: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """(...) b and a of `Habits.rates` (3, ...), with s and theta."""
    usual, at_shelf, need = rates
    with_it = usual + strength * (at_shelf - usual) + reminds * need
    buys = -np.expm1(-with_it)
    return buys, buys * (1 - usual / np.maximum(with_it, 1e-12))


def check_told(coupons: Sequence[Coupon], trial: CouponLog | None) -> None:
    """Raise InputError for a coupon of which nobody says who uses it."""
    for number, coupon in enumerate(coupons, start=1):
        if coupon.redeemed is None and trial is None:
            raise InputError(
                f"coupons, entry {number}: redeemed: say what share of its holders use it, such as "
                "12%, or give a trial that tells (--trial)"
            )


def check_trial(trial: CouponLog, cache: TensorCache, start: int) -> None:
    """Raise InputError for a trial of other cards or products than a cache's, and for one that ends
    after the week `start`."""
    trial.rows(texts_of(cache["customers.code"]), start)
    _tokens(trial, cache)


def with_answers(
    coupons: Sequence[Coupon], habits: Habits, customers: np.ndarray, trial: CouponLog | None
) -> tuple[Coupon, ...]:
    """The same with their answers. customers: rows of those who are simulated.

    Raises InputError for a coupon without holders among them, one that nobody says anything about,
    a share that cannot be, and a trial that tells nothing.
    """
    check_told(coupons, trial)
    simulated = np.zeros(habits.cache.rows("customers"), bool)
    simulated[customers] = True
    told = None
    found = []
    for number, coupon in enumerate(coupons, start=1):
        where, holders = f"coupons, entry {number}", simulated & coupon.customer
        if not holders.any():
            raise InputError(f"{where}: none of its holders is simulated")
        if coupon.redeemed is not None:
            answer = _assumed(coupon, where, habits, holders)
        else:
            told = told or _told(trial, habits)
            answer = replace(told, words=told.words + _stretched(coupon, trial, habits.cache))
        words = answer.words + _silent(coupon, habits)
        found.append(replace(coupon, customer=holders, answer=replace(answer, words=words)))
    return tuple(found)


def _assumed(coupon: Coupon, where: str, habits: Habits, holders: np.ndarray) -> Answer:
    most = prospects(habits.rates(coupon))[0][holders].mean()
    if coupon.redeemed > most or not most:
        raise InputError(
            f"{where}: redeemed: {percent(coupon.redeemed)} of its holders, where "
            f"{percent(most)} would buy in these weeks what it is good for if all had it in mind, "
            "as what they bought last year says; assume less, or give a trial"
        )
    noticed = coupon.redeemed / most
    return Answer(
        noticed, 1.0,
        f"That {percent(coupon.redeemed)} of its holders use it is an assumption of the scenario, "
        f"and so is that they answer as to a price at the shelf: {percent(noticed)} have it in "
        "mind, as what they bought last year says.",
    )  # fmt: skip


def _told(log: CouponLog, habits: Habits) -> Answer:
    cache = habits.cache
    row = log.rows(texts_of(cache["customers.code"]), habits.start)
    here = row >= 0
    tokens = _tokens(log, cache)
    rates, answers = np.zeros((3, here.sum(), len(tokens))), np.zeros(len(tokens))
    for number, token in enumerate(tokens):
        only = np.zeros(cache.vocabulary.input_size, bool)
        only[token] = True
        everybody = np.ones(cache.rows("customers"), bool)
        first = habits.start + 1  # prices as they are now
        coupon = Coupon(only, everybody, first, first + log.lasts - 1, share=log.depth)
        rates[:, :, number] = habits.rates(coupon)[:, row[here]]
        answers[number] = habits.answers(coupon).any()
    chance = log.given.mean()
    if not 0 < chance < 1:
        raise InputError("the trial tells nothing: all had its coupons, or nobody")
    used, unused, others, more = np.zeros((4, here.sum()))
    for number, week in enumerate(log.week.tolist()):
        given = log.given[number][here]
        lines, uses = (
            log.during(week, values)[:, log.product][here]
            for values in (np.ones(len(log.used)), log.used)
        )
        used += ((uses > 0) & given).sum(1)
        unused += ((lines > 0) & (uses == 0) & given).sum(1) / chance
        others += ((lines > 0) & ~given).sum(1) / (1 - chance)
        beyond = lines - rates[0]
        more += ((beyond - beyond.mean(0)) * (given - chance) / (1 - chance)) @ answers
    times = log.given[:, here].sum(0)
    given = times.sum(1)
    expected = (times * prospects(rates)[1]).sum(1)
    if not (used.any() and others.any() and expected.any()):
        raise InputError(
            "the trial tells nothing: no coupon was used, or none is on a product of which "
            "receipts tell how demand answers to prices"
        )
    redeemed, forgotten, lift = (
        _ratio(*each) for each in ((used, given), (unused, others), (more, expected))
    )
    value, low, high = forgotten
    noticed = tuple(min(max(1 - each, 0.0), 1.0) for each in (value, high, low))
    if not noticed[0]:
        raise InputError("the trial tells nothing: holders buy without using coupons as others buy")
    strength, reminds = _answered(rates, times, more.sum() / noticed[0])
    return Answer(
        noticed[0], strength,
        f"In the trial {_words(redeemed)} of {int(given.sum()):,} coupons were used; "
        f"{_words(noticed)} of the holders had theirs in mind, as how many bought without using it "
        f"says; and holders bought more by {_words(lift)} of what as low a price at the shelf "
        "would bring (90 % intervals, which are not in those of this comparison)"
        + (
            ": beyond that it reminds of a product, which is assumed to take nothing from others."
            if reminds
            else "."
        ),
        reminds,
        log.depth,
    )  # fmt: skip


def _answered(rates: np.ndarray, times: np.ndarray, more: float) -> tuple[float, float]:
    """s and theta that add so many purchases, where cards hold each coupon times (H, C)."""

    def missing(strength: float, reminds: float = 0.0) -> float:
        return more - float((times * prospects(rates, strength, reminds)[1]).sum())

    if more <= 0:
        return 0.0, 0.0
    if missing(1.0) <= 0:
        return brentq(missing, 0.0, 1.0), 0.0
    if missing(1.0, MOST_REMINDED) > 0:
        raise InputError("the trial tells nothing: holders bought more than coupons can remind of")
    return 1.0, brentq(lambda theta: missing(1.0, theta), 0.0, MOST_REMINDED)


def _tokens(log: CouponLog, cache: TensorCache) -> np.ndarray:
    """(C,) tokens of a trial's coupons."""
    place = {code: row for row, code in enumerate(texts_of(cache["products.code"]))}
    codes = [texts(log.code[[row]])[0] for row in log.product]
    if unknown := [code for code in codes if code not in place]:
        raise InputError(f"the trial has a coupon on {unknown[0]}, which the receipts do not have")
    return 1 + np.array([place[code] for code in codes])


def _stretched(coupon: Coupon, log: CouponLog, cache: TensorCache) -> str:
    """Nothing, or a sentence where the trial had other coupons than this one."""
    same = (
        coupon.pence is None
        and np.isclose(coupon.share, log.depth)
        and coupon.last - coupon.first + 1 == log.lasts
        and coupon.token.sum() == 1
        and np.isin(np.flatnonzero(coupon.token), _tokens(log, cache)).all()
    )
    if same:
        return ""
    return (
        f" The trial's coupons took {percent(log.depth)} off one of {len(log.product)} products, "
        f"for {log.lasts} weeks: that this one is answered to alike is an assumption."
    )


def _silent(coupon: Coupon, habits: Habits) -> str:
    """Nothing, or a sentence about products of which it is not known how demand answers."""
    silent = coupon.token & ~habits.answers(coupon)
    if not silent.any():
        return ""
    cache = habits.cache
    return (
        f" Of {silent.sum():,} of its {coupon.token.sum():,} products receipts do not tell how "
        f"demand answers to prices ({named(cache, silent[1 : cache.products + 1])}): holders buy "
        "of them what they would without it."
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> tuple[float, float, float]:
    """Of sums over cards (H,), with the ends of its interval."""
    return share(part[None], whole[None])


def _words(ends: tuple[float, float, float]) -> str:
    value, low, high = map(percent, ends)
    return f"{value} [{low}, {high}]"


def texts_of(codes: np.ndarray) -> list[str]:
    """Codes of a cache."""
    return [code.decode() for code in codes.tolist()]
