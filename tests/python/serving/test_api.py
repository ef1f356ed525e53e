"""Over HTTP: trips count once, what is wrong is said in one line, and who may ask what."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time

import httpx
import numpy as np
import pytest
from running import AFTER, Running, receipt, same

from serving.limits import BASKET, BODY_BYTES, HISTORY, PRODUCTS, REQUESTS
from serving.metrics import EDGES, GROUPS, Metrics
from serving.service import Service

BASKETS = "/v1/next-basket"
TRIPS = "/v1/trips"


def plan(**changes):
    return {"customer": "CUST0001", "date": AFTER, "hour": 9} | changes


def test_a_trip_counts_once(server):
    first = server.ask(TRIPS, **receipt("once", "once1"))
    assert first == {"customer": "once", "trip_id": "once1", "number": 1, "left_out": []}
    before = server.ask(BASKETS, **plan(customer="once", hour=20))
    turned = receipt("once", "once1")
    turned["items"] = turned["items"][::-1]  # the order of lines says nothing
    assert server.ask(TRIPS, **turned) == first
    same(server.ask(BASKETS, **plan(customer="once", hour=20)), before)
    assert server.get("/v1/customers/once")["trips"] == 1


def test_duplicates_within_a_batch_are_one_trip(server):
    trip, next_one = receipt("twice", "twice1"), receipt("twice", "twice2", hour=12)
    answers = server.ask("/v1/trips/batch", requests=[trip, next_one, trip])["answers"]
    assert [each["number"] for each in answers] == [1, 2, 1]
    assert server.get("/v1/customers/twice")["trips"] == 2


def test_what_contradicts_what_is_known_is_refused_and_changes_nothing(server, cache):
    server.ask(TRIPS, **receipt("first", "first1"))
    known = server.get("/v1/customers/first")
    other = receipt("first", "first1", spend_pence=251)
    assert server.refused(TRIPS, 409, **other) == ("conflict", "trip_id")
    assert server.refused(TRIPS, 409, **receipt("thief", "first1")) == ("conflict", "trip_id")
    assert server.refused(TRIPS, 409, **receipt("first", "first2", hour=10)) == ("late", "date")
    assert server.get("/v1/customers/first") == known
    server.get("/v1/customers/thief", 404)
    last = int(cache["customers.trip_offsets"][1]) - 1
    again = receipt("CUST0000", cache["trips.basket_id"][last].decode())
    assert server.refused(TRIPS, 409, **again) == ("recorded", "trip_id")
    for other in ("CUST0001", "thief"):  # whose it is not
        assert server.refused(TRIPS, 409, **again | {"customer": other}) == ("recorded", "trip_id")
    server.get("/v1/customers/thief", 404)


def test_trips_at_the_same_hour_are_in_order(server):
    server.ask(TRIPS, **receipt("same", "same1"))
    assert server.ask(TRIPS, **receipt("same", "same2"))["number"] == 2


def test_products_that_are_not_known_count_for_their_category(server):
    items = [{"product": "NEW1", "category": "CL2"}, {"product": "NEW2"}, {"product": "PRD0001"}]
    answer = server.ask(TRIPS, **receipt("novel", "novel1", items=items))
    assert answer["left_out"] == ["NEW2"]
    assert server.get("/v1/customers/novel")["latest"][0]["products"] == [None, "PRD0001"]
    wrong = receipt("novel", "novel2", items=[{"product": "NEW2", "category": "D1"}])
    assert server.refused(TRIPS, 422, **wrong) == ("invalid", "items")


def test_forgotten_customers_are_strangers(server):
    server.ask(TRIPS, **receipt("CUST0003", "f1"))
    assert server.get("/v1/customers/CUST0003")["recorded"] == 1
    assert server.client.delete("/v1/customers/CUST0003").json()["forgotten"]
    assert server.client.delete("/v1/customers/CUST0003").status_code == 200  # nothing is left
    about = server.get("/v1/customers/CUST0003")
    assert (about["trips"], about["recorded"], about["latest"], about["later"]) == (0, 0, [], [])
    stranger = server.ask(BASKETS, history={"trips": []}, date=AFTER, hour=9)
    known = server.ask(BASKETS, **plan(customer="CUST0003"))
    same(known | {"customer": None}, stranger)
    server.ask(TRIPS, **receipt("gone", "g1"))
    server.client.delete("/v1/customers/gone")
    assert server.client.delete("/v1/customers/gone").status_code == 404
    assert server.ask(TRIPS, **receipt("gone", "g1"))["number"] == 1


def test_each_of_several_is_answered_by_itself(server):
    asked = [plan(), plan(customer="nobody"), plan(date="1999-01-01"), plan(customer="CUST0002")]
    answers = server.ask("/v1/next-baskets", requests=asked)["answers"]
    same(answers[0], server.ask(BASKETS, **asked[0]))
    assert answers[1]["error"]["code"] == "unknown_customer"
    assert answers[2]["error"]["field"] == "date"
    assert answers[3]["customer"] == "CUST0002"


WRONG = {
    "unknown field": (plan(colour="red"), "colour"),
    "both": (plan(history={"trips": []}), None),
    "neither": ({"date": AFTER, "hour": 9}, None),
    "no date": ({"customer": "CUST0001", "hour": 9}, "date"),
    "time": (plan(date=f"{AFTER}T10:00:00"), "date"),
    "number as date": (plan(date=20060310), "date"),
    "no such day": (plan(date="2006-02-30"), "date"),
    "hour": (plan(hour=24), "hour"),
    "hour as text": (plan(hour="9"), "hour"),
    "hour as truth": (plan(hour=True), "hour"),
    "before the first": (plan(date="2006-02-01"), "date"),
    "far ahead": (plan(date="2030-01-01"), "date"),
    "label": (plan(kind={"size": "XXL"}), "kind.size"),
    "no products": (plan(products=0), "products"),
    "too many products": (plan(products=PRODUCTS + 1), "products"),
    "long text": (plan(store="x" * 65), "store"),
    "control character": (plan(customer="a\nb"), "customer"),
    "empty": (plan(customer=""), "customer"),
    "half a character": (plan(customer="\ud800"), "customer"),
    "long history": (
        {"history": {"trips": [receipt()] * (HISTORY + 1)}, "date": AFTER, "hour": 9},
        "history.trips",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_named(server, name):
    body, field = WRONG[name]
    sent = json.dumps(body).encode()
    response = server.client.post(
        BASKETS, content=sent, headers={"content-type": "application/json"}
    )
    assert response.status_code == 422, response.text
    assert response.json()["error"]["field"] == field
    assert set(response.json()["error"]) == {"code", "message", "field"}


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"items": []}, "items"),
        ({"items": [{"product": "PRD0001"}] * 2}, None),
        ({"items": [{"product": f"P{n}"} for n in range(BASKET + 1)]}, "items"),
        ({"items": [{"product": "PRD0001", "quantity": 0}]}, "items.0.quantity"),
        ({"spend_pence": -1}, "spend_pence"),
        ({"spend_pence": 1.5}, "spend_pence"),
        ({"kind": {"focus": "What"}}, "kind.focus"),
        ({"date": "2031-01-01"}, "date"),
        ({"date": "1999-01-01"}, None),
        ({"trip_id": "x" * 65}, "trip_id"),
    ],
)
def test_trips_that_cannot_be_are_named_and_leave_no_customer(server, changes, field):
    _, named = server.refused(TRIPS, 422, **receipt("wrong", **changes))
    assert named == field
    server.get("/v1/customers/wrong", 404)


def test_a_history_out_of_order_is_refused(server):
    trips = [receipt(date=day) for day in ("2006-03-05", "2006-03-04")]
    for trip in trips:
        del trip["customer"], trip["trip_id"]
    body = {"history": {"trips": trips}, "date": AFTER, "hour": 9}
    assert server.refused(BASKETS, 422, **body) == ("invalid", "history")
    body["history"]["trips"] = trips[::-1]
    assert server.ask(BASKETS, **body)["trips"] == 2


def test_a_plan_before_the_last_trip_is_refused(server):
    server.ask(TRIPS, **receipt("past", "p1", date="2006-03-12"))
    assert server.refused(BASKETS, 409, **plan(customer="past")) == ("past", "date")
    visit = {"customer": "past", "date": AFTER}
    assert server.refused("/v1/next-visit", 409, **visit) == ("past", "date")
    nobody = {"history": {"trips": []}}
    assert server.refused("/v1/next-visit", 409, **nobody) == ("no_trips", "customer")


def test_bodies_that_are_none(server):
    headers = {"content-type": "application/json"}
    for content, status, code in (
        (b"{", 400, "not_json"),
        (b"[" * 100_000, 400, "not_json"),
        (b"\xff", 400, "not_json"),
        (b"", 422, "invalid"),
        (b'{"customer": "' + b"x" * BODY_BYTES + b'"}', 413, "too_large"),
    ):
        response = server.client.post(BASKETS, content=content, headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    form = {"content-type": "application/x-www-form-urlencoded"}  # what curl says by itself
    response = server.client.post(BASKETS, content=json.dumps(plan()), headers=form)
    assert response.status_code == 422 and "Content-Type" in response.json()["error"]["message"]
    endless = (b" " * 65536 for _ in range(20))  # no content-length
    response = server.client.post(BASKETS, content=endless, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


def test_a_name_that_stands_twice_is_refused(server):
    headers = {"content-type": "application/json"}
    question = json.dumps(plan())
    trip = json.dumps(receipt("twofold", "twofold1"))
    for path, content, name in (
        (BASKETS, question.replace("{", '{"customer": "CUST0002", ', 1), "customer"),
        ("/v1/next-baskets", f'{{"requests": [], "requests": [{question}]}}', "requests"),
        (TRIPS, trip.replace("[{", '[{"product": "PRD0002", ', 1), "product"),
    ):
        response = server.client.post(path, content=content, headers=headers)
        message = f"'{name}' stands more than once"
        assert response.status_code == 422
        assert response.json() == {"error": {"code": "invalid", "message": message, "field": None}}
    server.get("/v1/customers/twofold", 404)


def test_a_query_of_an_unknown_name_or_of_one_twice_is_refused(server):
    for path, name, message in (
        ("/v1/products?limt=15", "limt", "'limt' is unknown in the query: known are prefix, after"),
        ("/v1/products?limit=15&limit=30", "limit", "'limit' stands more than once in the query"),
        (
            "/v1/customers/CUST0002?trip=1",
            "trip",
            "'trip' is unknown in the query: known are trips",
        ),
        ("/v1/model?labels=1", "labels", "'labels' is unknown in the query: there are none here"),
    ):
        error = server.get(path, 422)["error"]
        assert (error["code"], error["field"]) == ("invalid", name)
        assert error["message"].startswith(message)
    assert server.refused(f"{BASKETS}?products=5", 422, **plan()) == ("invalid", "products")
    server.get("/ready?at=1")  # of a load balancer that wants no cached answer


def test_more_than_a_batch_holds_is_refused(server):
    body = {"requests": [plan()] * (REQUESTS + 1)}
    assert server.refused("/v1/next-baskets", 422, **body) == ("invalid", "requests")


def test_routes_that_are_none(server):
    assert server.get("/v1/nothing", 404)["error"]["code"] == "no_such_route"
    assert server.get(BASKETS, 405)["error"]["code"] == "no_such_method"
    assert "openapi.json" in server.client.get("/", follow_redirects=True).text
    assert server.client.get("/page/../../app.py").status_code == 404
    assert server.client.get("/page/%2e%2e/app.py").status_code == 404


def test_codes_are_listed_in_pages(server):
    page = server.get("/v1/products?limit=15")
    assert page["more"] and len(page["codes"]) == 15
    rest = server.get(f"/v1/products?limit=30&after={page['codes'][-1]}")
    assert not rest["more"]
    assert page["codes"] + rest["codes"] == [f"PRD{n:04d}" for n in range(40)]
    assert server.get("/v1/customers?prefix=CUST0004")["codes"] == ["CUST0004"]
    server.get("/v1/products?limit=100000", 422)


def test_pages_hold_every_code_whatever_the_order_of_the_cache(files, cache, tmp_path):
    served = Service(files / "model", cache, tmp_path / "states")
    served.served.customers[:] = [f"C{n}" for n in (3, 1, 4, 2, 0)]
    served.served.products[1:] = served.served.products[:0:-1].copy()
    with Running(served) as server:
        for path, codes in (
            ("customers", [f"C{n}" for n in range(5)]),
            ("products", [f"PRD{n:04d}" for n in range(40)]),
        ):
            found, after, more = [], "", True
            while more:
                page = server.get(f"/v1/{path}?limit=3&after={after}")
                found, more = found + page["codes"], page["more"]
                after = found[-1]
            assert found == codes


def test_the_past_ends_with_the_week_that_is_over(start, cache):
    server = start(last_week=20)
    about = server.get("/v1/customers/CUST0002?trips=200")
    week = cache["trips.week"]
    first, last = cache["customers.trip_offsets"][2:4].astype(int)
    assert about["trips"] == (week[first:last] <= 20).sum() == about["recorded"]
    assert len(about["later"]) == (week[first:last] > 20).sum() > 0
    model = server.get("/v1/model")
    assert about["last"]["date"] < model["first_date"] <= about["later"][0]["date"]
    answer = server.ask(BASKETS, **plan(customer="CUST0002", date=about["later"][0]["date"]))
    assert answer["trips"] == about["trips"]


def test_the_key_is_asked_of_everyone_where_there_is_one(start):
    server = start(key="a key of some length", only_loopback=False)
    for given in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "a key of some length"},
    ):
        for path in ("/v1/model", "/metrics", "/openapi.json", "/v1/customers"):
            response = server.client.get(path, headers=given)
            assert (response.status_code, response.json()["error"]["code"]) == (401, "key")
        response = server.client.post(BASKETS, json=plan(), headers=given)
        assert response.status_code == 401
        assert server.client.get("/ready", headers=given).status_code == 200
    right = {"authorization": "Bearer a key of some length", "host": "shop.example"}
    assert server.client.post(BASKETS, json=plan(), headers=right).status_code == 200


def test_pages_of_other_hosts_cannot_read_what_is_here(server):
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil"):
        response = server.client.get("/v1/model", headers={"host": host})
        assert (response.status_code, response.json()["error"]["code"]) == (421, "host")
    for host in ("localhost", "localhost:8000", "[::1]:8000", "127.0.0.1"):
        assert server.client.get("/v1/model", headers={"host": host}).status_code == 200


def test_overload_is_refused_at_once_and_passes(start):
    server = start(batch=1, waiting=2)
    busy, free = threading.Event(), threading.Event()
    work = server.service.engine.work

    def slow(jobs):
        busy.set()
        free.wait(20)
        work(jobs)

    server.service.engine.work = slow
    found = []

    def ask():
        with httpx.Client(base_url=server.url, timeout=30) as client:
            found.append(client.post(BASKETS, json=plan()).status_code)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    threads[0].start()
    assert busy.wait(30)
    for thread in threads[1:]:
        thread.start()
    while not server.service.batcher.is_full:
        time.sleep(0.01)
    refused = [server.client.post(BASKETS, json=plan()) for _ in range(3)]
    for response in refused:
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json()["error"]["code"] == "overloaded"
        assert response.headers == refused[0].headers
    assert server.get("/ready") == {"status": "ready"}
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port)) as connection:
        file = connection.makefile("rb")

        def answer() -> int:
            status, length = int(file.readline().split()[1]), 0
            while line := file.readline().strip():
                length = int(line.split(b": ")[1]) if b"content-length" in line else length
            assert len(file.read(length)) == length
            return status

        ready = b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n"
        head = b"POST /v1/trips HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n"
        connection.sendall(ready)
        assert answer() == 200
        connection.sendall(head)
        assert answer() == 503  # the body is not waited for
        connection.sendall(b"POST " + head + b"12345" + head + b"12345" + ready)
        assert [answer() for _ in range(3)] == [503, 503, 200]  # nor taken for a request
    free.set()
    for thread in threads:
        thread.join()
    assert found == [200] * 3
    server.ask(BASKETS, **plan())
    assert 'retailsim_refusals_total{reason="overloaded"} 6.0' in server.client.get("/metrics").text


def test_a_fault_says_nothing_of_the_inside(start, caplog):
    server = start()

    def fault(jobs):
        raise RuntimeError("a secret of the inside")

    server.service.engine.work = fault
    error = server.ask(BASKETS, 500, **plan())
    assert error["error"]["code"] == "fault" and "secret" not in str(error)
    assert "a secret of the inside" in caplog.text


def test_damage_is_told_to_whom_it_concerns(start, tmp_path):
    server = start()
    for customer in ("damaged", "whole"):
        server.ask(TRIPS, **receipt(customer, f"{customer} 1"))
    server.service.engine._now.customers.drop_all()
    with sqlite3.connect(tmp_path / "states" / "states.sqlite") as file:
        file.execute("update trips set content = '{}' where customer = 'damaged'")
    file.close()
    asked = [plan(customer=name, hour=20) for name in ("damaged", "whole")]
    answers = server.ask("/v1/next-baskets", requests=asked)["answers"]
    assert [each.get("trips", each.get("error", {}).get("code")) for each in answers] == [
        "store", 1,
    ]  # fmt: skip
    told = [receipt(name, f"{name} 2", hour=21) for name in ("damaged", "whole")]
    answers = server.ask("/v1/trips/batch", requests=told)["answers"]
    assert answers[0]["error"]["code"] == "store" and answers[1]["number"] == 2
    assert server.client.delete("/v1/customers/damaged").status_code == 200
    assert server.ask(TRIPS, **told[0])["number"] == 1


def test_metrics_count(start):
    server = start()
    server.ask(BASKETS, **plan())
    server.ask(TRIPS, **receipt())
    server.ask(TRIPS, **receipt())
    server.refused(TRIPS, 409, **receipt(spend_pence=1))
    lines = server.client.get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values['retailsim_request_seconds_count{route="/v1/next-basket",status="200"}'] == "1.0"
    assert values['retailsim_trips_total{result="new"}'] == "1.0"
    assert values['retailsim_trips_total{result="duplicate"}'] == "1.0"
    assert values['retailsim_trips_total{result="conflict"}'] == "1.0"
    assert values["retailsim_live_states"] == "2.0"
    assert values["retailsim_batch_size_count"] == "4.0"
    # When nobody waits the first trip is compared with what was expected of it: two products were
    # bought.
    counted = {"observed": 0.0, "expected": 0.0}
    while not counted["observed"]:
        lines = server.client.get("/metrics").text.splitlines()
        for name in counted:
            part = f"retailsim_calibration_{name}_items_total"
            counted[name] = sum(float(line.split()[-1]) for line in lines if line.startswith(part))
    assert counted["observed"] == 2 and counted["expected"] > 1


def test_expected_and_observed_are_counted_by_probability():
    metrics = Metrics()
    p = np.array([0.005, 0.01, 0.3, 0.3, 0.9])
    metrics.compare(p, np.array([False, True, True, False, True]))
    get = metrics.registry.get_sample_value
    expected, observed = (
        [get(f"retailsim_calibration_{name}_items_total", {"p_from": group}) for group in GROUPS]
        for name in ("expected", "observed")
    )
    assert expected == pytest.approx([0.005, 0.01, 0, 0, 0, 0.6, 0.9])
    assert observed == [0, 1, 0, 0, 0, 1, 1] and len(GROUPS) == len(EDGES) + 1
