"""Will the customer buy this again, now? A score per product, and per category, bought before.

Counting weighs frequencies the same way for all products and customers. But milk is bought again
every week and light bulbs are not, and some customers vary more than others. So a small network
reads how often and when the customer bought the product, the product's vector and the question.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches.batch import Questions
from trainer.features.purchase_history import GAPS, Bought
from trainer.features.tensors import occurrences
from trainer.model.purchases.similar_trips import HEADS

SMOOTHING = 60.0
"""Items of the average customer added to those of each customer."""
FEATURES = 2 * len(HEADS) + len(GAPS) + 5


class PurchaseScore(nn.Module):
    """Scores of what was bought before; 0 at the start.

    Args:
        width: channels of question vectors.
        product: channels of the vectors of what is bought.
        hidden: inner channels.
        extra: number of further features.
    """

    def __init__(self, width: int, product: int, hidden: int, extra: int = 0) -> None:
        super().__init__()
        self.features = nn.Linear(FEATURES + extra, hidden)
        self.question = nn.Linear(width, hidden, bias=False)
        self.product = nn.Linear(product, hidden, bias=False)
        self.inner = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(
        self, questions: Questions, bought: Bought, z: Tensor, products: Tensor, share: Tensor,
        counts: Tensor, added: Tensor, extra: Tensor | None = None, mapped: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """z (Q, width) question vectors, products (tokens, product) by token, share (E,) of all
        training items, counts (E, heads) of earlier trips, added (E, hidden) to the first inner
        layer, extra (E, extra) further features, mapped (tokens, hidden) products after their
        linear map, where it is known.

        Returns scores (E,) and the last inner layer, (E, hidden).
        """
        known = self._features(questions, bought, share, counts)
        if extra is not None:
            known = torch.cat([known, extra], dim=1)
        x = self.features(known)
        # In place: on a CPU these are the largest tensors of a step.
        x += self.question(z).index_select(0, bought.question)
        if mapped is None:
            x += map_rows(self.product, products, bought.token)
        else:
            x += mapped.index_select(0, bought.token)
        x += added
        x = F.silu(self.inner(F.silu(x)))
        return self.score(x).squeeze(1).float(), x

    def _features(
        self, questions: Questions, bought: Bought, share: Tensor, counts: Tensor
    ) -> Tensor:
        """(E, FEATURES), about -2 to 2."""
        since, usual = bought.gaps[:, 0], bought.gaps[:, -1]
        is_repeat = usual >= 0  # bought at least twice
        earlier = questions.history.trips.question
        trips = occurrences(earlier, len(questions.trip))[bought.question]
        overdue = ((since + 1) / (usual.clamp_min(0) + 1)).log() * is_repeat
        return torch.cat(
            [
                counts.log1p() - 0.5,
                log_ratios(counts, share) / 3 - 1,
                bought.gaps.clamp_min(0).log1p() / 2 - 1,
                torch.stack(
                    [
                        is_repeat,
                        overdue,
                        trips.log1p() / 2 - 1,
                        bought.times / trips,
                        share.log() / 2 + 4,
                    ],
                    dim=1,
                ),
            ],
            dim=1,
        )


def map_rows(layer: nn.Linear, rows: Tensor, index: Tensor) -> Tensor:
    """(n, out) of some of the rows (m, in), index (n,): all are mapped, or those where they are
    fewer."""
    if len(index) < len(rows):
        return layer(rows.index_select(0, index))
    return layer(rows).index_select(0, index)


def log_ratios(counts: Tensor, share: Tensor) -> Tensor:
    """log(1 + c / (a g)) of counts (E, heads), share g (E,), a = `SMOOTHING`.

    A customer who bought a product on c of n earlier trips buys it with smoothed probability
    (c + a g) / (n + a). Its logarithm is, up to a constant, log g plus this: the first term is the
    bias of the logits, the second is 0 for all products the customer never bought.
    """
    return (counts / (SMOOTHING * share[:, None])).log1p()
