"""Are products bought as often as the model expects?"""

from __future__ import annotations

from trainer.evaluation.calibration_table import CalibrationRow
from trainer.evaluation.metrics import EvaluationMetrics, TaskMetrics
from trainer.evaluation.scorers import MODEL
from trainer.evaluation.text_report import TITLES
from trainer.report.charts.points import Group, points
from trainer.report.figures import count, fixed
from trainer.report.markup import Markup, element, join
from trainer.report.tables import table


def calibration(metrics: EvaluationMetrics) -> Markup:
    """A chart and a table per next-basket task."""
    parts = [
        element("div", _chart(name, task.calibration), _table(name, task), class_="pair")
        for name, task in metrics.tasks.items()
        if task.calibration
    ]
    if not parts:
        return element("p", "Nothing to calibrate: no fresh trips of a next-basket task.")
    return join([*parts, element("p", _meaning(), class_="note")])


def _chart(task: str, rows: tuple[CalibrationRow, ...]) -> Markup:
    # Zero has no logarithm; the table has these rows too.
    drawn = [row for row in rows if row.expected > 0 and row.observed > 0]
    if not drawn:
        return element("p", f"{TITLES[task]}: no purchase was observed.")
    expected = [row.expected / row.pairs for row in drawn]
    observed = [row.observed / row.pairs for row in drawn]
    return points(
        f"calibration-{task}",
        TITLES[task],
        f"Purchases per pair of trip and product, by tenths of the expected purchases. "
        f"{'; '.join(map(_words, drawn))}. On the diagonal both are equal.",
        "expected purchases per pair (log)",
        "observed purchases per pair (log)",
        [Group(TITLES[task], expected, observed)],
        radius=5,
        tooltips=[*map(_words, drawn)],
        logarithmic=True,
    )


def _words(row: CalibrationRow) -> str:
    return f"expected {fixed(row.expected, 1)}, observed {count(row.observed)}"


def _table(name: str, task: TaskMetrics) -> Markup:
    model = task.fresh.scorers[MODEL]
    nll, raw = (fixed(model[metric].value) for metric in ("nll", "raw_nll"))
    return table(
        f"{TITLES[name]}, fresh trips, from the least to the most likely. NLL {nll}, before "
        f"calibration {raw}",
        ["tenth", "pairs", "expected", "observed", "ratio", "ratio before calibration"],
        [
            [
                str(number),
                count(row.pairs),
                fixed(row.expected, 1),
                count(row.observed),
                fixed(row.ratio, 2),
                fixed(before.ratio, 2),
            ]
            for number, (row, before) in enumerate(
                zip(task.calibration, task.raw_calibration, strict=True), start=1
            )
        ],
    )


def _meaning() -> str:
    return (
        "Pairs of a trip and a product, sorted by the probability of a purchase and divided so "
        "that each tenth holds a tenth of all expected purchases; ratio: observed / expected. The "
        "number of hidden items of a basket is given, so the totals agree by construction and only "
        "their distribution is tested. The probabilities were calibrated on validation weeks, "
        "which does not change the order of products; the last column is without calibration, in "
        "tenths of its own. Above the diagonal, products are bought more often than expected. "
        "Logarithmic axes hide small errors: read the ratios. They have no intervals."
    )
