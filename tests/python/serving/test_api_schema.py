"""What OpenAPI says is what the server does, for generated requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from profiles import examples

schemathesis = pytest.importorskip("schemathesis")

from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

EXCLUDED = [positive_data_acceptance]
"""A schema cannot say which dates, labels and pairs of fields are possible: it depends on the chain
and on each other. Such requests are valid by the schema, and answered with 422."""


def test_every_route_keeps_its_word(server):
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    routes = [operation.ok() for operation in schema.get_all_operations()]
    assert len(routes) == 17
    for route in routes:

        @examples(5)
        @given(route.as_strategy())
        def keeps_its_word(case):
            case.call_and_validate(excluded_checks=EXCLUDED)

        keeps_its_word()
