"""Questions about prices: answered from a folder that fits the chain, and refused in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from running import made_up_prices
from toy import toy_cache

from serving.client import Client, Refused
from serving.limits import LISTED
from serving.prices import Prices, none_given
from simulator.prices.__main__ import main
from trainer.cache.json_files import read_json, write_json
from trainer.commands.errors import InputError
from trainer.features.price_evidence import PriceEvidence


@pytest.fixture
def priced(start, prices):
    return start(prices=prices)


def test_what_was_found_is_what_is_answered(priced, prices, cache):
    content = read_json(prices / "prices.json")
    first, second, still = content["products"]
    client = Client(priced.url)
    whole = client.prices()
    assert (whole["start"], whole["products"], whole["own"]) == (4, 3, content["own"])
    plan = whole["plan"]
    assert plan["new_profit_pence"] == 1014 and "less will come" in plan["caution"]
    assert plan["rules"] == content["plan"]["rules"]
    answer = client.prices_of(first["product"])
    for name in ("elasticity", "low", "high", "rests_on", "weeks_with_a_move", "rivals"):
        assert answer[name] == first[name]
    assert answer["plan"]["new_price_pence"] == 105
    never = client.prices_of(still["product"])
    assert never["elasticity"] is None and never["rests_on"] == "price never moved"
    changes = client.price_plan()
    assert [each["product"] for each in changes["changes"]] == [
        second["product"], first["product"],
    ]  # fmt: skip
    assert not changes["more"] and priced.get("/v1/model")["prices"]
    page = client.price_plan(skip=0, limit=1)
    assert page == {"changes": changes["changes"][:1], "more": True}
    assert client.price_plan(skip=2)["changes"] == []


def test_products_without_an_answer_say_why(priced, cache):
    assert cache["products.is_random_weight"][10] and not cache["products.is_random_weight"][5]
    for row, why in ((5, "too few sales"), (10, "sold by weight")):
        answer = priced.get(f"/v1/prices/{cache['products.code'][row].decode()}")
        assert (answer["elasticity"], answer["rests_on"], answer["plan"]) == (None, why, None)
    with pytest.raises(Refused, match="no product 'NOTHING'") as error:
        Client(priced.url).prices_of("NOTHING")
    assert (error.value.status, error.value.code) == (404, "unknown_product")


@pytest.mark.parametrize(
    "path",
    ["price-plan?limit=0", f"price-plan?limit={LISTED + 1}", "price-plan?skip=-1",
     f"price-plan?skip={10**20}", "prices/" + "P" * 65, "prices/%00"],
)  # fmt: skip
def test_questions_are_bounded(priced, path):
    assert priced.get(f"/v1/{path}", 422)["error"]["code"] == "invalid"


@pytest.mark.parametrize("path", ["prices", "price-plan", "prices/PRD0001"])
def test_without_prices_every_question_is_told_so(server, path):
    error = server.get(f"/v1/{path}", 404)["error"]
    assert error["code"] == "no_prices" and "--prices FOLDER" in error["message"]
    assert not server.get("/v1/model")["prices"]


def test_where_prices_never_moved_the_answer_has_the_evidence():
    nothing = np.zeros(3, np.int64)
    error = none_given(PriceEvidence(1, 20, moves=nothing, seen=np.ones(3, bool)))
    assert "hardly ever move" in str(error) and "0 of 3 products" in str(error)


def test_a_plan_that_was_not_made_is_not_there(start, tmp_path, cache):
    content = made_up_prices(cache)
    del content["plan"]
    write_json(tmp_path / "prices.json", content)
    server = start(prices=tmp_path)
    assert server.get("/v1/prices")["plan"] is None
    assert server.get(f"/v1/prices/{content['products'][0]['product']}")["plan"] is None
    assert server.get("/v1/price-plan", 404)["error"]["code"] == "no_plan"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content | {"cache_digest": "0"}, "was made from another cache than"),
        (lambda content: content | {"format": 1}, "is of another version: write it again"),
        (lambda content: content | {"start": 26}, "knows of weeks up to 26, and --until-week is"),
    ],
)
def test_folders_that_do_not_fit_are_refused(cache, tmp_path, change, message):
    write_json(tmp_path / "prices.json", change(made_up_prices(cache)))
    with pytest.raises(InputError, match="--prices: .*" + message) as error:
        Prices(tmp_path, cache, 25)
    assert "\n" not in str(error.value)


def test_damaged_and_missing_files_are_refused(cache, tmp_path):
    with pytest.raises(InputError, match="--prices: there is no .*prices.json: expected a folder"):
        Prices(tmp_path, cache, 25)
    path = tmp_path / "prices.json"
    write_json(path, made_up_prices(cache))
    path.write_text(path.read_text().replace("-2.0", "-3.0"))
    with pytest.raises(InputError, match="is damaged: write it again"):
        Prices(tmp_path, cache, 25)
    path.write_text("[")
    with pytest.raises(InputError, match="is not JSON"):
        Prices(tmp_path, cache, 25)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content.pop("products"),
        lambda content: content.pop("own"),
        lambda content: content["products"][0].pop("elasticity"),
        lambda content: content["products"][0].update(elasticity=float("nan")),
        lambda content: content["products"][0].update(gain_pence="much"),
        lambda content: content.update(plan=[1]),
    ],
)
def test_content_that_cannot_be_answered_is_refused_at_the_start(cache, tmp_path, spoil):
    content = made_up_prices(cache)
    spoil(content)
    write_json(tmp_path / "prices.json", content)
    with pytest.raises(InputError, match="is not what python -m simulator.prices writes"):
        Prices(tmp_path, cache, 4)


def test_what_the_command_writes_can_be_served(tmp_path):
    cache = toy_cache(tmp_path / "cache", trips_of=[40] * 80, seed=4)
    codes = [code.decode() for code in cache["products.code"].tolist()]
    costs, out = tmp_path / "costs.csv", tmp_path / "out"
    costs.write_text("product_code,unit_cost_pence\n" + "".join(f"{code},1\n" for code in codes))
    asked = ["--cache", cache.folder, "--start", 25, "--out", out, "--costs", costs]
    assert main([str(each) for each in asked]) == 0
    found = Prices(out, cache, 25)
    content = json.loads((out / "prices.json").read_text())
    for row in content["products"]:
        answer = found.of(row["product"])
        assert answer["price_pence"] == row["price_pence"]
        assert answer["plan"]["new_price_pence"] == row["new_price_pence"]
    gained = sum(each["gain_pence"] for each in found.changes(0, LISTED)["changes"])
    stays = sum(
        row["gain_pence"] for row in content["products"]
        if row["new_price_pence"] == row["price_pence"]
    )  # fmt: skip
    plan = found.summary()["plan"]
    assert gained + stays == pytest.approx(plan["new_profit_pence"] - plan["profit_pence"], abs=0.1)
