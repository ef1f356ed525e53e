"""Logarithms of sums of exponentials over all pairs, summed up, without the matrix of all pairs.

As in `trainer.model.token_scores`, the gradient of a block of rows is computed in place while the
block is in the processor's cache.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.model.token_scores import BLOCK


def sum_of_log_sums(vectors: Tensor, keys: Tensor, weights: Tensor) -> Tensor:
    """sum_i w_i log sum_{j != i} exp(vectors_i . keys_j), 0-dimensional.

    vectors (M, D); keys (K, D), K >= M, of which key i is no partner of vector i; weights (M,), 0
    for a vector without any partner. All of one dtype, float32 or float64. Weights get no gradient.
    """
    return _LogSums.apply(vectors, keys, weights)


class _LogSums(torch.autograd.Function):
    """The gradient is computed in the forward pass and scaled in the backward pass."""

    @staticmethod
    def forward(ctx, vectors, keys, weights):
        total = vectors.new_zeros(())
        of_vectors, of_keys = torch.zeros_like(vectors), torch.zeros_like(keys)
        count = len(vectors)
        rows = max(1, BLOCK // max(len(keys), 1)) if vectors.device.type == "cpu" else count
        for start in range(0, count, max(rows, 1)):
            block = slice(start, min(start + rows, count))
            x = vectors[block] @ keys.T
            # Not -inf: without any other key the weight of 0 could not make up for it.
            x.diagonal(start).fill_(torch.finfo(x.dtype).min)
            top = x.amax(1, keepdim=True)
            scale = x.sub_(top).exp_().sum(1, keepdim=True)
            weight = weights[block, None]
            total += (weight * (top + scale.log())).sum()
            x *= weight / scale
            torch.mm(x, keys, out=of_vectors[block])
            of_keys.addmm_(x.T, vectors[block])
        ctx.save_for_backward(of_vectors, of_keys)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        of_vectors, of_keys = ctx.saved_tensors
        return of_vectors * gradient, of_keys * gradient, None
