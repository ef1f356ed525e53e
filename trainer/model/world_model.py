"""The world model: what a customer will buy, given their past, the time, the store and the trip.

    question   [MASK] + visible items of trip t, each with the trip's context
                   |
               Transformer over the basket as a set
                   |
               logits over N + 3 tokens; kind of trip where it was hidden

    timeline   trip 1 -> trip 2 -> ... -> trip t-1        a step per trip: its context + its basket
                   |          |                |
               Mamba-2 encoder, causal over the customer's years

The encoder's output after a trip also predicts the next visit (`VisitHead`).

The logits are the network's, plus log-scores of the kind of trip and of recent sales
(`CountingPrior`), plus those of the customer's earlier purchases (`PurchaseMemory`).

Shape letters: those of `trainer.batches.batch`, and d width, V = N + 3 tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches.batch import Questions, TimelineBatch
from trainer.batches.candidates import Candidates
from trainer.batches.questions import plan_questions
from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import PAD
from trainer.features.categories import category_of_token
from trainer.features.chain_sales import item_shares
from trainer.features.customers import describe
from trainer.features.plans import TripPlan
from trainer.features.tensors import concatenate, map_tensors, occurrences
from trainer.features.trips import Items, Trips
from trainer.model.calibration import Calibration
from trainer.model.config import PRESETS, WorldModelConfig
from trainer.model.decoder import BasketDecoder
from trainer.model.embeddings import (
    CustomerEmbedding,
    PriceEmbedding,
    ProductEmbedding,
    StoreEmbedding,
    TimeEmbedding,
    TripEmbedding,
)
from trainer.model.embeddings.product import INPUT_SCALE
from trainer.model.encoder.mamba2 import Mamba2Encoder
from trainer.model.next_visits import NextVisits
from trainer.model.outputs import Predictions
from trainer.model.parts import leave_out
from trainer.model.purchases.counting_prior import CountingPrior
from trainer.model.purchases.memory import PurchaseMemory
from trainer.model.state import CustomerState, EncoderState, split
from trainer.model.token_scores import TokenScores
from trainer.model.visits import VisitHead

STATES_PER_BATCH = 64
"""Customers whose timelines are encoded together."""
LONGEST_GAP = 365
"""Days after which the encoder's state decays no further."""
VISIBLE = 31
"""Visible items are counted up to this number."""
CONTEXT = CustomerEmbedding.WIDTH + TimeEmbedding.WIDTH + StoreEmbedding.WIDTH + TripEmbedding.WIDTH
ITEM = ProductEmbedding.WIDTH + PriceEmbedding.WIDTH


class Tokens(NamedTuple):
    """What is the same for all occurrences of a token: of the L tokens of a batch's vocabulary."""

    rows: Tensor
    """(L, 256) their vectors."""
    category_pence: Tensor
    """(L,) the usual price of their category."""
    categories: Tensor
    """(C, 256) the vectors of categories."""
    mapped: Tensor | None = None
    """(L, d) the product part of `WorldModel._item`, where that is computed for all at once."""
    scored: Tensor | None = None
    """(L, hidden) what the scores of purchases read of products, where it is likewise."""


class WorldModel(nn.Module):
    """Tensors T1-T6, a causal encoder of timelines, a decoder of baskets.

    Args:
        config: sizes.
        cache: its vocabulary and constants of its training weeks are read, and nothing else; all
            of them are in the state dict.
        vectors: (N + categories, 256) product embeddings (`trainer.graph`); random if left out.
    """

    def __init__(
        self, config: WorldModelConfig, cache: TensorCache, vectors: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self._fingerprint: str | None = None
        self._tokens_in_use: Tokens | None = None
        self._is_in_use = False
        d = config.width
        self.customer = CustomerEmbedding.from_cache(cache)
        vectors = None if "graph" in config.without else _of_unit_length(vectors, cache)
        self.product = ProductEmbedding.from_cache(cache, vectors)
        self.time = TimeEmbedding.from_cache(cache)
        self.price = PriceEmbedding.from_cache(cache)
        self.store = StoreEmbedding.from_cache(cache)
        self.trip = TripEmbedding.from_cache(cache)
        self.context = nn.Linear(CONTEXT, d)
        self.item = nn.Linear(ITEM, d)
        self.basket = nn.Linear(d, d)
        self.encoder = Mamba2Encoder(
            d, config.encoder_layers, config.state, config.conv, config.head, config.expand,
            chunk=config.chunk, timed=True, dropout=config.dropout,
        )  # fmt: skip
        self.visible = nn.Linear(d, d, bias=False)
        self.visible_count = nn.Embedding(VISIBLE + 1, d)
        nn.init.zeros_(self.visible_count.weight)
        self.decoder = BasketDecoder(
            d, config.decoder_layers, config.heads, config.hidden, config.dropout
        )
        self.output = nn.Linear(d, ProductEmbedding.WIDTH, bias=False)
        nn.init.zeros_(self.output.weight)  # training starts from the counting prior alone
        self.bias = nn.Parameter(torch.from_numpy(np.log(item_shares(cache))).float())
        self.prior = CountingPrior(cache)
        self.calibration = Calibration()
        self._codes = cache.label_counts.codes
        self.purchases = PurchaseMemory(
            d, ProductEmbedding.WIDTH, config.purchases, tuple(self._codes.values())
        )
        self.register_buffer("category", torch.from_numpy(category_of_token(cache)))
        shares = item_shares(cache)
        share = np.bincount(
            self.category[: len(shares)], shares, minlength=cache.rows("categories")
        ).clip(min=shares.min())  # no product: only unknown ones are of it
        self.register_buffer("category_share", torch.from_numpy(share).float())
        self.trip_kind = nn.Linear(d, sum(self._codes.values()))
        self.predicted_basket = nn.Linear(d, config.contrastive, bias=False)
        self.true_basket = nn.Linear(d, config.contrastive, bias=False)
        pence = [[0], cache["products.category_pence"], [0, 0], cache["categories.pence"]]
        self.register_buffer("category_pence", torch.from_numpy(np.concatenate(pence, dtype="f4")))
        novel = torch.from_numpy(cache["products.is_novel"].copy())
        self.register_buffer("is_novel", F.pad(novel, (1, 2)))
        self.visits = VisitHead(
            d,
            StoreEmbedding.WIDTH,
            len(cache.labels["holiday"]),
            self._codes,
            config.visits,
            config.dropout,
        )
        leave_out(self, config.without)

    def forward(self, batch: TimelineBatch, dense: bool = True) -> Predictions:
        """Answer every question of a batch of packed timelines.

        Returns logits (R, V), context logits by name (Q, codes) and embeddings (2 Q, contrastive),
        those of the predicted baskets before those of the true ones. With dense=False logits stay
        `TokenScores`, which is what a loss needs. Where the batch asks what follows its trips,
        visits are (V, parts).
        """
        questions = batch.questions
        tokens = self._tokens(questions.candidates, len(batch.items.token) + len(questions.token))
        described = self._describe(batch.trips)
        baskets = self._baskets(tokens, batch.items, len(batch.trips))
        answer = self._answer(tokens, described[questions.trip], questions, baskets[questions.trip])
        answer = replace(answer, visits=self._visits(described, baskets, batch))
        return replace(answer, logits=answer.logits.dense()) if dense else answer

    def visit_nats(self, batch: TimelineBatch) -> Tensor:
        """Minus the log-likelihood of what follows the trips that a batch asks for, (V, parts),
        see `VisitHead.nats`; questions about baskets are not read."""
        return self._visits(*self._finished(batch), batch)

    def hazard_logits(self, batch: TimelineBatch) -> Tensor:
        """Logits (P,) of coming on each of the batch's `DaysAfter`, given that the customer has not
        come before it; questions about baskets are not read."""
        past, visits = self._encode(*self._finished(batch), batch), batch.visits
        return self.visits.hazards(
            past[visits.trip], visits.days, visits.own, self.visits.calendar(visits.calendar),
            visits.calendar["weekday"],
        )  # fmt: skip

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
        days = _days_before(trips)
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
        y, encoder = self.encoder.step(u, state.layers, _days_before(trips))
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

    def _describe(self, trips: Trips) -> Tensor:
        """T1, T3 and T5 side by side, (T, 352): what is known before a trip, except its kind."""
        return torch.cat(
            [
                self.customer(
                    trips.segments, trips.history, trips.affinity, trips.at_primary,
                    trips.history_weight, trips.has_history,
                ),
                self.time(**trips.calendar),
                self.store(*trips.store.unbind(1), trips.operations),
            ],
            dim=1,
        )  # fmt: skip

    def _tokens(self, candidates: Candidates | None = None, items: int = 0) -> Tokens:
        """The tokens of a vocabulary, the whole one if left out.

        items: how many will be read; where they are fewer than the tokens, tokens are not mapped.
        In use, whatever is the same for every call is computed once and kept, as `fingerprint` is.
        """
        if candidates is not None:
            rows = self.product.rows(candidates.token)
            pence = self.category_pence.index_select(0, candidates.token)
        elif self._tokens_in_use is not None and self._is_in_use:
            return self._tokens_in_use
        else:
            rows, pence = self.product.rows(), self.category_pence
        tokens = Tokens(rows, pence, self.product.categories())
        if items >= len(rows) or self._is_in_use:
            of_product = self.item.weight[:, : ProductEmbedding.WIDTH]
            tokens = tokens._replace(mapped=F.linear(rows * INPUT_SCALE, of_product))
        if self._is_in_use:
            tokens = tokens._replace(scored=self.purchases.map_products(rows))
            self._tokens_in_use = tokens
        return tokens

    def _item(self, tokens: Tokens, token: Tensor, pence: Tensor, hidden: Tensor) -> Tensor:
        """T2 and T4 of items through one linear map: (I, d)."""
        price = self.price(*pence.unbind(1), tokens.category_pence[token], hidden)
        if tokens.mapped is None:
            return self.item(torch.cat([self.product(token, tokens.rows), price], dim=1))
        of_price = self.item.weight[:, ProductEmbedding.WIDTH :]
        return F.linear(price, of_price, self.item.bias) + tokens.mapped.index_select(0, token)

    def _baskets(self, tokens: Tokens, items: Items, trips: int) -> Tensor:
        """True baskets as sets, (T, d): a map of sums (Zaheer et al., Deep Sets, 2017)."""
        hidden = torch.zeros_like(items.token, dtype=torch.bool)
        vectors = F.silu(self._item(tokens, items.token, items.pence, hidden))
        return self.basket(_sums(vectors, items.trip, occurrences(items.trip, trips)))

    def _steps(self, described: Tensor, baskets: Tensor, trips: Trips) -> Tensor:
        """The encoder's input for finished trips, (T, d)."""
        return self.context(torch.cat([described, self.trip(trips.context)], dim=1)) + baskets

    def _encode(self, described: Tensor, baskets: Tensor, batch: TimelineBatch) -> Tensor:
        """The encoder's output after each trip, (T, d)."""
        u = self._steps(described, baskets, batch.trips)
        rows = u.new_zeros(batch.sequence.numel(), u.shape[1]).index_copy(0, batch.step, u)
        days = _days_before(batch.trips)
        days = days.new_zeros(batch.sequence.numel()).index_copy(0, batch.step, days)
        shape = batch.sequence.shape
        y = self.encoder(rows.view(*shape, -1), batch.sequence, elapsed=days.view(shape))
        return y.flatten(0, 1)[batch.step]

    def _finished(self, batch: TimelineBatch) -> tuple[Tensor, Tensor]:
        """What is known before each trip, (T, 352), and its true basket, (T, d)."""
        candidates = None if batch.questions is None else batch.questions.candidates
        tokens = self._tokens(candidates, len(batch.items.token))
        return self._describe(batch.trips), self._baskets(tokens, batch.items, len(batch.trips))

    def _visits(self, described: Tensor, baskets: Tensor, batch: TimelineBatch) -> Tensor | None:
        """`Predictions.visits`: described (T, 352), baskets (T, d)."""
        if batch.visits is None:
            return None
        past = self._encode(described, baskets, batch)
        store = described[:, -StoreEmbedding.WIDTH :]
        # Sums of many small numbers, which half precision would lose.
        wide = torch.promote_types(past.dtype, torch.float32)
        with torch.autocast(past.device.type, enabled=False):
            return self.visits.nats(
                past[batch.visits.trip].to(wide), batch.visits, store.to(wide),
                batch.trips.calendar["hour"], batch.trips.context,
            )  # fmt: skip

    def _answer(
        self, tokens: Tokens, described: Tensor, questions: Questions, baskets: Tensor | None
    ) -> Predictions:
        """Decode: described (Q, 352), baskets (Q, d) true ones."""
        context = self.context(torch.cat([described, self.trip(questions.context)], dim=1))
        items = self._item(tokens, questions.token, questions.pence, questions.price_hidden)
        x = items + context.index_select(0, questions.question)
        count = len(questions.trip)
        x = x.index_add(0, questions.logit[:count], self._visible(items, questions).to(x.dtype))
        z = self.decoder(x, questions.baskets, questions.logit, questions.query_baskets)
        of_masks = z[:count]
        kinds = self.trip_kind(of_masks).split(list(self._codes.values()), 1)
        embeddings = None
        if baskets is not None:
            true = self.true_basket(baskets)
            embeddings = torch.cat([self.predicted_basket(of_masks), true.to(of_masks.dtype)])
        return Predictions(
            logits=self._scores(tokens, z, questions),
            embeddings=embeddings,
            context=dict(zip(self._codes, kinds, strict=True)),
        )

    def _visible(self, x: Tensor, questions: Questions) -> Tensor:
        """How many items are visible, and their sum, (Q, d); x (D, d) items and `[MASK]`s.

        Attention averages, so that it cannot count. But the kind of a trip is a matter of amounts:
        next to the visible ones it says how much is missing, and of what.
        """
        count = len(questions.trip)
        is_item = torch.ones_like(questions.token, dtype=torch.bool)
        is_item[questions.logit[:count]] = False
        items = (F.silu(x) * is_item[:, None]).to(x.dtype)
        number = occurrences(questions.question, count) - 1
        total = self.visible(_sums(items, questions.question, number))
        return total + self.visible_count(number.clamp_max(VISIBLE))

    def _scores(self, tokens: Tokens, z: Tensor, questions: Questions) -> TokenScores:
        """Logits (R, V): log-scores of counting, plus scores tied to the input's product vectors.
        Of candidates (R, C), with the logarithm of their weights.

        In training, products first sold after the training weeks are excluded, so that they cannot
        affect learned parameters, and no purchase counts for its own lift.
        """
        bias = self.bias.masked_fill(self.is_novel, -torch.inf) if self.training else self.bias
        history, candidates = questions.history, questions.candidates
        if candidates is not None:
            bias = bias.index_select(0, candidates.predicted) + candidates.log_weight
        lifts = self.prior.log_lifts(questions)
        if self.training:
            own = self.prior.without_own(questions)
            target, entry = history.products.find(questions.target_question, questions.target)
            lifts = lifts.index_add(0, entry, own[target])
        # The [MASK] rows come first, one per question.
        bought, of_category = self.purchases(
            questions, z[: len(questions.trip)], tokens.rows, tokens.categories,
            (
                self.prior.history_shares(questions),
                self.category_share[history.categories.token],
            ),
            lifts, tokens.scored,
        )  # fmt: skip
        # Log-scores of counting reach 16, where bfloat16 would be wrong by .03.
        with torch.autocast(z.device.type, enabled=False):
            tables = self.prior.tables(questions, bias)
        entries = questions.entry_row, history.products.token[questions.entry], questions.entry
        if self.training:
            bought, entries = _with_targets(
                bought, entries, (self.prior.lift_weight * own).to(bought.dtype), questions
            )
        question = questions.question[questions.logit]
        category = self.category[: len(self.bias)]
        if candidates is not None:
            category = category.index_select(0, candidates.predicted)
        return TokenScores(
            z=self.output(z),
            vectors=tokens.rows[: len(bias)],
            tables=tuple((table, row.index_select(0, question)) for table, row in tables),
            groups=(of_category, question, category),
            history=bought,
            entries=entries,
            absent=(questions.dropped_row, questions.dropped_token),
        )

    def count_weights(self) -> list[nn.Parameter]:
        """The few weights of counts (see `CountingPrior` and `PurchaseMemory`)."""
        return [*self.prior.parameters(), *self.purchases.count_weights()]

    def auxiliary_heads(self) -> list[nn.Parameter]:
        """Parameters trained only by the losses on the kind of trip, on whole baskets and on the
        next visit."""
        heads = (self.trip_kind, self.predicted_basket, self.true_basket, self.encoder, self.visits)
        return [parameter for head in heads for parameter in head.parameters()]

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


def _with_targets(
    scores: Tensor, entries: tuple[Tensor, Tensor, Tensor], added: Tensor, questions: Questions
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """`TokenScores.history` and `entries` with what is added to the logits of targets, (G,)."""
    index = torch.arange(len(added), device=added.device) + len(scores)
    targets = questions.target_row, questions.target, index
    row, *columns = (torch.cat(both) for both in zip(entries, targets, strict=True))
    row, order = row.sort(stable=True)
    return torch.cat([scores, added]), (row, *(column[order] for column in columns))


def _sums(vectors: Tensor, owner: Tensor, size: Tensor) -> Tensor:
    """Sums of vectors (n, d) by owner (n,), (owners, d), divided by the root of the number of items
    of each, size (owners,), which keeps their scale."""
    total = vectors.new_zeros(len(size), vectors.shape[1]).index_add(0, owner, vectors)
    return total * size.clamp_min(1).to(vectors.dtype).rsqrt()[:, None]


def _days_before(trips: Trips) -> Tensor:
    """Days since the customer's trip before, (T,), at most `LONGEST_GAP`; 0 of a first trip."""
    return trips.calendar["days_since_previous"].clamp(0, LONGEST_GAP)


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


def _of_unit_length(vectors: Tensor | None, cache: TensorCache) -> Tensor | None:
    """Vectors scaled so that known products have mean length 1, as `ProductEmbedding` expects.

    Vectors learned for dot products differ in length; their ratios are kept.
    """
    if vectors is None:
        return None
    known = vectors[: cache.products][torch.from_numpy(~cache["products.is_novel"])]
    length = known.norm(dim=1).mean()
    return vectors / length if length > 0 else vectors
