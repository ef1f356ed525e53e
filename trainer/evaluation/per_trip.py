"""Metrics of one trip, from the ranks of its hidden items.

Sources: Jarvelin and Kekalainen, Cumulated gain-based evaluation of IR techniques, 2002 (NDCG, here
with gains of 0 and 1); Voorhees, The TREC-8 question answering track report, 1999 (MRR); Li et al.,
A next basket recommendation reality check, 2023 (repeat and explore).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainer.cache.schema import CONTEXT
from trainer.commands.errors import InputError
from trainer.evaluation.ground_truth import GroundTruth
from trainer.evaluation.ranking import ranks

SHORT, LONG = 10, 20
METRICS = (
    "recall@10", "recall@20", "precision@10", "ndcg@10", "hit@10", "mrr", "nll", "raw_nll",
    "repeat_recall@10", "explore_recall@10", *(f"{name}_accuracy" for name in CONTEXT),
)  # fmt: skip
"""Columns of the values of a trip."""


def metrics_per_trip(
    scores: Tensor,
    context: Mapping[str, Tensor],
    truth: GroundTruth,
    tie: Tensor,
    log_p: Tensor | None = None,
) -> Tensor:
    """The `METRICS` of each question, (Q, metrics) float64, NaN where one is not defined.

    scores (Q, V) of `GroundTruth.possible`; context logits (Q, codes) by name, if any; tie (V,) of
    `tie_breaker`; log_p (Q, V) log-probabilities where they are not just the softmax of the scores,
    whose likelihood is then `raw_nll`. A hidden item outside the vocabulary is a miss: it counts
    among the hidden ones, and has no likelihood. Raises ValueError where a score is NaN.
    """
    total = scores.logsumexp(1)
    if total.isnan().any():
        raise InputError("a score is not a number: did training diverge?")
    rank, first = ranks(scores, truth, tie, LONG)
    known = truth.sums(torch.ones_like(rank))
    short = rank < SHORT
    gain = 1 / (torch.arange(LONG + 1, dtype=torch.float64, device=rank.device) + 2).log2()
    ideal = gain[:SHORT].cumsum(0)[truth.hidden.clamp(1, SHORT) - 1]
    at = truth.question, truth.target
    raw = truth.sums(total[truth.question] - scores[at]) / known
    nll = raw if log_p is None else truth.sums(-log_p[at]) / known
    hits = truth.sums(short)
    repeats = truth.sums(truth.before)
    repeat_hits = truth.sums(short & truth.before)
    columns = [
        hits / truth.hidden,
        truth.sums(rank < LONG) / truth.hidden,
        hits / SHORT,
        truth.sums(gain[rank] * short) / ideal,
        (hits > 0).double(),
        torch.where(known > 0, 1 / (first.double() + 1), 0.0),
        nll,
        torch.full_like(known, torch.nan) if log_p is None else raw,
        repeat_hits / repeats,
        (hits - repeat_hits) / (truth.hidden - repeats),
    ]
    for column, name in enumerate(CONTEXT):
        true = truth.kinds[:, column]
        correct = torch.full_like(known, torch.nan)
        if name in context:
            # Code 0 means unknown: no answer, and no question either.
            predicted = context[name][:, 1:].argmax(1) + 1
            correct = torch.where(true > 0, (predicted == true).double(), torch.nan)
        columns.append(correct)
    return torch.stack(columns, dim=1)
