"""The true answers to a batch's questions, made once for all scorers.

Shape letters: Q questions, V = N + 3 tokens, G hidden items that are in the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.batches.batch import TimelineBatch
from trainer.cache.vocabulary import PAD, Vocabulary


@dataclass(frozen=True)
class GroundTruth:
    """The hidden items of each question, and the tokens that cannot be an answer."""

    row: Tensor
    """(Q,) int64 rows of the cache's trips."""
    hidden: Tensor
    """(Q,) int64 number of hidden items, including products outside the vocabulary."""
    target: Tensor
    """(G,) int64 tokens of the hidden items."""
    question: Tensor
    """(G,) int64 question of each target."""
    before: Tensor
    """(G,) bool: the customer bought it on an earlier trip."""
    visible: tuple[Tensor, Tensor]
    """Question and token of each visible item, two (n,) int64, products outside the vocabulary
    among them."""
    removed: tuple[Tensor, Tensor]
    """Pairs of question and token that cannot be an answer, two (n,) int64: `[PAD]`, `[MASK]`,
    `[EOS]` and the visible items."""
    kinds: Tensor
    """(Q, 4) int64 true codes of the trip context where it was hidden and is known, else 0."""

    @classmethod
    def of(cls, batch: TimelineBatch, vocabulary: Vocabulary) -> GroundTruth:
        """Of the questions of a batch."""
        questions = batch.questions
        count, tokens = len(questions.trip), vocabulary.size
        items = torch.bincount(batch.items.trip, minlength=len(batch.trips))[questions.trip]
        visible = torch.bincount(questions.question, minlength=count) - 1  # one is the [MASK]
        # The decoder's tokens: visible items, and the [MASK] of each question.
        in_decoder = questions.token < tokens
        every = torch.arange(count, device=items.device)
        pad, eos = torch.full_like(every, PAD), torch.full_like(every, vocabulary.eos)
        is_item = questions.token != vocabulary.mask
        history = questions.history.products
        return cls(
            row=batch.trips.row[questions.trip],
            hidden=items - visible,
            target=questions.target,
            question=questions.target_question,
            before=torch.isin(
                questions.target_question * tokens + questions.target,
                history.question * tokens + history.token,
            ),
            visible=(questions.question[is_item], questions.token[is_item]),
            removed=(
                torch.cat([questions.question[in_decoder], every, every]),
                torch.cat([questions.token[in_decoder], pad, eos]),
            ),
            kinds=batch.trips.context[questions.trip] * questions.hidden[:, None],
        )

    def cut(self, rows: slice) -> GroundTruth:
        """The same of consecutive questions, numbered from 0."""
        start, stop, _ = rows.indices(len(self.row))

        def within(question: Tensor, *columns: Tensor) -> tuple[Tensor, ...]:
            chosen = (question >= start) & (question < stop)
            return question[chosen] - start, *(column[chosen] for column in columns)

        question, target, before = within(self.question, self.target, self.before)
        return GroundTruth(
            row=self.row[rows],
            hidden=self.hidden[rows],
            target=target,
            question=question,
            before=before,
            visible=within(*self.visible),
            removed=within(*self.removed),
            kinds=self.kinds[rows],
        )

    def possible(self, logits: Tensor) -> Tensor:
        """A copy of logits (Q, V), -inf where the token cannot be an answer."""
        return logits.float().index_put(self.removed, logits.new_tensor(-torch.inf).float())

    def sums(self, values: Tensor) -> Tensor:
        """Values (G,) of the targets added up per question, (Q,) float64."""
        total = torch.zeros(len(self.row), dtype=torch.float64, device=values.device)
        return total.index_add(0, self.question, values.double())


Record = Callable[[str, str, GroundTruth, Tensor, Tensor], None]
"""Called with every answer: the task, the scorer's name, the ground truth of some questions, their
scores (Q, V) of `GroundTruth.possible`, and the tie-breaker (V,)."""
