"""Weekly files in LGSR's columns, as CSV or Parquet, from integer columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from . import labels, shape
from .baskets import Week
from .calendar import WEEKDAY, days, shop_week, time_rows
from .catalogue import Catalogue
from .households import CLASSES, Households
from .stores import Stores

SEGMENTS = {"classic": ("seg_1", "seg_2"), "new": ("CUST_PRICE_SENSITIVITY", "CUST_LIFESTAGE")}
FIRST_BASKET = 994_100_100_000_000


def column_names(header: str) -> list[str]:
    """The 22 columns in LGSR's order."""
    return [
        "SHOP_WEEK", "SHOP_DATE", "SHOP_WEEKDAY", "SHOP_HOUR", "QUANTITY", "SPEND", "PROD_CODE",
        "PROD_CODE_10", "PROD_CODE_20", "PROD_CODE_30", "PROD_CODE_40", "CUST_CODE",
        *SEGMENTS[header], "BASKET_ID", "BASKET_SIZE", "BASKET_PRICE_SENSITIVITY", "BASKET_TYPE",
        "BASKET_DOMINANT_MISSION", "STORE_CODE", "STORE_FORMAT", "STORE_REGION",
    ]  # fmt: skip


@dataclass(frozen=True)
class Codes:
    """The codes of every coded column, by index."""

    product: list[str]
    cl: list[str]
    dep: list[str]
    group: list[str]
    department: list[str]
    customer: list[str]
    store: list[str]


def build_codes(catalogue: Catalogue, households: Households, stores: Stores) -> Codes:
    """Codes as LGSR writes them."""
    return Codes(
        product=[f"PRD{900_001 + i:07d}" for i in range(catalogue.need.size)],
        cl=[f"CL{i + 1:05d}" for i in range(int(catalogue.cl.max()) + 1)],
        dep=[f"DEP{i + 1:05d}" for i in range(int(catalogue.dep.max()) + 1)],
        group=[f"G{i + 1:05d}" for i in range(len(shape.GROUPS))],
        department=[f"D{i:05d}" for i in range(10)],
        customer=[f"CUST{i:010d}" for i in households.code],
        store=[f"STORE{i + 1:05d}" for i in range(stores.format.size)],
    )


def words(index: np.ndarray, words, missing: np.ndarray | None = None) -> pa.Array:
    """Indices into words as a dictionary column."""
    return pa.DictionaryArray.from_arrays(
        pa.array(index.astype(np.int32), mask=missing), pa.array(words, pa.string())
    )


def _pounds(pence: np.ndarray) -> pa.Array:
    """Pence as exact decimals of two places, both of which the CSV writer prints."""
    wide = np.zeros((pence.size, 2), dtype=np.int64)
    wide[:, 0] = pence
    return pa.Array.from_buffers(pa.decimal128(18, 2), pence.size, [None, pa.py_buffer(wide)])


def week_table(week, data: Week, ids, catalogue, households, stores, codes, header) -> pa.Table:
    """The rows of a week, sorted by basket id and product code.

    `ids` (T,) are basket ids. Words are dictionary columns, spend is decimal.
    """
    size, price, kind, focus = labels.label(
        data.trip, data.household.size, data.quantity, data.spend,
        catalogue.group[data.product], catalogue.mission[data.product],
        catalogue.tier[data.product],
    )  # fmt: skip
    order = np.lexsort((data.product, ids[data.trip]))
    trip, product = data.trip[order], data.product[order]
    who, store = data.household[trip], data.store[trip]
    anonymous = who >= households.known
    known = np.where(anonymous, 0, who)
    segment = np.where(households.quiet, len(CLASSES), households.sensitivity)
    stage = households.lifestage[known]
    columns = [
        pa.array(np.full(trip.size, shop_week(week))), pa.array(days(week)[data.day[trip]]),
        pa.array(WEEKDAY[data.day[trip]]), pa.array(data.hour[trip]),
        pa.array(data.quantity[order]), _pounds(data.spend[order]),
        words(product, codes.product), words(catalogue.cl[product], codes.cl),
        words(catalogue.dep[product], codes.dep), words(catalogue.group[product], codes.group),
        words(catalogue.department[product], codes.department),
        words(known, codes.customer, anonymous),
        words(segment[known], (*CLASSES, "DY"), anonymous),
        words(stage, shape.LIFESTAGES, anonymous | (stage == 0)),
        pa.array(ids[trip]), words(size[trip], labels.SIZES),
        words(price[trip], labels.SENSITIVITIES), words(kind[trip], labels.TYPES),
        words(focus[trip], labels.MISSIONS), words(store, codes.store),
        words(stores.format[store], shape.FORMATS), words(stores.region[store], shape.REGIONS),
    ]  # fmt: skip
    return pa.table(dict(zip(column_names(header), columns, strict=True)))


def write_week(table: pa.Table, folder: Path, week: int, form: str) -> None:
    """Write `transactions_YYYYWW.csv` or `.parquet`."""
    path = folder / f"transactions_{shop_week(week)}.{form}"
    if form == "parquet":
        spend = table.column("SPEND").cast(pa.float64())
        table = table.set_column(table.schema.get_field_index("SPEND"), "SPEND", spend)
        pa.parquet.write_table(table, path, compression="zstd")
        return
    columns = [
        column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    plain = pa.table(dict(zip(table.column_names, columns, strict=True)))
    with path.open("wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())
        options = pa.csv.WriteOptions(include_header=False, batch_size=16_384, quoting_style="none")
        pa.csv.write_csv(plain, file, options)


def write_time(folder: Path, weeks: int) -> None:
    """Write time.csv."""
    lines = ["shop_week,date_from,date_to", *(",".join(map(str, r)) for r in time_rows(weeks))]
    (folder / "time.csv").write_text("\n".join(lines) + "\n")
