"""The world model: what a customer will buy, given their past, the time, the store and the trip.

`Network` answers batches of timelines; here it answers about customers, whose states grow trip by
trip. Shape letters: those of `trainer.batches.batch`, and V = N + 3 tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.batches.batch import Questions
from trainer.batches.candidates import Candidates
from trainer.batches.questions import plan_questions
from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import PAD
from trainer.features.customers import describe
from trainer.features.plans import TripPlan
from trainer.features.tensors import concatenate, map_tensors
from trainer.features.trips import Items, Trips
from trainer.model.config import PRESETS, WorldModelConfig
from trainer.model.network import Network, Tokens, days_before
from trainer.model.next_visits import NextVisits
from trainer.model.outputs import Predictions
from trainer.model.state import CustomerState, EncoderState, split

STATES_PER_BATCH = 64
"""Customers whose timelines are encoded together."""


class WorldModel(Network):
    """A network that remembers customers and answers about their next trips.

    Arguments: those of `Network`.
    """

    def __init__(
        self, config: WorldModelConfig, cache: TensorCache, vectors: Tensor | None = None
    ) -> None:
        super().__init__(config, cache, vectors)
        self._fingerprint: str | None = None
        self._tokens_in_use: Tokens | None = None
        self._is_in_use = False

    def empty_state(self, customers: int) -> EncoderState:
        """The encoder's state of customers before their first trip."""
        output = self.context.weight.new_zeros(customers, self.config.width)
        return EncoderState(self.encoder.empty_cache(customers), output)

    def prefill(self, trips: Trips, items: Items, lengths: Tensor) -> EncoderState:
        """The encoder's state after whole timelines.

        trips (T) of n customers one after the other, items (I) of them, lengths (n,) int64 trips
        of each customer, all positive. Raises ValueError for a customer without trips or lengths
        that do not add up.
        """
        if len(lengths) == 0 or int(lengths.min()) < 1 or int(lengths.sum()) != len(trips):
            raise ValueError(
                f"lengths: expected positive numbers that add up to {len(trips)} trips, "
                f"not {lengths.tolist()}"
            )
        customers, longest = len(lengths), int(lengths.max())
        longest = -(-longest // self.config.chunk) * self.config.chunk
        # Padded at the front: the encoder's cache is that of the last step of each row.
        first = lengths.cumsum(0) - lengths
        customer = torch.repeat_interleave(lengths)
        position = torch.arange(len(trips), device=lengths.device) - first[customer]
        step = customer * longest + longest - lengths[customer] + position
        sequence = torch.zeros(customers * longest, dtype=torch.int32, device=lengths.device)
        sequence[step] = 1
        u = self._steps(
            self._describe(trips), self._baskets(self._tokens(), items, len(trips)), trips
        )
        padded = u.new_zeros(customers * longest, u.shape[1]).index_copy(0, step, u)
        days = days_before(trips)
        days = days.new_zeros(customers * longest).index_copy(0, step, days)
        rows = (customers, longest)
        y, cache = self.encoder(padded.view(*rows, -1), sequence.view(rows), True, days.view(rows))
        return EncoderState(cache, y[:, -1])

    def step(self, state: EncoderState, trips: Trips, items: Items) -> EncoderState:
        """Add one finished trip to each customer's state, in time that does not depend on the past.

        state of n customers, unchanged; trips (n), one per customer in order; items of them.
        Raises ValueError where the numbers of customers differ.
        """
        if len(trips) != len(state.output):
            raise ValueError(f"trips: expected one for each of {len(state.output)} customers")
        baskets = self._baskets(self._tokens(), items, len(trips))
        u = self._steps(self._describe(trips), baskets, trips)
        y, encoder = self.encoder.step(u, state.layers, days_before(trips))
        return EncoderState(encoder, y)

    def encode(self, states: Sequence[CustomerState]) -> None:
        """Read the finished trips that wait: the encoder's state and what is kept of purchases.

        Raises ValueError for a state that another model encoded, or of a chain with another
        vocabulary.
        """
        states = list({id(state): state for state in states}.values())  # each one once
        for state in states:
            if state.encoder is not None and state.model != self.fingerprint:
                raise ValueError("states: encoded by other weights than this model's")
        self._check_chains(states)
        with self._in_use():
            # First, and again from the start where an error leaves trips waiting.
            read, tokens = [state for state in states if state.waiting], self._tokens()
            for start in range(0, len(read), STATES_PER_BATCH):
                chosen = read[start : start + STATES_PER_BATCH]
                self.purchases.keep(chosen, tokens.rows, tokens.categories)
            new = [state for state in states if state.waiting and state.encoder is None]
            new.sort(key=_waiting_trips)  # similar lengths need less padding
            for start in range(0, len(new), STATES_PER_BATCH):
                chosen = new[start : start + STATES_PER_BATCH]
                lengths = torch.tensor([_waiting_trips(state) for state in chosen])
                trips, items = _joined([trip for state in chosen for trip in state.waiting])
                self._store(chosen, self.prefill(*self._here(trips, items, lengths)))
                for state in chosen:
                    state.waiting.clear()
            while known := [state for state in states if state.waiting]:
                trips, items = _joined([state.waiting[0] for state in known])
                before = concatenate(self._here(*[state.encoder for state in known]))
                self._store(known, self.step(before, *self._here(trips, items)))
                for state in known:  # only now: an error must not lose them
                    del state.waiting[0]

    def answer(
        self, states: Sequence[CustomerState], plans: Sequence[TripPlan], dense: bool = True
    ) -> Predictions:
        """What will be in the basket of the next trip of each of n customers?

        states and plans (n), one plan per customer; all states are of one chain. Trips that wait
        are read first. Returns logits (n, V) and context logits (n, codes) by name. With
        dense=False logits stay `TokenScores`. Raises ValueError where the numbers differ, and what
        `encode`, `describe` and `plan_questions` raise.
        """
        return self.answer_questions(*self.questions(states, plans), dense=dense)

    def best(
        self, states: Sequence[CustomerState], plans: Sequence[TripPlan], k: int
    ) -> tuple[Tensor, Tensor]:
        """The k products that are likeliest in the next trip's basket of each of n customers,
        besides its visible ones: their logits, highest first, and their tokens, (n, k) each.

        As `answer` says, but in the memory of a few baskets' logits. Of equal logits any may be
        left out. Where fewer than k products are left, the rest have a logit of minus infinity.
        Raises ValueError where there are no k products, and what `answer` raises.
        """
        vocabulary = self.product.vocabulary
        if not 1 <= k <= vocabulary.products:
            raise ValueError(f"k: expected 1..{vocabulary.products}, not {k}")
        trips, questions = self.questions(states, plans)
        answer = self.answer_questions(trips, questions, dense=False)
        every = torch.arange(len(plans), device=questions.token.device)
        visible = questions.token < vocabulary.size  # and the [MASK]s
        row = torch.cat([questions.question[visible], every, every])
        token = torch.cat(
            [questions.token[visible], torch.full_like(every, PAD),
             torch.full_like(every, vocabulary.eos)]
        )  # fmt: skip
        order = row.argsort(stable=True)
        with self._in_use():
            return replace(answer.logits, absent=(row[order], token[order])).top(k)

    def questions(
        self, states: Sequence[CustomerState], plans: Sequence[TripPlan]
    ) -> tuple[Trips, Questions]:
        """What `answer` asks about, for `answer_questions`; arguments and errors as there."""
        if len(states) != len(plans):
            raise ValueError(f"plans: expected one for each of {len(states)}, not {len(plans)}")
        self._check_chains(states)
        customers = [state.features for state in states]
        trips = describe(customers, plans)
        self.encode(states)
        outputs = tuple(
            torch.from_numpy(np.concatenate([part.outputs for part in parts]))
            for parts in zip(*(state.kept for state in states), strict=True)
        )
        questions = plan_questions(customers, plans, outputs)
        questions = replace(questions, trip=torch.arange(len(plans)))
        return tuple(self._here(trips, questions))

    def next_visits(self, states: Sequence[CustomerState]) -> NextVisits:
        """When, where and of which kind will the next trip of each of n customers be?

        Trips that wait are read first. Raises ValueError for no customers,
        customers of several chains or without a trip, and what `encode` raises.
        """
        if not states or any(state.chain is not states[0].chain for state in states):
            raise ValueError("states: expected those of customers of one and the same Chain")
        if not all(state.features.trips for state in states):
            raise ValueError("states: what follows a trip is known after the first one only")
        self.encode(states)
        output = concatenate([state.encoder for state in states]).output
        customers = [state.features for state in states]
        with self._in_use():
            return NextVisits(self.visits, self.store, *self._here(output), customers)

    def answer_questions(
        self, trips: Trips, questions: Questions, dense: bool = True
    ) -> Predictions:
        """Answer questions about trips to come.

        trips (n), of which only features known in advance are read; questions about all of them in
        order. Embeddings are left out. With dense=False logits stay `TokenScores`. Raises
        ValueError where the numbers differ.
        """
        if len(questions.trip) != len(trips):
            raise ValueError(f"questions: expected {len(trips)}, not {len(questions.trip)}")
        with self._in_use():
            tokens = self._tokens(questions.candidates)
            answer = self._answer(tokens, self._describe(trips), questions, None)
            return replace(answer, logits=answer.logits.dense()) if dense else answer

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, which tells whether a state was encoded by this model.

        Computed once, and again after training or loading weights.
        """
        if self._fingerprint is None:
            digest = hashlib.sha256()
            for name, value in self.state_dict().items():
                digest.update(name.encode() + value.numpy(force=True).tobytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def train(self, mode: bool = True) -> WorldModel:
        """As for every module."""
        if mode:
            self._forget()
        return super().train(mode)

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        """As for every module."""
        self._forget()
        return super().load_state_dict(*arguments, **options)

    def _apply(self, *arguments: Any, **options: Any) -> Any:
        self._forget()  # on another device, or of another type
        return super()._apply(*arguments, **options)

    def _tokens(self, candidates: Candidates | None = None, items: int = 0) -> Tokens:
        """As a network does, but in use what is the same for every call is computed once and kept,
        as `fingerprint` is."""
        if candidates is not None or not self._is_in_use:
            return super()._tokens(candidates, items)
        if self._tokens_in_use is None:
            tokens = super()._tokens(items=len(self.category_pence))  # all, and so mapped
            scored = self.purchases.map_products(tokens.rows)
            self._tokens_in_use = tokens._replace(scored=scored)
        return self._tokens_in_use

    def _forget(self) -> None:
        """Forget what is computed once from the weights."""
        self._fingerprint = self._tokens_in_use = None

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Switch dropout and gradients off, and back to what they were."""
        was_training, was_in_use = self.training, self._is_in_use
        if was_training:
            self.eval()
        self._is_in_use = True
        try:
            with torch.no_grad():
                yield
        finally:
            self._is_in_use = was_in_use
            if was_training:
                self.train()

    def _here(self, *parts: Any) -> list[Any]:
        """The parts on the model's device."""
        device = self.context.weight.device
        return [map_tensors(part, lambda tensor: tensor.to(device)) for part in parts]

    def _store(self, states: Sequence[CustomerState], encoded: EncoderState) -> None:
        for state, part in zip(states, split(encoded), strict=True):
            state.encoder, state.model = part, self.fingerprint

    def _check_chains(self, states: Sequence[CustomerState]) -> None:
        for state in states:
            if (known := state.chain.vocabulary) != self.product.vocabulary:
                raise ValueError(f"states: of a chain with {known}, not the model's vocabulary")


def _waiting_trips(state: CustomerState) -> int:
    """How many trips wait for the encoder."""
    return sum(len(trips) for trips, _ in state.waiting)


def _joined(parts: Sequence[tuple[Trips, Items]]) -> tuple[Trips, Items]:
    """Trips, each part with its items, as one batch."""
    trips, items = zip(*parts, strict=True)
    first = torch.tensor([0, *(len(part) for part in trips[:-1])]).cumsum(0)
    first = first.repeat_interleave(torch.tensor([len(part.token) for part in items]))
    items = concatenate(items)
    return concatenate(trips), replace(items, trip=items.trip + first)


def create_world_model(
    preset: str, cache: TensorCache, vectors: Tensor | None = None, **changes: Any
) -> WorldModel:
    """A new model of a preset's sizes (`tiny`, `small` or `base`), some of them changed.

    Raises ValueError for an unknown preset, TypeError for an unknown size.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, not {preset!r}")
    return WorldModel(replace(PRESETS[preset], **changes), cache, vectors)
