"""The world model: what a customer will buy, given their past, the time, the store and the trip.

    timeline   trip 1 -> trip 2 -> ... -> trip t-1        a step per trip: its context + its basket
                   |          |                |
               Mamba-2 encoder, causal over the customer's years
                   |          |                |
    question   [MASK] + visible items of trip t  look at  [context of t, trip t-1, t-2, ...]
                   |
               logits over N + 3 tokens; kind of trip where it was hidden

Shape letters: those of `trainer.batches.batch`, and d width, M memory slots, V = N + 3 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches.batch import Questions, TimelineBatch
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CODES_OF_CONTEXT
from trainer.features.chain_sales import item_shares
from trainer.features.tensors import occurrences
from trainer.features.trips import Items, Trips
from trainer.model.calibration import Calibration
from trainer.model.config import PRESETS, WorldModelConfig
from trainer.model.decoder import BasketDecoder, Memory
from trainer.model.embeddings import (
    CustomerEmbedding,
    PriceEmbedding,
    ProductEmbedding,
    StoreEmbedding,
    TimeEmbedding,
    TripEmbedding,
)
from trainer.model.embeddings.product import INPUT_SCALE
from trainer.model.encoder.mamba2 import Mamba2Cache, Mamba2Encoder
from trainer.model.outputs import Predictions
from trainer.model.purchases.counting_prior import CountingPrior
from trainer.model.purchases.repurchase_score import RepurchaseScore
from trainer.model.token_scores import TokenScores

CONTEXT = CustomerEmbedding.WIDTH + TimeEmbedding.WIDTH + StoreEmbedding.WIDTH + TripEmbedding.WIDTH
ITEM = ProductEmbedding.WIDTH + PriceEmbedding.WIDTH


@dataclass(frozen=True)
class TimelineState:
    """All that the model remembers of n customers; its size does not grow with their past."""

    encoder: tuple[Mamba2Cache, ...]
    """One cache per encoder layer, of batch n."""
    recent: Tensor
    """(n, memory, d) the encoder's outputs after the last trips, newest first."""
    trips: Tensor
    """(n,) int64 trips seen so far."""


class WorldModel(nn.Module):
    """Tensors T1-T6, a causal encoder of timelines, a decoder of baskets.

    Args:
        config: sizes.
        cache: whose vocabulary and training-week constants it is made for. Nothing else is read
            of it, and all of that is in the state dict.
        vectors: (N + categories, 256) product embeddings (`trainer.graph`); drawn if left out.
    """

    def __init__(
        self, config: WorldModelConfig, cache: TensorCache, vectors: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        d = config.width
        self.customer = CustomerEmbedding.from_cache(cache)
        self.product = ProductEmbedding.from_cache(cache, _of_unit_length(vectors, cache))
        self.time = TimeEmbedding.from_cache(cache)
        self.price = PriceEmbedding.from_cache(cache)
        self.store = StoreEmbedding.from_cache(cache)
        self.trip = TripEmbedding()
        self.context = nn.Linear(CONTEXT, d)
        self.item = nn.Linear(ITEM, d)
        self.basket = nn.Linear(d, d)
        self.encoder = Mamba2Encoder(
            d, config.encoder_layers, config.state, config.conv, config.head, config.expand,
            chunk=config.chunk, dropout=config.dropout,
        )  # fmt: skip
        self.from_state = nn.Linear(d, d, bias=False)
        self.decoder = BasketDecoder(
            d, config.decoder_layers, config.heads, config.hidden, config.memory + 1,
            config.dropout,
        )  # fmt: skip
        self.output = nn.Linear(d, ProductEmbedding.WIDTH, bias=False)
        nn.init.zeros_(self.output.weight)  # at the start nothing but counting speaks
        self.bias = nn.Parameter(torch.from_numpy(np.log(item_shares(cache))).float())
        self.prior = CountingPrior(cache)
        self.calibration = Calibration()
        self.repurchase = RepurchaseScore(d, ProductEmbedding.WIDTH, config.repurchase)
        self.trip_kind = nn.Linear(d, sum(CODES_OF_CONTEXT.values()))
        self.predicted_basket = nn.Linear(d, config.contrastive, bias=False)
        self.true_basket = nn.Linear(d, config.contrastive, bias=False)
        self.register_buffer("category_pence", _category_pence(cache))
        novel = torch.from_numpy(cache["products.is_novel"].copy())
        self.register_buffer("is_novel", F.pad(novel, (1, 2)))

    def forward(self, batch: TimelineBatch, dense: bool = True) -> Predictions:
        """Answer every question of a batch of packed timelines.

        Returns logits (R, V), context logits by name (Q, codes) and embeddings (2 Q, contrastive),
        those of the guessed baskets before those of the true ones. Unless they are to be dense,
        logits stay `TokenScores`, which is what a loss needs.
        """
        questions = batch.questions
        rows = self.product.rows()
        mapped = self._mapped(rows, batch)
        described = self._describe(batch.trips)
        baskets = self._baskets(rows, batch.items, len(batch.trips), mapped)
        past = self._encode(described, baskets, batch)
        slots, known = self._slots(questions.trip, batch.position[questions.trip])
        answer = self._answer(
            rows, described[questions.trip], questions, past, slots, known, baskets, mapped
        )
        return replace(answer, logits=answer.logits.dense()) if dense else answer

    def empty_state(self, customers: int) -> TimelineState:
        """What is remembered of customers before their first trip."""
        weight = self.context.weight
        recent = weight.new_zeros(customers, self.config.memory, self.config.width)
        trips = torch.zeros(customers, dtype=torch.long, device=weight.device)
        return TimelineState(self.encoder.empty_cache(customers), recent, trips)

    def prefill(self, trips: Trips, items: Items, lengths: Tensor) -> TimelineState:
        """What is remembered after whole timelines.

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
            self._describe(trips), self._baskets(self.product.rows(), items, len(trips)), trips
        )
        padded = u.new_zeros(customers * longest, u.shape[1]).index_copy(0, step, u)
        y, cache = self.encoder(
            padded.view(customers, longest, -1), sequence.view(customers, longest), True
        )
        recent = F.pad(y.flip(1), (0, 0, 0, self.config.memory))[:, : self.config.memory]
        return TimelineState(cache, recent, lengths.clone())

    def step(self, state: TimelineState, trips: Trips, items: Items) -> TimelineState:
        """Add one finished trip to each customer's past, in time that does not depend on it.

        state of n customers, unchanged; trips (n), one per customer in order; items of them.
        Raises ValueError where the numbers of customers differ.
        """
        self._check_customers(state, trips)
        baskets = self._baskets(self.product.rows(), items, len(trips))
        u = self._steps(self._describe(trips), baskets, trips)
        y, encoder = self.encoder.step(u, state.encoder)
        recent = torch.cat([y[:, None].to(state.recent.dtype), state.recent[:, :-1]], dim=1)
        return TimelineState(encoder, recent, state.trips + 1)

    def answer(self, state: TimelineState, trips: Trips, questions: Questions) -> Predictions:
        """Answer questions about the customers' next trips, given their past.

        trips (n), one per customer in order, of which only what is known in advance is read;
        questions about all of them in order. Embeddings are left out. Raises ValueError where the
        numbers of customers differ.
        """
        self._check_customers(state, trips)
        if len(questions.trip) != len(trips):
            raise ValueError(f"questions: expected {len(trips)}, not {len(questions.trip)}")
        memory = state.recent.shape[1]
        slots = torch.arange(len(trips) * memory, device=state.trips.device).view(-1, memory)
        known = slots - slots[:, :1] < state.trips[:, None]
        answer = self._answer(
            self.product.rows(), self._describe(trips), questions,
            state.recent.flatten(0, 1), slots, known, None,
        )  # fmt: skip
        return replace(answer, logits=answer.logits.dense())

    def _describe(self, trips: Trips) -> Tensor:
        """T1, T3 and T5 side by side, (T, 352): what is known before a trip, but for its kind."""
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

    def _mapped(self, rows: Tensor, batch: TimelineBatch) -> Tensor | None:
        """What `_item` makes of every product, (tokens, d), where a batch has more items."""
        if len(batch.items.token) + len(batch.questions.token) < len(rows):
            return None
        return F.linear(rows * INPUT_SCALE, self.item.weight[:, : ProductEmbedding.WIDTH])

    def _item(
        self, rows: Tensor, token: Tensor, pence: Tensor, hidden: Tensor,
        mapped: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """T2 and T4 of items, through one map: (I, d)."""
        price = self.price(*pence.unbind(1), self.category_pence[token], hidden)
        if mapped is None:
            return self.item(torch.cat([self.product(token, rows), price], dim=1))
        of_price = self.item.weight[:, ProductEmbedding.WIDTH :]
        return F.linear(price, of_price, self.item.bias) + mapped.index_select(0, token)

    def _baskets(
        self, rows: Tensor, items: Items, trips: int, mapped: Tensor | None = None
    ) -> Tensor:
        """True baskets as sets, (T, d): a map of a sum over items (Zaheer et al., Deep Sets, 2017).

        The sum is divided by the root of the number of items, which keeps its scale.
        """
        hidden = torch.zeros_like(items.token, dtype=torch.bool)
        vectors = F.silu(self._item(rows, items.token, items.pence, hidden, mapped))
        size = occurrences(items.trip, trips).clamp_min(1).to(vectors.dtype)
        total = vectors.new_zeros(trips, vectors.shape[1]).index_add(0, items.trip, vectors)
        return self.basket(total * size.rsqrt()[:, None])

    def _steps(self, described: Tensor, baskets: Tensor, trips: Trips) -> Tensor:
        """The encoder's input for finished trips, (T, d)."""
        return self.context(torch.cat([described, self.trip(trips.context)], dim=1)) + baskets

    def _encode(self, described: Tensor, baskets: Tensor, batch: TimelineBatch) -> Tensor:
        """The encoder's output after each trip, (T, d)."""
        u = self._steps(described, baskets, batch.trips)
        rows = u.new_zeros(batch.sequence.numel(), u.shape[1]).index_copy(0, batch.step, u)
        y = self.encoder(rows.view(*batch.sequence.shape, -1), batch.sequence)
        return y.flatten(0, 1)[batch.step]

    def _slots(self, trip: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """The trips before each of these, newest first, (Q, memory), and whether they exist."""
        back = torch.arange(1, self.config.memory + 1, device=trip.device)
        known = back <= position[:, None]
        return (trip[:, None] - back).where(known, 0), known

    def _answer(
        self, rows: Tensor, described: Tensor, questions: Questions, past: Tensor, slots: Tensor,
        known: Tensor, baskets: Tensor | None, mapped: Tensor | None = None,
    ) -> Predictions:  # fmt: skip
        """Decode: described (Q, 352), past (rows, d), slots and known (Q, memory)."""
        context = self.context(torch.cat([described, self.trip(questions.context)], dim=1))
        x = self._item(rows, questions.token, questions.pence, questions.price_hidden, mapped)
        # The [MASK] starts from the trip's context and from the state before it.
        before = self.from_state(past[slots[:, 0]]).masked_fill(~known[:, :1], 0)
        count = len(questions.trip)
        x = x.index_add(0, questions.logit[:count], (context + before).to(x.dtype))
        history = torch.arange(len(past), len(past) + count, device=slots.device)
        memory = Memory(
            vectors=torch.cat([past, context.to(past.dtype)]),
            slots=torch.cat([history[:, None], slots], dim=1),
            known=F.pad(known, (1, 0), value=True),
        )
        z = self.decoder(x, memory, questions.baskets, questions.logit, questions.query_baskets)
        asked = z[:count]
        kinds = self.trip_kind(asked).split(list(CODES_OF_CONTEXT.values()), 1)
        embeddings = None
        if baskets is not None:
            true = self.true_basket(baskets[questions.trip])
            embeddings = torch.cat([self.predicted_basket(asked), true.to(asked.dtype)])
        return Predictions(
            logits=self._scores(rows, z, questions),
            embeddings=embeddings,
            context=dict(zip(CODES_OF_CONTEXT, kinds, strict=True)),
        )

    def _scores(self, rows: Tensor, z: Tensor, questions: Questions) -> TokenScores:
        """Logits (R, V), tied to the input's product vectors, on top of what counting says.

        Products first sold after training have no say in what is learned: otherwise their being
        there would change what is learned of the others.
        """
        bias = self.bias.masked_fill(self.is_novel, -torch.inf) if self.training else self.bias
        history = questions.history
        share = self.prior.history_shares(questions)
        ratios = self.prior.log_ratios(questions, share)
        lifts = self.prior.log_lifts(questions)
        # The [MASK] rows come first, one per question.
        asked = z[: len(questions.trip)]
        again = self.repurchase(questions, asked, rows, share, ratios.detach(), lifts)
        # Log-scores of counting are as large as 16: in bfloat16 they would be off by .03.
        with torch.autocast(z.device.type, enabled=False):
            own_scores = ratios @ self.prior.weight + history.log_weight
            tables = self.prior.tables(questions, bias)
        question = questions.question[questions.logit]
        return TokenScores(
            z=self.output(z),
            vectors=rows[: len(bias)],
            tables=tuple((table, row.index_select(0, question)) for table, row in tables),
            history=own_scores + again,
            entries=(questions.entry_row, history.token[questions.entry], questions.entry),
            absent=(questions.dropped_row, questions.dropped_token),
        )

    def count_weights(self) -> list[nn.Parameter]:
        """The few weights of what counting knows (see `CountingPrior` and `RepurchaseScore`)."""
        return [*self.prior.parameters(), *self.repurchase.count_weights()]

    def auxiliary_heads(self) -> list[nn.Parameter]:
        """What only the losses on the kind of trip and on whole baskets train."""
        heads = (self.trip_kind, self.predicted_basket, self.true_basket)
        return [parameter for head in heads for parameter in head.parameters()]

    def _check_customers(self, state: TimelineState, trips: Trips) -> None:
        if len(trips) != len(state.trips):
            raise ValueError(f"trips: expected one for each of {len(state.trips)} customers")


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
    """Vectors whose known products have length 1 in the mean, as `ProductEmbedding` expects.

    They are learnt for dot products, so their lengths differ; the ratios are kept.
    """
    if vectors is None:
        return None
    known = vectors[: cache.products][torch.from_numpy(~cache["products.is_novel"])]
    length = known.norm(dim=1).mean()
    return vectors / length if length > 0 else vectors


def _category_pence(cache: TensorCache) -> Tensor:
    """The price of its category for every input token, (N + 3 + C,) pence.

    A fallback token has that of the category it stands for; `[PAD]`, `[MASK]`, `[EOS]` have 0.
    """
    parts = [[0], cache["products.category_pence"], [0, 0], cache["categories.pence"]]
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))
