"""Learning the world from receipts (a tensor cache) and the retailer's own books, up to a week.

How demand answers to prices is `fit_demand_response`'s; the rest is counted: how often each
customer comes, what they buy on a trip, and how much a week of last year said about this year's.
Levels are those of the last year, with the prices, promotions and visits of its weeks taken out.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix

from simulator.prices.demand_response import DemandResponse, fit_demand_response
from simulator.prices.response import KEEPS, MEMORY, before_each_week
from simulator.prices.visit_response import learn, usual_baskets
from simulator.tensor_file import padded
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError

from ..books import NEVER, Books
from .knowledge import Knowledge
from .records import Records
from .world import YEAR

LATELY = 8
"""Weeks without a sale after which a product is no longer on sale."""
OTHER = 0.1
"""Typical difference of log paid and list prices beyond which they are of two chains."""
PRIOR = 5.0
"""Trips of the average customer that count beside a customer's own, in what they like."""


def learn_world(cache: TensorCache, books: Records, start: int) -> Knowledge:
    """What receipts and books of the weeks up to `start` tell.

    Raises InputError where less than two years are there, or prices never moved.
    """
    if start < 2 * YEAR:
        raise InputError(f"--start: {start} weeks are too few to know seasons: two years at least")
    if start > cache.rows("weeks"):
        raise InputError(f"--start: {cache.folder} ends with week {cache.rows('weeks')}")
    if (trained := cache.split["train"][1]) > start:
        raise InputError(
            f"--start: {cache.folder} has static tables of weeks up to {trained}: build with the "
            f"dbt vars train_last_week: {start}, validation_last_week and test_last_week"
        )
    learner = _Learner(cache, books, start)
    response = fit_demand_response(cache, start)
    if response is None or not response.products.moved.any():
        raise InputError(f"{cache.folder}: prices never moved: there is nothing to learn from")
    return learner.knowledge(response)


class _Learner:
    def __init__(self, cache: TensorCache, books: Records, start: int) -> None:
        """Raises InputError for receipts of another chain than the books."""
        self.cache, self.books, self.start = cache, books, start
        self.n, self.customers = len(books.code), cache.rows("customers")
        row = {code: i for i, code in enumerate(books.code)}
        codes = [code.decode() for code in cache["products.code"].tolist()]
        if missing := [code for code in codes if code not in row]:
            raise InputError(f"{cache.folder}: {missing[0]} is not in the price list")
        self.row_of_token = np.full(cache.vocabulary.input_size, -1)
        self.row_of_token[1 : len(codes) + 1] = [row[code] for code in codes]
        self._count()
        self._compare()

    def _count(self) -> None:
        """Trips, units and spend of the receipts."""
        c, weeks = self.cache, self.start
        trips = np.diff(c["customers.trip_offsets"].astype(np.int64))
        who = np.repeat(np.arange(self.customers), trips)
        week = c["trips.week"].astype(np.int64)
        known = week <= weeks
        self.visits = _counted((who[known], week[known] - 1), (self.customers, weeks))
        self.last_trip = np.where(
            self.visits.any(1), weeks - (self.visits[:, ::-1] > 0).argmax(1), NEVER
        )
        self.revenue = np.bincount(
            week[known] - 1, c["trips.spend_pence"][known].astype(float), weeks
        )
        items = np.diff(c["trips.item_offsets"].astype(np.int64))
        of_item = np.repeat(np.arange(len(week)), items)
        product = self.row_of_token[c["items.token"].astype(np.int64)]
        kept = known[of_item] & (product >= 0)
        product, of_item = product[kept], of_item[kept]
        when = week[of_item] - 1
        quantity = c["items.quantity"][kept].astype(float)
        paid = quantity * c["shelf_prices.pence"][c["items.price"][kept]]
        self.sold = _counted((product, when), (self.n, weeks))
        self.units = _counted((product, when), (self.n, weeks), quantity)
        self.paid = _counted((product, when), (self.n, weeks), paid)
        self.last_bought = np.full((self.customers, self.n), NEVER, np.int16)
        np.maximum.at(self.last_bought, (who[of_item], product), (when + 1).astype(np.int16))
        self.spent = _counted((who[of_item], when), (self.customers, weeks), paid / 100)
        lately = when >= weeks - YEAR
        self.own = _counted((who[of_item][lately], product[lately]), (self.customers, self.n))

    def _compare(self) -> None:
        """What was paid in the last year beside list prices."""
        last = slice(self.start - YEAR, self.start)
        price = (self.books.regular * (1 - self.books.depth))[:, last]
        self.lists = (price * self.units[:, last]).sum(1)
        self.ratio = self.paid[:, last].sum(1) / np.maximum(self.lists, 1e-9)
        sold = (self.lists > 0) & ~self._weighed()
        if sold.any() and np.median(np.abs(np.log(np.maximum(self.ratio[sold], 1e-9)))) > OTHER:
            raise InputError(
                "what customers paid is not what the books charge: are the folder and --cache of "
                "the same chain?"
            )

    def knowledge(self, response: DemandResponse) -> Knowledge:
        """All of it, with how demand answers to prices."""
        self.response = response
        self.panel_row = self.row_of_token[response.products.panel.token]
        b, r, start = self.books, response.products, self.start
        price = b.regular * (1 - b.depth)
        usual = np.exp(np.median(np.log(price), axis=1))
        change = np.log(price / usual[:, None])
        need, share, switching, quantity, further = self._of_products()
        of_need = np.array([r.lasting, r.passing, r.stocking, self.response.visits.value])
        x, reference, stock = _effects(
            change, need, share, switching, quantity, further, of_need, r.switches
        )
        baskets = self._baskets()
        level = baskets @ change
        learnt = learn(np.hstack([level, level[:, -1:]]))
        traffic, season = self._seasons()
        factor = self.response.groups
        segment = self.response.segment
        last = slice(start - YEAR, start)
        comes = np.exp(-of_need[3] * factor[segment][:, None] * learnt[:, last])
        rate = self.visits[:, last].sum(1) / comes.sum(1)
        likes = self._likes(np.exp(factor[:, None, None] * x[:, last]), segment)
        totals = self._totals()
        weighed = self._weighed()
        amount = np.where(weighed & (self.lists > 0), self.ratio, 1.0)
        return Knowledge(
            code=padded(b.code),
            group=b.group, listed=b.listed, amount=amount,
            charged=np.where(weighed | (self.lists == 0), 1.0, self.ratio), usual=usual,
            regular=b.regular, depth=b.depth, funding=b.funding, cost=b.cost,
            on_sale=self.sold[:, -LATELY:].any(1), need=need, share=share, switching=switching,
            quantity=quantity, further=further, of_need=of_need, switches=np.array([r.switches]),
            units_a_trip=self.units[:, last].sum(1) / np.maximum(self.sold[:, last].sum(1), 1),
            reference=reference, stock=stock, segment=segment, factor=factor, rate=rate,
            basket=baskets.toarray().astype(np.float32), learnt=learnt[:, start],
            likes=likes.astype(np.float32),
            strangers=np.array([totals]), traffic=traffic, season=season,
            noise=np.array([self._noise(x, traffic, season, likes, segment, factor)]),
            units=np.rint(self.units * (1 + totals)),
            trips=np.rint(self.visits.sum(0) * (1 + totals)),
            revenue=self.revenue * (1 + totals) / 100, last_trip=self.last_trip,
            cache=self.cache.digest,
            spend=self._spend(), bought=self.last_bought, coupon=np.zeros(0, np.int64),
            coupon_depth=np.zeros(1), coupon_lift=np.zeros(0), coupon_taken=np.zeros(0),
        )  # fmt: skip

    def _spend(self) -> np.ndarray:
        """(H,) pounds a week, smoothed as books are."""
        found = self.spent[:, 0]
        for week in range(1, self.start):
            found = Books.smoothed(found, self.spent[:, week], False)
        return found

    def _of_products(self) -> tuple[np.ndarray, ...]:
        """Needs, shares, switching, and quantity effects with the share of units that they are of,
        of all products. Those outside the panel, or whose price never moved, are alone in their
        need and answer as a need does."""
        r = self.response.products
        need = np.arange(self.n) + int(r.need.max()) + 1
        need[self.panel_row[r.moved]] = r.need[r.moved]
        _, need = np.unique(need, return_inverse=True)
        found = [need]
        for values, rest in (
            (r.share, 1.0),
            *((x, 0.0) for x in (r.switching, r.quantity, r.further)),
        ):
            of_all = np.full(self.n, rest)
            of_all[self.panel_row[r.moved]] = values[r.moved]
            found.append(of_all)
        return tuple(found)

    def _baskets(self) -> csr_matrix:
        """(H, N) usual baskets."""
        panel = self.response.products.panel
        found = usual_baskets(self.cache, panel, np.arange(1, self.start + 1)).tocoo()
        shape = self.customers, self.n
        return csr_matrix((found.data, (found.row, self.panel_row[found.col])), shape)

    def _likes(self, answer: np.ndarray, segment: np.ndarray) -> np.ndarray:
        """(H, N) trips with a product for each trip at usual prices; answer: (G, N, year) factors
        of what prices did."""
        visits = self.visits[:, -YEAR:]
        there = self._there()[:, -YEAR:]
        exposed = np.zeros((self.customers, self.n))
        for label in range(len(answer)):
            rows = segment == label
            exposed[rows] = visits[rows] @ (answer[label] * there).T
        found = np.zeros_like(exposed)
        for label in range(len(answer)):
            rows = segment == label
            mean = self.own[rows].sum(0) / np.maximum(exposed[rows].sum(0), 1e-9)
            found[rows] = (self.own[rows] + PRIOR * mean) / (exposed[rows] + PRIOR)
        expected = (found * exposed).sum(0)
        return found * np.where(expected > 0, self.own.sum(0) / np.maximum(expected, 1e-9), 0.0)

    def _there(self) -> np.ndarray:
        """(N, S) from the first to the last week with a sale; a product sold lately is still
        there."""
        sold = self.sold > 0
        first = sold.argmax(1)[:, None]
        last = self.start - sold[:, ::-1].argmax(1)[:, None]
        last = np.where(sold[:, -LATELY:].any(1)[:, None], self.start, last)
        weeks = np.arange(self.start)
        return (weeks >= first) & (weeks < last) & sold.any(1)[:, None]

    def _seasons(self) -> tuple[np.ndarray, np.ndarray]:
        """(52,) of traffic and (N, 52) of products, by week after the history: what weeks of
        earlier years were, as far as last year's say what this year's are."""
        traffic = _repeated(np.log(np.maximum(self.visits.sum(0), 1.0))[None])[0]
        r = self.response.products
        panel = r.panel
        busy = np.log(np.maximum(panel.traffic[:, : self.start], 1e-3))
        wander = (r.wander - busy).max(1)  # the zones' are alike; where not on sale it is tiny
        weight = np.where(wander > -20, r.panel.trips[:, :, : self.start].sum((1, 2))[:, None], 0)
        category, of_product = np.unique(panel.category, return_inverse=True)
        level = np.zeros((len(category), self.start))
        for each in range(len(category)):
            rows = of_product == each
            total = weight[rows].sum(0)
            level[each] = (weight[rows] * wander[rows].clip(-20)).sum(0) / np.maximum(total, 1e-9)
        found = _repeated(level)
        season = np.zeros((self.n, YEAR))
        season[self.panel_row] = found[of_product]
        return traffic, season

    def _totals(self) -> float:
        """Anonymous trips for each trip with a card, of the splits that ended by the start."""
        totals, split = self.cache.manifest["totals"], self.cache.split
        ended = [name for name, (_, last) in split.items() if last <= self.start]
        trips = [
            sum(totals[name][who]["trips"] for name in ended) for who in ("anonymous", "identified")
        ]
        return trips[0] / max(trips[1], 1)

    def _weighed(self) -> np.ndarray:
        """(N,) bool."""
        found = np.zeros(self.n, bool)
        rows = self.row_of_token[1 : self.cache.products + 1]
        found[rows] = self.cache["products.is_random_weight"]
        return found

    def _noise(self, x, traffic, season, likes, segment, factor) -> float:
        """Standard deviation of the log of weekly sales beyond a Poisson's, in the last year."""
        last = slice(self.start - YEAR, self.start)
        mean = np.zeros((self.n, YEAR))
        for label, own in enumerate(factor):
            rows = segment == label
            mean += np.exp(own * x[:, last]) * (likes[rows].T @ self.visits[rows, last])
        mean *= self._there()[:, last]
        enough = mean > 10
        off = ((self.sold[:, last] - mean)[enough] ** 2 - mean[enough]).sum()
        return float(np.sqrt(np.log1p(max(off / (mean[enough] ** 2).sum(), 0))))


def _counted(cell, shape, weights=None) -> np.ndarray:
    flat = np.ravel_multi_index(cell, shape)
    return np.bincount(flat, weights, int(np.prod(shape))).reshape(shape).astype(float)


def _effects(change, need, share, switching, quantity, further, of_need, switches):
    """(N, S) x, and reference prices and stocks (K,) after the last week."""
    lasting, passing, stocking, _ = of_need
    needs = int(need.max()) + 1

    def by_need(values: np.ndarray) -> np.ndarray:
        found = np.zeros((needs, values.shape[1]))
        np.add.at(found, need, values)
        return found

    appeal = -switching[:, None] * change
    odds = share[:, None] * np.exp(appeal)
    total = by_need(odds)
    value = np.log(total / by_need(share[:, None])) * switches
    chosen = odds / total[need]
    reference = _with_the_week_after(by_need(chosen * change), 1 - MEMORY, MEMORY)
    gap = change - reference[need, :-1]
    more = further[:, None] * np.expm1(-quantity[:, None] * np.minimum(gap, 0))
    stock = _with_the_week_after(by_need(chosen * more), KEEPS, KEEPS)
    x = appeal - value[need] - lasting * change - passing * gap - stocking * stock[need, :-1]
    return x, reference[:, -1], stock[:, -1]


def _with_the_week_after(x: np.ndarray, left: float, taken: float) -> np.ndarray:
    """(K, S + 1) `before_each_week` of (K, S), and what is remembered after the last."""
    padded = torch.tensor(np.pad(x, ((0, 0), (0, 1))))
    return before_each_week(padded, left, taken).numpy()


def _repeated(level: np.ndarray) -> np.ndarray:
    """(n, 52) of the weeks after the history, of logs (n, S): the mean of the same weeks of the
    last two years, each around its year's mean, times the slope of one year on the other."""
    years = [level[:, -2 * YEAR : -YEAR], level[:, -YEAR:]]
    before, after = (year - year.mean(1, keepdims=True) for year in years)
    slope = (before * after).sum() / max((before**2).sum(), 1e-9)
    # The mean of two years repeats more than one does (Spearman and Brown).
    slope = np.clip(2 * slope / (1 + max(slope, 0.0)), 0, 1)
    return slope * (before + after) / 2
