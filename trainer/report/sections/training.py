"""Training, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from trainer.evaluation.text_report import TITLES
from trainer.report.charts.lines import Epochs, Series, lines
from trainer.report.figures import fixed
from trainer.report.markup import Markup, element, join
from trainer.report.run import Run
from trainer.report.tables import table

PANELS = {
    "Loss on hidden items": ("focal loss, nats", {"focal": "focal"}),
    "Loss on basket embeddings": ("InfoNCE, nats", {"contrastive": "contrastive"}),
    "Losses on the kind of trip": (
        "cross-entropy, nats",
        {name: name for name in ("size", "sensitivity", "mission")},
    ),
    "Loss on the next visit": ("nats per trip", {"visit": "visit"}),
    "Validation, NDCG@10": ("NDCG@10", {f"{task}_ndcg@10": task for task in TITLES}),
    "Validation, recall@10": ("recall@10", {f"{task}_recall@10": task for task in TITLES}),
}
"""Title -> unit, and the columns of the curves with their names in the chart."""
NAMES = {
    "next_unknown": "mission unknown", "next_known": "mission known", "completion": "completion",
}  # fmt: skip


def training(run: Run) -> Markup:
    """Losses and validation metrics, with the boundaries of the phases."""
    if not run.curves:
        return element("p", "The run has kept no curves.")
    epochs = Epochs(_phases(run.curves), run.progress.get("epoch"))
    charts = [
        lines(f"curve-{number}", title, unit, found, epochs)
        for number, (title, (unit, columns)) in enumerate(PANELS.items())
        if (found := _series(run.curves, columns))
    ]
    return join(
        [
            element("div", *charts, class_="charts"),
            element("p", _meaning(), class_="note"),
            _table(run.curves, epochs.best),
        ]
    )


def _phases(curves: Sequence[dict[str, Any]]) -> list[tuple[str, int, int]]:
    runs = ([*rows] for _, rows in groupby(curves, lambda row: row["phase"]))
    return [(rows[0]["phase"], rows[0]["epoch"], rows[-1]["epoch"]) for rows in runs]


def _series(curves: Sequence[dict[str, Any]], columns: dict[str, str]) -> list[Series]:
    found = []
    for column, name in columns.items():
        rows = [row for row in curves if math.isfinite(row.get(column, math.nan))]
        if rows:
            values = [row[column] for row in rows]
            found.append(Series(NAMES.get(name, name), [row["epoch"] for row in rows], values))
    return found


def _table(curves: Sequence[dict[str, Any]], best: int | None) -> Markup:
    heads = {"focal": "focal loss", "contrastive": "contrastive", "size": "size",
             "sensitivity": "sensitivity", "mission": "mission", "visit": "next visit",
             "score": "validation score",
             "learning_rate": "last learning rate", "seconds": "seconds",
             "items_per_s": "items/s"}  # fmt: skip
    digits = {"learning_rate": 6, "seconds": 0, "items_per_s": 0, "score": 4}
    rows = [
        [
            str(row["epoch"]),
            row["phase"],
            *(fixed(row.get(name, math.nan), digits.get(name, 3)) for name in heads),
        ]
        for row in curves
    ]
    marked = [number for number, row in enumerate(curves) if row["epoch"] == best]
    return table(
        "Every epoch; the checkpoint's is highlighted", ["epoch", "phase", *heads.values()], rows,
        text=(1,), marked=marked,
    )  # fmt: skip


def _meaning() -> str:
    return (
        "Dashed lines separate the phases. The solid line is the epoch of the checkpoint, the one "
        "with the best validation score: NDCG@10 on fresh validation trips of a sample of "
        "customers, averaged over the tasks. The checkpoint was selected by that score, so the "
        "score flatters it; the test figures do not. Losses are means over the training batches of "
        "an epoch, with items hidden at random; phases may hide different shares, so losses are "
        "comparable within a phase only. Vertical axes do not start at zero."
    )
