"""The headline as a few lines of text, for the terminal."""

from __future__ import annotations

from trainer.evaluation.metrics import EvaluationMetrics
from trainer.evaluation.scorers import MODEL
from trainer.evaluation.text_report import TITLES, aligned
from trainer.report.figures import fixed
from trainer.report.verdict import COMPARED, NAMES, comparisons


def summary(metrics: EvaluationMetrics) -> str:
    """A row per task with fresh trips: the model's figures, and those of the best counting rule
    and of gradient boosting, each with the verdict on the model: one word, or one per metric."""
    heads = [f"{metrics.split}, {' / '.join(NAMES[metric] for metric in COMPARED)}", MODEL]
    rows = []
    for task, found in metrics.tasks.items():
        if not found.fresh:
            continue
        beside = comparisons(found.fresh)
        scores = found.fresh.scorers[MODEL]
        row = [TITLES[task], " / ".join(fixed(scores[metric].value) for metric in COMPARED)]
        for leads in beside.values():
            values = " / ".join(fixed(lead.best.value) for lead in leads)
            verdicts = " / ".join(dict.fromkeys(lead.verdict for lead in leads))
            row.append(f"{values}: {verdicts}")
        heads[2:] = beside
        rows.append(row)
    if not rows:
        return f"The split {metrics.split} has no fresh trips: nothing to compare."
    return "\n".join(aligned([heads, *rows]))
