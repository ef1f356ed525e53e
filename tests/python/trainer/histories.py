"""Purchase histories of a few trips, small enough to count by hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.batches.batch import Questions
from trainer.cache.vocabulary import Vocabulary
from trainer.features.chain_sales import RecentSales
from trainer.features.circumstances import Circumstances
from trainer.features.history_sampling import HistorySampling
from trainer.features.purchase_history import Bought, PurchaseHistory, purchase_history
from trainer.features.trips import Items

VOCABULARY = Vocabulary(products=9, categories=2)
CATEGORY = np.array([2, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 0, 1])
"""Of each token: products 1 to 5 are of category 0, products 6 to 9 of category 1."""


def history(
    timelines: list[int],
    baskets: list[list[int]],
    is_target: list[bool] | None = None,
    visible: list[tuple[int, int]] = (),
    visible_kind: np.ndarray | None = None,
    targets: list[tuple[int, int]] = (),
    sampling: HistorySampling | None = None,
    **circumstances: list,
) -> PurchaseHistory:
    """baskets: a list of tokens per trip; visible, targets: (trip, token) pairs.

    circumstances: as for `circumstances_of`.
    """
    trips = circumstances_of(len(baskets), **circumstances)
    is_target = np.ones(len(baskets), dtype=bool) if is_target is None else np.array(is_target)
    visible_kind = trips.kind[is_target] if visible_kind is None else np.array(visible_kind)
    items = Items(
        trip=torch.from_numpy(np.repeat(np.arange(len(baskets)), [len(b) for b in baskets])),
        token=torch.tensor([t for basket in baskets for t in basket], dtype=torch.long),
        pence=torch.zeros(0, 3),
    )
    return purchase_history(
        np.array(timelines), trips, items, is_target, visible_kind, _listed(visible),
        _listed(targets), VOCABULARY, CATEGORY, sampling,
    )  # fmt: skip


def circumstances_of(trips: int, **columns: list) -> Circumstances:
    """Those given; by default one trip a day at noon, each in another store, of unknown kind."""
    usual = {
        "day": np.arange(trips), "hour": np.full(trips, 12), "store": np.arange(trips) + 1,
        "kind": np.zeros((trips, 4), dtype=np.int64),
    }  # fmt: skip
    return Circumstances(**usual | {name: np.array(column) for name, column in columns.items()})


def _listed(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Trips and tokens of (trip, token) pairs."""
    return tuple(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)


def by_entry(bought: Bought, values: Tensor) -> dict[tuple[int, int], list[float] | float]:
    """Values (E, ...) of products or categories by (question, token)."""
    pairs = zip(bought.question.tolist(), bought.token.tolist(), strict=True)
    return dict(zip(pairs, values.tolist(), strict=True))


def questions_of(history: PurchaseHistory, context: list[list[int]], tokens: int) -> Questions:
    """Questions with this history and nothing else: kinds (Q, 4); nothing was sold of V tokens."""
    empty = torch.zeros(0, dtype=torch.long)
    table = torch.zeros(1, 2, tokens)
    sales = RecentSales(table, table[:, 0], torch.zeros(len(context), dtype=torch.long))
    return Questions(
        trip=torch.arange(len(context)), context=torch.tensor(context), hidden=empty.bool(),
        fully_hidden=empty.bool(), token=empty, question=empty, pence=empty,
        price_hidden=empty.bool(), baskets=None, query_baskets=None, history=history, sales=sales,
        logit=empty, entry=empty, entry_row=empty, dropped_row=empty, dropped_token=empty,
        target=empty, target_row=empty, target_question=empty,
    )  # fmt: skip
