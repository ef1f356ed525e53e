"""The likeliest products of the next trips of a few customers, with calibrated probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import torch
from torch import Tensor

from trainer.batches.tasks import TASKS
from trainer.cache.schema import CONTEXT
from trainer.cache.vocabulary import Vocabulary
from trainer.features.customers import CustomerFeatures
from trainer.features.plans import UNDECLARED, TripPlan
from trainer.model.calibration import basket_p
from trainer.model.state import CustomerState
from trainer.model.world_model import WorldModel
from trainer.next_baskets.basket_sizes import BasketSizes, ExpectedItems
from trainer.next_baskets.likely_visits import (
    Given,
    LikelyVisits,
    PossibleVisits,
    likely_visits,
    possible_visits,
)

NEXT_UNKNOWN, NEXT_KNOWN, COMPLETION = TASKS


@dataclass(frozen=True)
class NextBaskets:
    """Of n customers."""

    visits: LikelyVisits
    items: np.ndarray
    """(n,) expected number of products, besides visible ones."""
    tokens: np.ndarray
    """(n, k) the likeliest products, most likely first."""
    p: np.ndarray
    """(n, k) probability that the basket holds each; 0 where there is none left."""
    is_repeat: np.ndarray
    """(n, k) bool: the customer bought it before."""


def next_baskets(
    model: WorldModel,
    states: Sequence[CustomerState],
    sizes: BasketSizes,
    given: Given,
    first_day: date,
    products: int,
    only: str | None = None,
) -> NextBaskets:
    """What the next trips of customers (n,) will hold, whenever they are, as far as that is not
    given: the mean of `possible_visits`.

    given, first_day: see `likely_visits`. products: k, how many are wanted of each; only: `repeat`
    leaves out products that the customer never bought, `new` all others; probabilities stay the
    same. Raises InputError where no trip held as many products as are visible, and what
    `likely_visits` raises.
    """
    customers = [state.features for state in states]
    chances = model.next_visits(states)
    visits = likely_visits(chances, customers, given, first_day)
    possible = possible_visits(chances, customers, given, first_day)
    of_each = [_of_visits(model, states, sizes, given, each) for each in possible]
    p, items, *kinds = (sum(parts) / len(possible) for parts in zip(*of_each, strict=True))
    if given.visible and given.kind == UNDECLARED:
        likeliest = np.stack([of_column.argmax(1) + 1 for of_column in kinds], axis=1)
        visits = replace(visits, kind=likeliest, kind_p=np.full(len(likeliest), np.nan))
    bought = _bought(customers, model.product.vocabulary).to(p.device)
    wanted = p if only is None else p.masked_fill(bought != (only == "repeat"), 0)
    value, token = wanted.topk(products, dim=1)
    listed = (part.numpy(force=True) for part in (token, value, bought.gather(1, token)))
    return NextBaskets(visits, items, *listed)


def _of_visits(
    model: WorldModel, states: Sequence[CustomerState], sizes: BasketSizes, given: Given,
    visits: PossibleVisits,
) -> tuple[Tensor | np.ndarray, ...]:  # fmt: skip
    """If these are the next visits: probabilities of products (n, V), the expected number of them
    (n,), and the probabilities (n, codes) of each column of the kind as the visible items show it,
    code 1 first."""
    plans = [
        TripPlan(day, hour, store, given.kind, given.visible)
        for day, hour, store in zip(
            visits.dates, visits.hours.tolist(), visits.stores.tolist(), strict=True
        )
    ]
    answer = model.answer(states, plans)
    kinds = [answer.context[name][:, 1:].softmax(1).numpy(force=True) for name in CONTEXT]
    size_p = kinds[0] if given.visible and not given.kind[0] else visits.size_p
    customers = [state.features for state in states]
    items = sizes.expected(customers, size_p, len(given.visible))
    return probabilities(model, answer.logits, plans, items), items.mean, *kinds


def probabilities(
    model: WorldModel, logits: Tensor, plans: Sequence[TripPlan], items: ExpectedItems
) -> Tensor:
    """Probability that each next basket holds each product besides its visible ones, (n, V).

    logits (n, V) of `WorldModel.answer` for the plans (n). Calibrated as `trainer.evaluate` does
    it, with the expected number of items in the place of the true one; a row adds up to that
    number.
    """
    scores = logits.clone()
    scores[:, model.product.vocabulary.specials] = -torch.inf
    row = np.repeat(np.arange(len(plans)), [len(plan.visible) for plan in plans])
    scores[row, [token for plan in plans for token in plan.visible]] = -torch.inf
    there_is_more, number = (torch.from_numpy(part).to(scores) for part in (items.any, items.items))
    tasks = np.array([_task(plan) for plan in plans])
    p = torch.empty_like(scores)
    for task in np.unique(tasks).tolist():
        rows = np.flatnonzero(tasks == task)
        log_p = model.calibration.items(scores[rows], task)
        p[rows] = basket_p(log_p, number[rows], model.calibration.slopes(task))
    return there_is_more[:, None] * p


def _task(plan: TripPlan) -> str:
    """What is asked of a plan, one of `TASKS`."""
    if plan.visible:
        return COMPLETION
    return NEXT_UNKNOWN if plan.kind == UNDECLARED else NEXT_KNOWN


def _bought(customers: Sequence[CustomerFeatures], vocabulary: Vocabulary) -> Tensor:
    """(n, V) bool: what each customer bought before."""
    bought = torch.zeros(len(customers), vocabulary.size, dtype=torch.bool)
    for row, customer in enumerate(customers):
        products = customer.aggregates.products
        bought[row, torch.from_numpy(products[vocabulary.is_product(products)])] = True
    return bought
