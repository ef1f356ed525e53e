"""`python -m simulator.policy`: from a policy's YAML file to the table and the page."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from toy import toy_cache
from toy_coupons import MENU
from toy_knowledge import knowledge

from dbt_project.sample.__main__ import main as sample
from simulator.environments.learned.coupon_response import SEGMENTS
from simulator.environments.learned.records import read_records
from simulator.policy.__main__ import main
from simulator.policy.tables import table
from simulator.policy.values import NOBODY, ORACLE, PLAN, compared
from trainer.cache.json_files import write_json


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A chain, a world with its price list that was not learnt from it, for what runs, runs; and
    another chain."""
    folder = tmp_path_factory.mktemp("policies")
    size = ["--customers", "40", "--products", "70", "--stores", "5", "--weeks", "12"]
    for name, seed in (("raw", "7"), ("other", "8")):
        assert sample([*size, "--seed", seed, "--out", str(folder / name)]) == 0
    books = read_records(folder / "raw", 8)
    world = replace(knowledge(70), group=books.group, listed=books.listed)
    world.save(folder / "world")
    after_trial = replace(
        world, coupon=MENU, coupon_depth=np.array([0.1]), coupon_lift=np.full(SEGMENTS, 0.3),
        coupon_taken=np.full(MENU.size, 0.2),
    )  # fmt: skip
    after_trial.save(folder / "tried")
    for name, text in {
        "plan": f"policy: plan\nname: {PLAN}\n",
        "mine": "policy: search\nname: mine\nlives: 1\nsteps: [1.0]\nlimits: {index: 0.97}\n",
        "free": "policy: constant-elasticity\nname: free\nlimits: {index: 9, most_move: 9}\n",
        "bad": "policy: magic\n",
        "worse": "policy: search\nspeed: 3\n",
        "worst": "policy: search\nlives: many\n",
        "false": f"policy: search\nname: {PLAN}\n",
        "never": "policy: search\nlives: 0\n",
        "five": "policy: search\nsteps: 5\n",
        "held": "policy: plan\nlimits: yes\n",
        "long": "policy: search\nlives: 1000000000000\n",
        "wide": "policy: ppo\nweeks: 99999999999\n",
        "wild": "policy: ppo\nlearning_rate: .inf\n",
        "many": f"policy: search\nsteps: [{', '.join(['0.5'] * 61)}]\n",
        "arms": f"policy: lin-ts\nlevels: [{', '.join(['1'] * 40)}]\n",
        "piped": "policy: plan\nname: a|b\n",
        "named": f"policy: plan\nname: {'x' * 61}\n",
        "priced": "policy: optimiser\n",
        "nobody": f"policy: coupons-nobody\nname: {NOBODY}\n",
        "everybody": "policy: coupons-everybody\nlives: 1\n",
        "tight": "policy: coupons-by-segment\nname: tight\nlives: 1\nlimits: {budget: 0.0001}\n",
        "nobodies": f"policy: coupons-everybody\nname: {NOBODY}\n",
        "moved": "policy: coupons-everybody\nlimits: {most_move: 0.2}\n",
    }.items():
        (folder / f"{name}.yml").write_text(text)
    return folder


TRUE = ["--raw", "@raw", "--start", "8", "--weeks", "4"]


def run(place, *arguments) -> int:
    return main([str(a).replace("@", f"{place}/") for a in arguments])


def test_from_yaml_to_table_and_page(place, capsys):
    world = ["--world", "@world", "--weeks", "4"]
    for name in ("plan", "mine", "free"):
        assert run(place, "train", f"@{name}.yml", *world, "--out", f"@{name}") == 0
    files = ["@plan", "@mine", "@free"]
    for where, out in ((world, "@model.json"), (TRUE, "@truth.json")):
        assert run(place, "value", *files, *where, "--lives", "2", "--json", out) == 0
    capsys.readouterr()
    out = ["--json", "@all.json", "--page", "@page.html"]
    assert run(place, "compare", "@model.json", "@truth.json", *out) == 0
    printed = capsys.readouterr().out
    rows = json.loads((place / "all.json").read_text())["policies"]
    page = (place / "page.html").read_text()

    assert "| mine |" in printed
    assert "no result" in next(line for line in printed.splitlines() if "| free |" in line)
    assert rows["mine"]["broken"] == {}
    assert rows[PLAN]["gain"] == 0
    assert "Profit in the true world" in page
    assert "<script" not in page

    content = json.loads((place / "model.json").read_text())
    del content["content_digest"], content["policies"]["free"]
    write_json(place / "fewer.json", content)
    assert run(place, "compare", "@fewer.json", "@truth.json") == 0
    said = capsys.readouterr()
    assert "| free |" not in said.out
    assert f"left out: free, in {place / 'truth.json'} alone" in said.err


def test_coupons_go_the_same_way(place, capsys):
    world = ["--world", "@tried", "--weeks", "4"]
    files = [f"@{name}.st" for name in ("nobody", "everybody", "tight")]
    for file in files:
        assert run(place, "train", file.replace("st", "yml"), *world, "--out", file) == 0
    for where, out in ((world, "@coupons_model.json"), (TRUE, "@coupons_truth.json")):
        assert run(place, "value", *files, *where, "--lives", "2", "--json", out) == 0
    capsys.readouterr()
    out = ["--json", "@coupons.json", "--page", "@coupons.html"]
    assert run(place, "compare", "@coupons_model.json", "@coupons_truth.json", *out) == 0
    printed = capsys.readouterr().out
    rows = json.loads((place / "coupons.json").read_text())["policies"]
    page = (place / "coupons.html").read_text()

    assert "over coupons for nobody" in printed
    assert "coupons a card a year: most sensitive" in printed
    assert rows["coupons-everybody"]["coupons"]["given"] == 40 * MENU.size / 4
    assert rows[NOBODY]["coupons"]["given"] == rows[NOBODY]["gain"] == 0
    given = rows["tight"]["coupons"]["given"]
    assert given < rows["coupons-everybody"]["coupons"]["given"] / 2
    assert rows["tight"]["broken"] == {}
    assert "What coupons take off" in page
    assert "Coupons by class of price sensitivity" in page


def test_prices_and_coupons_are_not_mixed(place, capsys):
    """Nor worlds without a trial, nor chains."""
    world = ["--world", "@tried", "--weeks", "4"]
    for name in ("nobody", "plan"):
        assert run(place, "train", f"@{name}.yml", *world, "--out", f"@{name}.st") == 0
        for where, kind in ((world, "model"), (TRUE, "truth")):
            out = ["--lives", "2", "--json", f"@{name}_{kind}.json"]
            assert run(place, "value", f"@{name}.st", *where, *out) == 0
    for kind in ("model", "truth"):  # as if of another chain, or it would be named twice
        content = json.loads((place / f"plan_{kind}.json").read_text())
        del content["content_digest"]
        write_json(place / f"other_{kind}.json", content | {"chain": "b"})
    coupons = ["@nobody_model.json", "@nobody_truth.json"]
    assert run(place, "compare", *coupons, "--page", "@alone.html") == 0
    assert "No policy here hands out coupons" in (place / "alone.html").read_text()
    for arguments, says in (
        (["value", "@nobody.st", "@plan.st", *world, "--json", "@y"],
         f"{PLAN} sets prices and {NOBODY} hands out coupons: value them apart"),
        (["value", "@nobody.st", "--world", "@world", "--json", "@y"], "Hold a trial"),
        (["value", "@nobody.st", "--raw", "@other", "--start", "8", "--weeks", "4", "--json", "@y"],
         "was made for a chain with other products"),
        (["compare", coupons[0], "@plan_truth.json"], "are of prices and of coupons: they are no"),
        (["compare", *coupons, "@other_model.json", "@other_truth.json"], "compare each"),
    ):  # fmt: skip
        assert run(place, *arguments) == 2
        assert says in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "@everybody.yml", "--world", "@world", "--out", "@x"], "Hold a trial"),
        (["train", "@everybody.yml", *TRUE, "--out", "@x"], "name it by --world"),
        (
            ["train", "@nobodies.yml", "--world", "@tried", "--out", "@x"],
            "only the policy coupons-",
        ),
        (["train", "@moved.yml", "--world", "@tried", "--out", "@x"], "have the budget alone"),
        (["train", "@bad.yml", "--world", "@world", "--out", "@x"], "policy must be one of"),
        (["train", "@worse.yml", "--world", "@world", "--out", "@x"], "unknown setting speed"),
        (
            ["train", "@worst.yml", "--world", "@world", "--out", "@x"],
            "lives must be a whole number",
        ),
        (["train", "@false.yml", "--world", "@world", "--out", "@x"], "only the policy plan"),
        (
            ["train", "@never.yml", "--world", "@world", "--out", "@x"],
            "lives must be a whole number",
        ),
        (
            ["train", "@five.yml", "--world", "@world", "--out", "@x"],
            "steps must be a list of 1 to 60",
        ),
        (["train", "@long.yml", "--world", "@world", "--out", "@x"], "from 1 to 1,000"),
        (["train", "@wide.yml", "--world", "@world", "--out", "@x"], "from 1 to 10,000,000"),
        (["train", "@wild.yml", "--world", "@world", "--out", "@x"], "learning_rate must be"),
        (["train", "@many.yml", "--world", "@world", "--out", "@x"], "steps must be a list"),
        (["train", "@arms.yml", "--world", "@world", "--out", "@x"], "240 arms"),
        (["train", "@piped.yml", "--world", "@world", "--out", "@x"], "without |"),
        (["train", "@named.yml", "--world", "@world", "--out", "@x"], "at most 60"),
        (["train", "@free.yml", *TRUE, "--out", "@x"], "from what was learned"),
        (
            ["train", "@held.yml", "--world", "@world", "--out", "@x"],
            "held.yml: limits: expected names and values",
        ),
        (["train", "@plan.yml", "--world", "@world", "--out", "@world"], "--out"),
        (["train", "@plan.yml", "--out", "@x"], "name one world"),
        (["train", "@plan.yml", "--raw", "@raw", "--out", "@x"], "has 12 weeks"),
        (["train", "@plan.yml", "--world", "@bad.yml", "--out", "@x"], "cannot be read"),
        (["value", "@bad.yml", "--world", "@world", "--json", "@y"], "cannot be read"),
        (["trial", "@raw", "--start", "8", "--out", "@x"], "a trial needs 65 weeks"),
        (["trial", "@raw", "--start", "99", "--out", "@x"], "has 12 weeks"),
        (["compare", "@bad.yml"], "in pairs"),
        (["compare", "@bad.yml", "@bad.yml"], "no file of python -m simulator.policy value"),
        (["learn", "@nothing", "--cache", "@nothing", "--out", "@x"], "nothing"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(place, arguments, says, capsys):
    assert run(place, *arguments) == 2
    found = capsys.readouterr().err.strip().splitlines()[-1]
    assert says in found


def test_values_that_were_changed_or_are_of_other_weeks_are_refused(tmp_path, capsys):
    def values(
        name: str, world: str, weeks: int = 2, chain: str = "a", start: int = 9, made: str = "m",
        index: float = 1.0,
    ) -> str:  # fmt: skip
        policies = {PLAN: lived([100.0, 200.0]) | {"made": made}}
        content = {
            "lives": 2, "weeks": weeks, "start": start, "chain": chain, "world": world,
            "decides": "prices", "limits": {"index": index}, "policies": policies,
        }  # fmt: skip
        write_json(tmp_path / name, content)
        return str(tmp_path / name)

    model, truth = values("model", "model"), values("truth", "truth")
    changed = tmp_path / "changed"
    changed.write_text((tmp_path / "truth").read_text().replace("101", "999"))
    for second, says in (
        (str(changed), "was changed"), (model, "is of the model, where truth is expected"),
        (values("longer", "truth", 3), "lives of other lengths"),
        (values("second", "truth", chain="b"), "are of other chains"),
        (values("later", "truth", start=10), "are of other starts"),
        (values("retrained", "truth", made="n"), "not the same policy"),
        (values("judged", "truth", index=0.9), "of policies judged by other limits"),
    ):  # fmt: skip
        assert main(["compare", model, second]) == 2
        assert says in capsys.readouterr().err
    for _ in range(2):  # its own file is replaced
        assert main(["compare", model, truth, "--json", str(tmp_path / "found")]) == 0
    found = json.loads((tmp_path / "found").read_text(), parse_constant=pytest.fail)
    assert found["spearman"] == [None] and "There is no other" in capsys.readouterr().out
    assert main(["compare", model, truth, model, truth]) == 2
    assert "of the same chain" in capsys.readouterr().err
    more = [values(world, world, 3, "b") for world in ("model", "truth")]
    first = [values(f"{world}1", world) for world in ("model", "truth")]
    assert main(["compare", *first, *more]) == 2
    assert "has lives of 3 weeks" in capsys.readouterr().err


def test_a_policy_is_for_the_chain_that_it_was_made_for(place, capsys):
    assert run(place, "train", "@plan.yml", *TRUE, "--out", "@own") == 0
    other = ["--raw", "@other", "--start", "8", "--weeks", "4"]
    assert run(place, "value", "@own", *other, "--lives", "2", "--json", "@y") == 2
    assert "was made for a chain with other products" in capsys.readouterr().err


def test_values_replace_no_figures_of_environments(place, capsys):
    assert run(place, "train", "@plan.yml", *TRUE, "--out", "@lived") == 0
    write_json(place / "reference.json", {"environment": "pricing", "lives": 8})
    valued = ["value", "@lived", *TRUE, "--lives", "2", "--json"]
    assert run(place, *valued, "@reference.json") == 2
    assert "this command did not write it" in capsys.readouterr().err
    assert run(place, *valued, "@values.json") == run(place, *valued, "@values.json") == 0


def test_values_are_as_many_as_one_file_holds(place, capsys):
    assert run(place, "train", "@plan.yml", *TRUE, "--out", "@held") == 0
    many = ["--world", "@world", "--weeks", "400", "--lives", "9999", "--json", "@y"]
    assert run(place, "value", "@held", *many) == 2
    assert "1,000,000 at most" in capsys.readouterr().err


def test_the_optimiser_takes_no_other_cache_than_the_worlds(place, tmp_path, capsys):
    toy_cache(tmp_path / "cache", trips_of=[30] * 20, seed=4)
    asked = ["--world", "@world", "--cache", str(tmp_path / "cache"), "--out", "@x"]
    assert run(place, "train", "@priced.yml", *asked) == 2
    assert "is not the cache that" in capsys.readouterr().err


def lived(profits: list[float], broken: dict | None = None, kept: float = 0.9) -> dict:
    """Lives of two weeks whose means are given."""
    return {
        "profit": [[p - 1, p + 1] for p in profits], "kept": [kept] * len(profits),
        "broken": broken or {}, "paid": [[1.0, 1.0, 1.0]] * len(profits), "curve": [],
    }  # fmt: skip


def test_figures_by_hand():
    """Gains of 10 and 30 on two lives: 20, with Student's t of one degree, 12.706, times 10."""
    chain = {
        PLAN: {"model": lived([100, 100]), "truth": lived([100, 200])},
        "a": {"model": lived([130, 130]), "truth": lived([110, 230])},
        "b": {"model": lived([140, 140], {"index": 2}), "truth": lived([90, 190])},
        ORACLE: {"model": lived([150, 150]), "truth": lived([140, 240])},
    }
    found = compared([chain])
    row = found["policies"]["a"]

    assert (row["gain"], row["gap"]) == (20, 0.5)
    assert row["high"] - row["gain"] == pytest.approx(12.706 * 10, rel=1e-3)
    assert row["promise_over_earned"] == pytest.approx(130 / 170)
    assert found["ranked"] == 2
    assert found["spearman"] == [pytest.approx(1.0)]
    # b promises more, but breaks a limit.
    assert found["chosen"] == "a"
    assert found["over"]["b"]["gain"] == 30
    assert found["spearman_of_all"] == [pytest.approx(-0.5)]
    lines = "\n".join(table(found))
    assert "index (2): no result" in lines
    assert "not held to any" in lines


def test_chains_are_the_units_where_there_are_several():
    chains = [
        {
            PLAN: {"model": lived([100, 100]), "truth": lived([100, 100])},
            "a": {"model": lived([101, 101]), "truth": lived([100 + g, 100 + g])},
        }
        for g in (10, 20, 30)
    ]
    row = compared(chains)["policies"]["a"]

    assert row["gain"] == pytest.approx(20)
    assert row["high"] - row["gain"] == pytest.approx(4.303 * 10 / np.sqrt(3), rel=1e-3)
