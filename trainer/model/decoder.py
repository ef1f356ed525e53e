"""The decoder: baskets as sets that attend to themselves.

Tokens stay flat, so that linear maps never touch padding; only attention works on padded buckets.
There are no positions: a basket is a set.

Shape letters: D decoder tokens, R tokens that get logits, n rows of a bucket, K query tokens and
S key tokens of a row, H heads, C channels per head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches.batch import Baskets


def _take(flat: Tensor, index: Tensor) -> Tensor:
    """flat[index] for an index of two dimensions, with a gradient several times as fast."""
    return flat.index_select(0, index.flatten()).view(*index.shape, flat.shape[1])


class SetAttention(nn.Module):
    """Self-attention within each basket, of flat tokens that are gathered per bucket."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, tokens: Tensor, baskets: Baskets) -> Tensor:
        """x (queries, width) attends to tokens (D, width); returns (queries, width)."""
        query, (key, value) = self.query(x), self.key_value(tokens).chunk(2, -1)
        padded = []
        for bucket in baskets.buckets:
            out = F.scaled_dot_product_attention(
                self._split(_take(query, bucket.query)),
                *(self._split(_take(flat, bucket.token)) for flat in (key, value)),
                attn_mask=bucket.valid[:, None, None, :],
            )
            padded.append(out.transpose(-2, -3).flatten(-2))
        return self.out(baskets.flat(padded))

    def _split(self, flat: Tensor) -> Tensor:
        """(..., S, width) to (..., H, S, C)."""
        return flat.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


class _Layer(nn.Module):
    """Pre-norm residual layer: the basket, each token by itself (SwiGLU)."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm_set, self.norm_ffn = nn.RMSNorm(width), nn.RMSNorm(width)
        self.set = SetAttention(width, heads)
        self.gate = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, baskets: Baskets, rows: Tensor | None = None) -> Tensor:
        """x (D, width) to (D, width), or to (R, width) for tokens `rows` (R,) only."""
        tokens = queries = self.norm_set(x)
        if rows is not None:
            x, queries = x.index_select(0, rows), tokens.index_select(0, rows)
        x = x + self.dropout(self.set(queries, tokens, baskets))
        gate, up = self.gate(self.norm_ffn(x)).chunk(2, -1)
        return x + self.dropout(self.down(self.dropout(F.silu(gate) * up)))


class BasketDecoder(nn.Module):
    """A stack of layers over baskets with hidden items.

    Args:
        width: channels. layers: number of layers. heads: of attention; must divide width.
        hidden: inner channels of the feed-forward part (SwiGLU: Shazeer, GLU Variants Improve
            Transformer, 2020).
        dropout: of the output of each branch, and of the result.
    """

    def __init__(
        self, width: int, layers: int, heads: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads={heads} must divide width={width}")
        self.layers = nn.ModuleList(_Layer(width, heads, hidden, dropout) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.RMSNorm(width)
        with torch.no_grad():  # the residual stream keeps its scale whatever the depth (GPT-2)
            for layer in self.layers:
                for out in (layer.set.out, layer.down):
                    out.weight /= (2 * layers) ** 0.5

    def forward(self, x: Tensor, baskets: Baskets, rows: Tensor, query_baskets: Baskets) -> Tensor:
        """x (D, width), the tokens of all questions one after the other; returns (R, width).

        rows (R,): the tokens that get logits. `baskets` packs all tokens, `query_baskets` these
        rows; the last layer computes only them. The output of a token depends on the set of tokens
        of its question and on nothing else.
        """
        *layers, last = self.layers
        for layer in layers:
            x = layer(x, baskets)
        return self.dropout(self.norm(last(x, query_baskets, rows)))
