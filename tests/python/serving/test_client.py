"""The client against a server."""

from __future__ import annotations

import pytest
from running import AFTER

from serving import client as client_module
from serving.client import Client, Refused
from serving.errors import overloaded


@pytest.fixture
def client(server) -> Client:
    return Client(server.url)


@pytest.fixture
def code(cache) -> str:
    return cache["customers.code"][0].decode()


def test_answers_are_those_of_the_api(client, server, code, cache):
    products = [product.decode() for product in cache["products.code"][:2]]
    question = dict(customer=code, date=AFTER, hour=12)
    assert client.next_basket(**question) == server.ask("/v1/next-basket", **question)
    more = question | {"basket": products}
    assert client.completion(**more) == server.ask("/v1/completion", **more)
    why = question | {"product": products[0]}
    assert client.explain(**why) == server.ask("/v1/explain", **why)
    assert client.next_visit(customer=code) == server.ask("/v1/next-visit", customer=code)
    assert client.customer(code, trips=3) == server.get(f"/v1/customers/{code}?trips=3")
    assert client.model() == server.get("/v1/model")


def test_a_trip_is_told_and_a_customer_forgotten(client, cache):
    trip = dict(
        customer="made up/é", trip_id="client 1", date=AFTER, hour=9,
        store=cache["stores.code"][0].decode(),
        items=[{"product": cache["products.code"][0].decode()}], spend_pence=100,
    )  # fmt: skip
    assert client.tell(**trip) == client.tell(**trip)
    assert client.customer("made up/é")["trips"] == 1
    assert client.forget("made up/é")["forgotten"]


def test_what_is_refused_says_why(client):
    with pytest.raises(Refused, match="hour") as refused:
        client.next_basket(customer="NOBODY", date=AFTER, hour=25)
    assert (refused.value.status, refused.value.field) == (422, "hour")
    with pytest.raises(ValueError, match="http://"):
        Client("127.0.0.1:8000")
    with pytest.raises(OSError):
        Client("http://127.0.0.1:9", seconds=1).model()


def test_an_overloaded_server_is_asked_again(client, server, code, monkeypatch):
    ask, asked = server.service.batcher.ask, []

    async def first_refused(request):
        asked.append(request)
        if len(asked) == 1:
            raise overloaded()
        return await ask(request)

    monkeypatch.setattr(server.service.batcher, "ask", first_refused)
    monkeypatch.setattr(client_module, "LONGEST_WAIT", 0.01)
    assert client.next_basket(customer=code, date=AFTER, hour=12)["products"]
    assert len(asked) == 2


def test_it_gives_up_after_some_tries(client, server, code, monkeypatch):
    async def refused(request):
        raise overloaded()

    monkeypatch.setattr(server.service.batcher, "ask", refused)
    monkeypatch.setattr(client_module, "LONGEST_WAIT", 0.0)
    with pytest.raises(Refused) as error:
        client.next_basket(customer=code, date=AFTER, hour=12)
    assert error.value.code == "overloaded"
