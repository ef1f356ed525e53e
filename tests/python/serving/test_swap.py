"""States survive what they were made by; checkpoints take over while questions are answered."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
import time

from running import AFTER, by_hand, receipt, same

from serving import schemas as s
from serving.customers import WORTH_SAVING
from serving.requests import Describe, Observe, Prepare, TakeOver, Warm
from serving.service import Service, _read
from trainer.model.checkpoint import load_checkpoint

ALL = s.NextBasketIn(customer="told", date="2006-03-20", hour=9, products=40)


def tell(service, first, stop):
    """Trips of one customer, at one hour."""
    for number in range(first, stop):
        trip = receipt("told", f"told{number}", items=[{"product": f"PRD{number % 40:04d}"}])
        (answer,) = by_hand(service, Observe(s.FinishedTripIn(**trip)))
        assert answer["number"] == number


def opened(files, cache, states, checkpoint="model"):
    return Service(files / checkpoint, cache, states)


def closed(service):
    service.engine.close()
    service.store.close()


def test_a_state_is_the_same_after_a_stop_and_after_a_kill(files, cache, tmp_path):
    service = opened(files, cache, tmp_path)
    tell(service, 1, WORTH_SAVING + 3)
    before = by_hand(service, ALL, Describe("told", 99))
    visit = s.NextVisitIn(customer="told")
    (visited,) = by_hand(service, visit)
    closed(service)  # saves the state
    service = opened(files, cache, tmp_path)
    assert service.store.state("told", service.engine._now.customers._made_by) is not None
    same(by_hand(service, ALL, Describe("told", 99)), before)
    tell(service, WORTH_SAVING + 3, WORTH_SAVING + 5)
    before = by_hand(service, ALL, Describe("told", 99))
    service.store.close()  # as a kill: the saved state lacks two trips
    service = opened(files, cache, tmp_path)
    same(by_hand(service, ALL, Describe("told", 99)), before)
    service.store.close()
    with sqlite3.connect(tmp_path / "states.sqlite") as store:
        store.execute("delete from states")
    service = opened(files, cache, tmp_path)
    same(by_hand(service, ALL, Describe("told", 99)), before)
    assert by_hand(service, visit)[0].keys() == visited.keys()
    service.store.close()


def test_a_damaged_or_foreign_state_is_made_anew(files, cache, tmp_path):
    service = opened(files, cache, tmp_path)
    tell(service, 1, WORTH_SAVING + 2)
    before = by_hand(service, ALL)
    closed(service)
    with sqlite3.connect(tmp_path / "states.sqlite") as store:
        ((state,),) = store.execute("select state from states")
        damaged = bytearray(state)
        damaged[len(damaged) // 2] ^= 1
        store.execute("update states set state = ?", (bytes(damaged),))
    service = opened(files, cache, tmp_path)
    same(by_hand(service, ALL), before)
    closed(service)
    service = opened(files, cache, tmp_path, "other")
    (other,) = by_hand(service, ALL)
    assert other["trips"] == before[0]["trips"] and other != before[0]
    closed(service)


def test_states_that_leave_memory_come_back(files, cache, tmp_path):
    service = opened(files, cache, tmp_path)
    service.engine._now.customers._most = 1
    customers = [f"CUST{n:04d}" for n in range(5)]
    asked = [s.NextBasketIn(customer=c, date=AFTER, hour=9) for c in customers]
    together = by_hand(service, *asked)
    assert service.engine.live == 1
    for question, answer in zip(asked, together, strict=True):
        (alone,) = by_hand(service, question)
        assert [p["product"] for p in alone["products"]] == [
            p["product"] for p in answer["products"]
        ]
    saved = [service.store.state(c, service.engine._now.customers._made_by) for c in customers]
    # The customers of thirty trips and of seventeen; the latter is in memory or saved.
    assert saved[2] is not None and saved[3] is None
    service.store.close()


def test_trips_told_while_a_model_is_prepared_are_known_to_it(files, cache, tmp_path):
    service = opened(files, cache, tmp_path)
    tell(service, 1, 4)
    (left,) = by_hand(service, Prepare(*_read(files / "other", cache)))
    assert left == 1
    assert by_hand(service, Warm()) == [0]
    tell(service, 4, 6)
    (old,) = by_hand(service, ALL)
    by_hand(service, TakeOver())
    (new,) = by_hand(service, ALL)
    assert old["trips"] == new["trips"] == 5 and old["products"] != new["products"]
    service.store.close()
    fresh = opened(files, cache, tmp_path, "other")
    same(by_hand(fresh, ALL), [new])
    fresh.store.close()


def swap(server):
    loop = server.service.batcher._loop
    return asyncio.run_coroutine_threadsafe(server.service.swap(), loop).result(60)


def replaced(folder, by):
    """Another checkpoint in its place, in one step."""
    shutil.copytree(by, folder.with_name("coming"))
    os.rename(folder, folder.with_name("former"))
    os.rename(folder.with_name("coming"), folder)
    shutil.rmtree(folder.with_name("former"))


def test_a_checkpoint_takes_over_under_load_without_a_failed_request(start, files, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(files / "model", checkpoint)
    server = start(checkpoint=checkpoint)
    question = {"customer": "CUST0002", "date": AFTER, "hour": 9}
    former = server.ask("/v1/next-basket", **question)
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answers.append(server.ask("/v1/next-basket", **question))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    replaced(checkpoint, files / "other")
    assert swap(server)
    later = len(answers)
    while len(answers) < later + 9:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    digest = load_checkpoint(files / "other").weights_digest
    assert server.get("/v1/model")["weights"] == digest
    now = server.ask("/v1/next-basket", **question)
    same(answers[-1], now)
    first = [answer["products"][0]["product"] for answer in (former, now)]
    assert first[0] != first[1]
    for answer in answers:
        same(answer, former if answer["products"][0]["product"] == first[0] else now)


def test_a_bad_checkpoint_is_refused_and_the_former_one_stays(start, files, tmp_path, caplog):
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(files / "model", checkpoint)
    server = start(checkpoint=checkpoint)
    before = server.get("/v1/model")
    weights = checkpoint / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    assert not swap(server)
    assert "is damaged" in caplog.text
    shutil.rmtree(checkpoint)
    assert not swap(server)
    assert server.get("/v1/model") == before
    server.ask("/v1/next-basket", customer="CUST0002", date=AFTER, hour=9)
    assert 'checkpoints_total{result="refused"} 2.0' in server.client.get("/metrics").text
