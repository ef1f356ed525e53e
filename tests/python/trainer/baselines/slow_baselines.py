"""The rules as loops over trips and dictionaries: slow, obvious, and nothing shared."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean

from trainer.cache.held_out import held_out
from trainer.features.purchase_history import HISTORY

CONTEXT = ("size", "sensitivity", "type", "focus")


class SlowBaselines:
    """Counts per product for one question, from the trips before it and the training weeks."""

    def __init__(self, cache):
        self.products = cache.products
        offsets = cache["trips.item_offsets"].tolist()
        token = cache["items.token"].tolist()
        self.tokens = [set(token[a:b]) for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
        self.baskets = [{t for t in basket if t <= self.products} for basket in self.tokens]
        self.day = cache["trips.day"].tolist()
        first = cache["customers.trip_offsets"].tolist()
        self.timelines = [range(a, b) for a, b in zip(first[:-1], first[1:], strict=True)]
        last_week, apart = cache.split["train"][1], held_out(cache).tolist()
        weeks = cache["trips.week"].tolist()
        self.trains = [
            weeks[row] <= last_week and not apart[customer]
            for customer, rows in enumerate(self.timelines)
            for row in rows
        ]
        self.codes = list(zip(*(cache[f"trips.{n}"].tolist() for n in CONTEXT), strict=True))

        trips = [t + 0.5 for t in cache["products.train_trips"].tolist()]
        novel = cache["products.is_novel"].tolist()
        total = sum(t for t, new in zip(trips, novel, strict=True) if not new)
        self.popular = {p: t / total for p, t in enumerate(trips, 1)}

    def customer(self, row):
        return next(c for c, rows in enumerate(self.timelines) if row in rows)

    def earlier(self, row):
        return [r for r in self.timelines[self.customer(row)] if r < row]

    def training(self, customer):
        return [r for r in self.timelines[customer] if self.trains[r]]

    # Counts: product -> c

    def by_trips(self, row, rate):
        count = defaultdict(float)
        for ago, trip in enumerate(reversed(self.earlier(row))):
            for product in self.baskets[trip]:
                count[product] += rate**ago
        return count

    def by_days(self, row, days):
        count = defaultdict(float)
        for trip in self.earlier(row):
            for product in self.baskets[trip]:
                count[product] += math.exp(-(self.day[row] - self.day[trip]) / days)
        return count

    def similar_trips(self, row, visible):
        count, weights, plain = defaultdict(float), 0.0, 0.0
        for ago, trip in enumerate(reversed(self.earlier(row))):
            shared = len(self.tokens[trip] & set(visible))
            cosine = shared / math.sqrt(max(1, len(self.tokens[trip]) * len(visible)))
            weight = HISTORY.neighbour_rate**ago * math.exp(HISTORY.neighbour_gain * cosine)
            weights, plain = weights + weight, plain + HISTORY.neighbour_rate**ago
            for product in self.baskets[trip]:
                count[product] += weight
        return {product: value * plain / weights for product, value in count.items()}

    def up_cf(self, row, last, asymmetry, locality):
        def popularity(trips):
            vector = defaultdict(float)
            for trip in trips[-last:]:
                for product in self.baskets[trip]:
                    vector[product] += 1 / len(trips[-last:])
            return vector

        own = popularity(self.earlier(row))
        total = defaultdict(float, own)
        for other in range(len(self.timelines)):
            theirs = popularity(self.training(other))
            if other == self.customer(row) or not theirs or not own:
                continue
            one, two = length(own), length(theirs)
            likeness = dot(own, theirs) / (one ** (2 * asymmetry) * two ** (2 - 2 * asymmetry))
            for product, value in theirs.items():
                total[product] += likeness**locality * value
        trips = min(last, len(self.earlier(row)))
        return {product: value * trips for product, value in total.items()}

    def tifu_knn(self, row, groups, within, between, neighbours, alpha):
        def vector(trips):
            size = math.ceil(len(trips) / groups)
            parts = []
            while trips:
                parts.append(trips[-size:])
                trips = trips[:-size]
            total = defaultdict(float)
            for back, part in enumerate(parts):
                for ago, trip in enumerate(reversed(part)):
                    for product in self.baskets[trip]:
                        total[product] += within**ago / len(part) * between**back / len(parts)
            return total

        mine = vector(self.earlier(row))
        others = []
        for other in range(len(self.timelines)):
            theirs = vector(self.training(other))
            if other != self.customer(row) and theirs:
                both = set(mine) | set(theirs)
                distance = math.sqrt(sum((mine[p] - theirs[p]) ** 2 for p in both))
                others.append((distance, other, theirs))
        nearest = [theirs for _, _, theirs in sorted(others)[:neighbours]]
        trips = len(self.earlier(row))
        return {
            product: trips
            * (alpha * mine[product] + (1 - alpha) * fmean(v[product] for v in nearest))
            for product in range(1, self.products + 1)
        }

    # Factors: product -> logarithm

    def context(self, row, smoothing=20):
        """Log lifts of the kind of trip; 0 where a column is unknown, or nothing was bought."""
        if 0 in self.codes[row]:
            return defaultdict(float)
        rows = [r for r, trains in enumerate(self.trains) if trains]
        alike = [r for r in rows if self.codes[r] == self.codes[row]]
        lift = defaultdict(float)
        for product in range(1, self.products + 1):
            ever = sum(product in self.baskets[r] for r in rows)
            if not ever:
                continue
            average = (ever + 0.5) / len(rows)
            times = sum(product in self.baskets[r] for r in alike)
            lift[product] = math.log(
                (times + smoothing * average) / ((len(alike) + smoothing) * average)
            )
        return lift

    def together(self, visible, strength, smoothing):
        """b times the sum of log lifts with what is visible."""
        rows = [r for r, trains in enumerate(self.trains) if trains]
        factor = defaultdict(float)
        for shown in visible:
            if shown > self.products:
                continue
            for product in range(1, self.products + 1):
                one = sum(product in self.baskets[r] for r in rows)
                two = sum(shown in self.baskets[r] for r in rows)
                both = sum(product in self.baskets[r] and shown in self.baskets[r] for r in rows)
                lift = (both + smoothing) / (one * two / len(rows) + smoothing)
                factor[product] += strength * math.log(lift)
        return factor


def dot(one, two):
    return sum(value * two.get(product, 0) for product, value in one.items())


def length(vector):
    return math.sqrt(dot(vector, vector))
