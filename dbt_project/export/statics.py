"""What gives tokens, rows and labels their meaning: labels, static tables and the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.cache.reader import MANIFEST, CacheError, read_columns
from trainer.cache.schema import (
    COLUMNS,
    LABELS_FROM_TRAINING,
    STATIC_TABLES,
)

from .tables import STORE_FIGURES
from .warehouse import Columns, ExportError, Tables

STATIC_COLUMNS = tuple(c.name for c in COLUMNS if c.table in STATIC_TABLES)


@dataclass(frozen=True)
class StaticTables:
    """Of a warehouse itself, or of a cache that another one is to be mapped onto."""

    labels: dict[str, list[str]]
    """Name -> labels, code 1 first."""
    columns: Columns
    """The cache's static tables, by column name."""
    split: dict[str, list[int]]
    """Name -> [first week, last week]."""
    shop_weeks: np.ndarray
    """The weeks that the split is about, in order, as the chain codes them."""
    country: str
    """Whose public holidays."""


@dataclass(frozen=True)
class Reference:
    """A vocabulary read from a cache or checkpoint, and what to remember of where it is from."""

    statics: StaticTables
    vocabulary_digest: str


def static_tables_of(tables: Tables, holiday_names: Sequence[str], country: str) -> StaticTables:
    """The vocabulary that a warehouse's training weeks define."""
    labels = tables.kinds
    for name in LABELS_FROM_TRAINING:
        table = tables.stores if name.startswith("store_") else tables.customers
        labels[name] = sorted(set(table[name][table["is_of_training"]]) - {""})
    labels["department"] = tables.departments
    labels["holiday"] = list(holiday_names)
    return StaticTables(
        labels=labels,
        columns={
            **_products(tables),
            **_categories(tables),
            **_graph(tables),
            **_stores(tables, labels),
        },
        split=_split(tables.weeks),
        shop_weeks=tables.weeks["shop_week"],
        country=country,
    )


def read_reference(folder: Path) -> Reference:
    """Read the vocabulary of a cache, or of a checkpoint that keeps one under `vocabulary`.

    Raises ExportError where there is none, CacheError where it is damaged.
    """
    places = [folder, folder / "vocabulary"]
    place = next((place for place in places if (place / MANIFEST).is_file()), None)
    if place is None:
        raise ExportError(
            f"--like {folder} is neither a cache nor a checkpoint: no {MANIFEST} there or in "
            f"{places[1]}"
        )
    manifest, columns = read_columns(place, (*STATIC_COLUMNS, "weeks.shop_week"))
    shop_weeks = columns.pop("weeks.shop_week")
    country = manifest["settings"].get("country")
    if not country:
        raise CacheError(f"{place / MANIFEST} names no country: export it again")
    statics = StaticTables(
        labels=manifest["labels"],
        columns=columns,
        split=manifest["split"],
        shop_weeks=shop_weeks,
        country=country,
    )
    return Reference(statics, manifest["vocabulary_digest"])


def encode(values: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Codes of text values, 1 for the first label; 0 for what is none."""
    codes = {label: code for code, label in enumerate(labels, start=1)}
    return np.array([codes.get(value, 0) for value in values], dtype=np.int64)


def text(values: np.ndarray) -> np.ndarray:
    """Text as the cache stores it: UTF-8, fixed width."""
    return np.array([value.encode() for value in values], dtype=np.bytes_)


def _products(tables: Tables) -> Columns:
    return {
        "products.code": text(tables.products["product_code"]),
        **{
            f"products.{name}": tables.products[name]
            for name in (
                "category", "is_novel", "is_random_weight", "pence", "category_pence",
                "train_trips", "tier", "stability", "volume_share",
            )
        },
    }  # fmt: skip


def _categories(tables: Tables) -> Columns:
    return {
        "categories.code": text(tables.categories["code"]),
        **{
            f"categories.{name}": tables.categories[name]
            for name in ("level", "parent", "is_novel", "pence")
        },
    }


def _graph(tables: Tables) -> Columns:
    return {f"graph.{name}": values for name, values in tables.graph.items()}


def _stores(tables: Tables, labels: dict[str, list[str]]) -> Columns:
    return {
        "stores.code": text(tables.stores["store_code"]),
        "stores.format": encode(tables.stores["store_format"], labels["store_format"]),
        "stores.region": encode(tables.stores["store_region"], labels["store_region"]),
        **{f"stores.{figure}": tables.stores[figure] for figure in STORE_FIGURES},
        "stores.is_novel": tables.stores["is_novel"],
    }


def _split(weeks: Columns) -> dict[str, list[int]]:
    names = list(dict.fromkeys(weeks["split"]))
    return {
        name: [int(weeks["week"][weeks["split"] == name].min()),
               int(weeks["week"][weeks["split"] == name].max())]
        for name in names
    }  # fmt: skip
