"""T6: the kind of trip."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.model.checks import expect_integers

PARTS = {"type": 16, "focus": 16, "sensitivity": 8, "size": 8}
"""Width of each part, in the order of the output."""


class TripEmbedding(nn.Module):
    """T6 (48): type 16, focus 16, price sensitivity 8, size 8, embeddings.

    Code 0 = unknown has a learned vector, which also stands for a hidden context. Embeddings start
    at N(0, 1).

    Args:
        codes: of each column of the trip context, unknown included (`LabelCounts.codes`).
    """

    WIDTH = sum(PARTS.values())

    def __init__(self, codes: Mapping[str, int]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Embedding(codes[name], PARTS[name]) for name in PARTS)

    @classmethod
    def from_cache(cls, cache: TensorCache) -> TripEmbedding:
        """For the labels of a cache."""
        return cls(cache.label_counts.codes)

    def forward(self, codes: Tensor) -> Tensor:
        """The kinds of T trips, (T, 48).

        codes (T, 4) integers, 0 = unknown, in the order of `CONTEXT`: size, sensitivity,
        type, focus. Raises ValueError for other shapes or dtypes, IndexError on a CPU for codes
        out of range.
        """
        expect_integers("codes", codes, (len(codes), len(CONTEXT)))
        code_of = dict(zip(CONTEXT, codes.long().unbind(1), strict=True))
        parts = [part(code_of[name]) for name, part in zip(PARTS, self.parts, strict=True)]
        return torch.cat(parts, dim=1)
