"""The page, as a visitor sees it. Skipped where there is no browser."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest
from running import AFTER

LAST_WEEK = 3
"""So that the toy chain's customers have trips that the model has not seen."""
WITHOUT_NAME = """() => [...document.querySelectorAll("input, select, button")].filter(part =>
    part.offsetParent && !part.labels?.length && !part.textContent.trim()
    && !part.getAttribute("aria-label")).map(part => part.outerHTML)"""


@pytest.fixture
def visit(browser):
    """`visit(server, **options)` is the page of a server, and what went wrong in it."""
    contexts = []

    def visiting(server, **options) -> SimpleNamespace:
        contexts.append(browser.new_context(locale="en-GB", **options))
        page = contexts[-1].new_page()
        wrong, requested = [], []
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: requested.append(request.url))
        page.goto(f"{server.url}/page/")
        return SimpleNamespace(page=page, wrong=wrong, requested=requested)

    yield visiting
    for context in contexts:
        context.close()


def in_words(day: str) -> str:
    """A date as the page writes it."""
    return f"{date.fromisoformat(day):%A, %-d %B %Y}"


def look_up(page, code: str) -> None:
    page.wait_for_selector("#answer li")
    page.fill("#customer", code)
    with page.expect_response("**/v1/next-basket"):
        page.click("#who button >> text=Look up")


LISTED = """[...document.querySelectorAll('#answer li > span:first-child')].map(
    span => span.firstChild.textContent)"""


def listed(page) -> list[str]:
    return page.evaluate(LISTED)


def wait_for(page, products: list[str]) -> None:
    """Until the page lists these, and no longer what answered a question before."""
    page.wait_for_function(f"products => products.join() === {LISTED}.join()", arg=products)


def choose_date(page, day: str) -> None:
    with page.expect_response("**/v1/next-basket"):
        page.fill("input[name=date]", day)
        page.dispatch_event("input[name=date]", "change")


@pytest.fixture
def customer(cache) -> str:
    """One with many trips, some of them after `LAST_WEEK`."""
    return cache["customers.code"][2].decode()


def test_a_recorded_customer_is_asked_about_as_by_the_api(server, visit, customer):
    seen = visit(server)
    look_up(seen.page, customer)
    choose_date(seen.page, AFTER)
    answer = server.ask("/v1/next-basket", customer=customer, date=AFTER, hour=12, products=10)
    expected = [each["product"] for each in answer["products"]]
    wait_for(seen.page, expected)
    assert listed(seen.page) == expected
    trips = server.get(f"/v1/customers/{customer}?trips=200")["latest"]
    days = seen.page.locator("#calendar td button")
    assert 0 < days.count() <= len({trip["date"] for trip in trips})
    seen.page.click(f"#calendar button[title^='{in_words(trips[0]['date'])}']")
    assert seen.page.locator("#day li").count() == sum(
        len(trip["products"]) for trip in trips if trip["date"] == trips[0]["date"]
    )
    assert not seen.wrong


def test_a_fuller_basket_changes_what_else_is_likely(server, visit, customer):
    seen = visit(server)
    look_up(seen.page, customer)
    choose_date(seen.page, AFTER)
    first = listed(seen.page)[0]
    with seen.page.expect_response("**/v1/completion"):
        seen.page.click("#answer li >> nth=0 >> text=Add")
    seen.page.wait_for_selector("text=What else?")
    question = dict(customer=customer, date=AFTER, hour=12, products=10, basket=[first])
    expected = [each["product"] for each in server.ask("/v1/completion", **question)["products"]]
    wait_for(seen.page, expected)
    assert listed(seen.page) == expected
    with seen.page.expect_response("**/v1/next-basket"):
        seen.page.click(f"[aria-label='Remove {first}']")
    assert seen.page.inner_text("#basket").strip() == "empty"
    seen.page.click("#answer li >> nth=1 >> text=Why?")
    seen.page.wait_for_selector("#why h3")
    assert listed(seen.page)[1] in seen.page.inner_text("#why h3")
    assert not seen.wrong


def test_a_customer_can_be_made_up(server, visit, cache):
    seen = visit(server)
    seen.page.wait_for_selector("#answer li")
    seen.page.click("#make-up")
    seen.page.wait_for_selector("text=A customer without a past")
    assert not seen.page.locator("#visit-days").is_visible()
    code = cache["products.code"][4].decode()
    seen.page.fill("#product", code)
    seen.page.click("#add button")
    seen.page.wait_for_selector("text=What else?")
    seen.page.click("#bought button")
    seen.page.wait_for_selector("#visit-days:visible")
    assert "1 trip, made up" in seen.page.inner_text("#known")
    assert seen.page.locator("#calendar td button").count() == 1
    seen.page.wait_for_selector(f"#answer >> text={code} bought before")
    assert not seen.wrong


def test_an_answer_is_compared_with_what_was_bought(start, visit, customer):
    server = start(last_week=LAST_WEEK)
    later = server.get(f"/v1/customers/{customer}")["later"]
    seen = visit(server)
    look_up(seen.page, customer)
    seen.page.click("#later summary")
    with seen.page.expect_response("**/v1/next-basket"):
        seen.page.click("#later-trips button >> nth=0")
    seen.page.wait_for_selector("text=that were bought")
    hits = set(listed(seen.page)) & set(later[0]["products"])
    assert f"{len(hits)} of the {len(later[0]['products'])}" in seen.page.inner_text("#summary")
    assert seen.page.locator("text=✓ was bought").count() == len(hits)
    assert not seen.wrong


def test_a_customer_without_a_trip_so_far_is_no_error(start, visit, cache):
    server = start(last_week=1)
    code = next(
        code for code in server.get("/v1/customers")["codes"]
        if not server.get(f"/v1/customers/{code}")["trips"]
    )  # fmt: skip
    seen = visit(server)
    look_up(seen.page, code)
    seen.page.wait_for_selector("text=told after their first trip")
    assert not seen.wrong


def test_what_is_wrong_is_said_in_one_line(server, visit):
    seen = visit(server)
    seen.page.wait_for_selector("#answer li")
    seen.page.fill("#customer", "NOBODY")
    seen.page.click("#who button >> text=Look up")
    seen.page.wait_for_selector("#wrong:not(:empty)")
    assert "NOBODY" in seen.page.inner_text("#wrong")


def test_the_page_needs_nothing_but_its_server(server, visit, customer):
    seen = visit(server)
    look_up(seen.page, customer)
    assert all(url.startswith(server.url) for url in seen.requested)
    assert not seen.wrong  # its content security policy would complain here


def test_a_key_is_asked_for(start, visit):
    server = start(key="open sesame")
    seen = visit(server)
    seen.page.fill("#key-text", "open sesame")
    seen.page.click("#key button")
    seen.page.wait_for_selector("#answer li")
    assert not seen.page.locator("#key").is_visible()


def test_prices_can_be_asked_about(start, visit, prices, cache):
    first, second, still, fourth = (code.decode() for code in cache["products.code"][:4].tolist())
    seen = visit(start(prices=prices), viewport={"width": 360, "height": 740})
    seen.page.wait_for_selector("#price-plan table")
    assert "sells 1.8 % fewer units" in seen.page.inner_text("#prices")
    plan = seen.page.inner_text("#price-plan")
    assert "2 prices change" in plan and "10.00 → 10.14 (+1.4 %)" in plan and "Do not book" in plan
    assert "Rules that hold it back: most move" in plan
    assert seen.page.locator("#price-plan tbody th").all_inner_texts() == [second, first]
    for code, said in (
        (first, "elasticity −2.00"), (still, "never moved"), (fourth, "sold too seldom"),
    ):  # fmt: skip
        seen.page.fill("#priced", code)
        seen.page.click("#price-of button")
        seen.page.wait_for_selector(f"#price-answer h3 >> text={code}")
        assert said in seen.page.inner_text("#price-answer")
    seen.page.click(f"#price-plan >> text={first}")
    seen.page.wait_for_selector(f"#price-answer dt >> text={second}")
    answer = seen.page.inner_text("#price-answer")
    assert "−17 % units" in answer and "1.00 → 1.05" in answer
    assert seen.page.evaluate("document.scrollingElement.scrollWidth") <= 360
    assert seen.page.evaluate(WITHOUT_NAME) == []
    assert not seen.wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_nothing_overflows(server, visit, customer, scheme):
    seen = visit(server, color_scheme=scheme, viewport={"width": 360, "height": 740})
    look_up(seen.page, customer)
    assert seen.page.evaluate(WITHOUT_NAME) == []
    assert seen.page.evaluate("document.scrollingElement.scrollWidth") <= 360
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(",")]
    assert (sum(channels) > 380) == (scheme == "light")


def test_prices_that_never_moved_are_said_to_teach_nothing(server, visit, cache):
    moved = server.get("/v1/model")["prices_moved"]
    seen = visit(server)
    seen.page.wait_for_selector("#answer li")
    assert ("never moved" in seen.page.inner_text("#prices")) != moved
