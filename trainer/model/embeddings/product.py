"""T2: products, special tokens and the categories that stand in for unknown products."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.cache.reader import TensorCache
from trainer.cache.schema import LEVELS
from trainer.cache.vocabulary import Vocabulary
from trainer.model.checks import expect_integers

WIDTH = 256
INPUT_SCALE = WIDTH**0.5
"""Vectors have a length near 1; as an input their channels get a variance near 1."""
RARE = 100
"""Training trips of a product that learns its own part of its vector at half the usual rate."""


class ProductEmbedding(nn.Module):
    """T2 (256): graph vector + deltas of the categories above + delta of the token.

    - graph: vectors of the product graph's nodes, fixed. Deltas start at 0 and learn the rest, so
      weight decay pulls a product back to its graph vector, not to 0.
    - category deltas: one per category of every level; a product gets the sum over its
      sub-commodity and all levels above. Each is learned from all known products below it.
    - token delta: one per known product, `[MASK]` and `[EOS]`. The latter two have a random vector
      N(0, 1 / 256) instead of a graph vector, and no category. A product's is scaled by n / (n +
      `RARE`), n its training trips: Adam's steps are as long for a product that a few batches hold
      as for one that all of them do, and what few purchases tell would be learnt by heart.
    - `[PAD]`: 0, without gradient.

    A novel product (first sold after training) has the vector of its sub-commodity's fallback
    token: the category's graph vector and deltas. Where nothing of that category was sold in
    training either, the finest known category above is taken; where none is known, the mean of the
    known products' graph vectors.

    Args:
        category: (N,) row of each product's sub-commodity.
        is_novel: (N,) bool.
        train_trips: (N,) training trips with each product.
        parent: (C,) row of the category one level up, -1 at the top.
        category_is_novel: (C,) bool.
        vectors: (N + C, 256) of length near 1, products then categories, or None for N(0, 1 / 256).

    Raises:
        ValueError: vectors of another shape or not finite, or no known product.
    """

    WIDTH = WIDTH

    def __init__(
        self,
        category: np.ndarray,
        is_novel: np.ndarray,
        train_trips: np.ndarray,
        parent: np.ndarray,
        category_is_novel: np.ndarray,
        vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        products, categories = len(category), len(parent)
        self.vocabulary = Vocabulary(products, categories)
        shape = (products + categories, WIDTH)
        if vectors is None:
            vectors = torch.randn(shape) / INPUT_SCALE
        if vectors.shape != shape or not vectors.isfinite().all():
            raise ValueError(f"vectors: expected {shape}, finite, not {tuple(vectors.shape)}")
        if is_novel.all():
            raise ValueError("is_novel: no product was sold in training")

        paths = _paths(parent)
        fallback = _finest_known(paths, category_is_novel)
        vectors = vectors.detach().float()
        mean = vectors[:products][torch.as_tensor(~is_novel)].mean(0, keepdim=True)
        others = torch.cat([torch.zeros(1, WIDTH), torch.randn(2, WIDTH) / INPUT_SCALE])
        nodes = torch.cat([vectors, mean, others])

        # By input token: [PAD], products, [MASK] and [EOS], fallbacks. Where no category is known,
        # `fallback` is C: the row after the categories, both of nodes and of deltas.
        pad = products + categories + 1
        of_category = products + fallback
        of_product = np.where(is_novel, of_category[category], np.arange(products))
        node = np.concatenate([[pad], of_product, [pad + 1, pad + 2], of_category])
        of_product = np.where(is_novel, fallback[category], category)
        row = np.concatenate([[categories], of_product, [categories, categories], fallback])
        frequent = np.where(is_novel, 0, train_trips / (train_trips + RARE))
        scale = np.concatenate([[0], frequent, [1, 1], np.zeros(categories)])

        self.register_buffer("graph", nodes[node])
        self.register_buffer("category", torch.as_tensor(row))
        self.register_buffer("paths", torch.as_tensor(paths))
        scale = torch.as_tensor(scale, dtype=torch.float32)[:, None]
        self.register_buffer("token_scale", scale)
        self.category_delta = nn.Parameter(torch.zeros(categories, WIDTH))
        self.token_delta = nn.Parameter(torch.zeros(len(node), WIDTH))

    @classmethod
    def from_cache(cls, cache: TensorCache, vectors: Tensor | None = None) -> ProductEmbedding:
        """For the products and categories of a cache; vectors as in the constructor."""
        return cls(
            np.asarray(cache["products.category"], dtype=np.int64),
            np.asarray(cache["products.is_novel"]),
            np.asarray(cache["products.train_trips"], dtype=np.int64),
            np.asarray(cache["categories.parent"], dtype=np.int64),
            np.asarray(cache["categories.is_novel"]),
            vectors,
        )

    def rows(self, tokens: Tensor | None = None) -> Tensor:
        """Vectors of all input tokens, (N + 3 + C, 256), or of these (L,): compute once per step,
        then index."""
        # A row of zeros after the categories pads short paths.
        deltas = F.pad(self.category_delta, (0, 0, 0, 1))
        above = F.embedding(self.paths, deltas).sum(1)  # (C + 1, 256)
        # In place: the table is large, and otherwise each sum would make another copy.
        parts = self.category, self.graph, self.token_delta, self.token_scale
        if tokens is not None:
            parts = [part.index_select(0, tokens) for part in parts]
        category, graph, token_delta, token_scale = parts
        return F.embedding(category, above).add_(graph).addcmul_(token_delta, token_scale)

    def categories(self) -> Tensor:
        """Vectors of the C categories, (C, 256): those of their fallback tokens."""
        tokens = torch.arange(self.vocabulary.size, len(self.category), device=self.category.device)
        return self.rows(tokens)

    def table(self) -> Tensor:
        """Vectors of the N + 3 tokens that are predicted, (N + 3, 256), of length near 1.

        Those of `rows()`, for logits tied to the input; `[PAD]` is 0.
        """
        return self.rows()[: self.vocabulary.size]

    def forward(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Input vectors of tokens (...,), integers, (..., 256): 16 times their rows.

        16 = sqrt(256) brings channels to a variance near 1, beside the price's (Vaswani et al.,
        Attention Is All You Need, 2017, section 3.4). rows: from `rows()`, computed here if left
        out. Raises ValueError for another dtype, IndexError on a CPU for tokens out of range.
        """
        expect_integers("tokens", tokens, tokens.shape)
        rows = self.rows() if rows is None else rows
        return F.embedding(tokens.long(), rows).mul_(INPUT_SCALE)


def _paths(parent: np.ndarray) -> np.ndarray:
    """Each category and all above it, (C + 1, levels + 1), padded with C; row C is all C."""
    none = len(parent)
    parent = np.append(np.where(parent < 0, none, parent), none)
    steps = [np.arange(none + 1)]
    for _ in LEVELS:
        steps.append(parent[steps[-1]])
    return np.stack(steps, axis=1)


def _finest_known(paths: np.ndarray, is_novel: np.ndarray) -> np.ndarray:
    """The first known category on the path of each, (C,); C where none is known."""
    first = np.append(~is_novel, True)[paths].argmax(1)
    return paths[np.arange(len(is_novel)), first[:-1]]
