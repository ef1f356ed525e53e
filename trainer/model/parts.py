"""Parts of the model that can be left out, to learn what each of them is worth.

What remains has the initial weights that it has beside them, but where graph vectors are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from trainer.batches.batch import Baskets
from trainer.model.encoder.backends import Backend

PARTS = {
    "trip-encoder": "no state of the customer: the next visit is predicted from the trip before it",
    "purchase-encoder": "no scan over the purchases of a product or category, whose counts and "
    "gaps are still read",
    "decoder": "no attention at all: a hidden item is predicted from the trip's context, and "
    "visible items from themselves",
    "repurchase": "no score of previously bought products and categories beside the products' "
    "counts",
    "categories": "no memory of categories",
    "graph": "random product vectors where those of the product graph are",
    "counting": "no log-scores of counts, of the kind of trip and of what the chain sold lately; "
    "the score of previously bought products still reads them",
}
"""What is left when a part is left out."""


def leave_out(model: nn.Module, parts: Iterable[str]) -> None:
    """Change a new world model so that it works without these parts.

    The parameters of a part are gone, or frozen at 0, so that every parameter that can learn has a
    gradient. `graph` needs no change here: the model asks its configuration.
    """
    purchases = model.purchases
    if "trip-encoder" in parts:
        model.encoder = PassThrough()
    if "purchase-encoder" in parts:
        _silence(purchases.product_encoder.out.weight, purchases.category_encoder.out.weight)
    if "decoder" in parts:
        model.decoder = ByItself(model.config.width, model.config.dropout)
        _silence(model.visible.weight, model.visible_count.weight)
    if "repurchase" in parts:
        _silence(purchases.product.score.weight, purchases.category.score.weight)
    if "categories" in parts:
        _silence(purchases.category.score.weight, purchases.of_category.weight)
    if "counting" in parts:
        _silence(purchases.weight, model.prior.lift_weight, model.prior.sales_weight)


class PassThrough(nn.Module):
    """In the place of `Mamba2Encoder`: what goes in comes out, and nothing is remembered."""

    def use(self, backend: Backend) -> None:
        """Nothing to run."""

    def forward(
        self,
        u: Tensor,
        seq_idx: Tensor | None = None,
        return_cache: bool = False,
        elapsed: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, tuple[()]]:
        """u (B, L, width) as it is, with caches of no layers."""
        return (u, ()) if return_cache else u

    def step(
        self, u: Tensor, cache: tuple[()], elapsed: Tensor | None = None
    ) -> tuple[Tensor, tuple[()]]:
        """u (B, width) as it is."""
        return u, cache

    def empty_cache(self, *_: Any, **__: Any) -> tuple[()]:
        """Of no layers."""
        return ()


class ByItself(nn.Module):
    """In the place of `BasketDecoder`: every token by itself, through its last norm."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.RMSNorm(width)

    def forward(self, x: Tensor, baskets: Baskets, rows: Tensor, query_baskets: Baskets) -> Tensor:
        """x (D, width) to (R, width), the tokens `rows`."""
        return self.dropout(self.norm(x.index_select(0, rows)))


@torch.no_grad()
def _silence(*weights: nn.Parameter) -> None:
    """0 for good."""
    for weight in weights:
        weight.zero_().requires_grad_(False)
