"""The truth behind a responsive chain, as Parquet tables beside the data."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from . import shape
from .households import CLASSES
from .levels import Elasticities
from .record import Record
from .setting import Setting
from .truth import truth_tables
from .write import Codes, words


def world_tables(
    s: Setting, codes: Codes, record: Record, elasticities: dict[str, Elasticities]
) -> dict[str, pa.Table]:
    """All tables of the truth by name: those of every chain, and what a world has besides.

    `costs`: unit cost, its shock (the instrument) and the supplier's share of a promotion, by
    product and week. `demand_shocks`: by sub-commodity and week. `stock_outs`: products missing in
    a region and week. `departures`: customers lost and come back. `weeks`: totals. `elasticities`:
    of a week's units to that week's regular prices, as `response.week_elasticities` gives them;
    products by code, needs by number. Money is pence.
    """
    h = s.households
    tables = truth_tables(s.catalogue, s.stores, h, record.prices(), codes)
    products, households = tables["products"], tables["households"]
    for name, column in (
        ("last_week", s.economy.last_week),
        ("margin", s.economy.margin),
        ("storable", s.economy.storable[s.catalogue.need]),
    ):
        products = products.append_column(name, pa.array(column))
    tables["products"] = products
    tables["households"] = households.append_column(
        "sensitivity", pa.array(s.sensitivity[: h.known].astype(float))
    )
    weeks = np.arange(1, s.config.weeks + 1)
    lost, events = [], (("left", "lost"), ("returned", "returned"))
    for result in record.results:
        for name, event in events:
            who = getattr(result, name)
            lost += [(i, result.week, event) for i in who[who < h.known].tolist()]
    missing = np.stack([r.missing for r in record.results], axis=2)
    region, product, week = np.nonzero(missing)
    return tables | {
        "elasticities": elasticity_table(elasticities, codes),
        "costs": pa.table({
            "product": words(np.repeat(np.arange(s.at.size), weeks.size), codes.product),
            "week": np.tile(weeks, s.at.size),
            "unit_cost_pence": s.economy.cost.ravel(),
            "log_shock": s.economy.cost_shock.ravel(),
            "supplier_share": s.economy.funding.ravel(),
        }),
        "demand_shocks": pa.table({
            "prod_code_10": words(np.repeat(np.arange(len(codes.cl)), weeks.size), codes.cl),
            "week": np.tile(weeks, len(codes.cl)),
            "log_shock": s.economy.demand_shock.ravel(),
        }),
        "stock_outs": pa.table({
            "product": words(product, codes.product),
            "store_region": words(region, shape.REGIONS),
            "week": week + 1,
        }),
        "departures": pa.table({
            "customer": words(np.array([x[0] for x in lost], dtype=int), codes.customer),
            "week": pa.array([x[1] for x in lost], pa.int64()),
            "event": pa.array([x[2] for x in lost], pa.string()),
        }),
        "weeks": pa.table({
            "week": weeks,
            "trips": [r.trips for r in record.results],
            "active_households": [r.active for r in record.results],
            **{
                name: [float(getattr(r, name).sum()) for r in record.results]
                for name in ("units", "revenue", "cost", "profit")
            },
        }),
    }  # fmt: skip


def elasticity_table(by_level: dict[str, Elasticities], codes: Codes) -> pa.Table:
    """One row per elasticity, with names for numbers; empty where nothing is sold."""
    names = {"product": codes.product, "department": codes.department[1:]}
    parts = []
    for level, e in by_level.items():
        name = names.get(level) or [str(i) for i in range(int(e.sold.max()) + 1)]
        values = {"elasticity": e.value, "standard_error": e.standard_error}
        values |= {f"elasticity_{c}": e.by_class[:, i] for i, c in enumerate(CLASSES)}
        parts.append(
            pa.table({
                "level": pa.array([level] * e.value.size),
                "sold": [name[i] for i in e.sold],
                "priced": [name[i] for i in e.priced],
                **{k: pa.array(v, mask=np.isnan(v)) for k, v in values.items()},
            })
        )  # fmt: skip
    return pa.concat_tables(parts)
