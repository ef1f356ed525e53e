"""Parts of the training loss: focal over tokens, contrastive over baskets, cross-entropy over one
column of the trip context. Each is a sum over targets, with their number.

Shapes: T item positions, R rows of logits, V tokens, M embeddings, D their width, O embeddings of
other ranks. Half-precision inputs are raised to float32, inside autocast too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.cache.vocabulary import PAD, UNKNOWN
from trainer.features.tensors import occurrences
from trainer.training.log_sums import sum_of_log_sums

IGNORED = -100
"""A code that is no target."""


class FocalLoss(nn.Module):
    """Focal loss with a softmax over tokens: -(1 - p)^gamma log p, p the target's probability.

    Source: Lin et al., Focal Loss for Dense Object Detection, 2017, equation 4; there per class
    with a sigmoid, here over a softmax. With gamma 0 it is the cross-entropy. This form takes
    the logits as a matrix; `TokenScores.focal` is the same from logits in parts, as training has
    them.
    """

    def __init__(self, gamma: float = 2.0):
        super().__init__()
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma: a finite number >= 0, not {gamma}")
        self.gamma = gamma

    def forward(
        self,
        logits: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The sum over targets and what to divide it by.

        logits (R, V); targets (T,); weights (T,) or None for 1 each; rows (T,) the row of logits of
        each target, where a row may predict several, or None for R = T rows in order. `[PAD]` is
        not a target; without `rows` its row is never read, with `rows` there must be none.
        Returns the weighted sum of losses, in nats, and the sum of the weights (the number of
        targets without weights), both 0-dimensional. Raises ValueError where shapes disagree.
        """
        if logits.ndim != 2:
            raise ValueError(f"logits: expected (R, V), not {tuple(logits.shape)}")
        _same_length("targets", targets, logits if rows is None else rows)
        if weights is not None:
            _same_length("weights", weights, targets)
        count = focal_count(targets, weights)
        if rows is None:
            is_target = targets != PAD
            logits, targets = logits[is_target], targets[is_target]
            weights = None if weights is None else weights[is_target]
            rows = torch.arange(len(targets), device=targets.device)
        with _no_autocast(logits):
            log_p = at_least_float32(logits).log_softmax(-1)[rows.long(), targets.long()]
            # 1 - p, exact where p is near 1. At p = 1 a gamma below 1 has no finite slope.
            miss = (-log_p.expm1()).clamp_min(torch.finfo(log_p.dtype).tiny)
            losses = -(miss**self.gamma) * log_p
            if weights is not None:
                losses = losses * weights.to(losses.dtype)
            return losses.sum(), count


class ContrastiveLoss(nn.Module):
    """InfoNCE over cosine similarities: embeddings of the same basket attract, others repel.

    For an anchor i with positives P(i), the mean over p in P(i) of
    -log(exp(s_ip / tau) / sum over a != i of exp(s_ia / tau)), s the cosine similarity.
    Every embedding is an anchor, so the loss is symmetric in its pairs.

    Sources: van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018
    (one positive); Khosla et al., Supervised Contrastive Learning, 2020, equation 2 (several).
    Embeddings of other ranks are further negatives.
    """

    def __init__(self, temperature: float = 0.07):
        super().__init__()
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature: a finite number > 0, not {temperature}")
        self.temperature = temperature

    def forward(
        self, embeddings: Tensor, basket_ids: Tensor, others: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The sum over anchors and their number.

        embeddings (M, D) of any length; basket_ids (M,). An embedding that is alone in its basket
        is a negative for others but no anchor. others (O, D): of other baskets, negatives only.
        Returns the sum, in nats, and the count, both 0-dimensional. Memory is M x (M + O).
        Raises ValueError where shapes disagree.
        """
        if embeddings.ndim != 2:
            raise ValueError(f"embeddings: expected (M, D), not {tuple(embeddings.shape)}")
        _same_length("basket_ids", basket_ids, embeddings)
        basket, size = _groups(basket_ids)
        anchor = size > 1
        with _no_autocast(embeddings):
            z_MD = F.normalize(at_least_float32(embeddings), dim=-1, eps=1e-6)
            scaled_MD = z_MD / self.temperature
            keys = z_MD
            if others is not None:
                z_OD = F.normalize(at_least_float32(others), dim=-1, eps=1e-6)
                keys = torch.cat([z_MD, z_OD])
            log_sums = sum_of_log_sums(scaled_MD, keys, anchor.to(z_MD.dtype))
            # The mean similarity to the positives is that to their sum, divided.
            together_MD = torch.zeros_like(z_MD).index_add(0, basket, z_MD)[basket] - z_MD
            attraction = (scaled_MD * together_MD).sum(1) / (size - 1).clamp_min(1)
            return log_sums - attraction.where(anchor, 0).sum(), anchor.sum()


def context_cross_entropy(logits: Tensor, codes: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of one column of the trip context, where the model could not read it.

    logits (trips, codes); codes (trips,), 0 = unknown is no target; hidden (trips,) bool. A trip
    whose context was visible is not read: the model would only copy its input. Returns the sum,
    in nats, and the number of targets, both 0-dimensional. Raises ValueError where shapes disagree.
    """
    if logits.ndim != 2:
        raise ValueError(f"logits: expected (trips, codes), not {tuple(logits.shape)}")
    _same_length("codes", codes, logits)
    _same_length("hidden", hidden, logits)
    # Masked, not picked: picking would have a GPU wait for the number of trips.
    silent = ~hidden | (codes == UNKNOWN)
    with _no_autocast(logits):
        total = F.cross_entropy(
            at_least_float32(logits).masked_fill(silent[:, None], 0),
            codes.long().masked_fill(silent, IGNORED),
            reduction="sum",
            ignore_index=IGNORED,
        )
    return total, context_count(codes, hidden)


def focal_count(targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """The number of targets (T,) that are not `[PAD]`, or the sum of their weights (T,)."""
    is_target = targets != PAD
    return is_target.sum() if weights is None else weights.double().where(is_target, 0).sum()


def contrastive_count(basket_ids: Tensor) -> Tensor:
    """How many of basket_ids (M,) share their basket with another embedding."""
    _, size = _groups(basket_ids)
    return (size > 1).sum()


def context_count(codes: Tensor, hidden: Tensor) -> Tensor:
    """The number of trips whose code (trips,) is known and was hidden (trips,)."""
    return (hidden & (codes != UNKNOWN)).sum()


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision raised; float64 stays."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _no_autocast(values: Tensor) -> torch.autocast:
    return torch.autocast(values.device.type, enabled=False)


def _groups(ids: Tensor) -> tuple[Tensor, Tensor]:
    """The group of equals of each id (M,), numbered from 0, and its size, (M,) int64."""
    order = ids.argsort()
    ordered = ids[order]
    number = F.pad((ordered[1:] != ordered[:-1]).cumsum(0), (min(len(ids), 1), 0))
    group = torch.empty_like(number).scatter(0, order, number)
    return group, occurrences(group, len(ids))[group]


def _same_length(name: str, vector: Tensor, rows: Tensor) -> None:
    if vector.shape != rows.shape[:1]:
        raise ValueError(f"{name}: expected ({len(rows)},), not {tuple(vector.shape)}")
