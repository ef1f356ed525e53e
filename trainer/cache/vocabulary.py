"""What tokens stand for.

    0            [PAD], padding
    1 .. N       products, in the order of the weeks of their first sale, then of codes
    N + 1        [MASK], a hidden item
    N + 2        [EOS], the end of a basket
    N + 3 ..     fallbacks: one per category, for products outside the vocabulary

The first N + 3 tokens can be predicted; fallbacks are input only. In the columns of the kind of
trip 0 is `unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

PAD = 0
UNKNOWN = 0
SPECIAL_TOKENS = 3
"""`[PAD]`, `[MASK]` and `[EOS]`."""

Tokens = TypeVar("Tokens")
"""An array or a tensor of tokens."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a cache or checkpoint."""

    products: int
    """N."""
    categories: int

    @property
    def mask(self) -> int:
        """`[MASK]`."""
        return self.products + 1

    @property
    def eos(self) -> int:
        """`[EOS]`."""
        return self.products + 2

    @property
    def specials(self) -> list[int]:
        """`[PAD]`, `[MASK]` and `[EOS]`, which are never an answer."""
        return [PAD, self.mask, self.eos]

    @property
    def size(self) -> int:
        """V: tokens that can be predicted."""
        return self.products + SPECIAL_TOKENS

    @property
    def input_size(self) -> int:
        """Tokens that a basket may hold: those that can be predicted, and the fallbacks."""
        return self.size + self.categories

    def fallback(self, category: Tokens) -> Tokens:
        """The token of unknown products of a category, given its row of `categories`."""
        return category + self.size

    def is_product(self, tokens: Tokens) -> Tokens:
        """Whether each token is a product of the vocabulary; bool, same shape."""
        return (tokens > PAD) & (tokens <= self.products)

    def is_item(self, tokens: Tokens) -> Tokens:
        """Whether each token may be in a basket, a product or a fallback; bool, same shape."""
        return self.is_product(tokens) | ((tokens >= self.size) & (tokens < self.input_size))
