"""The decoder: baskets as sets that attend to themselves and to the customer's past.

Tokens stay flat, so that linear maps never touch padding; only attention works on padded buckets.
There are no positions: a basket is a set.

Shape letters: D decoder tokens, R tokens that get logits, Q questions, M memory slots of a
question, n rows of a bucket, K query tokens and S key tokens of a row, H heads, C channels per
head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches.batch import Baskets


@dataclass(frozen=True)
class Memory:
    """What questions attend to besides their basket: rows of one matrix, each projected once."""

    vectors: Tensor
    """(rows, width)."""
    slots: Tensor
    """(Q, M) int64 rows: the question's trip context first, then earlier trips, newest first."""
    known: Tensor
    """(Q, M) bool: the slot is filled. The first always is."""


class _Heads(nn.Module):
    """Multi-head attention of flat tokens over keys that are gathered per bucket."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def split(self, flat: Tensor) -> Tensor:
        """(..., S, width) to (..., H, S, C)."""
        return flat.unflatten(-1, (self.heads, -1)).transpose(-2, -3)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """query (n, K, width), key and value (n, S, width), mask (n, 1, 1, S); (n, K, width)."""
        out = F.scaled_dot_product_attention(
            self.split(query), self.split(key), self.split(value), attn_mask=mask
        )
        return out.transpose(-2, -3).flatten(-2)


def _take(flat: Tensor, index: Tensor) -> Tensor:
    """flat[index] for an index of two dimensions, with a gradient several times as fast."""
    return flat.index_select(0, index.flatten()).view(*index.shape, flat.shape[1])


class SetAttention(_Heads):
    """Self-attention within each basket."""

    def forward(self, x: Tensor, tokens: Tensor, baskets: Baskets) -> Tensor:
        """x (queries, width) attends to tokens (D, width); returns (queries, width)."""
        query, (key, value) = self.query(x), self.key_value(tokens).chunk(2, -1)
        padded = [
            self.attend(
                _take(query, bucket.query),
                *(_take(flat, bucket.token) for flat in (key, value)),
                bucket.valid[:, None, None, :],
            )
            for bucket in baskets.buckets
        ]
        return self.out(baskets.flat(padded))


class MemoryAttention(_Heads):
    """Cross-attention of each basket's tokens over the memory of its question.

    Each slot of the memory (this trip's context, the trip before, the one before that, ...) has a
    learned key offset, so that attention can depend on how long ago a trip was.
    """

    def __init__(self, width: int, heads: int, slots: int) -> None:
        super().__init__(width, heads)
        self.age = nn.Parameter(torch.randn(slots, width) * width**-0.5)

    def forward(self, x: Tensor, memory: Memory, baskets: Baskets) -> Tensor:
        """x (queries, width) to (queries, width)."""
        query, (key, value) = self.query(x), self.key_value(memory.vectors).chunk(2, -1)
        padded = []
        age = self.age.to(key.dtype)
        for question, queries in baskets.by_queries():
            slots = memory.slots.index_select(0, question)  # (n, M)
            known = memory.known[question][:, None, None, :]
            padded.append(
                self.attend(
                    _take(query, queries), _take(key, slots) + age, _take(value, slots), known
                )
            )
        return self.out(baskets.flat(padded))


class _Layer(nn.Module):
    """Pre-norm residual layer: the basket, the past, each token by itself (SwiGLU)."""

    def __init__(self, width: int, heads: int, hidden: int, slots: int, dropout: float) -> None:
        super().__init__()
        self.norm_set, self.norm_past, self.norm_ffn = (nn.RMSNorm(width) for _ in range(3))
        self.set = SetAttention(width, heads)
        self.past = MemoryAttention(width, heads, slots)
        self.gate = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Memory, baskets: Baskets, rows: Tensor | None = None
    ) -> Tensor:
        """x (D, width) to (D, width), or to (R, width) for tokens `rows` (R,) only."""
        tokens = queries = self.norm_set(x)
        if rows is not None:
            x, queries = x.index_select(0, rows), tokens.index_select(0, rows)
        x = x + self.dropout(self.set(queries, tokens, baskets))
        x = x + self.dropout(self.past(self.norm_past(x), memory, baskets))
        gate, up = self.gate(self.norm_ffn(x)).chunk(2, -1)
        return x + self.dropout(self.down(self.dropout(F.silu(gate) * up)))


class BasketDecoder(nn.Module):
    """A stack of layers over baskets with hidden items.

    Args:
        width: channels. layers: number of layers. heads: of attention; must divide width.
        hidden: inner channels of the feed-forward part (SwiGLU: Shazeer, GLU Variants Improve
            Transformer, 2020).
        slots: slots of the memory, M.
        dropout: of the output of each branch, and of the result.
    """

    def __init__(
        self, width: int, layers: int, heads: int, hidden: int, slots: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads={heads} must divide width={width}")
        self.layers = nn.ModuleList(
            _Layer(width, heads, hidden, slots, dropout) for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.RMSNorm(width)
        self.norm_memory = nn.RMSNorm(width)
        with torch.no_grad():  # the residual stream keeps its scale whatever the depth (GPT-2)
            for layer in self.layers:
                for out in (layer.set.out, layer.past.out, layer.down):
                    out.weight /= (3 * layers) ** 0.5

    def forward(
        self, x: Tensor, memory: Memory, baskets: Baskets, rows: Tensor, query_baskets: Baskets
    ) -> Tensor:
        """x (D, width), the tokens of all questions one after the other; returns (R, width).

        rows (R,): the tokens that get logits. `baskets` packs all tokens, `query_baskets` these
        rows; the last layer computes only them. The output of a token depends on the set of tokens
        of its question and on that question's memory, and on nothing else.
        """
        memory = replace(memory, vectors=self.norm_memory(memory.vectors))
        *layers, last = self.layers
        for layer in layers:
            x = layer(x, memory, baskets)
        return self.dropout(self.norm(last(x, memory, query_baskets, rows)))
