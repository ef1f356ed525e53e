"""A few trips, chosen by a fixed rule, and the model's answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from trainer.batches.batch import TimelineBatch
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.cache.rows import customer_of
from trainer.evaluation.ground_truth import GroundTruth
from trainer.evaluation.ranking import sort_keys, tie_breaker
from trainer.evaluation.scorers import ModelScorer
from trainer.evaluation.strata import EvaluatedTrips
from trainer.model.world_model import WorldModel

EXAMPLES, GUESSES = 4, 10
FEWEST_ITEMS, MOST_ITEMS = 4, 10
RULE = (
    f"The {EXAMPLES} fresh trips of {FEWEST_ITEMS} to {MOST_ITEMS} items whose basket ids have the "
    "smallest hashes: the choice does not depend on the model"
)


@dataclass(frozen=True)
class Guess:
    """One of the model's first answers to a question."""

    token: int
    probability: float
    """That a given hidden item is this product."""
    is_hit: bool


@dataclass(frozen=True)
class Answer:
    """The model's answer to one task on one trip."""

    hidden: frozenset[int]
    """Hidden tokens; fallback tokens of unknown products cannot be guessed."""
    guesses: tuple[Guess, ...]
    """Most likely first; ties are broken as in the evaluation."""


def choose(cache: TensorCache, split: str) -> np.ndarray:
    """Rows of the trips that `RULE` selects, by hash; fewer if there are not enough."""
    trips = EvaluatedTrips.of(WorldModelDataset(cache, split))
    offsets = cache["trips.item_offsets"].astype(np.int64)
    size = offsets[trips.row + 1] - offsets[trips.row]
    rows = trips.row[trips.fresh & (size >= FEWEST_ITEMS) & (size <= MOST_ITEMS)]
    return np.array(sorted(rows.tolist(), key=lambda row: _hash(cache, row))[:EXAMPLES], dtype=int)


def answers(
    model: WorldModel, cache: TensorCache, split: str, task: str, seed: int, rows: np.ndarray
) -> dict[int, Answer]:
    """The model's answers by trip row; hidden items are those of the evaluation with this seed."""
    customers = np.unique(customer_of(cache, rows))
    loader = EvaluationDataLoader(
        WorldModelDataset(cache, split, customers=customers), task, chunk=model.config.chunk,
        seed=seed,
    )  # fmt: skip
    found: dict[int, Answer] = {}
    for batch in loader:
        found |= _of_batch(model, cache, batch, rows, task)
    return found


def _of_batch(
    model: WorldModel, cache: TensorCache, batch: TimelineBatch, rows: np.ndarray, task: str
) -> dict[int, Answer]:
    device = next(model.parameters()).device
    batch = batch.to(device)
    truth, tie = GroundTruth.of(batch, cache.vocabulary), tie_breaker(cache).to(device)
    answer = ModelScorer(model).scores(batch)
    found = {}
    for question, row in enumerate(truth.row.tolist()):
        if row not in rows:
            continue
        one = slice(question, question + 1)
        scores = truth.cut(one).possible(answer.logits_of(one))
        first = sort_keys(scores, tie)[0].topk(min(GUESSES, cache.products)).indices
        chances = model.calibration.items(scores, task)[0].exp()
        hidden = _tokens(cache, row) - _visible(batch, question)
        guesses = (
            Guess(token, float(chances[token]), token in hidden)
            for token in first.tolist()
            if chances[token] > 0
        )
        found[row] = Answer(frozenset(hidden), tuple(guesses))
    return found


def _tokens(cache: TensorCache, row: int) -> set[int]:
    first, last = cache["trips.item_offsets"][row : row + 2].astype(np.int64)
    return set(cache["items.token"][first:last].tolist())


def _visible(batch: TimelineBatch, question: int) -> set[int]:
    """Tokens visible in a question: products and its [MASK], which equals no product."""
    return set(batch.questions.token[batch.questions.question == question].tolist())


def _hash(cache: TensorCache, row: int) -> bytes:
    basket = cache["trips.basket_id"][row]
    # `person` makes this choice independent of others that hash the same ids.
    return hashlib.blake2b(basket, digest_size=8, person=b"examples").digest()
