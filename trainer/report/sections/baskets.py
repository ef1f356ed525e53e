"""A few trips: what was visible, what was hidden, and what the model guessed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.cache.rows import customer_of
from trainer.cache.schema import CONTEXT
from trainer.report.examples import RULE, Answer, answers, choose
from trainer.report.figures import count, fixed
from trainer.report.markup import Markup, element, join
from trainer.report.run import Run
from trainer.report.tables import table

TASKS = {
    "next_known": "Next basket, mission known: nothing visible",
    "completion": "Basket completion: the rest is visible",
}
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def baskets(run: Run, cache: TensorCache, split: str, seed: int) -> Markup:
    """The trips that the rule selects, with the model's answers to two tasks."""
    rows = choose(cache, split)
    if not len(rows):
        return element("p", f"{RULE}. There are none.")
    found = {task: answers(run.model, cache, split, task, seed, rows) for task in TASKS}
    trips = (
        _trip(_Past.of(cache, row), {task: found[task][row] for task in TASKS})
        for row in rows.tolist()
    )
    return join(
        [element("p", f"{RULE}.", class_="rule"), element("p", _meaning(), class_="note"), *trips]
    )


@dataclass(frozen=True)
class _Past:
    """A trip and what its customer bought before it."""

    cache: TensorCache
    row: int
    tokens: list[int]
    """Of the trip."""
    earlier: int
    """The customer's trips before it."""
    bought: Counter[int]
    """token -> earlier trips with it."""

    @classmethod
    def of(cls, cache: TensorCache, row: int) -> _Past:
        (customer,) = customer_of(cache, np.array([row]))
        first = int(cache["customers.trip_offsets"][customer])
        offsets = cache["trips.item_offsets"].astype(np.int64)
        tokens = cache["items.token"]
        bought = Counter()
        for trip in range(first, row):
            bought.update(set(tokens[offsets[trip] : offsets[trip + 1]].tolist()))
        basket = tokens[offsets[row] : offsets[row + 1]].tolist()
        return cls(cache, row, basket, row - first, bought)

    def product(self, token: int) -> list[str]:
        """Code, category, and earlier trips with it."""
        cache, before = self.cache, count(self.bought[token])
        if token > cache.products:  # a fallback token, of its category
            category = token - cache.products - 3
            return ["unknown product", _text(cache["categories.code"][category]), before]
        category = cache["products.category"][token - 1]
        code = _text(cache["products.code"][token - 1])
        return [code, _text(cache["categories.code"][category]), before]


def _trip(past: _Past, found: dict[str, Answer]) -> Markup:
    completion = found["completion"].hidden
    basket = table(
        "What was bought; completion hides the highlighted items, next basket hides all",
        ["product", "category", "earlier trips with it", "in completion"],
        [
            [*past.product(token), "hidden" if token in completion else "visible"]
            for token in past.tokens
        ],
        text=(1, 3),
        marked=[i for i, token in enumerate(past.tokens) if token in completion],
    )
    return element(
        "article",
        element("h3", f"Basket {_number(past)}"),
        element("p", _circumstances(past)),
        element("div", basket, *(_guesses(past, t, a) for t, a in found.items()), class_="trio"),
        class_="basket",
    )


def _guesses(past: _Past, task: str, answer: Answer) -> Markup:
    hits = [i for i, guess in enumerate(answer.guesses) if guess.is_hit]
    rows = [
        [
            str(rank),
            *past.product(guess.token),
            fixed(guess.probability),
            "✓ hit" if guess.is_hit else "",
        ]
        for rank, guess in enumerate(answer.guesses, start=1)
    ]
    return table(
        f"{TASKS[task]}. {len(hits)} of {len(answer.hidden)} hidden items guessed",
        ["guess", "product", "category", "earlier trips with it", "probability", "hit"],
        rows,
        text=(1, 2, 5),
        marked=hits,
    )


def _number(past: _Past) -> str:
    return _text(past.cache["trips.basket_id"][past.row])


def _circumstances(past: _Past) -> str:
    cache, row = past.cache, past.row
    day = int(cache["trips.day"][row])
    date = np.datetime64(int(cache["days.date"][day]), "D")
    weekday = WEEKDAYS[int(cache["days.weekday"][day]) - 1]
    kind = ", ".join(_kinds(cache, row))
    store = _text(cache["stores.code"][cache["trips.store"][row]])
    return (
        f"Week {int(cache['trips.week'][row])}, {weekday} {date}, "
        f"{int(cache['trips.hour'][row]):02d}:00, store {store}. Trip {past.earlier + 1} of the "
        f"customer. Kind: {kind}."
    )


def _kinds(cache: TensorCache, row: int) -> list[str]:
    found = []
    for name in CONTEXT:
        code = int(cache[f"trips.{name}"][row])
        found.append(f"{name} {cache.labels[name][code - 1] if code else 'unknown'}")
    return found


def _text(code: bytes) -> str:
    return code.decode(errors="replace")


def _meaning() -> str:
    return (
        "Probability: that a given hidden item is this product. The probabilities of all products "
        "add up to 1, so with several hidden items it is not the probability that the basket "
        "contains the product. Earlier trips with it: by the same customer; 0 means that they "
        "never bought it before. Four trips illustrate the figures; they do not show how good the "
        "model is."
    )
