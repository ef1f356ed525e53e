"""The export itself: read the cache models, map them onto a vocabulary, write the cache."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from dbt_project.warehouse import default_database
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache

from .calendar import EPOCH, calendar_days, day_columns, full_code, public_holidays
from .matching import Match, Unmapped, match, unknown_labels
from .spool import Spool
from .statics import Reference, StaticTables, read_reference, static_tables_of
from .timelines import TimelineColumns, customer_columns, shelf_columns
from .totals import check_columns, check_tables, check_timelines, totals_by_split
from .warehouse import Columns, Tables, open_tables


def prepare_tensor_cache(
    database: Path | str | None = None,
    out: Path | str = "cache",
    country: str | None = None,
    like: Path | str | None = None,
    progress: bool = False,
) -> TensorCache:
    """Write the tensor cache of a warehouse that `dbt build` finished, and open it.

    database: the DuckDB file, or the folder of Spark's warehouse; by default RETAILSIM_DB, or
        warehouse.duckdb. It is opened read-only and closed before anything is written.
    out: folder of the cache; a cache that is there is replaced, other folders are left alone.
    country: whose public holidays, ISO 3166-1 with an ISO 3166-2 subdivision after a dash where
        wanted; by default that of `like`, or of the warehouse's layout. GB alone means England,
        GB-ENG.
    like: a cache or checkpoint whose products, stores, labels and split to use. What it does not
        know gets a stand-in, counted in the manifest's `unmapped`.
    progress: show a bar on standard error if reading takes long.

    The same warehouse gives the same files to the bit.

    Raises WarehouseError where the warehouse or `like` cannot be used, CacheError where `like` is
    damaged or `out` is no cache.
    """
    database, out = default_database() if database is None else Path(database), Path(out)
    reference = None if like is None else read_reference(Path(like))
    with Spool(out.resolve().parent) as spool:
        with open_tables(database, progress) as tables:
            check_tables(tables)
            if country is None:
                known = str(tables.settings["country"][0])
                country = known if reference is None else reference.statics.country
            columns, manifest = _cache_of(tables, country, reference, spool)
        write_cache(out, columns, manifest)
    return TensorCache(out, verify=False)


def _cache_of(
    tables: Tables, country: str, reference: Reference | None, spool: Spool
) -> tuple[Columns, dict[str, Any]]:
    """Columns and manifest of the cache; those of timelines lie in the spool."""
    days, day_weeks = calendar_days(tables.weeks, tables.last_week)
    dates = [EPOCH + timedelta(days=int(day)) for day in days[[0, -1]]]
    by_date = public_holidays(country, *dates)
    known_days = set(days[day_weeks <= tables.weeks["week"][-1]].tolist())
    holiday_names = sorted(
        {name for day, name in by_date.items() if (day - EPOCH).days in known_days}
    )
    from_warehouse = static_tables_of(tables, holiday_names, full_code(country))
    statics = from_warehouse if reference is None else reference.statics
    split, split_from = _split(from_warehouse, reference)
    found = match(statics, tables)
    unmapped = _read_timelines(tables, found, TimelineColumns(tables, statics, found, days), spool)
    columns = {
        **statics.columns,
        **found.stores,
        **customer_columns(tables, statics),
        **spool.columns(),
        **shelf_columns(tables, found),
        **day_columns(days, day_weeks, by_date, statics.labels["holiday"]),
        "weeks.shop_week": tables.weeks["shop_week"],
        "weeks.is_replayed": tables.weeks["is_replayed"],
    }
    totals = totals_by_split(tables, split)
    check_columns(columns, totals)
    labels = {} if reference is None else unknown_labels(statics, tables, found, holiday_names)
    return columns, {
        "labels": statics.labels,
        "split": split,
        "split_from": split_from,
        "totals": totals,
        "settings": {
            **{name: int(value[0]) for name, value in tables.settings.items() if name != "country"},
            "country": full_code(country),
        },
        "reference_vocabulary": None if reference is None else reference.vocabulary_digest,
        "unmapped": {
            **unmapped,
            "labels": sum(len(values) for values in labels.values()),
        },
        "unmapped_labels": labels,
    }


def _read_timelines(
    tables: Tables, found: Match, timelines: TimelineColumns, spool: Spool
) -> dict[str, int]:
    """Put the columns of all timelines into the spool; how much of them is not known."""
    unmapped = Unmapped(found)
    for part in tables.timelines:
        check_timelines(tables, part)
        unmapped.add(part)
        spool.append(timelines.of(part))
    return unmapped.counts()


def _split(
    from_warehouse: StaticTables, reference: Reference | None
) -> tuple[dict[str, list[int]], str]:
    """The split, and whether it is that of the `warehouse` or of the `reference`.

    Week numbers of the reference mean the same here only if both calendars agree where they
    overlap. Weeks after the end of the reference's calendar are later than all it knows.
    """
    if reference is None:
        return from_warehouse.split, "warehouse"
    known = reference.statics
    common = min(len(from_warehouse.shop_weeks), len(known.shop_weeks))
    if not np.array_equal(from_warehouse.shop_weeks[:common], known.shop_weeks[:common]):
        return from_warehouse.split, "warehouse"
    split = dict(known.split)
    if len(from_warehouse.shop_weeks) > len(known.shop_weeks):
        first, _ = split.get("later", (len(known.shop_weeks) + 1, 0))
        split["later"] = [first, len(from_warehouse.shop_weeks)]
    return split, "reference"
