"""What is needed to reproduce this page."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from trainer.cache.reader import TensorCache
from trainer.evaluation import EvaluationMetrics
from trainer.report.figures import NONE, count, fixed
from trainer.report.markup import Markup, element, join
from trainer.report.run import Run
from trainer.report.tables import definitions, table


def facts(
    run: Run, cache: TensorCache, metrics: EvaluationMetrics, command: str,
    read_from: Mapping[str, Any] | None,
) -> Markup:  # fmt: skip
    """Command, configuration and versions; read_from: as for the page."""
    training = run.progress.get("training", {})
    parameters = sum(p.numel() for p in run.model.parameters())
    pairs = [
        ("model preset", str(training.get("model", "not recorded"))),
        ("trained parameters", count(parameters)),
        ("training seed", str(training.get("seed", "not recorded"))),
        ("checkpoint", f"after epoch {run.progress.get('epoch', 'not recorded')}"),
        ("weights", run.weights_digest),
        ("cache measured on", cache.digest),
        ("cache trained on", run.trained_on),
        ("split", f"{metrics.split}, weeks {metrics.weeks[0]}–{metrics.weeks[1]}"),
        ("customers measured", count(metrics.customers)),
        ("evaluation seed", str(metrics.seed)),
        ("evaluation took", f"{fixed(metrics.seconds, 1)} s"),
        *_circumstances(read_from),
    ]
    return join(
        [
            element("pre", command),
            definitions(pairs),
            _differs(run, cache),
            element("p", _read(read_from), class_="note") if read_from is not None else None,
            _phases(training.get("phases", [])),
            element(
                "div",
                _values("Training configuration", training),
                _values("Model configuration", vars(run.model.config)),
                class_="charts",
            ),
        ]
    )


def _circumstances(read_from: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Versions and hardware of this process, and of the evaluation if that was another one."""
    here = [
        ("python", platform.python_version()),
        ("torch", torch.__version__),
        ("numpy", np.__version__),
        ("hardware", f"{platform.machine()}, {os.cpu_count()} cores, {_gpu()}"),
    ]
    if read_from is None:
        return here
    theirs = read_from["versions"] | read_from["hardware"]
    return [*here, *((f"{name} of the evaluation", str(theirs[name] or NONE)) for name in theirs)]


def _gpu() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def _differs(run: Run, cache: TensorCache) -> Markup | None:
    if run.trained_on == cache.digest:
        return None
    return element(
        "p",
        "The model was trained on another cache, of the same vocabulary; section 2 describes the "
        "one it is measured on.",
        class_="warning",
    )


def _read(read_from: Mapping[str, Any]) -> str:
    return (
        "The figures were read from the file of an evaluation with the weights, cache and split of "
        f"this page. It evaluated {read_from['checkpoint']}."
    )


def _values(caption: str, values: Mapping[str, Any]) -> Markup | None:
    rows = [[name, str(value)] for name, value in values.items() if name != "phases"]
    return table(caption, ["", "value"], rows) if rows else None


def _phases(phases: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not phases:
        return None
    columns = [name for name in phases[0] if name not in ("name", "losses")]
    losses = [*phases[0]["losses"]]
    return table(
        "Phases and their loss weights",
        ["", *(name.replace("_", " ") for name in columns), *losses],
        [
            [phase["name"], *(f"{phase[c]:g}" for c in columns)]
            + [f"{phase['losses'][name]:g}" for name in losses]
            for phase in phases
        ],
    )
