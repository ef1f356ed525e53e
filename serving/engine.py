"""What the model's thread does with the requests of a batch. All state is of this thread.

Trips and forgetting come first, in the order in which they arrived, then questions, all of which
the model answers at once. A trip changes the state in memory at once and is acknowledged when the
store has committed it. A commit that fails takes the states in memory with it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from serving.answers import Asked, baskets, chances, described, next_visits
from serving.batcher import Job
from serving.chain import ServedChain
from serving.customers import Customers
from serving.errors import ApiError, invalid
from serving.limits import WARMED
from serving.metrics import Metrics
from serving.questions import asked_of, check_visit
from serving.requests import Describe, Forget, Observe, Prepare, Question, TakeOver, Warm
from serving.schemas import FinishedTripIn, NextVisitIn, Receipt
from serving.store import LoggedTrip, Store
from trainer.commands.errors import InputError
from trainer.features.plans import FinishedTrip, TripPlan
from trainer.model.checkpoint import Checkpoint
from trainer.model.state import CustomerState
from trainer.model.world_model import WorldModel

COMPARED = 16
"""Trips that may wait to be compared with what the model expected; further ones are not."""
READ_AT_ONCE = 4
"""Customers whose trips are read between two looks at what waits."""
FEW_TRIPS = 8
"""More trips of a customer that wait to be read are left to a question, which comes seldom after so
many: reading them takes as long as they are many."""
WARM_AT_ONCE = 4
"""States of a coming model that are made between two batches."""


@dataclass
class _Model:
    """A model, and states that are its own."""

    checkpoint: Checkpoint
    model: WorldModel
    customers: Customers
    since: datetime


class Engine:
    """Works through batches of requests.

    Args:
        served: the chain.
        store: where trips are logged.
        checkpoint, model: the first model.
        live: states in memory.
        metrics: where it counts.
        finish: takes results, or exceptions, of jobs (`Batcher.finish`).
    """

    def __init__(
        self, served: ServedChain, store: Store, checkpoint: Checkpoint, model: WorldModel,
        live: int, metrics: Metrics, finish: Callable[[Iterable[tuple[Job, Any]]], None],
    ) -> None:  # fmt: skip
        self._served, self._store, self._most = served, store, live
        self._metrics, self._finish = metrics, finish
        self._generation = store.writer.generation
        self._now = self._with(checkpoint, model)
        self._next: _Model | None = None
        self._to_warm: list[str] = []
        self._unread: dict[str, None] = {}
        """Customers of whom trips were told, in order."""
        self._to_compare: dict[str, tuple[CustomerState, FinishedTrip]] = {}
        """By customer, the state before a trip that was told."""

    @property
    def live(self) -> int:
        """States in memory."""
        return len(self._now.customers)

    @property
    def current(self) -> tuple[Checkpoint, datetime]:
        """The checkpoint that answers, and since when."""
        now = self._now
        return now.checkpoint, now.since

    @torch.inference_mode()
    def work(self, jobs: list[Job]) -> None:
        """Finish jobs; trips that are being committed are finished by the store's thread."""
        self._metrics.batch.observe(len(jobs))
        with self._metrics.model.time():
            if self._generation != self._store.writer.generation:
                self._generation = self._store.writer.generation
                self._now.customers.drop_all()
                self._next = None
            for job in jobs:
                if isinstance(job.request, Prepare | Warm | TakeOver):
                    self._try(job, self._swap)
            self._observe([job for job in jobs if isinstance(job.request, Observe | Forget)])
            for job in jobs:
                if isinstance(job.request, Describe):
                    self._try(job, self._describe)
            self._answer([job for job in jobs if isinstance(job.request, Question)])
            self._now.customers.trim(self._generation)

    @torch.inference_mode()
    def rest(self) -> bool:
        """Read a few of the trips that were told, so that the next question need not wait for it,
        and compare some with what was expected of them. Returns whether there is more to do."""
        if self._to_compare:
            self._compare()
        chosen = list(self._unread)[:READ_AT_ONCE]
        for customer in chosen:
            del self._unread[customer]
        states = [live.state for live in self._now.customers.get(chosen).values()]
        self._now.model.encode([state for state in states if len(state.waiting) <= FEW_TRIPS])
        return bool(self._unread)

    @torch.inference_mode()
    def close(self) -> None:
        """Save states. After the last batch."""
        self._now.customers.save_all(self._generation)

    def _try(self, job: Job, run: Callable[[Any], Any]) -> None:
        try:
            result = run(job.request)
        except Exception as error:
            result = error
        self._finish([(job, result)])

    def _with(self, checkpoint: Checkpoint, model: WorldModel) -> _Model:
        customers = Customers(self._served, self._store, model, self._most)
        return _Model(checkpoint, model, customers, datetime.now(UTC))

    # Another model

    def _swap(self, request: Prepare | Warm | TakeOver) -> int:
        """States that are still to be made."""
        if isinstance(request, Prepare):
            self._next = self._with(request.checkpoint, request.model)
            self._to_warm = self._now.customers.latest(WARMED)
            return len(self._to_warm)
        if self._next is None:
            raise ApiError(503, "store", "the store failed meanwhile: try again")
        if isinstance(request, Warm):
            chosen, self._to_warm = self._to_warm[-WARM_AT_ONCE:], self._to_warm[:-WARM_AT_ONCE]
            with suppress(sqlite3.Error):  # damage is told to whoever asks
                self._next.customers.get(chosen)
            return len(self._to_warm)
        self._next.customers.catch_up()
        self._next.since = datetime.now(UTC)
        self._now, self._next = self._next, None
        self._to_compare.clear()  # states of the former model
        return 0

    # Trips

    def _observe(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        self._prepare(_customer(job.request) for job in jobs)
        for job in jobs:
            try:
                if isinstance(job.request, Forget):
                    self._forget(job)
                else:
                    self._log(job)
            except Exception as error:
                self._finish([(job, error)])

    def _prepare(self, customers: Iterable[str]) -> None:
        """Make states at once. Whose cannot be made is told so by itself."""
        with suppress(sqlite3.Error):
            self._now.customers.get(customers)

    def _log(self, job: Job) -> None:
        trip: FinishedTripIn = job.request.trip
        content = json.dumps(
            _receipt(trip), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        known = self._store.trip(trip.trip_id)
        if known is not None:
            if (known.customer, known.content) != (trip.customer, content):
                raise self._refused("conflict", "trip_id", "another trip has this id")
            self._count("duplicate")
            done = self._acknowledge(job, known)
            self._store.writer.barrier(trip.customer, self._generation, done)
            return
        customers, served = self._now.customers, self._served
        live = customers.get([trip.customer]).get(trip.customer)
        is_new = live is None
        if served.has_recorded(trip.trip_id):
            # Also of a customer who was forgotten: what was recorded shall not come back.
            raise self._refused("recorded", "trip_id", "the cache has this trip already")
        finished, left_out = served.finished(trip)
        if finished is None:
            raise invalid("items: no product is known, nor is its category", "items")
        served.check_latest(trip.date, "date")
        if is_new:
            live = customers.add(trip.customer, trip.segments)
        before = None
        try:
            try:
                live.state.features.check_order(finished.plan)
            except ValueError as error:
                raise self._refused("late", "date", str(error)) from None
            if len(self._to_compare) < COMPARED and not live.state.waiting:
                before = live.state.copy()
            try:
                live.state.observe(finished)
            except ValueError as error:
                raise invalid(str(error)) from None
        except ApiError:
            if is_new:
                customers.drop(trip.customer)
            raise
        if before is not None and finished.plan.date >= served.first_date:
            self._to_compare[trip.customer] = before, finished
        self._unread[trip.customer] = None
        live.logged += 1
        live.unsaved += 1
        answer = {
            "customer": trip.customer, "trip_id": trip.trip_id, "number": live.logged,
            "left_out": left_out,
        }  # fmt: skip
        logged = LoggedTrip(
            trip.customer, live.logged, trip.trip_id, content, json.dumps(answer)
        )  # fmt: skip
        self._count("new")
        self._store.writer.add_trip(
            logged, trip.segments.model_dump_json(), self._generation,
            self._acknowledge(job, logged),
        )  # fmt: skip

    def _acknowledge(self, job: Job, trip: LoggedTrip) -> Callable[[Exception | None], None]:
        def done(error: Exception | None) -> None:
            self._finish([(job, json.loads(trip.answer) if error is None else _not_stored(error))])

        return done

    def _forget(self, job: Job) -> None:
        customer = job.request.customer
        with suppress(sqlite3.Error):  # what is damaged can be forgotten, too
            if customer not in self._now.customers.get([customer]):
                raise _unknown(customer)
        for each in filter(None, (self._now, self._next)):
            each.customers.drop(customer)

        def done(error: Exception | None) -> None:
            answer = {"customer": customer, "forgotten": True}
            self._finish([(job, answer if error is None else _not_stored(error))])

        is_recorded = self._served.knows(customer)
        self._store.writer.forget(customer, is_recorded, self._generation, done)

    def _compare(self) -> None:
        """Count what trips were expected to hold, before they were known, and what they did."""
        compared, self._to_compare = list(self._to_compare.values()), {}
        now, states = self._now, [state for state, _ in compared]
        plans = [TripPlan(trip.plan.date, trip.plan.hour, trip.plan.store) for _, trip in compared]
        p = chances(now.model, self._served, states, plans, now.model.answer(states, plans)).p
        for row, (_, trip) in enumerate(compared):
            is_bought = np.zeros(p.shape[1], dtype=bool)
            is_bought[trip.tokens[trip.tokens < p.shape[1]]] = True
            self._metrics.compare(p[row].double().numpy(), is_bought)

    def _count(self, result: str) -> None:
        self._metrics.trips.labels(result).inc()

    def _refused(self, code: str, field: str, message: str) -> ApiError:
        self._count(code)
        return ApiError(409, code, f"{field}: {message}", field)

    # Questions

    def _answer(self, jobs: Sequence[Job]) -> None:
        self._prepare(job.request.customer for job in jobs if job.request.customer is not None)
        asked: list[tuple[Job, Asked]] = []
        visits: list[tuple[Job, CustomerState]] = []
        for job in jobs:
            try:
                state = self._state(job.request)
                if isinstance(job.request, NextVisitIn):
                    check_visit(self._served, job.request, state)
                    visits.append((job, state))
                else:
                    asked.append((job, asked_of(self._served, job.request, state)))
            except Exception as error:
                self._finish([(job, error)])
        now = self._now
        self._several(asked, lambda of: baskets(now.model, self._served, of))
        # A question may give its date, store and hour, so each state is there once per question.
        self._several(
            visits,
            lambda of: next_visits(now.model, self._served, *of),
            lambda some: ([job.request for job, _ in some], [state for _, state in some]),
        )

    def _several(
        self, asked: Sequence[tuple[Job, Any]], answer: Callable[[Any], list],
        arguments: Callable[[Sequence[tuple[Job, Any]]], Any] = lambda some: [a for _, a in some],
    ) -> None:  # fmt: skip
        """Answer questions at once, and one by one where that fails: a fault must hit no other."""
        if not asked:
            return
        try:
            results: list[Any] = answer(arguments(asked))
        except Exception as error:
            if len(asked) > 1:
                for each in asked:
                    self._several([each], answer, arguments)
                return
            # Only the number of items of a basket is not known to be possible before.
            expected = isinstance(error, InputError)
            results = [invalid(f"basket: {error}", "basket") if expected else error]
        self._finish((job, result) for (job, _), result in zip(asked, results, strict=True))

    def _state(self, question: Question) -> CustomerState:
        if question.customer is not None:
            live = self._now.customers.get([question.customer]).get(question.customer)
            if live is None:
                raise _unknown(question.customer)
            return live.state
        for number, receipt in enumerate(question.history.trips):
            self._served.check_latest(receipt.date, f"history.trips.{number}.date")
        history = question.history
        try:
            return self._now.customers.strange(history.segments, history.trips)
        except ValueError as error:
            raise invalid(f"history: {error}", "history") from None

    def _describe(self, request: Describe) -> dict[str, Any]:
        live = self._now.customers.get([request.customer]).get(request.customer)
        if live is None:
            raise _unknown(request.customer)
        is_recorded = self._now.customers.is_recorded(request.customer)
        return described(self._served, request, live.state, is_recorded)


def _customer(request: Observe | Forget) -> str:
    return request.customer if isinstance(request, Forget) else request.trip.customer


def _receipt(trip: FinishedTripIn) -> dict[str, Any]:
    """What is kept of a trip: that the order of items says nothing is part of its form."""
    kept = trip.model_dump(mode="json", include=set(Receipt.model_fields))
    kept["items"].sort(key=lambda item: item["product"])
    return kept


def _unknown(customer: str) -> ApiError:
    return ApiError(
        404, "unknown_customer",
        f"nothing is known of customer {customer!r}: tell a finished trip first, or give a history",
        "customer",
    )  # fmt: skip


def _not_stored(error: Exception) -> ApiError:
    return ApiError(503, "store", f"nothing was stored ({error}): ask again")
