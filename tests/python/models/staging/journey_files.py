"""Files in the layout of The Complete Journey, of ten lines."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = (
    "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc",
    "coupon_disc", "coupon_match_disc", "week", "transaction_timestamp",
)  # fmt: skip
NAMES = ("product_id", "department", "product_category", "product_type")
PRODUCTS = [
    (11, "GROCERY", "MILK", "SKIM"),
    (12, "PRODUCE", "APPLES", None),
    (13, "GROCERY", "APPLES", None),
    (20, "FUEL", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED"),
    (21, "MISCELLANEOUS", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED"),
]
SUNDAY = dt.datetime(2017, 1, 1, 20)
# 04:30 UTC on Monday is Sunday night in New York, of week 1; an hour later it is week 2 there.
SUNDAY_NIGHT = dt.datetime(2017, 1, 2, 4, 30)
MONDAY = dt.datetime(2017, 1, 2, 5, 30)
# On 3 July New York is four hours behind, not five.
SUMMER = dt.datetime(2017, 7, 4, 3, 30)
LINES = [
    # household, store, basket, product, quantity, sales, loyalty, coupon, match, week, time
    (1, 7, 100, 11, 2, 1.50, 0.50, 0.40, 0.10, 1, SUNDAY),
    (1, 7, 100, 12, 1, 0.99, 0.0, 0.0, 0.0, 1, SUNDAY),
    (1, 7, 100, 99, 1, 0.50, 0.0, 0.0, 0.0, 1, SUNDAY),
    (1, 7, 100, 20, 9000, 20.00, 0.0, 0.0, 0.0, 1, SUNDAY),
    (2, 8, 101, 21, 5000, 11.00, 0.0, 0.0, 0.0, 1, SUNDAY_NIGHT),
    (2, 8, 102, 11, 1, 0.80, 0.20, 0.0, 0.0, 1, SUNDAY_NIGHT),
    (2, 8, 103, 13, 1, 0.60, 0.0, 0.0, 0.0, 2, MONDAY),
    (2, 8, 103, 11, 0, 0.0, 0.0, 0.0, 0.0, 2, MONDAY),
    (2, 8, 104, 12, 1, 0.90, 0.0, 0.0, 0.0, 2, SUNDAY_NIGHT),
    (1, 7, 105, 12, 1, 0.90, 0.0, 0.0, 0.0, 28, SUMMER),
]


def write(folder, name, rows, columns):
    values = zip(*rows, strict=True)
    pq.write_table(
        pa.table(dict(zip(columns, map(list, values), strict=True))), folder / f"{name}.parquet",
        use_deprecated_int96_timestamps=True,  # as the source does
    )  # fmt: skip


def write_journey(folder):
    """Write all files of the layout."""
    write(folder, "transactions", LINES, COLUMNS)
    write(folder, "products", PRODUCTS, NAMES)
    write(folder, "demographics", [(1, "1 Adult Kids")], ("household_id", "household_comp"))
    write(
        folder, "promotions",
        [(11, 7, 1, "3", "0"), (11, 7, 1, "2", "A"), (12, 8, 2, "0", "D"), (77, 7, 1, "1", "0")],
        ("product_id", "store_id", "week", "display_location", "mailer_location"),
    )  # fmt: skip
    write(
        folder, "coupons",
        [(5001, 11, 3), (5002, 11, 3), (5001, 77, 3)], ("coupon_upc", "product_id", "campaign_id"),
    )  # fmt: skip
    write(
        folder, "campaign_descriptions",
        [(3, "Type A", dt.datetime(2017, 3, 3), dt.datetime(2017, 4, 9))],
        ("campaign_id", "campaign_type", "start_date", "end_date"),
    )  # fmt: skip
