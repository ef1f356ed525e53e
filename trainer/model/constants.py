"""What weights mean beside their sizes and the settings of features: inputs in their order, and
constants of formulas."""

from __future__ import annotations

from typing import Any

from trainer.features import (
    calendar,
    chain_sales,
    columns,
    purchase_history,
    purchase_sequences,
    purchases,
    visits,
)
from trainer.model import calibration
from trainer.model.embeddings import price, standardiser, time
from trainer.model.encoder import mamba2
from trainer.model.purchases import purchase_score, similar_trips

GROUPS = ("HISTORY_COLUMNS", "AFFINITY_COLUMNS", "OPERATION_COLUMNS", "PRICE_COLUMNS")


def constants() -> dict[str, Any]:
    """JSON values by name. A checkpoint keeps them: weights learned with others mean something
    else, and would load without a word where the sizes are the same."""
    return {
        **{
            name: [[number.column, number.log1p] for number in getattr(columns, name)]
            for name in GROUPS
        },
        "DAY_COLUMNS": list(calendar.DAY_COLUMNS),
        "HISTORY_TRIPS": purchases.HISTORY_TRIPS,
        "GAPS": list(purchase_history.GAPS),
        "LIKENESS": list(purchase_history.LIKENESS),
        "CIRCUMSTANCES": list(purchase_sequences.CIRCUMSTANCES),
        "DECAY": similar_trips.DECAY,
        "HORIZON": visits.HORIZON,
        "WHEN": list(visits.WHEN),
        "SALES_COLUMNS": list(chain_sales.COLUMNS),
        "SMOOTHING": purchase_score.SMOOTHING,
        "MAX_DEVIATION": standardiser.MAX_DEVIATION,
        "VELOCITY_UNIT": price.VELOCITY_UNIT,
        "CLOSENESS_DAYS": time.CLOSENESS_DAYS,
        "DAYS_OF_YEAR": time.DAYS_OF_YEAR,
        "EPS": mamba2.EPS,
        "KNOTS": list(calibration.KNOTS),
    }
