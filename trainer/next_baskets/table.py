"""The file of predictions: one row per customer and product, written in one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.cache.atomic import new_file
from trainer.cache.schema import CONTEXT
from trainer.features.chain import Chain
from trainer.next_baskets.baskets import NextBaskets

MARK = "retailsim.predictions"
"""Key of the file's metadata, by which its own files are known; its value is the SHA-256 of the
model's weights."""
KIND_COLUMNS = ("basket_size", "trip_price_sensitivity", "trip_type", "trip_focus")
"""Columns of the kind of trip as the warehouse calls them, in the order of `CONTEXT`."""
SCHEMA = pa.schema(
    [
        pa.field("customer_code", pa.string(), nullable=False),
        pa.field("product_rank", pa.int32(), nullable=False),  # 1 is the likeliest
        pa.field("product_code", pa.string(), nullable=False),
        pa.field("probability", pa.float32(), nullable=False),  # that the next trip contains it
        pa.field("is_repeat", pa.bool_(), nullable=False),  # the customer bought it before
        pa.field("expected_items", pa.float32(), nullable=False),  # besides visible ones
        pa.field("visible_items", pa.int32(), nullable=False),  # in the basket already
        pa.field("data_until", pa.date32(), nullable=False),  # last day of the recorded past
        pa.field("trip_date", pa.date32(), nullable=False),
        pa.field("trip_date_probability", pa.float32()),  # null where the date was given
        pa.field("trip_hour", pa.int32(), nullable=False),  # 0 to 23
        pa.field("trip_hour_probability", pa.float32()),
        pa.field("store_code", pa.string()),  # null: none that the model knows
        pa.field("store_probability", pa.float32()),
        *(pa.field(name, pa.string()) for name in KIND_COLUMNS),
        pa.field("kind_probability", pa.float32()),  # of all four together
    ]
)
"""Columns of the file; docs/predictions.md explains each."""


class Write(Protocol):
    """Writes the predictions of some customers, by their codes."""

    def __call__(self, customers: Sequence[str], baskets: NextBaskets) -> int:
        """Returns the number of rows."""


@contextmanager
def prediction_table(
    path: Path, chain: Chain, visible: int, data_until: date, weights_digest: str
) -> Iterator[Write]:
    """A new file of predictions; yields the function that adds to it.

    visible: number of items in the baskets already; data_until: last day of the recorded past. The
    file appears when it is complete; after an error the former file is still there. Raises OSError
    where it cannot be written.
    """
    labels = [np.array([None, *chain.labels[name]], object) for name in CONTEXT]
    with (
        new_file(path) as fresh,
        pq.ParquetWriter(fresh, SCHEMA, compression="zstd", store_schema=False) as writer,
    ):
        writer.add_key_value_metadata({MARK: weights_digest})

        def write(customers: Sequence[str], baskets: NextBaskets) -> int:
            visits, (n, k) = baskets.visits, baskets.p.shape
            p = baskets.p.ravel()
            listed = p > 0
            of_trip = {
                "customer_code": customers,
                "expected_items": baskets.items,
                "visible_items": [visible] * n,
                "data_until": [data_until] * n,
                "trip_date": visits.dates,
                "trip_date_probability": visits.date_p,
                "trip_hour": visits.hours,
                "trip_hour_probability": visits.hour_p,
                "store_code": [chain.store_code(row) for row in visits.stores.tolist()],
                "store_probability": visits.store_p,
                **{
                    name: of_column[codes]
                    for name, of_column, codes in zip(
                        KIND_COLUMNS, labels, visits.kind.T, strict=True
                    )
                },
                "kind_probability": visits.kind_p,
            }
            of_product = {
                "product_rank": np.tile(np.arange(1, k + 1), n)[listed],
                "product_code": chain.codes(baskets.tokens.ravel()[listed]),
                "probability": p[listed],
                "is_repeat": baskets.is_repeat.ravel()[listed],
            }
            row = np.repeat(np.arange(n), k)[listed]
            columns = {name: _column(name, values).take(row) for name, values in of_trip.items()}
            columns |= {name: _column(name, values) for name, values in of_product.items()}
            writer.write_batch(
                pa.record_batch([columns[name] for name in SCHEMA.names], schema=SCHEMA)
            )
            return len(row)

        yield write


def _column(name: str, values: Sequence | np.ndarray) -> pa.Array:
    """Values as the schema has them; NaN is null."""
    values = np.asarray(values)
    missing = np.isnan(values) if values.dtype.kind == "f" else None
    return pa.array(values, SCHEMA.field(name).type, mask=missing)
