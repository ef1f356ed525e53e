"""What all loaders share: timelines in batches within a budget, packed, with a part hidden."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from trainer.batches.batch import TimelineBatch
from trainer.batches.candidates import Candidates
from trainer.batches.masking import MaskedItems
from trainer.batches.packing import pack_rows, sequence_ids
from trainer.batches.questions import build_questions
from trainer.batches.timelines import Spans, WorldModelDataset
from trainer.cache.ragged import ranges
from trainer.cache.vocabulary import UNKNOWN
from trainer.features.circumstances import Circumstances
from trainer.features.history_sampling import HistorySampling
from trainer.features.trips import Trips, read
from trainer.features.visits import Visits, visits_after

STORE_IDENTITY = 2
"""Column of `Trips.store`."""


@dataclass(frozen=True)
class Hidden:
    """What is hidden of n target trips."""

    items: MaskedItems
    """Their items, one trip after the other."""
    context: torch.Tensor
    """(n,) bool: whether the kind of trip is."""
    store: torch.Tensor
    """(n,) bool: whether the store's identity is."""

    def renumbered(self, candidates: Candidates) -> Hidden:
        """The same in the tokens of a batch's vocabulary."""
        tokens, targets = map(candidates.places, (self.items.tokens, self.items.targets))
        return replace(self, items=replace(self.items, tokens=tokens, targets=targets))

    def of(self, trips: torch.Tensor, question: torch.Tensor) -> Hidden:
        """Of some trips only: trips (n,) bool, question (I,) the trip of each item."""
        kept = trips[question]
        items = self.items
        return Hidden(
            MaskedItems(
                items.tokens[kept], items.targets[kept], items.price_hidden[kept],
                items.fully_hidden[trips],
            ),
            self.context[trips],
            self.store[trips],
        )  # fmt: skip


class _Batches(Dataset):
    """The batches of one epoch by index, so that any worker can make any of them."""

    def __init__(self, loader: TimelineLoader, plan: list[np.ndarray], epoch: int) -> None:
        self.loader, self.plan, self.epoch = loader, plan, epoch

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> TimelineBatch:
        return self.loader.make(self.plan[index], self.epoch, index)


class TimelineLoader(ABC):
    """What all loaders share: a token budget, packing, worker processes."""

    most_questions: int | None = None
    """Questions of a batch, at most; None for any number."""
    asks_visits = False
    """Whether batches hold what follows each target trip."""

    def __init__(
        self, dataset: WorldModelDataset, tokens: int, chunk: int, workers: int, pin_memory: bool,
        rank: int = 0, ranks: int = 1,
    ) -> None:  # fmt: skip
        for name, value, least in (
            ("tokens", tokens, 1), ("chunk", chunk, 1), ("workers", workers, 0),
        ):  # fmt: skip
            if value < least:
                raise ValueError(f"{name}: expected at least {least}, not {value}")
        self.dataset, self.tokens, self.chunk = dataset, tokens, chunk
        self.workers, self.pin_memory = workers, pin_memory
        self.rank, self.ranks = rank, ranks
        self.vocabulary = dataset.cache.vocabulary

    def plan(self, order: np.ndarray) -> list[np.ndarray]:
        """Batches of timelines (indices into the dataset), in this order, within the budget.

        The size of a timeline is its trips plus its items. One that exceeds the budget, or has more
        than `most_questions`, is a batch by itself: histories are never cut. With several ranks
        every batch has at least one timeline for each.
        """
        size = (self.dataset.trips + self.dataset.items)[order].tolist()
        spans = self.dataset.spans[order]
        asked = (spans.stop - spans.first_target).tolist()
        most = self.most_questions or sum(asked)
        starts, filled, questions = [0], 0, 0
        for index, (tokens, more) in enumerate(zip(size, asked, strict=True)):
            enough = starts[-1] + self.ranks <= index <= len(size) - self.ranks
            if enough and (filled + tokens > self.tokens or questions + more > most):
                starts.append(index)
                filled, questions = 0, 0
            filled += tokens
            questions += more
        return np.split(order, starts[1:])

    def make(self, chosen: np.ndarray, epoch: int, index: int) -> TimelineBatch:
        """This rank's part of the batch of these timelines.

        What is hidden is drawn for the whole batch, from `epoch` and `index`, so that it does not
        depend on the number of ranks.
        """
        cache = self.dataset.cache
        spans = self.dataset.spans[chosen]
        target_counts = spans.stop - spans.first_target
        target_rows = ranges(spans.first_target, target_counts)
        starts = cache["trips.item_offsets"][target_rows].astype(np.int64)
        counts = cache["trips.item_offsets"][target_rows + 1] - starts
        question = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
        hidden = self.hide(
            torch.from_numpy(cache["items.token"][ranges(starts, counts)].astype(np.int64)),
            question,
            target_rows,
            epoch,
            index,
        )
        # For the whole batch too: every rank then has the same vocabulary.
        candidates = self.candidates(spans, hidden.items, epoch, index)
        if self.ranks > 1:
            local = self._is_local(chosen)
            hidden = hidden.of(torch.from_numpy(np.repeat(local, target_counts)), question)
            spans, chosen = spans[local], chosen[local]
        return self._pack(spans, hidden, self.sampling(chosen, epoch), candidates)

    def _is_local(self, chosen: np.ndarray) -> np.ndarray:
        """Which of the batch's timelines this rank takes, (n,) bool: about equal in size."""
        local = np.zeros(len(chosen), dtype=bool)
        size = self.dataset.trips[chosen] + self.dataset.items[chosen]
        local[np.argsort(-size, kind="stable")[self.rank :: self.ranks]] = True
        return local

    def _pack(
        self, spans: Spans, hidden: Hidden, sampling: HistorySampling | None,
        candidates: Candidates | None,
    ) -> TimelineBatch:  # fmt: skip
        lengths = spans.stop - spans.first
        batch, is_target = self._timelines(spans)
        trips, items = batch.trips, batch.items
        # Before any store is hidden.
        visits = self._visits(lengths, trips, is_target) if self.asks_visits else None
        store_hidden = is_target.nonzero().squeeze(1)[hidden.store]
        trips.store[store_hidden, STORE_IDENTITY] = UNKNOWN
        week = self.dataset.cache["trips.week"][trips.row[is_target].numpy()]
        vocabulary, category, predicted = self.vocabulary, self.dataset.categories, None
        if candidates:
            vocabulary, predicted = candidates.vocabulary, candidates.predicted.numpy()
            category = category[candidates.token.numpy()]
            items = replace(items, token=candidates.places(items.token))
            hidden = hidden.renumbered(candidates)
        questions = build_questions(
            torch.from_numpy(lengths), Circumstances.of(trips), items, is_target, hidden.items,
            hidden.context, self.dataset.sales.as_of(week, predicted), vocabulary, category,
            sampling,
        )  # fmt: skip
        questions = replace(questions, candidates=candidates)
        return replace(batch, items=items, questions=questions, visits=visits)

    def _timelines(self, spans: Spans) -> tuple[TimelineBatch, torch.Tensor]:
        """Packed timelines of which nothing is asked, and which trips are targets, (T,) bool."""
        lengths = spans.stop - spans.first
        rows = pack_rows(lengths, self.chunk)
        trips, items = read(self.dataset.cache, ranges(spans.first, lengths))
        position = ranges(np.zeros_like(lengths), lengths)
        batch = TimelineBatch(
            trips=trips,
            items=items,
            step=torch.from_numpy(ranges(rows.row * rows.length + rows.start, lengths)),
            sequence=torch.from_numpy(sequence_ids(rows, lengths)),
            position=torch.from_numpy(position),
        )
        is_target = position >= np.repeat(spans.first_target - spans.first, lengths)
        return batch, torch.from_numpy(is_target)

    def _visits(self, lengths: np.ndarray, trips: Trips, is_target: torch.Tensor) -> Visits:
        """What follows the target trips of timelines of these lengths (n,)."""
        return visits_after(lengths, Circumstances.of(trips), is_target.numpy(), self.dataset.days)

    @abstractmethod
    def hide(
        self, token: torch.Tensor, trip: torch.Tensor, rows: np.ndarray, epoch: int, index: int
    ) -> Hidden:
        """Choose what to hide of n trips: token (I,), trip (I,) in 0..n-1, rows (n,) of the
        cache's trips."""

    def sampling(self, chosen: np.ndarray, epoch: int) -> HistorySampling | None:
        """Which previously bought products are scored for these timelines; None for all."""
        return None

    def candidates(
        self, spans: Spans, items: MaskedItems, epoch: int, index: int
    ) -> Candidates | None:
        """The vocabulary of a batch of these timelines; None for the whole one."""
        return None

    def _batches(self, plan: list[np.ndarray], epoch: int, first: int) -> Iterator[TimelineBatch]:
        yield from DataLoader(
            _Batches(self, plan, epoch),
            batch_size=None,
            sampler=range(first, len(plan)),
            num_workers=self.workers,
            pin_memory=self.pin_memory,
        )
