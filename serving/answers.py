"""Answers of the model, for many customers at once, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor

from serving.chain import ServedChain
from serving.requests import Describe
from serving.schemas import CompletionIn, ExplainIn, NextBasketIn, NextVisitIn
from trainer.cache.schema import CONTEXT
from trainer.features.customers import CustomerFeatures
from trainer.features.plans import TripPlan
from trainer.model.outputs import Predictions
from trainer.model.state import CustomerState
from trainer.model.world_model import WorldModel
from trainer.next_baskets.basket_sizes import ExpectedItems
from trainer.next_baskets.baskets import probabilities

DIGITS = 6
"""Decimals of a probability."""
STORES = 10
"""Stores of a next visit."""
PARTS = {
    "network": "network",
    "table 1": "kind_of_trip",
    "table 2": "sales",
    "group": "category",
    "history": "purchases",
}
"""Parts of a logit (`TokenScores.parts`, in the order of `CountingPrior.tables`) as an explanation
names them."""
EXPLAINED = 20
"""Trips that an explanation names."""


@dataclass(frozen=True)
class Asked:
    """A question about a basket."""

    question: NextBasketIn | CompletionIn | ExplainIn
    state: CustomerState
    plan: TripPlan
    left_out: list[str]


@dataclass(frozen=True)
class Chances:
    """What n baskets will hold, besides what is visible."""

    p: Tensor
    """(n, V) calibrated probability of each product."""
    items: list[float]
    """(n,) expected number of products."""
    kinds: dict[str, np.ndarray]
    """(n, labels) of each column of the kind: 1 for a declared one."""


def chances(
    model: WorldModel, served: ServedChain, states: Sequence[CustomerState],
    plans: Sequence[TripPlan], answer: Predictions,
) -> Chances:  # fmt: skip
    """Calibrated as `trainer.evaluate` does it, with the expected number of items in the place of
    the true one. answer: that of the model, with dense logits."""
    kinds = _kinds(plans, answer)
    visible = np.array([len(plan.visible) for plan in plans])
    any_more, items = np.empty(len(plans)), np.empty(len(plans))
    for count in np.unique(visible).tolist():
        rows = np.flatnonzero(visible == count)
        customers = [states[row].features for row in rows]
        expected = served.sizes.expected(customers, kinds["size"][rows], count)
        any_more[rows], items[rows] = expected.any, expected.items
    expected = ExpectedItems(any_more, items)
    p = probabilities(model, answer.logits, plans, expected)
    return Chances(p, expected.mean.tolist(), kinds)


def baskets(model: WorldModel, served: ServedChain, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Answers to questions about baskets (n)."""
    states, plans = [each.state for each in asked], [each.plan for each in asked]
    scores = model.answer(states, plans, dense=False)
    answer = Predictions(scores.logits.dense(), context=scores.context)
    found = chances(model, served, states, plans, answer)
    listed = [row for row, each in enumerate(asked) if isinstance(each.question, NextBasketIn)]
    answers: list[dict[str, Any]] = [{} for _ in asked]
    if listed:
        for row, part in zip(listed, _listed(served, asked, found, listed), strict=True):
            answers[row] = part
    for row, each in enumerate(asked):
        if isinstance(each.question, ExplainIn):
            (token,), _ = served.tokens([each.question.product])
            logit = answer.logits[row]
            answers[row] = {
                "product": each.question.product,
                "p": round(found.p[row, token].item(), DIGITS),
                "rank": 1 + int((found.p[row] > found.p[row, token]).sum()),
                "logit": round(logit[token].item(), DIGITS),
                "parts": {
                    PARTS[name]: round(value, DIGITS)
                    for name, value in scores.logits.parts(row, token).items()
                },
                **_own_purchases(served, each.state.features, token),
            }
        answers[row]["customer"] = each.question.customer
        answers[row]["trips"] = each.state.features.trips
    return answers


def _listed(
    served: ServedChain, asked: Sequence[Asked], found: Chances, rows: Sequence[int]
) -> list[dict[str, Any]]:
    """The likeliest products of some of the questions."""
    p = found.p[rows]
    bought = torch.zeros(p.shape, dtype=torch.bool)
    for place, row in enumerate(rows):
        tokens = asked[row].state.features.log.tokens
        bought[place, tokens[tokens < p.shape[1]].astype(np.int64)] = True
    for place, row in enumerate(rows):
        if (among := asked[row].question.among) != "all":
            p[place].masked_fill_(bought[place] != (among == "repeat"), 0)
    most = max(asked[row].question.products for row in rows)
    p, tokens = p.topk(min(most, p.shape[1]), dim=1)
    known = bought.gather(1, tokens).tolist()
    codes = served.products[tokens.clamp_max(len(served.products) - 1).numpy()].tolist()
    p = p.double().numpy().round(DIGITS).tolist()
    answers = []
    for place, row in enumerate(rows):
        wanted = asked[row].question.products
        answers.append(
            {
                "products": [
                    {"product": code, "p": chance, "bought": is_known}
                    for code, chance, is_known in zip(
                        codes[place][:wanted], p[place][:wanted], known[place][:wanted],
                        strict=True,
                    )
                    if chance > 0
                ],
                "expected_items": round(found.items[row], DIGITS),
                "kind": {
                    name: _labelled(served, name, found.kinds[name][row]) for name in CONTEXT
                },
                "store": served.chain.store_code(asked[row].plan.store),
                "left_out": asked[row].left_out,
            }
        )  # fmt: skip
    return answers


def _own_purchases(served: ServedChain, customer: CustomerFeatures, token: int) -> dict[str, Any]:
    """How often, when and where a customer bought a product."""
    log, categories = customer.log, served.chain.categories
    trip = np.repeat(np.arange(len(log.trips)), log.trips["items"])
    with_product = np.unique(trip[log.tokens == token])
    of_category = np.unique(trip[categories[log.tokens] == categories[token]])
    days = log.trips["day"][with_product]
    return {
        "with_product": len(with_product),
        "with_category": len(of_category),
        "usual_gap_days": float(np.median(np.diff(days))) if len(days) > 1 else None,
        "bought": [
            past_trip(served, log.trips[row]) for row in with_product[: -EXPLAINED - 1 : -1]
        ],
    }


def past_trip(served: ServedChain, trip: np.void) -> dict[str, Any]:
    """A row of a customer's log."""
    return {
        "date": served.chain.calendar.date(int(trip["day"])).isoformat(),
        "hour": int(trip["hour"]),
        "store": served.chain.store_code(int(trip["store"]) - 1),
        "kind": served.labels(trip["kind"].tolist()),
    }


def described(
    served: ServedChain, request: Describe, state: CustomerState, is_recorded: bool
) -> dict[str, Any]:
    """What is known of a customer. is_recorded: whether the cache has them, and they are not
    forgotten."""
    features = state.features
    log = features.log
    stop = log.trips["items"].cumsum()
    latest = []
    for row in range(len(log.trips) - 1, max(len(log.trips) - 1 - request.trips, -1), -1):
        tokens = log.tokens[stop[row] - log.trips["items"][row] : stop[row]]
        latest.append(past_trip(served, log.trips[row]) | {"products": served.codes(tokens)})
    labels = served.chain.labels
    return {
        "customer": request.customer,
        "segments": {
            name: labels[name][code - 1] if code else None
            for name, code in zip(
                ("price_sensitivity", "lifestage"), features.segments, strict=True
            )
        },
        "trips": features.trips,
        "recorded": len(served.recorded(request.customer)) if is_recorded else 0,
        "last": past_trip(served, log.trips[-1]) if len(log.trips) else None,
        "latest": latest,
        "later": served.later(request.customer, request.trips) if is_recorded else [],
    }


def next_visits(
    model: WorldModel, served: ServedChain, questions: Sequence[NextVisitIn],
    states: Sequence[CustomerState],
) -> list[dict[str, Any]]:  # fmt: skip
    """Answers to questions about next visits (n). Each customer has a trip."""
    visits = model.next_visits(states)
    last = [state.features.last[0] for state in states]
    first = [
        max(question.not_before or served.first_date, day)
        for question, day in zip(questions, last, strict=True)
    ]
    days, later = visits.days_from(
        [(start - day).days for start, day in zip(first, last, strict=True)]
    )
    dates = [
        question.date or start + timedelta(place)
        for question, start, place in zip(questions, first, days.argmax(1).tolist(), strict=True)
    ]
    at = visits.stores(dates)
    own = [torch.nonzero(at.customer == row).flatten() for row in range(len(states))]
    stores = []
    for row, question in enumerate(questions):
        if question.store is not None:
            stores.append(served.chain.store(question.store))
        else:
            stores.append(int(at.identity[own[row][at.p[own[row]].argmax()]]) - 1)
    hours = visits.hours(dates, stores)
    chosen = torch.tensor(
        [
            place if question.hour is None else question.hour
            for question, place in zip(questions, hours.argmax(1).tolist(), strict=True)
        ]
    )
    kinds: dict[str, np.ndarray] = {}
    codes: list[Tensor] = []
    for name in CONTEXT:
        p = visits.kind(dates, stores, chosen, *codes)
        kinds[name] = p.numpy()
        codes.append(p.argmax(1) + 1)
    return [
        {
            "customer": question.customer,
            "after": last[row].isoformat(),
            "days": [
                {"value": (first[row] + timedelta(n)).isoformat(), "p": p}
                for n, p in enumerate(_rounded(days[row]))
            ],
            "later": round(later[row].item(), DIGITS),
            "date": dates[row].isoformat(),
            "stores": _stores(served, at.identity[own[row]], at.p[own[row]]),
            "new_store": round(at.new[row].item(), DIGITS),
            "store": served.chain.store_code(stores[row]),
            "hours": _rounded(hours[row]),
            "hour": int(chosen[row]),
            "kind": {name: _labelled(served, name, kinds[name][row]) for name in CONTEXT},
        }
        for row, question in enumerate(questions)
    ]


def _stores(served: ServedChain, identity: Tensor, p: Tensor) -> list[dict[str, Any]]:
    top = p.topk(min(STORES, len(p)))
    codes = [served.chain.store_code(number - 1) for number in identity[top.indices].tolist()]
    return [
        {"value": code, "p": chance}
        for code, chance in zip(codes, _rounded(top.values), strict=True)
    ]


def _kinds(plans: Sequence[TripPlan], answer: Predictions) -> dict[str, np.ndarray]:
    """(n, labels) float32 of each column of the kind: as declared, or else as the model says."""
    kinds = {}
    for column, name in enumerate(CONTEXT):
        p = answer.context[name][:, 1:].softmax(1).numpy().copy()
        for row, plan in enumerate(plans):
            if code := plan.kind[column]:
                p[row] = 0
                p[row, code - 1] = 1
        kinds[name] = p
    return kinds


def _labelled(served: ServedChain, name: str, p: np.ndarray) -> dict[str, float]:
    values = p.astype(np.float64).round(DIGITS).tolist()
    return dict(zip(served.chain.labels[name], values, strict=True))


def _rounded(values: Tensor) -> list[float]:
    return values.double().numpy().round(DIGITS).tolist()
