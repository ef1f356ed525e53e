"""From true baskets to questions: what is hidden, what stays visible, what is asked.

Flat arrays throughout: no loop over trips.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.batches.batch import Questions
from trainer.batches.masking import MaskedItems, apply_hidden
from trainer.batches.packing import pack_baskets, pack_queries
from trainer.cache.ragged import ranges
from trainer.features.chain_sales import WeeklySales
from trainer.features.history_sampling import HistorySampling
from trainer.features.purchase_history import Circumstances, purchase_history
from trainer.features.trips import Items, Trips


def build_questions(
    timelines: Tensor,
    trips: Trips,
    items: Items,
    is_target: Tensor,
    masked: MaskedItems,
    hidden: Tensor,
    sales: WeeklySales,
    products: int,
    sampling: HistorySampling | None = None,
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
    trip = is_target.nonzero().squeeze(1)
    mask_token = products + 1
    question_of_trip = is_target.cumsum(0) - 1
    kept = is_target[items.trip].nonzero().squeeze(1)  # items of asked trips
    question = question_of_trip[items.trip[kept]]
    questions = len(trip)

    is_masked = masked.tokens == mask_token
    visible = ~is_masked
    visible_question = question[visible]
    lengths = torch.bincount(visible_question, minlength=questions) + 1
    first = lengths.cumsum(0) - lengths  # the [MASK] of each question

    # Place of each visible item: behind its [MASK], in the order of items.
    earlier = (
        torch.arange(len(visible_question)) - (first - torch.arange(questions))[visible_question]
    )
    place = first[visible_question] + 1 + earlier
    total = int(lengths.sum())
    token = torch.full((total,), mask_token)
    token[place] = masked.tokens[visible]
    price_hidden = torch.ones(total, dtype=torch.bool)
    price_hidden[place] = masked.price_hidden[visible]
    pence = items.pence.new_zeros(total, items.pence.shape[1])
    pence[place] = items.pence[kept][visible].masked_fill(masked.price_hidden[visible, None], 0)

    # Masked items are asked of their question's [MASK], others where they stand.
    target = masked.targets
    is_scored = (target > 0) & (target <= products)
    is_item_query = is_scored & visible  # replaced and kept
    rows = torch.where(is_masked, question, 0)
    rows[is_item_query] = questions + torch.arange(int(is_item_query.sum()))
    context = apply_hidden(trips.context[trip], hidden)
    place_of_item = torch.zeros(len(kept), dtype=torch.long)
    place_of_item[visible] = place
    history = purchase_history(
        timelines.numpy(),
        Circumstances.of(trips),
        items,
        is_target.numpy(),
        context.numpy(),
        (trip[visible_question].numpy(), masked.tokens[visible].numpy()),
        (trip[question[is_scored]].numpy(), target[is_scored].numpy()),
        products,
        sampling,
    )
    # The questions of the rows of logits, and the own products of each.
    of_row = torch.cat([torch.arange(questions), question[is_item_query]]).numpy()
    entry_row, entry = _of_rows(history.question, of_row)
    dropped_row, left = _of_rows(history.dropped_question, of_row)
    return Questions(
        trip=trip,
        context=context,
        hidden=hidden,
        fully_hidden=masked.fully_hidden,
        token=token,
        question=torch.repeat_interleave(lengths),
        pence=pence,
        price_hidden=price_hidden,
        baskets=pack_baskets(lengths.numpy()),
        query_baskets=pack_queries(lengths.numpy(), of_row),
        history=history,
        sales=sales,
        logit=torch.cat([first, place_of_item[is_item_query]]),
        entry=entry,
        entry_row=entry_row,
        dropped_row=dropped_row,
        dropped_token=history.dropped_token[left],
        target=target[is_scored],
        target_row=rows[is_scored],
        target_question=question[is_scored],
    )


def _of_rows(question: Tensor, of_row: np.ndarray) -> tuple[Tensor, Tensor]:
    """For rows about questions (R,): each row, and each of its question's places in question (n,),
    which ascends."""
    first = np.searchsorted(question.numpy(), np.arange(of_row.max(initial=-1) + 2))
    counts = np.diff(first)[of_row]
    row = np.repeat(np.arange(len(of_row)), counts)
    return torch.from_numpy(row), torch.from_numpy(ranges(first[of_row], counts))
