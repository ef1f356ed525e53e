"""An instrument in a comparison: asked as in `simulator.prices`, and said what it found."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_runs import MadeUp
from toy_start import START

from simulator.prices.__main__ import _parser as prices_parser
from simulator.prices.demand_response import fit_demand_response
from simulator.simulation import Simulator
from simulator.whatif.__main__ import _parser, main
from trainer.cache.json_files import read_json
from trainer.model.checkpoint import save_checkpoint

PLAN = f"prices:\n  - {{products: [PRD0011], weeks: {START + 1}, change: -50%}}\n"
HEAD = "product_code,week,unit_cost_pence\n"


@pytest.fixture
def command(chain, tmp_path, monkeypatch):
    """`command(*more)` of a plan with a price and a checkpoint, in their folder; receipts are made
    up, and answers to prices measured."""
    cache, model = chain
    save_checkpoint(tmp_path / "best", model, cache, {})
    (tmp_path / "plan.yml").write_text(PLAN)
    rows = "".join(f"{code.decode()},1,50\n" for code in cache["products.code"].tolist())
    (tmp_path / "costs.csv").write_text(HEAD + rows)
    monkeypatch.chdir(tmp_path)

    def ready(_, cache, start, instrument):
        found = MadeUp(cache, start)
        found.demand = fit_demand_response(cache, start, instrument)
        return found

    monkeypatch.setattr("simulator.whatif.__main__.ready_simulator", ready)
    given = [
        "best", "--cache", str(cache.folder), "--start", str(START), "--weeks", "2", "--runs", "2",
        "--scenario", "plan.yml", "--out", "out", "--processes", "1",
    ]  # fmt: skip
    return lambda *more: main([*given, *more])


def test_costs_that_never_move_are_said_to_be_weak(command, tmp_path, capsys):
    assert command("--instrument", "costs.csv") == 0
    printed = capsys.readouterr().out
    said = "Instrument, products of a need: weak, F 0.0 of the first stage where 10 are needed: not"
    assert said in printed and "Instrument, needs: weak" in printed
    content = read_json(tmp_path / "out/whatif.json")
    assert content["instrument"].keys() == {"within_needs", "between_needs"}
    assert not content["instrument"]["within_needs"]["is_used"]
    assert said in (tmp_path / "out/whatif.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("plan", "costs", "says"),
    [
        (
            f"products:\n  - {{delist: PRD0001, weeks: {START + 1}-}}\n",
            "",
            "--instrument: plan.yml",
        ),
        (PLAN, None, "costs.csv: there is no such file"),
        (PLAN, "", "costs.csv: column product_code is not there"),
        (PLAN, "product_code,week\nPRD0001,1\n", "costs.csv: column unit_cost_pence is not there"),
        (PLAN, HEAD + "PRD0001,1,x\n", "costs.csv: line 2, unit_cost_pence: 'x', where pence"),
        (PLAN, HEAD + "PRD0001,1,1e99\n", "costs.csv: line 2, unit_cost_pence: '1e99', where"),
        (PLAN, HEAD + f"PRD0001,{START + 1},5\n", f"chain up to week {START}"),
    ],
)
def test_what_cannot_be_asked_is_refused(command, tmp_path, capsys, plan, costs, says):
    (tmp_path / "plan.yml").write_text(plan)
    if costs is None:
        (tmp_path / "costs.csv").unlink()
    else:
        (tmp_path / "costs.csv").write_text(costs)
    assert command("--instrument", "costs.csv") == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_both_commands_have_one_option():
    one, other = (
        next(each for each in parser._actions if "--instrument" in each.option_strings)
        for parser in (_parser(), prices_parser())
    )
    assert one.help == other.help


def test_a_simulator_measures_with_it(chain, monkeypatch):
    cache, model = chain
    monkeypatch.setattr("simulator.simulation.fit_demand_response", lambda *given: given)
    costs = np.ones((cache.products, START))
    assert Simulator(model, cache, START, np.arange(2), costs)._response == (cache, START, costs)
