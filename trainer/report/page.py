"""All sections as one self-contained HTML document."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm

from trainer.cache.reader import TensorCache
from trainer.evaluation import EvaluationMetrics
from trainer.report.figures import count
from trainer.report.markup import Markup, element, join
from trainer.report.run import Run
from trainer.report.sections.baskets import baskets
from trainer.report.sections.calibration import calibration
from trainer.report.sections.comparison import comparison
from trainer.report.sections.data import data
from trainer.report.sections.facts import facts
from trainer.report.sections.headline import headline
from trainer.report.sections.products import products
from trainer.report.sections.training import training
from trainer.report.style import STYLE

# Whatever a code in the data contains, the browser must not load or run anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(
    run: Run, cache: TensorCache, metrics: EvaluationMetrics, command: str,
    read_from: Mapping[str, Any] | None,
) -> str:  # fmt: skip
    """The document.

    command: the command line that made it. read_from: checkpoint, versions and hardware of the
    evaluation if its figures were read from a file.
    """
    sections: dict[str, Callable[[], Markup]] = {
        "Headline": lambda: headline(metrics),
        "Data": lambda: data(cache),
        "Training": lambda: training(run),
        "Model and baselines": lambda: comparison(metrics),
        "Calibration": lambda: calibration(metrics),
        "Map of products": lambda: products(run.model, cache),
        "A few baskets": lambda: baskets(run, cache, metrics.split, metrics.seed),
        "Reproduction": lambda: facts(run, cache, metrics, command, read_from),
    }
    bar = tqdm(sections.items(), desc="page", unit="section", file=sys.stderr)
    made = {title: make() for title, make in bar}
    title = f"RetailSim: run {run.folder.resolve().name}"
    return "<!doctype html>\n" + element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", http_equiv="Content-Security-Policy", content=POLICY),
            element("title", title),
            element("style", Markup(STYLE)),
        ),
        element("body", _header(title, cache, metrics, made), _main(made)),
        lang="en",
    )


def _header(
    title: str, cache: TensorCache, metrics: EvaluationMetrics, made: Mapping[str, Markup]
) -> Markup:
    first, last = metrics.weeks
    links = (
        element("a", f"{number} {name}", href=f"#part-{number}")
        for number, name in enumerate(made, start=1)
    )
    return element(
        "header",
        element("h1", title),
        element(
            "p",
            f"Split {metrics.split}, weeks {first}–{last}, {count(metrics.customers)} customers "
            f"measured; cache {cache.digest[:12]}",
        ),
        element("nav", *links, aria_label="Sections"),
    )


def _main(made: Mapping[str, Markup]) -> Markup:
    parts = (
        element(
            "section",
            element("h2", f"{number} {name}"),
            content,
            id=f"part-{number}",
        )
        for number, (name, content) in enumerate(made.items(), start=1)
    )
    return element("main", join(parts, "\n"))
