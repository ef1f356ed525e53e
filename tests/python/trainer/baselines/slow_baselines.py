"""The rules as loops over trips and dictionaries: slow, obvious, and nothing shared."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean

from trainer.baselines.own_counts import NEIGHBOUR_GAIN, NEIGHBOUR_RATE
from trainer.cache.held_out import held_out

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
        self.category = cache["products.category"].tolist()
        self.parent = cache["categories.parent"].tolist()
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
            weight = NEIGHBOUR_RATE**ago * math.exp(NEIGHBOUR_GAIN * cosine)
            weights, plain = weights + weight, plain + NEIGHBOUR_RATE**ago
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

        vector = popularity(self.earlier(row))
        total = defaultdict(float, vector)
        for customer in range(len(self.timelines)):
            neighbour = popularity(self.training(customer))
            if customer == self.customer(row) or not neighbour or not vector:
                continue
            scale = length(vector) ** (2 * asymmetry) * length(neighbour) ** (2 - 2 * asymmetry)
            similarity = dot(vector, neighbour) / scale
            for product, value in neighbour.items():
                total[product] += similarity**locality * value
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

        past = vector(self.earlier(row))
        others = []
        for customer in range(len(self.timelines)):
            other = vector(self.training(customer))
            if customer != self.customer(row) and other:
                distance = math.sqrt(sum((past[p] - other[p]) ** 2 for p in {*past, *other}))
                others.append((distance, customer, other))
        nearest = [other for _, _, other in sorted(others)[:neighbours]]
        trips = len(self.earlier(row))
        return {
            product: trips
            * (alpha * past[product] + (1 - alpha) * fmean(v[product] for v in nearest))
            for product in range(1, self.products + 1)
        }

    # Factors: product -> logarithm

    def context(self, row, weight=4):
        """Log lifts of the kind of trip; 0 where a column is unknown, or nothing was bought."""
        if 0 in self.codes[row]:
            return defaultdict(float)
        rows = [r for r, trains in enumerate(self.trains) if trains]
        of_kind = [r for r in rows if self.codes[r] == self.codes[row]]
        times, expected = defaultdict(float), defaultdict(float)  # by product, and by path of one
        for product in range(1, self.products + 1):
            ever = sum(product in self.baskets[r] for r in rows)
            if not ever:
                continue
            for group in [product, *self.path(product)]:
                times[group] += sum(product in self.baskets[r] for r in of_kind)
                expected[group] += (ever + 0.5) / len(rows) * len(of_kind)
        lift = defaultdict(float)
        for product in range(1, self.products + 1):
            if product not in times:
                continue
            found = 1
            for group in [*reversed(self.path(product)), product]:
                found = (times[group] + weight * found) / (expected[group] + weight)
            lift[product] = math.log(found)
        return lift

    def path(self, product):
        """The categories of a product, finest first, and what all have in common."""
        path, category = [], self.category[product - 1]
        while category >= 0:
            path.append(f"category {category}")
            category = self.parent[category]
        return [*path, "everything"]

    def together(self, visible, strength, smoothing):
        """b times the sum of log lifts with the visible items."""
        rows = [r for r, trains in enumerate(self.trains) if trains]
        factor = defaultdict(float)
        for item in visible:
            if item > self.products:
                continue
            for product in range(1, self.products + 1):
                alone = [sum(token in self.baskets[r] for r in rows) for token in (product, item)]
                both = sum(product in self.baskets[r] and item in self.baskets[r] for r in rows)
                lift = (both + smoothing) / (alone[0] * alone[1] / len(rows) + smoothing)
                factor[product] += strength * math.log(lift)
        return factor


def dot(first, second):
    return sum(value * second.get(product, 0) for product, value in first.items())


def length(vector):
    return math.sqrt(dot(vector, vector))
