"""Products, stores and labels of a warehouse as rows and codes of a vocabulary.

A warehouse's own vocabulary holds all of its products; one read with `--like` may not. What it
lacks is mapped to a fallback and counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from trainer.cache.rows import top_categories
from trainer.cache.schema import LEVELS
from trainer.cache.vocabulary import Vocabulary
from trainer.features.stores import typical_figures

from .statics import StaticTables, encode, text
from .tables import STORE_FIGURES
from .warehouse import Columns, Tables, Timelines


@dataclass(frozen=True)
class Match:
    """Products and stores of a warehouse in a vocabulary; index = key - 1."""

    token: np.ndarray
    """(products of the warehouse,) token: a product's, or the fallback of a category."""
    is_unknown_product: np.ndarray
    """(products of the warehouse,) whether it has a fallback."""
    is_unknown_department: np.ndarray
    """(products of the warehouse,) whether the fallback is of no category of its own."""
    store: np.ndarray
    """(stores of the warehouse,) row of `stores`; -1 for an unknown one that no timeline visits."""
    is_unknown_store: np.ndarray
    """(stores of the warehouse,) whether it was appended."""
    stores: Columns
    """The table `stores`: the vocabulary's, then the unknown ones."""


class Unmapped:
    """Counts how much of timelines a vocabulary does not know, part by part."""

    def __init__(self, found: Match) -> None:
        self._found = found
        self._is_sold = np.zeros(len(found.token), dtype=bool)
        self._counts: Counter[str] = Counter()

    def add(self, part: Timelines) -> None:
        """Count the next customers'."""
        product = part.items["product_key"] - 1
        unknown = self._found.is_unknown_product[product]
        at_unknown_store = self._found.is_unknown_store[part.trips["store_key"] - 1]
        self._is_sold[product] = True
        self._counts += Counter(
            items=int(unknown.sum()),
            items_of_unknown_departments=int(self._found.is_unknown_department[product].sum()),
            trips=len(np.unique(part.items["trip_key"][unknown])),
            trips_at_stores=int(at_unknown_store.sum()),
        )

    def counts(self) -> dict[str, int]:
        """Products, items, trips and stores that the vocabulary lacks."""
        return {
            "products": int((self._is_sold & self._found.is_unknown_product).sum()),
            "items": self._counts["items"],
            "items_of_unknown_departments": self._counts["items_of_unknown_departments"],
            "trips": self._counts["trips"],
            "stores": int(self._found.is_unknown_store.sum()),
            "trips_at_stores": self._counts["trips_at_stores"],
        }


def match(statics: StaticTables, tables: Tables) -> Match:
    """Find every product and store of the warehouse in a vocabulary."""
    return Match(
        *_tokens(statics.columns, tables.products),
        *_stores(statics, tables),
    )


def unknown_labels(
    statics: StaticTables, tables: Tables, found: Match, holiday_names: list[str]
) -> dict[str, list[str]]:
    """Labels of the warehouse's timelines that a vocabulary has no code for, by name."""
    new_stores = tables.stores["store_key"][found.is_unknown_store] - 1
    present = {
        "price_sensitivity": tables.customers["price_sensitivity"],
        "lifestage": tables.customers["lifestage"],
        "store_format": tables.stores["store_format"][new_stores],
        "store_region": tables.stores["store_region"][new_stores],
        "department": tables.departments,
        "holiday": holiday_names,
        **tables.kinds,
    }
    unknown = {
        name: sorted(set(values) - {""} - set(statics.labels[name]))
        for name, values in present.items()
    }
    return {name: values for name, values in unknown.items() if values}


def _tokens(static: Columns, products: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    row_of = {code: row for row, code in enumerate(static["products.code"].tolist())}
    category_of = {
        key: row
        for row, key in enumerate(
            zip(static["categories.level"].tolist(), static["categories.code"].tolist(),
                strict=True)
        )
    }  # fmt: skip
    vocabulary = Vocabulary(len(row_of), len(static["categories.code"]))
    most_frequent = _most_frequent_department(static)
    codes = zip(*(text(products[name]).tolist() for name in LEVELS), strict=True)
    tokens, unknown, unknown_department = [], [], []
    for product, categories in zip(text(products["product_code"]).tolist(), codes, strict=True):
        row = row_of.get(product)
        finest = next(
            (category_of[key] for key in enumerate(categories) if key in category_of), None
        )
        unknown.append(row is None)
        unknown_department.append(row is None and finest is None)
        if row is not None:
            tokens.append(row + 1)
        else:
            tokens.append(vocabulary.fallback(most_frequent if finest is None else finest))
    return np.array(tokens), np.array(unknown), np.array(unknown_department)


def _most_frequent_department(static: Columns) -> int:
    """Row of the category of the top level with most training trips of products."""
    top = top_categories(static["categories.parent"])
    of_product = top[static["products.category"]]
    trips = np.bincount(of_product, weights=static["products.train_trips"], minlength=len(top))
    return int(trips.argmax())


def _stores(statics: StaticTables, tables: Tables) -> tuple[np.ndarray, np.ndarray, Columns]:
    static = {
        name: values for name, values in statics.columns.items() if name.startswith("stores.")
    }
    row_of = {code: row for row, code in enumerate(static["stores.code"].tolist())}
    codes = text(tables.stores["store_code"])
    rows = np.array([row_of.get(code, -1) for code in codes.tolist()])
    visited = np.zeros(len(rows), dtype=bool)
    visited[tables.trip_stores - 1] = True
    unknown = (rows < 0) & visited
    rows[unknown] = len(row_of) + np.arange(unknown.sum())
    if not unknown.any():
        return rows, unknown, static

    formats = encode(tables.stores["store_format"][unknown], statics.labels["store_format"])
    regions = encode(tables.stores["store_region"][unknown], statics.labels["store_region"])
    # As the mart `stores` fills in for novel stores.
    figures = [typical_figures(static, *kind) for kind in zip(formats, regions, strict=True)]
    added = {
        "stores.code": codes[unknown],
        "stores.format": formats,
        "stores.region": regions,
        **{f"stores.{name}": [figure[name] for figure in figures] for name in STORE_FIGURES},
        "stores.is_novel": np.ones(unknown.sum(), dtype=bool),
    }
    return (
        rows,
        unknown,
        {name: np.concatenate([values, added[name]]) for name, values in static.items()},
    )
