"""What OpenAPI says is what the server does, for generated requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from profiles import examples

from serving import schemas

schemathesis = pytest.importorskip("schemathesis")

from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

EXCLUDED = [positive_data_acceptance]
"""A schema cannot say which dates, labels and pairs of fields are possible: it depends on the chain
and on each other. Such requests are valid by the schema, and answered with 422."""


def test_every_route_keeps_its_word(start, prices):
    server = start(prices=prices)
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    routes = [operation.ok() for operation in schema.get_all_operations()]
    assert len(routes) == 20
    for route in routes:

        @examples(5)
        @given(route.as_strategy())
        def keeps_its_word(case):
            case.call_and_validate(excluded_checks=EXCLUDED)

        keeps_its_word()


def test_every_body_has_an_example_that_is_one(server):
    described = server.get("/openapi.json")
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
        for methods in described["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    assert len(bodies) == 9
    for name in bodies:
        examples = described["components"]["schemas"][name]["examples"]
        assert examples
        for example in examples:
            getattr(schemas, name).model_validate(example)
