"""From true baskets to questions: what is hidden, what stays visible, what is asked.

Flat arrays throughout: no loop over trips.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.batches.batch import Questions
from trainer.batches.masking import MaskedItems, apply_hidden
from trainer.batches.packing import pack_asked, pack_baskets
from trainer.cache.ragged import ranges
from trainer.features.chain_sales import WeeklySales
from trainer.features.history_sampling import OwnSampling
from trainer.features.purchase_history import Circumstances, own_products
from trainer.features.trips import Items, Trips


def ask(
    timelines: Tensor,
    trips: Trips,
    items: Items,
    asked: Tensor,
    masked: MaskedItems,
    hidden: Tensor,
    sales: WeeklySales,
    products: int,
    sampling: OwnSampling | None = None,
) -> Questions:
    """Questions about some of the trips of a batch.

    timelines (n,) int64: how many of the trips each timeline has, one timeline after the other.
    asked (T,) bool: the trips that are asked about. masked: of the items of those trips only, in
    their order, `trip` counted among the asked. hidden (Q,) bool: trip contexts to hide.
    sales: what the chain sold lately, as of the week of each asked trip.
    products: N of the vocabulary.
    sampling: of own products; all are scored if left out.

    A target without a token of its own (a product unknown to the model) cannot be asked; evaluation
    counts it as missed.
    """
    trip = asked.nonzero().squeeze(1)
    mask_token = products + 1
    question_of_trip = asked.cumsum(0) - 1
    kept = asked[items.trip].nonzero().squeeze(1)  # items of asked trips
    question = question_of_trip[items.trip[kept]]
    questions = len(trip)

    is_masked = masked.tokens == mask_token
    visible = ~is_masked
    seen = question[visible]
    lengths = torch.bincount(seen, minlength=questions) + 1
    first = lengths.cumsum(0) - lengths  # the [MASK] of each question

    # Place of each visible item: behind its [MASK], in the order of items.
    earlier = torch.arange(len(seen)) - (first - torch.arange(questions))[seen]
    place = first[seen] + 1 + earlier
    total = int(lengths.sum())
    token = torch.full((total,), mask_token)
    token[place] = masked.tokens[visible]
    price_hidden = torch.ones(total, dtype=torch.bool)
    price_hidden[place] = masked.price_hidden[visible]
    pence = items.pence.new_zeros(total, items.pence.shape[1])
    pence[place] = items.pence[kept][visible].masked_fill(masked.price_hidden[visible, None], 0)

    # Masked items are asked of their question's [MASK], others where they stand.
    target = masked.targets
    asks = (target > 0) & (target <= products)
    told = asks & visible  # replaced and kept
    rows = torch.where(is_masked, question, 0)
    rows[told] = questions + torch.arange(int(told.sum()))
    context = apply_hidden(trips.context[trip], hidden)
    place_of_item = torch.zeros(len(kept), dtype=torch.long)
    place_of_item[visible] = place
    own = own_products(
        timelines.numpy(),
        Circumstances.of(trips),
        items,
        asked.numpy(),
        context.numpy(),
        (trip[seen].numpy(), masked.tokens[visible].numpy()),
        (trip[question[asks]].numpy(), target[asks].numpy()),
        products,
        sampling,
    )
    # The questions of the rows of logits, and the own products of each.
    of_row = torch.cat([torch.arange(questions), question[told]]).numpy()
    entry_row, entry = _of_rows(own.question, of_row)
    left_row, left = _of_rows(own.left_question, of_row)
    return Questions(
        trip=trip,
        context=context,
        hidden=hidden,
        whole=masked.whole,
        token=token,
        question=torch.repeat_interleave(lengths),
        pence=pence,
        price_hidden=price_hidden,
        baskets=pack_baskets(lengths.numpy()),
        asked=pack_asked(lengths.numpy(), of_row),
        own=own,
        sales=sales,
        logit=torch.cat([first, place_of_item[told]]),
        entry=entry,
        entry_row=entry_row,
        left_row=left_row,
        left_token=own.left_token[left],
        target=target[asks],
        target_row=rows[asks],
        target_question=question[asks],
    )


def _of_rows(question: Tensor, of_row: np.ndarray) -> tuple[Tensor, Tensor]:
    """For rows about questions (R,): each row, and each of its question's places in question (n,),
    which ascends."""
    first = np.searchsorted(question.numpy(), np.arange(of_row.max(initial=-1) + 2))
    counts = np.diff(first)[of_row]
    row = np.repeat(np.arange(len(of_row)), counts)
    return torch.from_numpy(row), torch.from_numpy(ranges(first[of_row], counts))
