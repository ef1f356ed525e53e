"""The layers of the world model, and how they answer a batch of timelines.

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

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches.batch import Questions, TimelineBatch
from trainer.batches.candidates import Candidates
from trainer.cache.reader import TensorCache
from trainer.features.categories import category_of_token
from trainer.features.chain_sales import item_shares
from trainer.features.tensors import occurrences
from trainer.features.trips import Items, Trips
from trainer.model.calibration import Calibration
from trainer.model.config import WorldModelConfig
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
from trainer.model.outputs import Predictions
from trainer.model.parts import leave_out
from trainer.model.purchases.counting_prior import CountingPrior
from trainer.model.purchases.memory import PurchaseMemory
from trainer.model.token_scores import TokenScores
from trainer.model.visits import VisitHead

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


class Network(nn.Module):
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
        """
        if candidates is not None:
            rows = self.product.rows(candidates.token)
            pence = self.category_pence.index_select(0, candidates.token)
        else:
            rows, pence = self.product.rows(), self.category_pence
        tokens = Tokens(rows, pence, self.product.categories())
        if items < len(rows):
            return tokens
        of_product = self.item.weight[:, : ProductEmbedding.WIDTH]
        return tokens._replace(mapped=F.linear(rows * INPUT_SCALE, of_product))

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
        days = days_before(batch.trips)
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


def days_before(trips: Trips) -> Tensor:
    """Days since the customer's trip before, (T,), at most `LONGEST_GAP`; 0 of a first trip."""
    return trips.calendar["days_since_previous"].clamp(0, LONGEST_GAP)


def _of_unit_length(vectors: Tensor | None, cache: TensorCache) -> Tensor | None:
    """Vectors scaled so that known products have mean length 1, as `ProductEmbedding` expects.

    Vectors learned for dot products differ in length; their ratios are kept.
    """
    if vectors is None:
        return None
    known = vectors[: cache.products][torch.from_numpy(~cache["products.is_novel"])]
    length = known.norm(dim=1).mean()
    return vectors / length if length > 0 else vectors
