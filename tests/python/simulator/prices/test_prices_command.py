"""The command line of prices."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from toy import toy_cache

from simulator.prices.__main__ import main
from simulator.prices.panel import read_panel
from simulator.prices.rules_file import read_rules
from trainer.commands.errors import InputError


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("prices") / "cache", trips_of=[40] * 80, seed=4)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_of_elasticities_and_of_a_plan(cache, tmp_path, capsys):
    panel = read_panel(cache, 25)
    codes = [cache["products.code"][token - 1].decode() for token in panel.token]
    costs = tmp_path / "costs.csv"
    costs.write_text("product_code,unit_cost_pence\n" + "".join(f"{c},1\n" for c in codes))
    rules = tmp_path / "rules.yml"
    rules.write_text("most_move: 5%\nmost_changes: 2\n")
    out = tmp_path / "out"
    options = ["--cache", str(cache.folder), "--start", "25", "--out", str(out)]
    code = main([*options, "--costs", str(costs), "--rules", str(rules)])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "own elasticities: median" in printed.out and "prices worth charging" in printed.out
    assert [row["product"] for row in table(out / "products.csv")] == codes
    changed = [
        row for row in table(out / "plan.csv") if row["price_pence"] != row["new_price_pence"]
    ]
    assert len(changed) <= 2
    content = json.loads((out / "prices.json").read_text())
    assert content["products"] == len(codes)
    assert content["plan"]["profit_after"] >= content["plan"]["profit_before"]


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
        ("products: [PRD0]", "products: PRD0 is no product with enough sales"),
        ("categories: [C0]", "categories: the chain has no C0"),
        ("parity: [{product: PRD0}]", "parity, entry 1: expected product, times, of, within"),
    ],
)
def test_rules_that_cannot_be(rules_of, text, told):
    with pytest.raises(InputError, match=r"rules\.yml: ") as error:
        rules_of[0](text)
    assert told in str(error.value) and "\n" not in str(error.value)
