"""The command line of prices."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import json
import math
import re

import numpy as np
import pytest
from toy import toy_cache

from simulator.prices.__main__ import main
from simulator.prices.content import content as content_of
from simulator.prices.demand_response import fit_demand_response
from simulator.prices.elasticities import elasticities
from simulator.prices.expected import ExpectedDemand
from simulator.prices.page import page
from simulator.prices.panel import read_panel
from simulator.prices.rules_file import read_rules
from simulator.prices.text_report import lines
from trainer.cache.json_files import is_intact, read_json
from trainer.commands.errors import InputError
from trainer.features.price_evidence import price_evidence
from trainer.report.figures import fixed

HOSTILE = "<script>alert('&')</script>"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("prices") / "cache", trips_of=[40] * 80, seed=4)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def codes_of(cache):
    return [cache["products.code"][token - 1].decode() for token in read_panel(cache, 25).token]


@pytest.fixture(scope="module")
def out(cache, tmp_path_factory):
    """What the command finds, with a plan."""
    folder = tmp_path_factory.mktemp("prices_out")
    costs, rules, out = (folder / name for name in ("costs.csv", "rules.yml", "out"))
    rows = "".join(f"{code},1\n" for code in codes_of(cache))
    costs.write_text(f"product_code,unit_cost_pence\n{rows}")
    rules.write_text(f"# {HOSTILE}\nmost_move: 5%\nmost_changes: 2\n")
    options = ["--cache", cache.folder, "--start", 25, "--out", out]
    assert main([str(each) for each in (*options, "--costs", costs, "--rules", rules)]) == 0
    return out


@pytest.fixture(scope="module")
def content(out):
    return read_json(out / "prices.json")


def test_tables_hold_the_figures_of_the_json(cache, out, content):
    assert is_intact(content) and content["cache_digest"] == cache.digest
    products, plan = table(out / "products.csv"), table(out / "plan.csv")
    assert [row["product"] for row in products] == codes_of(cache)
    for row, line, planned in zip(content["products"], products, plan, strict=True):
        for values, names in (
            (line, ("elasticity", "low", "high", "units_a_week")),
            (planned, ("price_pence", "new_price_pence", "new_units_a_week", "gain_pence")),
        ):
            for name in names:
                assert values[name] == ("" if row[name] is None else str(row[name]))
    pairs = {(each["sold"], each["priced"]): each for each in table(out / "pairs.csv")}
    for row in content["products"]:
        for rival in row["rivals"]:
            line = pairs[row["product"], rival["product"]]
            assert float(line["elasticity"]) == rival["elasticity"] > 0


def test_of_a_price_that_never_moved_no_elasticity_is_told(cache):
    """Not even what it does to visits, which is not the whole."""
    demand = ExpectedDemand(cache, fit_demand_response(cache, 25), 25, 1)
    demand.response.products.moved[3] = False
    found = content_of(cache, price_evidence(cache), demand, elasticities(demand, draws=1), 25)
    assert found["rest_on"]["price never moved"] == 1
    for number, row in enumerate(found["products"]):
        told = [row[name] is not None for name in ("elasticity", "low", "high")]
        assert told == [number != 3] * 3


def test_a_plan_keeps_its_rules_and_gains_add_up(content):
    plan, rows = content["plan"], content["products"]
    changed = sum(row["new_price_pence"] != row["price_pence"] for row in rows)
    assert changed == plan["changed"] <= 2
    gained = sum(row["gain_pence"] for row in rows)
    assert gained == pytest.approx(plan["profit_after"] - plan["profit_before"], abs=0.01)
    assert gained >= 0
    (rule,) = (rule for rule in plan["rules"] if rule["rule"] == "most_changes")
    assert (rule["limit"], rule["reached"], rule["binds"]) == (2, changed, changed == 2)


def test_the_page_holds_the_figures_and_nothing_foreign(out, content):
    text = (out / "prices.html").read_text(encoding="utf-8")
    for row in content["products"]:
        assert row["product"] in text
        if row["rests_on"] != "price never moved":
            assert fixed(row["elasticity"], 2) in text
    assert fixed(content["plan"]["profit_after"] / 100, 0) in text and "Do not book" in text
    _, script, _ = re.split("</?script>", text)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert policy in html.unescape(text) and html.escape(HOSTILE) in text
    assert not re.findall(r"(?:src|href)=\"(?!#)", text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_codes_with_markup_are_escaped(content):
    hostile = json.loads(json.dumps(content).replace(content["products"][0]["product"], HOSTILE))
    hostile["products"][0]["department"] = hostile["products"][0]["category"] = HOSTILE
    found = page(hostile, f"python -m simulator.prices {HOSTILE}")
    assert found.count("<script") == 1 and html.escape(HOSTILE) in found


def test_what_cannot_be_told_is_said(content):
    unable = content | {"switches": False, "substitutes": 0.06, "pairs": []}
    del unable["plan"]
    found = page(unable, "")
    assert "cannot tell which products replace each other: 6 % of the pairs" in found
    assert "Do not book" not in found
    assert "not identifiable: 6 % of the pairs" in "\n".join(lines(unable))
    still = json.loads(json.dumps(unable))
    for row in still["products"]:
        row["rests_on"] = "price never moved"
    assert "No price of a product that sells enough ever moved" in page(still, "")


def test_what_is_announced_is_said_where_it_is_known(content):
    assert "odds of a product" not in "\n".join(lines(content | {"announced": {}}))
    shown = {"announced": {"display": {"effect": math.log(2), "standard_error": 0.1}}}
    assert (
        "odds of a product at the same price: display x 2.00 [1.70, 2.36]"
        in lines(content | shown)[5]
    )


def test_an_instrument_is_asked_and_said_to_be_weak(cache, content, tmp_path, capsys):
    """Costs that never move say nothing, and elasticities are those without."""
    costs, out = tmp_path / "costs.csv", tmp_path / "out"
    rows = "".join(f"{code},1,70\n{code},26,200\n" for code in codes_of(cache))
    costs.write_text(f"product_code,week,unit_cost_pence\n{rows}")
    options = ["--cache", cache.folder, "--start", 25, "--out", out, "--instrument", costs]
    assert main([str(each) for each in options]) == 0
    printed = capsys.readouterr().out
    assert "own elasticities without the instrument: median" in printed
    assert "instrument, products of a need: weak, F 0.0 of the first stage" in printed
    told = read_json(out / "prices.json")
    assert told["own"] == told["instrument"]["own_without"] == content["own"]
    for row in table(out / "products.csv"):
        assert row["elasticity"] == row["elasticity_without_instrument"]
    assert "weak, F 0.0 of the first stage" in (out / "prices.html").read_text(encoding="utf-8")


def test_what_an_instrument_changes_is_said(content):
    spread = {"low": -3.0, "median": -2.0, "high": -1.0}
    moved = {
        "strength": 71.2, "categories": 20,
        "shift": 0.5, "shift_error": 0.1, "residual": 0.4, "residual_error": 0.1,
        "is_strong": True, "is_used": True,
    }  # fmt: skip
    told = {
        "own_without": spread, "within_needs": moved,
        "between_needs": moved | {"shift": 0.1, "is_used": False},
    }  # fmt: skip
    _, _, before, within, between, *_ = lines(content | {"instrument": told})
    assert before.endswith(
        "without the instrument: median -2.00, 10 % below -3.00, 10 % above -1.00"
    )
    assert within.startswith("instrument, products of a need: F 71; ")
    assert "by +0.40 [+0.24, +0.56]; elasticities change by -0.50 [-0.66, -0.34]" in within
    assert between.endswith("not clear enough for a change by -0.10 [-0.26, +0.06]")


def test_without_costs_there_is_no_plan(cache, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["--cache", str(cache.folder), "--start", "25", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "own elasticities: median" in printed and "prices worth charging" not in printed
    assert not (out / "plan.csv").exists() and "plan" not in read_json(out / "prices.json")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--rules", "rules.yml"], "--rules: prices worth charging need --costs"),
        (["--start", "1"], "start 1: expected a week from"),
        (["--weeks", "0"], "--weeks"),
    ],
)
def test_options_that_cannot_be(cache, tmp_path, capsys, options, told):
    code = main(["--cache", str(cache.folder), "--out", str(tmp_path / "out"), *options])
    assert code == 2 and told in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_wrong_rules_are_told_before_demand_is_measured(cache, tmp_path, capsys):
    (rules := tmp_path / "rules.yml").write_text("ladder: [9]")
    (costs := tmp_path / "costs.csv").write_text(
        f"product_code,unit_cost_pence\n{codes_of(cache)[0]},1\n"
    )
    options = ["--costs", str(costs), "--rules", str(rules), "--out", str(tmp_path / "out")]
    assert main(["--cache", str(cache.folder), *options]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "unknown rule ladder" in told


def test_a_chain_whose_prices_never_move_is_refused(cache, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trainer.features.price_evidence.MOVE", 50.0)
    code = main(["--cache", str(cache.folder), "--out", str(tmp_path / "out")])
    assert code == 2
    assert "prices hardly ever move there" in capsys.readouterr().err.splitlines()[-1]


@pytest.fixture
def rules_of(cache, tmp_path):
    panel = read_panel(cache, 25)

    def read(text):
        path = tmp_path / "rules.yml"
        path.write_text(text)
        return read_rules(path, cache, panel)

    return read, [cache["products.code"][token - 1].decode() for token in panel.token], panel


def test_all_rules(rules_of, cache):
    read, codes, panel = rules_of
    category = cache["categories.code"][panel.category[0]].decode()
    rules, chosen = read(
        "most_move: 0.2\nendings: [9, '05']\nleast_margin: 15%\nindex: 100%\nmost_changes: 3\n"
        f"categories: [{category}]\n"
        f"parity: [{{product: {codes[0]}, times: 1.5, of: {codes[1]}, within: 5%}}]\n"
    )
    assert (rules.most_move, rules.least_margin, rules.index, rules.most_changes) == (
        0.2,
        0.15,
        1,
        3,
    )
    assert rules.endings == (5, 9, 19, 29, 39, 49, 59, 69, 79, 89, 99)
    assert rules.parity == ((0, 1, 1.5, 0.05),)
    assert np.array_equal(chosen, panel.category == panel.category[0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ladder: [9]", "unknown rule ladder. Known are most_move, endings"),
        ("most_move: lots", "most_move: expected a share from 0.001 to 0.9, such as 10%"),
        ("index: -5%", "index: expected a share"),
        ("most_changes: 1.5", "most_changes: expected a whole number from 0"),
        ("endings: 9", "endings: expected a list"),
        ("endings: [100]", "endings: expected a whole number from 0 to 99"),
        ("endings: [5.0]", "endings: expected a whole number from 0 to 99"),
        ("most_changes: 100%", "most_changes: expected a whole number from 0"),
        ("products: [PRD0]", "products: PRD0 is no product with enough sales"),
        ("categories: [C0]", "categories: the chain has no C0"),
        ("parity: [{product: PRD0}]", "parity, entry 1: expected product, times, of, within"),
        ("products: []", "products, categories: none of them has enough sales"),
    ],
)
def test_rules_that_cannot_be(rules_of, text, told):
    with pytest.raises(InputError, match=r"rules\.yml: ") as error:
        rules_of[0](text)
    assert told in str(error.value) and "\n" not in str(error.value)
