"""All sections of a report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm

from trainer.cache.reader import TensorCache
from trainer.evaluation import EvaluationMetrics
from trainer.report.document import document
from trainer.report.figures import count
from trainer.report.markup import Markup
from trainer.report.run import Run
from trainer.report.sections.baskets import baskets
from trainer.report.sections.calibration import calibration
from trainer.report.sections.comparison import comparison
from trainer.report.sections.data import data
from trainer.report.sections.facts import facts
from trainer.report.sections.headline import headline
from trainer.report.sections.products import products
from trainer.report.sections.training import training
from trainer.report.sections.weeks_to_come import weeks_to_come
from trainer.report.simulated import SimulatedWeeks


def page(
    run: Run, cache: TensorCache, metrics: EvaluationMetrics, command: str,
    read_from: Mapping[str, Any] | None, simulated: SimulatedWeeks | None,
) -> str:  # fmt: skip
    """The document.

    command: the command line that made it. read_from: checkpoint, versions and hardware of the
    evaluation if its figures were read from a file. simulated: what the model makes of the weeks
    to come, a section of its own.
    """
    sections: dict[str, Callable[[], Markup]] = {
        "Headline": lambda: headline(metrics),
        "Data": lambda: data(cache),
        "Training": lambda: training(run),
        "Model and baselines": lambda: comparison(metrics),
        "Calibration": lambda: calibration(metrics),
        "Map of products": lambda: products(run.model, cache),
        "A few baskets": lambda: baskets(run, cache, metrics.split, metrics.seed),
        **({"The weeks to come": lambda: weeks_to_come(simulated, cache)} if simulated else {}),
        "Reproduction": lambda: facts(run, cache, metrics, command, read_from),
    }
    bar = tqdm(sections.items(), desc="page", unit="section", file=sys.stderr)
    made = {title: make() for title, make in bar}
    first, last = metrics.weeks
    return document(
        f"RetailSim: run {run.folder.resolve().name}",
        f"Split {metrics.split}, weeks {first}–{last}, {count(metrics.customers)} customers "
        f"measured; cache {cache.digest[:12]}",
        made,
    )
