"""What must survive: finished trips, which are the truth, and states made from them.

A trip is appended in the words of its receipt, so that states can be made from it again by any
later model. A thread writes, many trips per commit, since a commit waits for the disk; a trip is
acknowledged after that. SQLite in WAL mode, so that reading never waits for writing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from trainer.commands.errors import ExpectedError

log = logging.getLogger("retailsim.serving")
FORMAT = 2
"""Of the tables; `user_version` of the file."""
MARK = 0x52534D31
"""`application_id` of the file."""
TABLES = """
create table customers (
    customer text primary key, segments text not null, forgotten integer not null,
    digest blob not null
) without rowid;
create table trips (
    customer text not null, number integer not null, trip_id text not null unique,
    content text not null, answer text not null, digest blob not null,
    primary key (customer, number)
) without rowid;
create table states (
    customer text primary key, made_by text not null, covered integer not null, state blob not null
);
"""


class StoreError(ExpectedError):
    """A folder of states that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class LoggedTrip:
    """A finished trip in the words of its receipt."""

    customer: str
    number: int
    """Of this customer's logged trips, from 1."""
    trip_id: str
    content: str
    """Canonical JSON."""
    answer: str
    """What the first client was told, JSON."""


@dataclass(frozen=True)
class SavedState:
    """A state as bytes."""

    customer: str
    made_by: str
    """What it depends on beside the logged trips; another value makes it worthless."""
    covered: int
    """Logged trips that are in it."""
    state: bytes


@dataclass(frozen=True)
class Registered:
    """What is known of a customer beside trips."""

    customer: str
    segments: str
    """JSON."""
    forgotten: bool = False
    """Whether the cache's past of this customer does not count."""


class Store:
    """The tables in a folder of their own, for one process.

    Reading is for one thread; `writer` may be used from it as well.
    """

    def __init__(self, folder: Path) -> None:
        """Raises StoreError for a folder of another process, another format or other files."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StoreError(
                f"{folder} is in use by another process: stop it, or name another --states"
            ) from None
        self.path = folder / "states.sqlite"
        self._reading: sqlite3.Connection | None = None
        try:
            self._reading = self._open()
            self.writer = Writer(self._open)
        except (sqlite3.Error, StoreError) as error:
            self._release()
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{self.path}: {error}: move it away, or restore a copy") from None

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        found = [connection.execute(f"pragma {n}").fetchone()[0] for n in
                 ("application_id", "user_version", "schema_version")]  # fmt: skip
        if found == [0, 0, 0]:
            connection.executescript(
                f"pragma application_id={MARK}; pragma user_version={FORMAT}; begin; {TABLES} "
                "commit;"
            )
        elif found[:2] != [MARK, FORMAT]:
            connection.close()
            raise StoreError(
                f"{self.path} was not written by this version: move it away, or name another "
                "--states"
            )
        for pragma in ("journal_mode=wal", "synchronous=full", "secure_delete=on"):
            connection.execute(f"pragma {pragma}")
        return connection

    def close(self) -> None:
        """Write what waits, and release the folder."""
        self.writer.stop()
        self._release()

    def _release(self) -> None:
        if self._reading is not None:
            self._reading.close()
        os.close(self._lock)

    def trip(self, trip_id: str) -> LoggedTrip | None:
        """The logged trip of this id, also if its commit is under way. Raises
        sqlite3.DatabaseError for a row that is damaged."""
        if (waiting := self.writer.under_way(trip_id)) is not None:
            return waiting
        row = self._reading.execute(
            "select customer, number, trip_id, content, answer, digest from trips "
            "where trip_id = ?",
            (trip_id,),
        ).fetchone()
        return None if row is None else LoggedTrip(*_whole(row))

    def customer(self, customer: str) -> Registered | None:
        """What is known of a customer beside trips. Waits for what is being written of them.
        Raises as `trip` does."""
        self.writer.wait_for(customer)
        row = self._reading.execute(
            "select customer, segments, forgotten, digest from customers where customer = ?",
            (customer,),
        ).fetchone()
        if row is None:
            return None
        _, segments, forgotten = _whole(row)
        return Registered(customer, segments, bool(forgotten))

    def state(self, customer: str, made_by: str) -> SavedState | None:
        """The saved state, if it was made by this. Waits as `customer` does."""
        self.writer.wait_for(customer)
        row = self._reading.execute(
            "select customer, made_by, covered, state from states "
            "where customer = ? and made_by = ?",
            (customer, made_by),
        ).fetchone()
        return None if row is None else SavedState(*row)

    def trips(self, customer: str, after: int = 0) -> list[LoggedTrip]:
        """A customer's logged trips after a number, in order. Waits as `customer` does. Raises
        sqlite3.DatabaseError where one is damaged or missing."""
        self.writer.wait_for(customer)
        rows = self._reading.execute(
            "select customer, number, trip_id, content, answer, digest from trips "
            "where customer = ? and number > ? order by number",
            (customer, after),
        )
        trips = [LoggedTrip(*_whole(row)) for row in rows]
        if [trip.number for trip in trips] != list(range(after + 1, after + 1 + len(trips))):
            raise sqlite3.DatabaseError(f"{self.path}: a trip of customer {customer!r} is missing")
        return trips


def _digest(*values: str | int) -> bytes:
    """By which damage to a row is told, which SQLite does not notice."""
    return hashlib.sha256(json.dumps(values).encode()).digest()[:16]


def _whole(row: tuple) -> tuple:
    """A row without its digest, the last column. Raises sqlite3.DatabaseError for damage."""
    *values, digest = row
    if digest != _digest(*values):
        raise sqlite3.DatabaseError(f"a row of customer {values[0]!r} is damaged")
    return tuple(values)


Done = Callable[[Exception | None], None]


@dataclass(frozen=True)
class _Write:
    customer: str
    statements: Sequence[tuple[str, tuple]]
    trip: LoggedTrip | None
    generation: int
    done: Done | None


class Writer:
    """A thread that commits: everything that waits in one transaction, then tells who waits.

    A commit that fails raises `generation`, and so fails all that was handed over before whoever
    writes has noticed: what it believes may build on what is not there.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connection = connect()
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._trips: dict[str, LoggedTrip] = {}
        self._customers: Counter[str] = Counter()
        self.generation = 0
        """Commits that failed."""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end the thread."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def under_way(self, trip_id: str) -> LoggedTrip | None:
        """A trip that is not committed yet."""
        return self._trips.get(trip_id)

    def wait_for(self, customer: str) -> None:
        """Until nothing of a customer is under way."""
        if customer in self._customers:
            with self._changed:
                self._changed.wait_for(lambda: customer not in self._customers)

    def add_trip(self, trip: LoggedTrip, segments: str, generation: int, done: Done) -> None:
        """Append a trip, and tell `done` from this object's thread."""
        about = trip.customer, segments, 0
        values = trip.customer, trip.number, trip.trip_id, trip.content, trip.answer
        self._add(
            trip.customer,
            [
                ("insert or ignore into customers values (?, ?, ?, ?)", (*about, _digest(*about))),
                ("insert into trips values (?, ?, ?, ?, ?, ?)", (*values, _digest(*values))),
            ],
            generation, done, trip,
        )  # fmt: skip

    def save(self, saved: SavedState, generation: int) -> None:
        """Keep a state; nobody waits for it."""
        row = (saved.customer, saved.made_by, saved.covered, saved.state)
        self._add(
            saved.customer, [("insert or replace into states values (?, ?, ?, ?)", row)],
            generation, None,
        )  # fmt: skip

    def forget(self, customer: str, is_recorded: bool, generation: int, done: Done) -> None:
        """Remove all of a customer; of a recorded one what is left is that they are forgotten."""
        statements = [
            (f"delete from {table} where customer = ?", (customer,))
            for table in ("trips", "states", "customers")
        ]
        if is_recorded:
            about = customer, "{}", 1
            statements.append(
                ("insert into customers values (?, ?, ?, ?)", (*about, _digest(*about)))
            )
        self._add(customer, statements, generation, done)

    def barrier(self, customer: str, generation: int, done: Done) -> None:
        """Tell `done` when all that was handed over before is committed, or failed."""
        self._add(customer, [], generation, done)

    def _add(
        self, customer: str, statements: Sequence[tuple[str, tuple]], generation: int,
        done: Done | None, trip: LoggedTrip | None = None,
    ) -> None:  # fmt: skip
        with self._changed:
            self._customers[customer] += 1
            if trip is not None:
                self._trips[trip.trip_id] = trip
        self._queue.put(_Write(customer, statements, trip, generation, done))

    def _run(self) -> None:
        stopping = False
        while not stopping:
            waiting = [self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            stopping = None in waiting
            self._commit([write for write in waiting if write is not None])

    def _commit(self, writes: list[_Write]) -> None:
        current = [write for write in writes if write.generation == self.generation]
        error: Exception | None = None
        try:
            self._execute([statement for write in current for statement in write.statements])
        except sqlite3.Error as reason:
            error = reason
            self.generation += 1
            log.error("store: what was told is refused, since it cannot be written: %s", error)
        stale = error or sqlite3.OperationalError("an earlier write failed")
        is_current = set(map(id, current))
        with self._changed:
            for write in writes:
                self._customers[write.customer] -= 1
                if not self._customers[write.customer]:
                    del self._customers[write.customer]
                if write.trip is not None:
                    self._trips.pop(write.trip.trip_id, None)
            self._changed.notify_all()
        for write in writes:
            if write.done is not None:
                write.done(error if id(write) in is_current else stale)

    def _execute(self, statements: Sequence[tuple[str, tuple]]) -> None:
        """In one transaction, or not at all."""
        if not statements:
            return
        try:
            self._connection.execute("begin immediate")
            for sql, values in statements:
                self._connection.execute(sql, values)
            self._connection.execute("commit")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise
        if any(sql.startswith("delete") for sql, _ in statements):
            # What was deleted must not live on in the log.
            self._connection.execute("pragma wal_checkpoint(truncate)")
