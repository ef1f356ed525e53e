"""Ranks of the hidden items among all products, with the same tie rule for every scorer.

The tie rule: of products with equal scores, the one bought on more training trips comes first; of
those with equal trips, the one with the smaller token. It depends on nothing that is hidden.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.cache.reader import TensorCache
from trainer.evaluation.ground_truth import GroundTruth

LAST = torch.iinfo(torch.int64).min


def tie_breaker(cache: TensorCache) -> Tensor:
    """A number per token, (V,) int64, different for all products: among ties the highest wins."""
    trips = cache["products.train_trips"].astype(np.int64)
    order = np.argsort(-trips, kind="stable")
    place = np.zeros(cache.vocabulary.size, dtype=np.int64)
    place[order + 1] = np.arange(len(trips), 0, -1)
    return torch.from_numpy(place)


def sort_keys(scores: Tensor, tie: Tensor) -> Tensor:
    """Whole numbers in the order of scores, then of `tie`: (Q, V) int64.

    scores (Q, V) float32, no NaN; tie (V,) int64 below 2^32. The bits of positive floats are in the
    order of the numbers, those of negative ones in reverse; adding 0 turns -0 into 0.
    """
    bits = (scores + 0.0).view(torch.int32)
    bits ^= (bits >> 31) & 0x7FFFFFFF
    return torch.add(tie, bits, alpha=1 << 32)


def ranks(scores: Tensor, truth: GroundTruth, tie: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """Ranks from 0 of the hidden items (G,), no further than `depth`, and of the first (Q,).

    scores (Q, V) float32, higher is better; tie (V,) of `tie_breaker`. Of a question without
    targets the first is undefined.
    """
    keys = _keys(scores, truth, tie)
    of_target = keys[truth.question, truth.target]
    top = keys.topk(min(depth, keys.shape[1]), dim=1).values
    rank = (top[truth.question] > of_target[:, None]).sum(1)
    best = torch.full_like(truth.row, LAST).scatter_reduce(0, truth.question, of_target, "amax")
    return rank, (keys > best[:, None]).sum(1)


def first_tokens(scores: Tensor, truth: GroundTruth, tie: Tensor, depth: int) -> Tensor:
    """The tokens of the first ranks, best first, (Q, at most depth) int64; 0 where none is left.

    Arguments as for `ranks`.
    """
    keys = _keys(scores, truth, tie)
    top = keys.topk(min(depth, keys.shape[1]), dim=1)
    return top.indices.masked_fill(top.values == LAST, 0)


def _keys(scores: Tensor, truth: GroundTruth, tie: Tensor) -> Tensor:
    """`sort_keys`, with tokens that cannot be an answer last."""
    keys = sort_keys(scores, tie)
    keys[truth.removed] = LAST
    return keys
