"""What the model answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from trainer.model.token_scores import TokenScores


@dataclass(frozen=True)
class Predictions:
    """The model's answers for a batch. Parts that are switched off may be left out."""

    logits: Tensor | TokenScores | None = None
    """(R, V) token logits; R = T unless the targets name rows."""
    embeddings: Tensor | None = None
    """(M, D) embeddings of baskets, or of views or items of baskets."""
    visits: Tensor | None = None
    """(V, parts) minus the log-likelihood of what follows each target trip, see `VisitHead.nats`;
    None where the batch does not ask for it."""
    context: Mapping[str, Tensor] = field(default_factory=dict)
    """Logits (Q, codes) by column of the trip context, one per code including `unknown`."""

    def logits_of(self, rows: slice) -> Tensor:
        """The token logits of consecutive rows, (n, V)."""
        if isinstance(self.logits, TokenScores):
            return self.logits.cut(rows).dense()
        return self.logits[rows]
