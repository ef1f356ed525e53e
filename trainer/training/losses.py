"""The training loss: the weighted sum of its parts, and the likelihood of the next visit.

Every part is a sum and a number of targets, never a mean: ranks and micro-batches hold different
numbers of targets, so the mean of their means would not be the mean of the batch.

Shapes: T item positions, M embeddings, O those of other ranks, V visits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.model.outputs import Predictions
from trainer.model.token_scores import TokenScores
from trainer.training.loss_parts import (
    ContrastiveLoss,
    FocalLoss,
    at_least_float32,
    context_count,
    context_cross_entropy,
    contrastive_count,
    focal_count,
)

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
            sums["visit"] = at_least_float32(nats).sum()
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


def _needed(name: str, value: Tensor | None, part: str) -> Tensor:
    if value is None:
        raise ValueError(f"{name}: needed by the {part} loss, which is switched on")
    return value


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
