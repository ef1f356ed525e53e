"""A small random cache with every table, written without a warehouse."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.cache.schema import COLUMNS, LabelCounts
from trainer.cache.writer import write_cache

WEEKS, TRAIN_LAST, VALIDATION_LAST = 30, 20, 25
SHARES = 0.5
LABELS = {
    "price_sensitivity": ["AZ", "BG", "CT"],
    "lifestage": ["AT", "BU"],
    "store_format": ["LS", "MS", "SS"],
    "store_region": ["E01", "N01", "S01", "W01"],
    "holiday": ["Christmas Day", "Good Friday"],
    "department": ["D00001", "D00002"],
    "size": ["S", "M", "L"],
    "sensitivity": ["LA", "MM", "UM"],
    "type": ["Small Shop", "Top Up", "Full Shop"],
    "focus": ["Fresh", "Grocery", "Mixed", "Nonfood"],
}


def toy_columns(
    customers: int = 12,
    products: int = 40,
    stores: int = 5,
    seed: int = 0,
    trips_of: list[int] | None = None,
    largest_basket: int = 12,
) -> dict[str, np.ndarray]:
    """Columns of a random chain; `trips_of` sets the number of trips of each customer.

    Categories: four sub-commodities, two levels of two, two departments. The last product and the
    last store are novel: not seen in the training weeks.
    """
    draw = np.random.default_rng(seed)
    counts = np.array(trips_of or draw.integers(1, 30, customers))
    customers, trips = len(counts), int(counts.sum())
    days = np.arange(WEEKS * 7)

    day = np.concatenate([np.sort(draw.choice(days, n, replace=n > len(days))) for n in counts])
    customer = np.repeat(np.arange(customers), counts)
    first = np.concatenate([[0], counts.cumsum()])
    gap = np.diff(day, prepend=0)
    gap[first[:-1][counts > 0]] = -1
    week = day // 7 + 1
    frames, customer_week = np.unique(np.stack([customer, week], 1), axis=0, return_inverse=True)

    sizes = draw.integers(1, largest_basket + 1, trips)
    popularity = 1 / np.arange(1, products + 1)
    popularity /= popularity.sum()
    items = [
        np.sort(draw.choice(products, n, replace=False, p=popularity)) + 1
        for n in np.minimum(sizes, products)
    ]
    # The novel product is not sold in the training weeks: the first one goes in its place.
    items = [
        np.unique(np.where(basket == products, 1, basket)) if w <= TRAIN_LAST else basket
        for basket, w in zip(items, week, strict=True)
    ]
    tokens = np.concatenate(items)
    pence = draw.integers(20, 900, products).astype(float)
    situations = np.concatenate([pence, pence * 0.8])
    situation = tokens - 1 + products * (draw.random(len(tokens)) < 0.2)
    category = np.arange(products) * 4 // products

    columns = {
        "customers.code": np.array([f"CUST{n:04d}" for n in range(customers)]),
        "customers.price_sensitivity": draw.integers(0, 4, customers),
        "customers.lifestage": draw.integers(0, 3, customers),
        "customers.trip_offsets": first,
        "trips.basket_id": (994_000_000_000 + draw.permutation(trips)).astype(np.bytes_),
        "trips.customer_week": customer_week,
        "trips.week": week,
        "trips.day": day,
        "trips.hour": draw.integers(7, 23, trips),
        "trips.store": draw.integers(0, stores - (week <= TRAIN_LAST), trips),
        "trips.days_since_previous": gap,
        "trips.spend_pence": draw.integers(50, 9000, trips),
        "trips.item_offsets": np.concatenate([[0], np.cumsum([len(i) for i in items])]),
        "items.token": tokens,
        "items.quantity": draw.integers(1, 4, len(tokens)),
        "items.price": situation,
        "shelf_prices.pence": situations,
        "shelf_prices.previous_pence": np.concatenate([pence, pence]),
        "shelf_prices.base_pence": np.concatenate([pence, pence]),
        "customer_weeks.customer": frames[:, 0],
        "customer_weeks.week": frames[:, 1],
        "customer_weeks.department_shares": np.full((len(frames), 2), SHARES),
        "days.date": days + 13_000,
        "days.week": days // 7 + 1,
        "days.weekday": days % 7 + 1,
        "days.week_of_year": days // 7 % 52 + 1,
        "days.day_of_year": days % 365 + 1,
        "days.holiday": (days % 90 == 40) * 1 + (days % 90 == 50) * 2,
        "days.until_holiday": (40 - days) % 90,
        "days.since_holiday": (days - 40) % 90,
        "weeks.shop_week": 200600 + np.arange(1, WEEKS + 1),
        "weeks.is_replayed": np.arange(1, WEEKS + 1) > WEEKS - 2,
        "products.code": np.array([f"PRD{n:04d}" for n in range(products)]),
        "products.category": category,
        "products.is_novel": np.arange(products) == products - 1,
        "products.is_random_weight": np.arange(products) % 10 == 0,
        "products.pence": pence,
        "products.category_pence": np.full(products, np.median(pence)),
        "products.train_trips": np.bincount(tokens - 1, minlength=products),
        "products.tier": draw.integers(0, 3, products),
        "categories.code": np.array(
            ["CL1", "CL2", "CL3", "CL4", "DEP1", "DEP2", "G1", "G2", "D1", "D2"]
        ),
        "categories.level": np.array([0, 0, 0, 0, 1, 1, 2, 2, 3, 3]),
        "categories.parent": np.array([4, 4, 5, 5, 6, 7, 8, 9, -1, -1]),
        "categories.is_novel": np.zeros(10),
        "categories.pence": np.full(10, np.median(pence)),
        **_anonymous_prices(pence),
        **_promotions(products),
        **_graph(products, category, draw),
        "stores.code": np.array([f"STORE{n:03d}" for n in range(stores)]),
        "stores.format": draw.integers(1, 4, stores),
        "stores.region": draw.integers(1, 5, stores),
        "stores.is_novel": np.arange(stores) == stores - 1,
    }
    lengths = {"customer_weeks": len(frames), "trips": trips, "products": products}
    lengths["stores"] = stores
    counts = LabelCounts.of(LABELS)
    highest = {f"trips.{name}": codes - 1 for name, codes in counts.codes.items()}
    for column in COLUMNS:
        if column.name in columns:
            continue
        rows = lengths[column.table]
        if column.width:
            columns[column.name] = draw.random((counts.widths[column.width], rows)).T
        elif column.dtype == "float16" or column.name.endswith(("share", "stability", "weight")):
            columns[column.name] = draw.random(rows)
        elif column.dtype == "float32":
            columns[column.name] = draw.gamma(2, 20, rows)
        elif column.dtype == "bool":
            columns[column.name] = draw.random(rows) < 0.2
        else:
            columns[column.name] = draw.integers(0, highest.get(column.name, 40) + 1, rows)
    columns["customer_weeks.primary_store"] %= stores + 1
    return columns


def _anonymous_prices(pence: np.ndarray) -> dict[str, np.ndarray]:
    """Every product at the first store in every odd week; but the novel product, the last one,
    after training only."""
    product, week = np.indices((len(pence), WEEKS // 2)).reshape(2, -1)
    week = 2 * week + 1
    sold = (product < len(pence) - 1) | (week > TRAIN_LAST)
    return {
        "anonymous_prices.product": product[sold],
        "anonymous_prices.store": np.zeros(sold.sum(), dtype=int),
        "anonymous_prices.week": week[sold],
        "anonymous_prices.pence": pence[product[sold]],
    }


def _promotions(products: int) -> dict[str, np.ndarray]:
    """Each product at the first store in one week in ten: on display, in the mailer or both."""
    week, product = np.divmod(np.arange(products * WEEKS), products)
    on = (week + product) % 10 == 0
    week, product = week[on] + 1, product[on]
    return {
        "promotions.product": product,
        "promotions.store": np.zeros(len(week), dtype=int),
        "promotions.week": week,
        "promotions.display": np.where(product % 3 > 0, ord("3"), 0),
        "promotions.mailer": np.where(product % 3 < 2, ord("A"), 0),
    }


def _graph(products: int, category: np.ndarray, draw: np.random.Generator) -> dict:
    """Chains of co-purchases, a few substitutes, and the whole hierarchy of known products."""
    known = np.arange(products - 1)
    parents = np.array([4, 4, 5, 5, 6, 7, 8, 9])
    edges = [(a, a + 1, 0, draw.gamma(2, 0.5)) for a in known[:-1]]
    edges += [(a + 1, a, 0, weight) for a, _, _, weight in edges[::2]]
    edges += [(a, a + 3, 1, 0.2) for a in known[:-3:7]]
    edges += [(a, products + category[a], 2, 1.0) for a in known]
    edges += [
        (products + child, products + parent, 2, weight)
        for child, (parent, weight) in enumerate(
            zip(parents, [0.5] * 4 + [0.25] * 2 + [0.125] * 2, strict=True)
        )
    ]
    source, target, kind, weight = zip(*edges, strict=True)
    return {
        "graph.source": np.array(source),
        "graph.target": np.array(target),
        "graph.type": np.array(kind),
        "graph.weight": np.array(weight),
    }


def toy_manifest() -> dict:
    """What `write_cache` needs beside the columns."""
    return {
        "labels": LABELS,
        "split": {
            "train": [1, TRAIN_LAST],
            "validation": [TRAIN_LAST + 1, VALIDATION_LAST],
            "test": [VALIDATION_LAST + 1, WEEKS],
        },
        "totals": {},
        "settings": {
            "country": "GB",
            "full_history_trips": 20,
            "switching_weeks": 4,
            "cold_start_trips": 5,
            "base_price_weeks": 4,
        },
    }


def toy_cache(folder: Path, **options) -> TensorCache:
    """Write and open a toy cache; options as for `toy_columns`."""
    write_cache(folder, toy_columns(**options), toy_manifest())
    return TensorCache(folder)
