"""What is remembered of everything that a customer bought, asked by each product.

A product bought before reads its own purchases and those of its category, any other product those
of its category alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from trainer.batches.batch import Questions
from trainer.features.chain_sales import COLUMNS
from trainer.features.kept_purchases import KeptPurchases, LoggedPurchases, purchased
from trainer.model.purchases.purchase_encoder import PurchaseEncoder
from trainer.model.purchases.purchase_score import PurchaseScore, log_ratios
from trainer.model.purchases.similar_trips import HEADS, SimilarTrips, weighted_counts
from trainer.model.state import CustomerState


class PurchaseMemory(nn.Module):
    """Log-scores of products, and of categories, from the customer's earlier purchases.

    They start as one strong rule: trips weighted by recency and by similarity to the visible items.

    Args:
        width: channels of question vectors.
        product: channels of product vectors.
        hidden: inner channels.
        codes: number of codes of each column of the kind of trip, 0 (unknown) included.
    """

    def __init__(self, width: int, product: int, hidden: int, codes: tuple[int, ...]) -> None:
        super().__init__()
        self.similar = SimilarTrips(width)
        self.weight = nn.Parameter(torch.zeros(len(HEADS)))
        nn.init.ones_(self.weight[:1])
        self.category_encoder = PurchaseEncoder(product, codes, hidden)
        self.category = PurchaseScore(width, product, hidden)
        self.product_encoder = PurchaseEncoder(product, codes, hidden)
        self.product = PurchaseScore(width, product, hidden, extra=len(COLUMNS) + 1)
        self.of_category = nn.Linear(hidden, hidden, bias=False)
        self.use_bfloat16 = False
        """Whether training computes the largest tensors in bfloat16, under any other precision."""

    def forward(
        self, questions: Questions, z: Tensor, products: Tensor, categories: Tensor,
        shares: tuple[Tensor, Tensor], lifts: Tensor, mapped: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Scores of the products bought before, (E,), and of all categories, (Q, C + 1), 0 where
        never bought; the last column is for tokens without a category.

        z (Q, width) question vectors; products (tokens, product) and categories (C, product)
        vectors; shares of training items: of the entries of products (E,) and of categories;
        lifts (E,): log lift of each product bought before; mapped (tokens, hidden): `map_products`,
        where it is known.
        """
        history, sales = questions.history, questions.sales
        bought, above = history.products, history.categories
        weights = self.similar(history.trips, z)
        counts = weighted_counts(bought, weights)
        share, share_above = shares
        rhythm = self.product_encoder.of(bought, products)
        rhythm_above = self.category_encoder.of(above, categories)
        recent = sales.table[sales.week[bought.question], :, bought.token]
        low = torch.autocast(z.device.type, torch.bfloat16)
        with low if self.use_bfloat16 and self.training else nullcontext():
            score_above, inner = self.category(
                questions, above, z, categories, share_above, weighted_counts(above, weights),
                rhythm_above,
            )  # fmt: skip
            rhythm = rhythm + self.of_category(inner).index_select(0, history.category)
            score, _ = self.product(
                questions, bought, z, products, share, counts, rhythm,
                torch.cat([recent, lifts[:, None]], dim=1), mapped,
            )  # fmt: skip
        # Log-scores of counting reach 16, where bfloat16 would be wrong by .03.
        with torch.autocast(z.device.type, enabled=False):
            counted = log_ratios(counts.float(), share) @ self.weight + history.log_weight
        width = len(categories) + 1
        of_category = score_above.new_zeros(len(z) * width)
        of_category = of_category.index_add(0, above.question * width + above.token, score_above)
        return counted + score, of_category.view(len(z), width)

    def map_products(self, products: Tensor) -> Tensor:
        """What the score of a product reads of its vector, (tokens, hidden)."""
        return self.product.product(products)

    @torch.no_grad()
    def keep(self, states: Sequence[CustomerState], products: Tensor, categories: Tensor) -> None:
        """Scan again what was bought on the trips that wait, of at least one customer, and keep
        the outputs; vectors as in `forward`."""
        logs = [state.features.log for state in states]
        logged = [state.logged for state in states]
        waiting = [
            state.chain.purchases(np.concatenate([items.token for _, items in state.waiting]))
            for state in states
        ]
        parts = (self.product_encoder, products), (self.category_encoder, categories)
        kept = []
        for number, (encoder, vectors) in enumerate(parts):
            bought = [part[number] for part in logged]
            again = LoggedPurchases.of(logs, bought, [purchased(part[number]) for part in waiting])
            outputs = encoder.scan(again.sequences.to(vectors.device), vectors)
            outputs = outputs.numpy(force=True)[again.last]
            of_state = np.searchsorted(again.owner, np.arange(1, len(states)))
            newer = zip(np.split(again.bought, of_state), np.split(outputs, of_state), strict=True)
            kept.append(
                [
                    state.kept[number].updated(KeptPurchases(*new), purchased(part))
                    for state, new, part in zip(states, newer, bought, strict=True)
                ]
            )
        for state, *parts in zip(states, *kept, strict=True):
            state.kept = tuple(parts)

    def count_weights(self) -> list[nn.Parameter]:
        """The weights of counts, and of the similarity of trips."""
        return [self.weight, self.similar.weight]
