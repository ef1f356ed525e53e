"""T4: the price of an item at its store in its week."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from trainer.cache.reader import TensorCache
from trainer.features.columns import PRICE_COLUMNS, known_rows
from trainer.model.checks import expect_flags, expect_numbers
from trainer.model.embeddings.layers import number_map
from trainer.model.embeddings.standardiser import MAX_DEVIATION, Standardiser

FOURIER, LOG, RELATIVE, VELOCITY = 24, 16, 16, 8
FREQUENCIES = 8
LONGEST_WAVE = 8.0
"""In log pence: a grocer's prices span about e^8. Each further wave is half as long; the shortest,
1/16, separates prices 3 % apart."""
VELOCITY_UNIT = 0.2
"""Changes and depths are mostly below 0.2 in logs; this brings them to the size of other inputs."""


class PriceEmbedding(nn.Module):
    """T4 (64): Fourier 24, log 16, relative to category 16, velocity 8.

    Logs are log(1 + pence), finite for a price of 0.

    - Fourier: sine and cosine of the log price at 8 learned frequencies, a linear map. Separates
      price points (Tancik et al., Fourier Features, 2020, with learned frequencies).
    - log: the standardised log price through a small network.
    - relative: log price - log category price through a small network.
    - velocity: log change from the last earlier price at the store, and depth (log base price -
      log price), in units of 0.2, through a small network.

    All numbers are clamped to -5..5 at the small networks. A hidden price is one learned vector of
    all 64 channels, N(0, 1). Parts start near unit variance.

    Args:
        scale: standardiser of one column, pence.
    """

    WIDTH = FOURIER + LOG + RELATIVE + VELOCITY

    def __init__(self, scale: Standardiser) -> None:
        super().__init__()
        waves = LONGEST_WAVE * 0.5 ** torch.arange(FREQUENCIES)
        self.frequencies = nn.Parameter(2 * math.pi / waves)
        self.fourier = nn.Linear(2 * FREQUENCIES, FOURIER)
        nn.init.normal_(self.fourier.weight, std=FREQUENCIES**-0.5)
        nn.init.zeros_(self.fourier.bias)
        self.scale = scale
        self.log = number_map(1, LOG)
        self.relative = number_map(1, RELATIVE)
        self.velocity = number_map(2, VELOCITY)
        self.hidden = nn.Parameter(torch.randn(self.WIDTH))

    @classmethod
    def from_cache(cls, cache: TensorCache) -> PriceEmbedding:
        """At the scale of a cache's training prices."""
        return cls(Standardiser.fit(cache, PRICE_COLUMNS, known_rows(cache, "products")))

    def forward(
        self, pence: Tensor, previous: Tensor, base: Tensor, category_pence: Tensor, hidden: Tensor
    ) -> Tensor:
        """The prices of items, (..., 64).

        pence, previous, base, category_pence (...,): prices in pence, >= 0; hidden (...,) bool:
        where True no price is read, and its value may be anything, even NaN. Raises ValueError for
        other shapes or dtypes.
        """
        prices = {"pence": pence, "previous": previous, "base": base}
        prices["category_pence"] = category_pence
        for name, values in prices.items():
            expect_numbers(name, values, pence.shape)
        expect_flags("hidden", hidden, pence.shape)

        # Hidden values are replaced before anything is computed: 0 x NaN would be NaN in backward.
        visible = [values.masked_fill(hidden, 1)[..., None] for values in prices.values()]
        log, log_previous, log_base, log_category = (values.log1p() for values in visible)
        angle = log * self.frequencies
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1)
        velocity = torch.cat([log - log_previous, log_base - log], dim=-1) / VELOCITY_UNIT
        parts = [
            self.fourier(waves),
            self.log(self.scale(visible[0])),
            self.relative((log - log_category).clamp(-MAX_DEVIATION, MAX_DEVIATION)),
            self.velocity(velocity.clamp(-MAX_DEVIATION, MAX_DEVIATION)),
        ]
        return torch.where(hidden[..., None], self.hidden, torch.cat(parts, dim=-1))
