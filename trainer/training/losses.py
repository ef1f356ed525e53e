"""The training loss: focal over tokens, contrastive over baskets, cross-entropy over trip context,
and the likelihood of the next visit.

Every part is a sum and a number of targets, never a mean: ranks and micro-batches hold different
numbers of targets, so the mean of their means would not be the mean of the batch.

Shapes: T item positions, R rows of logits, V tokens, M embeddings, D their width, A anchors
(embeddings that have a positive). Half-precision inputs are raised to float32, inside autocast
too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.cache.vocabulary import PAD, UNKNOWN
from trainer.features.tensors import occurrences
from trainer.model.outputs import Predictions
from trainer.model.token_scores import TokenScores
from trainer.training.log_sums import sum_of_log_sums

IGNORED = -100
"""A code that is no target."""
PART_OF_CONTEXT = {
    "size": "size",
    "sensitivity": "sensitivity",
    "type": "mission",
    "focus": "mission",
}
"""The auxiliary part of the loss that each column of the trip context belongs to. A mission is type
and focus: their sums and counts are added up."""


@dataclass(frozen=True)
class LossWeights:
    """Weight of each part in the total. A part of weight 0 is not computed."""

    focal: float = 0.6
    """The masked items."""
    contrastive: float = 0.2
    """Embeddings of the same basket against those of others."""
    size: float = 0.08
    """Auxiliary: basket size."""
    sensitivity: float = 0.08
    """Auxiliary: price sensitivity."""
    mission: float = 0.04
    """Auxiliary: trip type and focus together."""
    visit: float = 0.05
    """The visit that follows each target trip: day, store, hour and kind together."""

    def __post_init__(self):
        for name in PARTS:
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: a finite weight >= 0, not {getattr(self, name)}")


PARTS = tuple(part.name for part in fields(LossWeights))


@dataclass(frozen=True)
class Targets:
    """The ground truth of a batch. Enough to count targets before any prediction is made."""

    tokens: Tensor
    """(T,) true tokens, `[PAD]` where there is nothing to predict."""
    hidden: Tensor
    """(trips,) bool, True where the trip context was hidden from the model."""
    context: Mapping[str, Tensor] = field(default_factory=dict)
    """Codes (trips,) per context column, 0 = unknown, the same columns as the predictions."""
    basket_ids: Tensor | None = None
    """(M,) the basket of each embedding."""
    token_weights: Tensor | None = None
    """(T,) weight of each token, one each if left out (see `trip_weights`)."""
    rows: Tensor | None = None
    """(T,) row of the logits that predicts each token; one row each, in order, if left out."""
    visits: Tensor | None = None
    """(V,) bool: whether each visit that is asked for came, or its gap is censored."""


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
            log_p = _at_least_float32(logits).log_softmax(-1)[rows.long(), targets.long()]
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
            z_MD = F.normalize(_at_least_float32(embeddings), dim=-1, eps=1e-6)
            scaled_MD = z_MD / self.temperature
            keys = z_MD
            if others is not None:
                z_OD = F.normalize(_at_least_float32(others), dim=-1, eps=1e-6)
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
            _at_least_float32(logits).masked_fill(silent[:, None], 0),
            codes.long().masked_fill(silent, IGNORED),
            reduction="sum",
            ignore_index=IGNORED,
        )
    return total, context_count(codes, hidden)


class WorldModelLoss(nn.Module):
    """The weighted sum of all parts, each its sum over targets / its targets on all ranks.

    The total is multiplied by the number of ranks, so that averaging gradients over ranks, which
    DistributedDataParallel does, gives the gradient of the global loss. Every rank must call it,
    targets or not. To spread a batch over micro-batches, count first, then divide each of them by
    the same counts and let the gradients add up:

        counts = loss.all_ranks(sum(loss.count(targets) for targets in micro_batches))
        for ...:
            total, parts = loss(predictions, targets, counts)
            total.backward()
    """

    def __init__(
        self,
        weights: LossWeights | None = None,
        gamma: float = 2.0,
        temperature: float = 0.07,
    ):
        super().__init__()
        self.weights = weights or LossWeights()
        self.focal = FocalLoss(gamma)
        self.contrastive = ContrastiveLoss(temperature)

    def count(self, targets: Targets) -> Tensor:
        """Targets on this rank, (parts,) float64 in the order of `PARTS`; 0 where switched off."""
        counts = dict.fromkeys(PARTS, targets.tokens.new_zeros((), dtype=torch.float64))
        if self.weights.focal:
            counts["focal"] = focal_count(targets.tokens, targets.token_weights)
        if self.weights.contrastive:
            counts["contrastive"] = contrastive_count(
                _needed("basket_ids", targets.basket_ids, "contrastive")
            )
        if self.weights.visit:
            visits = _needed("visits", targets.visits, "visit")
            counts["visit"] = visits.new_tensor(len(visits), dtype=torch.float64)
        for column, part in self._context_columns(targets):
            counts[part] = counts[part] + context_count(targets.context[column], targets.hidden)
        return torch.stack([counts[part].double() for part in PARTS])

    @staticmethod
    def all_ranks(counts: Tensor) -> Tensor:
        """The sum of counts over all ranks; the counts themselves without a process group."""
        if _world_size() == 1:
            return counts
        total = counts.clone()
        dist.all_reduce(total)
        return total

    def forward(
        self, predictions: Predictions, targets: Targets, counts: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to call `backward` on, and its parts to log.

        counts (parts,): the divisors, from `all_ranks`; counted here if left out, which is right
        for one micro-batch per step. Returns the total (0-dimensional) and a dict, detached, with
        for each part that is switched on `<part>`: this call's sum / divisor, without weight or
        number of ranks, so that values add up over micro-batches and ranks to the mean over
        targets; and `<part>_count`: the divisor. Without targets a part and its gradients are 0.
        Raises ValueError where a prediction or target that a part needs is missing.
        """
        sums = self._sums(predictions, targets)
        if counts is None:
            counts = self.all_ranks(self.count(targets))
        total = targets.tokens.new_zeros((), dtype=torch.float32)
        parts = {}
        for part, count in zip(PARTS, counts, strict=True):
            if part not in sums:
                continue
            value = sums[part] / count.where(count > 0, 1).to(sums[part].dtype)
            total = total + getattr(self.weights, part) * value
            parts[part] = value.detach()
            parts[f"{part}_count"] = count.detach()
        return total * _world_size(), parts

    def _sums(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """The sum over this rank's targets of each part that is switched on."""
        sums = {}
        if self.weights.focal:
            logits = _needed("logits", predictions.logits, "focal")
            tokens, weights, rows = targets.tokens, targets.token_weights, targets.rows
            if isinstance(logits, TokenScores):
                rows = _needed("rows", rows, "focal")
                weights = (
                    torch.ones_like(tokens, dtype=torch.float32) if weights is None else weights
                )
                sums["focal"] = logits.focal(tokens, weights, rows, self.focal.gamma)
            else:
                sums["focal"], _ = self.focal(logits, tokens, weights, rows)
        if self.weights.contrastive:
            embeddings = _needed("embeddings", predictions.embeddings, "contrastive")
            basket_ids = _needed("basket_ids", targets.basket_ids, "contrastive")
            others = _of_other_ranks(embeddings)
            sums["contrastive"], _ = self.contrastive(embeddings, basket_ids, others)
        if self.weights.visit:
            nats = _needed("visits", predictions.visits, "visit")
            sums["visit"] = _at_least_float32(nats).sum()
        for column, part in self._context_columns(targets):
            logits = _needed(f"context[{column!r}]", predictions.context.get(column), part)
            value, _ = context_cross_entropy(logits, targets.context[column], targets.hidden)
            sums[part] = sums[part] + value if part in sums else value
        return sums

    def _context_columns(self, targets: Targets) -> list[tuple[str, str]]:
        """(column, part) of the context whose part is switched on."""
        columns = [
            (column, part)
            for column, part in PART_OF_CONTEXT.items()
            if getattr(self.weights, part)
        ]
        for column, part in columns:
            _needed(f"context[{column!r}]", targets.context.get(column), part)
        return columns


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


def trip_weights(targets: Tensor, trip_of_item: Tensor, trips: int, power: float = 1.0) -> Tensor:
    """Weights (T,) float32 that keep large baskets from deciding the focal loss.

    A target weighs n^-power, n the targets of its trip: with power 0 every item counts the same,
    with 1 every trip, as in the metrics. targets (T,), 0 = `[PAD]`, which weighs 0; trip_of_item
    (T,) in 0..trips-1.
    """
    is_target = (targets != PAD).float()
    targets_of_trip = is_target.new_zeros(trips).index_add(0, trip_of_item.long(), is_target)
    return is_target * targets_of_trip.clamp_min(1)[trip_of_item.long()] ** -power


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


def _needed(name: str, value: Tensor | None, part: str) -> Tensor:
    if value is None:
        raise ValueError(f"{name}: needed by the {part} loss, which is switched on")
    return value


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _no_autocast(values: Tensor) -> torch.autocast:
    return torch.autocast(values.device.type, enabled=False)


def _of_other_ranks(embeddings: Tensor) -> Tensor | None:
    """(O, D) of all other ranks, with gradients that flow back to them; None without any."""
    if _world_size() == 1:
        return None
    sizes = [embeddings.new_zeros(1, dtype=torch.long) for _ in range(_world_size())]
    dist.all_gather(sizes, sizes[0].new_tensor([len(embeddings)]))
    sizes = torch.cat(sizes).tolist()
    parts = _AllGather.apply(F.pad(embeddings, (0, 0, 0, max(sizes) - len(embeddings))))
    kept = [part[:size] for part, size in zip(parts, sizes, strict=True)]
    del kept[dist.get_rank()]
    return torch.cat(kept)


class _AllGather(torch.autograd.Function):
    """The same-shaped tensors of all ranks, (ranks, ...); gradients add up over ranks."""

    @staticmethod
    def forward(ctx, local: Tensor) -> Tensor:
        parts = [torch.empty_like(local) for _ in range(_world_size())]
        dist.all_gather(parts, local.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[dist.get_rank()]


def _world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
