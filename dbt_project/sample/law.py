"""The law that a trip's basket follows: what one draw gives, and the probability of every basket.

`baskets.py` draws products until the basket holds as many different ones as are wanted, at most
K(wanted) times; a drawn product may bring its complement along. Without complements, the chance
that m draws give exactly the products of a set B is m! [z^m] prod over B of (exp(r_i z) - 1), with
r_i the probability that a draw gives i (exponential generating functions: Flajolet and Sedgewick,
Analytic Combinatorics, 2009, section II.3). Complements couple few products; those have factors of
their own (`_Star`). Coefficients are read off a circle in the complex plane by Cauchy's formula, to
about ten digits.

Shape letters: N products, W numbers of items wanted (1, 2, ...), F focuses, S sets, L points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import mul

import numpy as np

from .baskets import (
    ERRAND,
    ERRANDS,
    FORMAT_SHIFT,
    HOUSEHOLD_PART,
    ITEMS_SCORE,
    draws_for,
    errands_possible,
    favourites,
    focus_mix,
)
from .catalogue import Catalogue
from .demand import FOCUS, Demand
from .draw import normal_cdf
from .households import CLASSES, Households

WANTED = np.arange(1, ITEMS_SCORE.size + 2)
DRAWS = draws_for(WANTED)


@dataclass(frozen=True)
class Law:
    """The law of a household's basket in a week at a store format."""

    wanted: np.ndarray
    """(W, F) probability of a number of items and a focus."""
    rate: np.ndarray
    """(F, N) probability that a draw gives a product, without what complements bring."""
    partner: np.ndarray
    """(N,) complement of a product, -1 for none."""
    pull: np.ndarray
    """(N,) probability that drawing the product brings its complement."""
    price: np.ndarray
    """(N,) shelf price at the store in pence, per kilogram where random-weight."""

    @cached_property
    def sets(self) -> list[SetLaw]:
        """The law of sets of products for each focus."""
        return [SetLaw(rate, self.partner, self.pull) for rate in self.rate]


def basket_laws(
    week: int, h: Households, catalogue: Catalogue, demand: Demand, household, store_format
) -> Iterator[Law]:
    """The law of each trip of a week, given the household and the format of its store."""
    products = catalogue.need.size
    owners, place = np.unique(household, return_inverse=True)
    total, first, size, favourite = favourites(week, h, catalogue, demand, owners)
    repertoire = np.diff(total).reshape(FOCUS.shape[0], -1)
    on_sale = (catalogue.partner >= 0) & demand.on_sale[np.maximum(catalogue.partner, 0)]
    pull = np.where(on_sale, catalogue.pull, 0.0)
    partner = np.where(pull > 0, catalogue.partner, -1)
    errands = ERRANDS if errands_possible(catalogue, demand) else 0.0
    for who, at, form in zip(household, place, store_format, strict=True):
        region, sensitivity = int(h.region[who]), int(h.sensitivity[who])
        row = region * len(CLASSES) + sensitivity
        begin = row * FOCUS.shape[0] * products
        base = np.diff(demand.base[begin : begin + FOCUS.shape[0] * products + 1])
        pairs = slice(first[at], first[at] + size[at])
        own = _shares(_summed(repertoire[:, pairs], favourite[pairs], products))
        loyalty = np.where(own.any(1), h.loyalty[who], 0.0)[:, None]
        drawn = loyalty * own + (1 - loyalty) * _shares(base.reshape(FOCUS.shape[0], products))
        rate = _after_prices(drawn, demand, region, sensitivity)
        wanted = _wanted(h.basket[who], FORMAT_SHIFT[form], h.focus[who], errands)
        yield Law(wanted, rate, partner, pull, demand.price[region, form])


def _wanted(basket: float, shift: float, focus: np.ndarray, errands: float) -> np.ndarray:
    """(W, F) probability of a number of items and a focus."""
    score = np.sqrt(HOUSEHOLD_PART) * basket + shift
    below = normal_cdf((ITEMS_SCORE - score) / np.sqrt(1 - HOUSEHOLD_PART))
    items = np.diff(below, prepend=0, append=1)
    mix = np.zeros((WANTED.size, FOCUS.shape[0]))
    mix[:, :ERRAND] = _shares(focus_mix(focus, WANTED))
    mix[0] *= 1 - errands
    mix[0, ERRAND] = errands
    return items[:, None] * mix


def _after_prices(drawn: np.ndarray, demand: Demand, region: int, sensitivity: int) -> np.ndarray:
    """(F, N) what is bought instead of what is drawn, given this week's prices
    (`Demand.respond`)."""
    products, need = demand.need.size, demand.need
    begin = (region * len(CLASSES) + sensitivity) * products
    rivals = np.empty(products)
    rivals[demand.order] = np.diff(demand.rivals[begin : begin + products + 1])
    of_need = np.bincount(need, rivals)[need]
    keep = np.where(of_need > 0, demand.keep[region, sensitivity], 1.0)
    moved = _summed(drawn * (1 - keep), need, int(need.max()) + 1)[:, need]
    return drawn * keep + moved * rivals / np.maximum(of_need, 1e-300)


def _shares(weights: np.ndarray) -> np.ndarray:
    """Weights divided by the sum over their last axis."""
    return weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)


def _summed(weights: np.ndarray, product: np.ndarray, products: int) -> np.ndarray:
    """(F, n) weights added up by product or need, (F, products)."""
    return np.stack([np.bincount(product, row, products) for row in weights])


@dataclass(frozen=True, eq=False)
class _Circle:
    """Points on the upper half of a circle around 0, and what they weigh in the coefficients.

    The lower half mirrors it: the coefficient of a real series is twice the real part.
    """

    wanted: slice
    """Numbers of items whose draws are read off this circle, as indices into `WANTED`."""
    z: np.ndarray
    """(L,) complex."""
    last: np.ndarray
    """(W, L) weights of the sets after all draws, m = K."""
    earlier: np.ndarray
    """(W, L) weights of the sum over fewer draws, from one less than items on."""


def _circle(radius: float, points: int, wanted: slice) -> _Circle:
    angle = np.pi * (2 * np.arange(points) + 1) / (2 * points)
    m = np.arange(DRAWS[-1] + 1)
    factorial = np.concatenate([[0.0], np.log(np.maximum(m[1:], 1)).cumsum()])
    size = np.exp(factorial - m * np.log(radius))[:, None] / points
    weight = size * np.exp(-1j * m[:, None] * angle)
    sums = np.concatenate([np.zeros((1, points)), weight.cumsum(0)])
    return _Circle(
        wanted, radius * np.exp(1j * angle), weight[DRAWS], sums[DRAWS] - sums[WANTED - 1]
    )


# A radius may be half the number of draws, or twice it where they are few. Points: enough for the
# next coefficient that they cannot tell apart to vanish.
CIRCLES = (
    _circle(4, 16, slice(0, 3)), _circle(16, 32, slice(3, 17)), _circle(64, 64, slice(17, None))
)  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """A factor of the generating function of S sets at L points."""

    whole: np.ndarray
    """(S, L) the draws give the set's products, and all of them."""
    cut: np.ndarray
    """(S, L) they give all but one, and the next gives it, whose complement finds no room."""
    pulled: np.ndarray
    """(S,) probability that a draw of one of the set's products brings a product from outside."""

    def __mul__(self, other: _Part) -> _Part:
        cut = self.cut * other.whole + self.whole * other.cut
        return _Part(self.whole * other.whole, cut, self.pulled + other.pulled)


@dataclass(frozen=True, eq=False)
class _Star:
    """Products with the same complement, and that complement."""

    sources: np.ndarray
    partner: int

    @property
    def products(self) -> list[int]:
        return [*self.sources.tolist(), self.partner]


class SetLaw:
    """Probabilities of sets of products at one focus.

    rate, partner, pull: (N,) as of `Law`.
    """

    def __init__(self, rate: np.ndarray, partner: np.ndarray, pull: np.ndarray) -> None:
        self._rate, self._pulled = rate, rate * pull
        self._stars = [
            _Star(np.flatnonzero(partner == p), int(p)) for p in np.unique(partner[partner >= 0])
        ]

    def with_one_more(self, others: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Probability that the basket is a set and one product more, for each product: (S, N).

        others: (S, N) bool, the sets. given: (S, W) weights of the numbers of items wanted, over
        which the sum is. 0 for products of the set itself.
        """
        found = np.zeros(others.shape)
        size = others.sum(1) + 1
        given = np.where(size[:, None] <= WANTED, given, 0.0)
        for circle in CIRCLES:
            rows = np.flatnonzero(given[:, circle.wanted].any(1))
            if rows.size:
                here = np.zeros((rows.size, WANTED.size))
                here[:, circle.wanted] = given[rows, circle.wanted]
                found[rows] += self._on_circle(circle, others[rows], here, size[rows])
        return np.where(others, 0.0, np.maximum(found, 0.0))

    def _on_circle(self, circle, others, given, size) -> np.ndarray:
        """What one circle adds to `with_one_more`.

        The basket is B if some number of draws gives exactly B and the next leaves it, or all draws
        give exactly B, or a draw fills it whose complement is cut off.
        """
        rate, pulled = self._rate, self._pulled
        any_way, alone, log = self._tables[CIRCLES.index(circle)]
        stay = given[np.arange(size.size), size - 1, None] * circle.earlier[size - 1]
        last = given @ circle.last

        stars = self._touched(others)
        parts = [self._part(star, others, any_way, alone) for star in stars]
        coupled = np.zeros(rate.size, bool)
        for star in stars:
            coupled[star.products] = True
        uncoupled = (others & ~coupled).astype(float)
        plain = np.exp(uncoupled @ log.real + 1j * (uncoupled @ log.imag))
        before = [*accumulate(parts, mul, initial=_Part(plain, 0.0, 0.0))]
        after = [*accumulate(reversed(parts), mul, initial=_Part(1.0, 0.0, 0.0))][::-1]

        def weigh(sets: _Part, inside) -> np.ndarray:
            """The weights of the points, with `inside` the probability of drawing what is there."""
            leaves = 1 - inside + sets.pulled
            return (leaves[:, None] * stay + last) * sets.whole + stay * sets.cut

        sets = before[-1]
        stays = stay * sets.whole
        found = _real(weigh(sets, others @ rate), alone) - _real(stays, alone) * (rate - pulled)
        found += stays.real.sum(1)[:, None] * pulled
        for number, star in enumerate(stars):
            rest = before[number] * after[number + 1]
            for product in star.products:
                more = others.copy()
                more[:, product] = True
                whole = rest * self._part(star, more, any_way, alone)
                found[:, product] = weigh(whole, more @ rate).real.sum(1)
        return found

    @cached_property
    def _tables(self) -> list[tuple[np.ndarray, ...]]:
        """For each circle, (N, L) factors of a product drawn once or more, in any way and never
        with its complement, and the logarithm of the latter."""
        sources = np.flatnonzero(self._pulled)
        tables = []
        for circle in CIRCLES:
            alone = np.expm1((self._rate - self._pulled)[:, None] * circle.z)
            any_way = alone.copy()
            any_way[sources] = np.expm1(self._rate[sources, None] * circle.z)
            tables.append((any_way, alone, np.log(np.where(alone == 0, 1e-300, alone))))
        return tables

    def _touched(self, sets: np.ndarray) -> list[_Star]:
        """Stars with a product in any of the sets; the others are like uncoupled products."""
        inside = sets.any(0)
        return [star for star in self._stars if inside[star.products].any()]

    def _part(self, star: _Star, sets: np.ndarray, any_way, alone) -> _Part:
        """The factor of a star's products."""
        inside, partner = sets[:, star.sources], sets[:, star.partner]
        drawn, solitary = (
            np.where(inside[..., None], table[star.sources], 1.0) for table in (any_way, alone)
        )
        without = solitary.prod(1)
        whole = np.where(
            partner[:, None], (1 + any_way[star.partner]) * drawn.prod(1) - without, without
        )
        pulled = np.where(inside & ~partner[:, None], self._pulled[star.sources], 0.0)
        cut = sum(
            pulled[:, i, None] * np.delete(solitary, i, axis=1).prod(1)
            for i in range(star.sources.size)
        )
        return _Part(whole, cut, pulled.sum(1))


def _real(weights: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The real part of weights (S, L) @ table (N, L).T."""
    return weights.real @ table.real.T - weights.imag @ table.imag.T
