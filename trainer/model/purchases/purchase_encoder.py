"""A Mamba-2 scan over the purchases of each product by each customer.

A count forgets in what order and rhythm a product was bought. Here every purchase is a step: how
long after the one before, on what kind of trip, at which hour. The state after the last purchase is
what is remembered of the product, in a size that does not grow with the number of purchases.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.features.purchase_history import Bought
from trainer.features.purchase_sequences import CHUNK, PurchaseSequences
from trainer.model.encoder.mamba2 import Mamba2Layer
from trainer.model.purchases.purchase_score import map_rows

CHANNELS = 32
HOURS, WEEKDAYS = 24, 7
GAPS = 3
"""Days and trips since the purchase before, and whether there is none."""


class PurchaseEncoder(nn.Module):
    """What is remembered of each purchased product.

    Args:
        product: channels of the vectors of what is bought.
        codes: number of codes of each column of the kind of trip, 0 (unknown) included.
        hidden: channels of the result.
    """

    def __init__(self, product: int, codes: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.product = nn.Linear(product, CHANNELS, bias=False)
        self.gaps = nn.Linear(GAPS, CHANNELS)
        self.circumstances = nn.ModuleList(
            nn.Embedding(count, CHANNELS) for count in (*codes, HOURS, WEEKDAYS)
        )
        for embedding in self.circumstances:
            nn.init.normal_(embedding.weight, std=0.3)
        self.norm = nn.RMSNorm(CHANNELS)
        self.layer = Mamba2Layer(CHANNELS, state=16, conv=2, head=16, expand=2, chunk=CHUNK)
        self.norm_out = nn.RMSNorm(CHANNELS)
        self.out = nn.Linear(CHANNELS, hidden, bias=False)
        nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, purchases: PurchaseSequences, products: Tensor) -> Tensor:
        """products (tokens, product) by token; returns (n, hidden), after each purchase."""
        return self.out(self.scan(purchases, products))

    def scan(self, purchases: PurchaseSequences, products: Tensor) -> Tensor:
        """(n, CHANNELS) what `out` makes the result of: the same in fewer numbers."""
        gaps = purchases.gaps
        is_first = gaps[:, :1] < 0
        x = self.gaps(torch.cat([gaps.clamp_min(0).log1p() / 2 - 1, is_first], dim=1))
        for embedding, codes in zip(
            self.circumstances, purchases.circumstances.unbind(1), strict=True
        ):
            x = x + F.embedding(codes, embedding.weight)
        x = x + map_rows(self.product, products, purchases.token)
        rows = x.new_zeros(purchases.sequence.numel(), CHANNELS)
        rows = rows.index_copy(0, purchases.step, self.norm(x))
        y = self.layer(rows.view(*purchases.sequence.shape, -1), purchases.sequence)
        y = y.flatten(0, 1).index_select(0, purchases.step)
        return self.norm_out(x + y)

    def of(self, bought: Bought, products: Tensor) -> Tensor:
        """(E, hidden) after the last purchase of each entry, which is kept or scanned."""
        if bought.output is not None:
            return self.out(bought.output)
        return self(bought.sequences, products).index_select(0, bought.last)
