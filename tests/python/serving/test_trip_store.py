"""What the store has acknowledged is there, whatever happens next."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from serving.store import LoggedTrip, SavedState, Store, StoreError


def logged(customer, number, content="{}"):
    return LoggedTrip(customer, number, f"{customer}{number}", content, "told")


class Waiting:
    """Waits for writes, and remembers what failed."""

    def __init__(self):
        self.results, self._done = {}, threading.Condition()

    def __call__(self, key):
        def done(error):
            with self._done:
                self.results[key] = error
                self._done.notify_all()

        return done

    def until(self, number):
        with self._done:
            assert self._done.wait_for(lambda: len(self.results) == number, timeout=30)
        return self.results


CUSTOMERS = st.sampled_from("ab")
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["trip", "trip", "forget", "save", "reopen"]), CUSTOMERS), max_size=12
)


@examples(20)  # each commit waits for the disk
@given(ACTIONS)
def test_it_is_what_was_written_in_order(tmp_path_factory, actions):
    folder = tmp_path_factory.mktemp("states")
    store, waiting, asked = Store(folder), Waiting(), 0
    trips, states = {"a": [], "b": []}, {}
    for action, customer in actions:
        if action == "trip":
            trips[customer].append(logged(customer, len(trips[customer]) + 1))
            store.writer.add_trip(trips[customer][-1], "{}", 0, waiting(asked))
            assert store.trip(trips[customer][-1].trip_id) == trips[customer][-1]
            asked += 1
        elif action == "forget":
            trips[customer].clear()
            states.pop(customer, None)
            store.writer.forget(customer, customer == "a", 0, waiting(asked))
            asked += 1
        elif action == "save":
            states[customer] = SavedState(customer, "me", len(trips[customer]), b"state")
            store.writer.save(states[customer], 0)
        else:
            store.close()
            store = Store(folder)
    for customer in "ab":
        assert store.trips(customer) == trips[customer]
        assert store.trips(customer, 1) == trips[customer][1:]
        assert store.state(customer, "me") == states.get(customer)
        assert store.state(customer, "another") is None
    assert set(waiting.until(asked).values()) <= {None}
    store.close()


def test_forgotten_trips_leave_no_trace_on_disk(tmp_path):
    store, waiting = Store(tmp_path), Waiting()
    store.writer.add_trip(logged("c", 1, "a secret basket"), "{}", 0, waiting(0))
    waiting.until(1)
    assert any(b"a secret basket" in path.read_bytes() for path in tmp_path.iterdir())
    store.writer.forget("c", False, 0, waiting(1))
    waiting.until(2)
    assert store.customer("c") is None
    assert not any(b"a secret basket" in path.read_bytes() for path in tmp_path.iterdir())
    store.close()


def test_a_failed_commit_fails_what_builds_on_it(tmp_path):
    store, waiting = Store(tmp_path), Waiting()
    other = sqlite3.connect(store.path, isolation_level=None)
    store.writer._connection.execute("pragma busy_timeout=0")
    other.execute("begin immediate")  # someone holds the file
    store.writer.add_trip(logged("c", 1), "{}", 0, waiting("locked"))
    waiting.until(1)
    other.execute("rollback")
    assert store.writer.generation == 1
    store.writer.add_trip(logged("c", 2), "{}", 0, waiting("stale"))
    store.writer.barrier("c", 0, waiting("barrier"))
    store.writer.add_trip(logged("c", 1), "{}", 1, waiting("again"))
    failed = {key: error is not None for key, error in waiting.until(4).items()}
    assert failed == {"locked": True, "stale": True, "barrier": True, "again": False}
    assert store.trips("c") == [logged("c", 1)]
    other.close()
    store.close()


def test_a_folder_is_of_one_process_and_of_this_version(tmp_path):
    store = Store(tmp_path / "states")
    with pytest.raises(StoreError, match="in use by another process"):
        Store(tmp_path / "states")
    store.close()
    assert (tmp_path / "states").stat().st_mode & 0o077 == 0
    assert store.path.stat().st_mode & 0o077 == 0
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/states.sqlite").write_text("something else, and long enough to be read" * 9)
    with pytest.raises(StoreError, match="move it away"):
        Store(tmp_path / "odd")
    (tmp_path / "other").mkdir()
    other = sqlite3.connect(tmp_path / "other/states.sqlite")
    other.executescript("create table theirs (x); pragma user_version = 7;")
    other.close()
    with pytest.raises(StoreError, match="not written by this version"):
        Store(tmp_path / "other")


def test_a_damaged_row_is_told_and_hits_no_other_customer(tmp_path):
    """A flipped letter of a receipt is still a receipt, and SQLite does not notice."""
    store, waiting = Store(tmp_path), Waiting()
    for number, customer in enumerate("aabbcc"):
        trip = logged(customer, 1 + number % 2, '{"product": "PRD0001"}')
        store.writer.add_trip(trip, "{}", 0, waiting(number))
    waiting.until(6)
    store.close()
    with sqlite3.connect(tmp_path / "states.sqlite") as file:
        file.execute("update trips set content = replace(content, '1', '2') where trip_id = 'a2'")
        file.execute("delete from trips where trip_id = 'b1'")
        file.execute("update customers set forgotten = 1 where customer = 'c'")
    file.close()
    store = Store(tmp_path)
    for damaged in (
        lambda: store.trips("a"), lambda: store.trip("a2"), lambda: store.trips("b"),
        lambda: store.customer("c"),
    ):  # fmt: skip
        with pytest.raises(sqlite3.DatabaseError, match="damaged|missing"):
            damaged()
    assert store.trip("a1").number == 1 and len(store.trips("c")) == 2
    store.close()
