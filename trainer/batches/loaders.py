"""Loaders: batches of packed timelines, shuffled for training, fixed for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from trainer.batches.batch import TimelineBatch
from trainer.batches.candidates import CandidateSampling
from trainer.batches.masking import (
    MaskedItems,
    evaluation_mask,
    hide_context,
    mask_items,
    mask_keys,
)
from trainer.batches.tasks import TASKS
from trainer.batches.timeline_loader import Hidden, TimelineLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.ragged import ranges
from trainer.cache.vocabulary import PAD
from trainer.features.history_sampling import HistorySampling

SCORES = 1 << 23
"""Questions times tokens of an evaluation's batch, at most: 32 MB in each matrix of that shape."""


@dataclass(frozen=True)
class Masking:
    """What a training batch hides."""

    rate: float = 0.15
    """Probability that an item becomes a target; at least one item of each basket does."""
    fully_hidden: float = 0.3
    """Share of baskets with no visible item: the next-basket question."""
    hide_context: float = 0.5
    """Share of trips whose context (T6) is hidden."""
    hide_store: float = 0.05
    """Share of trips whose store is described by its attributes alone, as a new store is."""
    min_keep_probability: float = 0.15
    """Smallest probability that a previously bought product is scored (`HistorySampling`); 1 scores
    all."""
    negatives: int = 4096
    """About how many products are drawn to be compared with those that a batch reads
    (`CandidateSampling`), where the chain has more than twice as many; elsewhere all are."""


class WorldModelDataLoader(TimelineLoader):
    """Training batches: shuffled by seed and epoch, masked at random, resumable at any batch.

    Iterating yields what is left of the current epoch and then moves on to the next. The same
    seed, epoch and index give the same batch, with any number of workers.
    """

    asks_visits = True

    def __init__(
        self,
        dataset: WorldModelDataset,
        *,
        masking: Masking | None = None,
        tokens: int = 8192,
        chunk: int = 64,
        seed: int = 0,
        workers: int = 0,
        pin_memory: bool = False,
        rank: int = 0,
        ranks: int = 1,
        steps: int | None = None,
    ) -> None:
        """tokens: the most trips + items of a batch, over all ranks; chunk: row lengths are
        multiples of it; rank, ranks: which part of each batch this loader yields; steps: batches of
        an epoch, of about equal size whatever `tokens` says, at most one a timeline.

        Raises ValueError for a number out of range.
        """
        super().__init__(dataset, tokens, chunk, workers, pin_memory, rank, ranks)
        if steps is not None and not 1 <= steps <= len(dataset):
            raise ValueError(f"steps: expected 1 to {len(dataset)}, not {steps}")
        self.steps = steps
        self.masking = masking or Masking()
        self.candidate_sampling = None
        """Draws the products that a batch compares; None compares all."""
        if 2 * self.masking.negatives < self.vocabulary.products:
            self.candidate_sampling = CandidateSampling(dataset.cache, self.masking.negatives)
        self.seed = seed
        self._epoch, self._next = 0, 0
        self._planned: tuple[int, list[np.ndarray]] | None = None

    @property
    def epoch(self) -> int:
        """The current epoch, from 0."""
        return self._epoch

    def __len__(self) -> int:
        """Batches of a full pass over the current epoch."""
        return len(self._plan())

    def __iter__(self) -> Iterator[TimelineBatch]:
        for batch in self._batches(self._plan(), self._epoch, self._next):
            self._next += 1
            yield batch
        self._epoch, self._next = self._epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """Its position; batches already yielded do not come again."""
        return {"seed": self.seed, "epoch": self._epoch, "next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from the position of another loader of the same data and options."""
        self.seed, self._epoch, self._next = state["seed"], state["epoch"], state["next"]
        self._planned = None

    def hide(self, token, trip, rows, epoch, index):
        generator = torch.Generator().manual_seed(draw_seed(self.seed, epoch, index))
        masked = mask_items(
            token, trip, len(rows), self.vocabulary,
            self.masking.rate, self.masking.fully_hidden, generator,
        )  # fmt: skip
        context, store = (
            hide_context(len(rows), share, generator)
            for share in (self.masking.hide_context, self.masking.hide_store)
        )
        return Hidden(masked, context, store)

    def sampling(self, chosen, epoch):
        # By timeline, not by batch, so that it does not depend on the number of ranks.
        seeds = [(self.seed, epoch, timeline) for timeline in chosen.tolist()]
        return HistorySampling(self.masking.min_keep_probability, seeds)

    def candidates(self, spans, items, epoch, index):
        if not self.candidate_sampling:
            return None
        offsets, tokens = (
            self.dataset.cache[name] for name in ("trips.item_offsets", "items.token")
        )
        starts = offsets[spans.first].astype(np.int64)
        read = tokens[ranges(starts, offsets[spans.stop] - starts)]
        # The last number keeps these draws apart from those of `sampling`.
        seed = (self.seed, epoch, index, 1)
        read = np.concatenate([read, items.tokens.numpy()])
        return self.candidate_sampling.draw(read, seed)

    def _plan(self) -> list[np.ndarray]:
        if self._planned is None or self._planned[0] != self._epoch:
            draw = np.random.default_rng([self.seed, self._epoch])
            order = draw.permutation(len(self.dataset))
            plan = self.plan(order) if self.steps is None else self._equal_parts(order)
            self._planned = self._epoch, plan
        return self._planned[1]

    def _equal_parts(self, order: np.ndarray) -> list[np.ndarray]:
        """`steps` batches of timelines, in this order."""
        upto = (self.dataset.trips + self.dataset.items)[order].cumsum()
        part = np.arange(1, self.steps)
        stops = np.searchsorted(upto, upto[-1] * part / self.steps, side="right")
        # Each takes one timeline at least, and leaves one for each part after it.
        stops = np.maximum.accumulate(np.maximum(stops - part, 0)) + part
        return np.split(order, np.minimum(stops, len(order) - self.steps + part))


class EvaluationDataLoader(TimelineLoader):
    """Every trip of the split once, with the same items hidden each time, as one task asks.

    Batches have few enough questions for several matrices of scores of all tokens (`SCORES`).
    """

    def __init__(
        self,
        dataset: WorldModelDataset,
        task: str,
        *,
        tokens: int = 8192,
        chunk: int = 64,
        seed: int = 0,
        share: float = 0.15,
        workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        """task: one of `TASKS`; seed and share: of the items that completion hides.

        Raises ValueError for an unknown task or a number out of range.
        """
        super().__init__(dataset, tokens, chunk, workers, pin_memory)
        if task not in TASKS:
            raise ValueError(f"task: expected one of {', '.join(TASKS)}, not {task!r}")
        self.task, self.seed, self.share = task, seed, share
        self.most_questions = max(1, SCORES // self.vocabulary.size)
        # Timelines of similar length need the least padding. Ties keep their order.
        self._order = np.argsort(-dataset.trips, kind="stable")

    def __len__(self) -> int:
        return len(self.plan(self._order))

    def __iter__(self) -> Iterator[TimelineBatch]:
        yield from self._batches(self.plan(self._order), 0, 0)

    def hide(self, token, trip, rows, epoch, index):
        trips = len(rows)
        if self.task == "completion":
            keys = torch.from_numpy(mask_keys(self.dataset.cache["trips.basket_id"][rows]))
            chosen = evaluation_mask(token, trip, keys, seed=self.seed, share=self.share)
        else:
            chosen = torch.ones(len(token), dtype=torch.bool)
        hidden = torch.full((trips,), self.task == "next_unknown")
        masked = MaskedItems(
            tokens=token.masked_fill(chosen, self.vocabulary.mask),
            targets=token.masked_fill(~chosen, PAD),
            price_hidden=chosen,
            fully_hidden=torch.bincount(trip[~chosen], minlength=trips) == 0,
        )
        return Hidden(masked, hidden, torch.zeros(trips, dtype=torch.bool))


class VisitDataLoader(EvaluationDataLoader):
    """Every trip of the split once: what follows it? Nothing is asked of baskets."""

    def __init__(self, dataset: WorldModelDataset, *, tokens: int = 8192, chunk: int = 64) -> None:
        super().__init__(dataset, "next_unknown", tokens=tokens, chunk=chunk)
        self.most_questions = None

    def make(self, chosen, epoch, index):
        spans = self.dataset.spans[chosen]
        batch, is_target = self._timelines(spans)
        visits = self._visits(spans.stop - spans.first, batch.trips, is_target)
        return replace(batch, visits=visits)


def padding_waste(batch: TimelineBatch) -> dict[str, float]:
    """Shares of padding: `encoder` among the steps of rows, `decoder` among the attention slots of
    the last layer, where only tokens with logits attend, and of one layer before it."""
    questions = batch.questions
    valid = [b.valid for part in (questions.baskets, questions.query_baskets) for b in part.buckets]
    slots = sum(part.numel() for part in valid)
    return {
        "encoder": 1 - len(batch.step) / batch.sequence.numel(),
        "decoder": 1 - sum(int(part.sum()) for part in valid) / max(slots, 1),
    }


def draw_seed(*numbers: int) -> int:
    """One seed from several numbers, by NumPy's `SeedSequence`."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
