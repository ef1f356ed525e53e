"""From true baskets to questions: hidden items, visible items, targets.

Flat arrays throughout: no loop over trips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainer.batches.batch import Questions
from trainer.batches.masking import MaskedItems, apply_hidden
from trainer.batches.packing import pack_baskets, pack_queries
from trainer.cache.ragged import ranges
from trainer.cache.vocabulary import Vocabulary
from trainer.features.chain_sales import RecentSales
from trainer.features.circumstances import Circumstances
from trainer.features.customers import CustomerFeatures
from trainer.features.history_sampling import HistorySampling
from trainer.features.plans import UNDECLARED, TripPlan
from trainer.features.purchase_history import purchase_history
from trainer.features.trip_log import TRIP
from trainer.features.trips import Items


def build_questions(
    timelines: Tensor,
    circumstances: Circumstances,
    items: Items,
    is_target: Tensor,
    masked: MaskedItems,
    hidden: Tensor,
    sales: RecentSales,
    vocabulary: Vocabulary,
    category: np.ndarray,
    sampling: HistorySampling | None = None,
    outputs: tuple[Tensor, Tensor] | None = None,
) -> Questions:
    """Questions about some of the trips of a batch.

    timelines (n,) int64: number of trips of each timeline, one timeline after the other;
    circumstances of all T trips, and their items. is_target (T,) bool: the trips in question.
    masked: the items of the target trips only, in the same order, with trips counted among these.
    hidden (Q,) bool: whether the kind of a target trip is hidden. sales: recent sales of the chain,
    as of the week of each target trip. category: `category_of_token` of the vocabulary. sampling:
    which previously bought products are scored; all if left out. outputs: see `purchase_history`.

    A hidden product outside the vocabulary is no target; evaluation counts it as missed.
    """
    trip = is_target.nonzero().squeeze(1)
    question_of_trip = is_target.cumsum(0) - 1
    kept = is_target[items.trip].nonzero().squeeze(1)  # items of target trips
    question = question_of_trip[items.trip[kept]]
    questions = len(trip)

    is_masked = masked.tokens == vocabulary.mask
    visible = ~is_masked
    visible_question = question[visible]
    lengths = torch.bincount(visible_question, minlength=questions) + 1
    first = lengths.cumsum(0) - lengths  # the [MASK] of each question

    # Place of each visible item: after its question's [MASK], in the order of items.
    earlier = (
        torch.arange(len(visible_question)) - (first - torch.arange(questions))[visible_question]
    )
    place = first[visible_question] + 1 + earlier
    total = int(lengths.sum())
    token = torch.full((total,), vocabulary.mask)
    token[place] = masked.tokens[visible]
    price_hidden = torch.ones(total, dtype=torch.bool)
    price_hidden[place] = masked.price_hidden[visible]
    pence = items.pence.new_zeros(total, items.pence.shape[1])
    pence[place] = items.pence[kept][visible].masked_fill(masked.price_hidden[visible, None], 0)

    # Masked targets are predicted by their question's [MASK], replaced and kept ones in place.
    target = masked.targets
    is_scored = vocabulary.is_product(target)
    is_item_query = is_scored & visible  # replaced and kept
    rows = torch.where(is_masked, question, 0)
    rows[is_item_query] = questions + torch.arange(int(is_item_query.sum()))
    context = apply_hidden(torch.from_numpy(circumstances.kind)[trip], hidden)
    place_of_item = torch.zeros(len(kept), dtype=torch.long)
    place_of_item[visible] = place
    history = purchase_history(
        timelines.numpy(),
        circumstances,
        items,
        is_target.numpy(),
        context.numpy(),
        (trip[visible_question].numpy(), masked.tokens[visible].numpy()),
        (trip[question[is_scored]].numpy(), target[is_scored].numpy()),
        vocabulary,
        category,
        sampling,
        outputs,
    )
    # The question of each row of logits, and its previously bought products.
    of_row = torch.cat([torch.arange(questions), question[is_item_query]]).numpy()
    entry_row, entry = _of_rows(history.products.question, of_row)
    dropped_row, dropped = _of_rows(history.dropped_question, of_row)
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
        dropped_token=history.dropped_token[dropped],
        target=target[is_scored],
        target_row=rows[is_scored],
        target_question=question[is_scored],
    )


def plan_questions(
    customers: Sequence[CustomerFeatures],
    plans: Sequence[TripPlan],
    outputs: tuple[Tensor, Tensor] | None = None,
) -> Questions:
    """One question about the next trip of each of n customers: what will be in the basket?

    outputs: those of all products, and of all categories, on the trips of each customer's log
    (`KeptPurchases`), customer after customer; all purchases are to be scanned if left out.

    Equal to `build_questions` for the last trips of their timelines. Raises ValueError where the
    chain's sales already include the week of a plan, for visible tokens of no item, and for a
    visible product that is there twice.
    """
    chain = customers[0].chain
    vocabulary = chain.vocabulary
    days = [chain.calendar.day(plan.date) for plan in plans]
    if (first := min(day.week for day in days)) < chain.sales.week:
        raise ValueError(
            f"a plan for week {first} must not know what the chain sold up to week "
            f"{chain.sales.week - 1}"
        )
    stores = chain.stores.identity(np.array([plan.store for plan in plans]))[:, 2]
    next_trips = np.array(
        [
            (day.index, plan.hour, store, plan.kind, len(plan.visible))
            for day, plan, store in zip(days, plans, stores.tolist(), strict=True)
        ],
        TRIP,
    )
    trips = np.concatenate(
        [part for i, c in enumerate(customers) for part in (c.log.trips, next_trips[i : i + 1])],
        dtype=TRIP,  # faster than to find the type that they have in common
    )
    visible = [np.array(plan.visible, dtype=np.int64) for plan in plans]
    for tokens in visible:
        chain.check_items("visible", tokens)
    tokens = np.concatenate(
        [part for c, new in zip(customers, visible, strict=True) for part in (c.log.tokens, new)]
    ).astype(np.int64)
    lengths = np.array([len(customer.log.trips) + 1 for customer in customers])
    is_next = np.zeros(len(trips), dtype=bool)
    is_next[lengths.cumsum() - 1] = True
    trip = np.repeat(np.arange(len(trips)), trips["items"])
    in_basket = np.concatenate(visible)
    prices = [
        chain.item_prices(plan, tokens_of_plan, plan.pence)
        for plan, tokens_of_plan in zip(plans, visible, strict=True)
    ]
    pence = np.zeros((len(tokens), 3), np.float32)
    pence[is_next[trip]] = np.concatenate(prices)
    flat = torch.from_numpy
    visible_tokens = flat(in_basket)
    return build_questions(
        flat(lengths),
        Circumstances.logged(trips),
        Items(flat(trip), flat(tokens), flat(pence)),
        flat(is_next),
        MaskedItems(
            tokens=visible_tokens,
            targets=torch.zeros_like(visible_tokens),
            price_hidden=torch.zeros_like(visible_tokens, dtype=torch.bool),
            fully_hidden=torch.tensor([not plan.visible for plan in plans]),
        ),
        torch.tensor([plan.kind == UNDECLARED for plan in plans]),
        chain.sales.as_of(len(plans)),
        vocabulary,
        chain.categories,
        outputs=outputs,
    )


def _of_rows(question: Tensor, of_row: np.ndarray) -> tuple[Tensor, Tensor]:
    """Pairs of row and place: of_row (R,) is the question of each row, question (n,) ascends; each
    row is paired with all places where its question is in `question`. Two (pairs,) int64."""
    first = np.searchsorted(question.numpy(), np.arange(of_row.max(initial=-1) + 2))
    counts = np.diff(first)[of_row]
    row = np.repeat(np.arange(len(of_row)), counts)
    return torch.from_numpy(row), torch.from_numpy(ranges(first[of_row], counts))
