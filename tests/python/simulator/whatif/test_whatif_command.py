"""The command: tables, JSON and a page that say the same, and what it refuses."""

from __future__ import annotations

import copy
import csv
import html
import json
import re
import shutil

import pytest
import torch
from made_up_runs import MadeUp
from toy_start import START

from simulator.whatif.__main__ import main
from simulator.whatif.figures import change, level
from simulator.whatif.page import page
from trainer.cache.json_files import is_intact, read_json
from trainer.model.checkpoint import save_checkpoint

WEEKS, RUNS = 2, 2
HOSTILE = "<script>alert('&')</script>"
PLAN = f"""# {HOSTILE}
prices:
  - {{products: [PRD0011], weeks: {START + 1}, change: -50%}}
products:
  - {{delist: PRD0001, weeks: {START + 1}-}}
"""


@pytest.fixture
def quick(monkeypatch):
    """Receipts are made up, so that no model is made ready."""
    monkeypatch.setattr(
        "simulator.whatif.__main__.ready_simulator",
        lambda _, cache, start, instrument: MadeUp(cache, start),
    )


@pytest.fixture(scope="module")
def folder(chain, tmp_path_factory):
    """A checkpoint, a plan, costs, and what the command found in two processes."""
    cache, model = chain
    folder = tmp_path_factory.mktemp("whatif")
    save_checkpoint(folder / "best", model, cache, {})
    shutil.copytree(folder / "best", folder / "copy")
    (folder / "plan.yml").write_text(PLAN)
    codes = [code.decode() for code in cache["products.code"].tolist()]
    rows = "".join(f"{code},40\n" for code in codes)
    (folder / "costs.csv").write_text(f"product_code,unit_cost_pence\n{rows}")
    assert main(given(cache, folder, "--out", folder / "out", "--processes", "2")) == 0
    return folder


def given(cache, folder, *more):
    return [
        str(each)
        for each in (
            folder / "best", "--cache", cache.folder, "--start", START, "--weeks", WEEKS, "--runs",
            RUNS, "--scenario", folder / "plan.yml", "--costs", folder / "costs.csv", *more,
        )
    ]  # fmt: skip


@pytest.fixture(scope="module")
def content(folder):
    return read_json(folder / "out" / "whatif.json")


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "out" / "whatif.html").read_text(encoding="utf-8")


def test_the_json_is_whole(content):
    assert is_intact(content)
    assert content["weeks"] == [START + 1, START + WEEKS] and content["runs"] == RUNS
    assert content["scenario"] == "plan.yml" and content["scenario_text"] == PLAN
    total = content["tables"]["total"][0]
    assert set(content["measures"]) == {*total} - {"name"} and len(content["measures"]) == 5
    units = total["units"]
    assert units["low"] <= units["change"] <= units["high"]
    assert units["with"] == pytest.approx(units["without"] + units["change"], abs=1e-3)
    assert content["evidence"]["changed_products"] == 1


def test_tables_hold_the_figures_of_the_json(folder, content):
    tables = folder / "out" / "tables"
    assert {path.stem for path in tables.iterdir()} == {*content["tables"], "product"}
    for name, rows in content["tables"].items():
        with (tables / f"{name}.csv").open(encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        (key, *_) = rows[0]
        expected = {
            (str(row[key]), str(row.get("when")), measure): figure
            for row in rows
            for measure, figure in row.items()
            if isinstance(figure, dict)
        }
        assert len(lines) == len(expected) > 0
        for line in lines:
            figure = expected[line[key], str(line.get("when")), line["measure"]]
            assert line["stands_out"] == str(figure["stands_out"])
            for column in ("without", "with", "change", "standard_error", "low", "high"):
                assert float(line[column]) == figure[column]


def test_the_page_holds_the_figures_and_nothing_foreign(content, text):
    total = content["tables"]["total"][0]
    for measure in content["measures"]:
        assert change(total[measure], measure) in text and level(total[measure], measure) in text
    for note in content["notes"]:
        assert html.escape(note) in text
    assert "default-src 'none'" in html.unescape(text)
    assert "<script" not in text and html.escape(HOSTILE) in text
    assert not re.findall(r"(?:src|href)=\"(?!#)", text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_codes_with_markup_are_escaped(content):
    hostile = json.loads(json.dumps(content).replace("PRD0001", HOSTILE).replace("E01", HOSTILE))
    found = page(hostile, f"python -m simulator.whatif {HOSTILE}")
    assert "<script" not in found and html.escape(HOSTILE) in found


def test_one_process_finds_the_same_as_two(chain, folder, quick, tmp_path, capsys):
    cache, _ = chain
    for number in ("1", "2"):
        out = ["--out", tmp_path / number, "--processes", number, "--runs", "3"]
        assert main(given(cache, folder, *out)) == 0
    for path in sorted((tmp_path / "1").rglob("*.*")):
        if path.suffix != ".html":  # which names its command
            other = tmp_path / "2" / path.relative_to(tmp_path / "1")
            assert path.read_bytes() == other.read_bytes()
    printed = capsys.readouterr().out.split("whatif.html: the page")[0]
    assert (
        f"weeks {START + 1}-{START + WEEKS} with plan.yml and without: 3 pairs of runs" in printed
    )
    for word in ("units", "margin", "their rivals", "all together", "PRD0001, changed", "without"):
        assert word in printed
    assert len(printed.splitlines()) < 45


def test_several_models_have_runs_of_their_own(chain, folder, quick, tmp_path):
    """Without costs; receipts are made up alike for both, so that only the seeds differ."""
    cache, model = chain
    other = copy.deepcopy(model)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    save_checkpoint(tmp_path / "other", other, cache, {})
    arguments = given(cache, folder, "--out", tmp_path / "out", "--runs", "1")
    place = arguments.index("--costs")
    del arguments[place : place + 2]
    assert main([str(tmp_path / "other"), *arguments]) == 0
    content = read_json(tmp_path / "out" / "whatif.json")
    assert (content["models"], content["runs"]) == (2, 1)
    assert "margin_pence" not in content["tables"]["total"][0]
    assert any("Margin is left out" in note for note in content["notes"])
    total = content["tables"]["total"][0]["spend_pence"]
    assert total["low"] is not None
    models = [model["spend_pence"] for model in content["by_model"]]
    assert sum(models) / 2 == pytest.approx(total["change"], abs=1e-3)
    assert "What each model makes of it" in (tmp_path / "out" / "whatif.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenario", "nowhere.yml"], "error: nowhere.yml: there is no such file"),
        (["--scenario", "bad.yml"], "bad.yml: not read as YAML"),
        (["--scenario", "vouchers.yml"], "unknown part vouchers. Known are prices"),
        (["--scenario", "nothing.yml"], "nothing.yml: the scenario changes nothing in weeks 26-27"),
        (["--costs", "bad.csv"], "bad.csv: line 2, unit_cost_pence: 'x'"),
        (["--out", "out"], "--out: out is there already: name a new folder"),
        (["--runs", "0"], "--runs: expected a whole number"),
        (["--seed", str(2**32 - 1)], "--seed: 2 runs from there go beyond"),
        (["--start", "28"], "weeks: 26 holds none of the simulated weeks, 29-30"),
        (["--start", "31"], "start 31: expected a week from 20"),
        (["best"], "CHECKPOINT: the same folder twice"),
        (["copy"], "CHECKPOINT: the same weights twice"),
    ],
)
def test_errors_are_one_line(chain, folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    for name, text in (
        ("bad.yml", "["), ("vouchers.yml", "vouchers: []\n"), ("nothing.yml", "days: []\n"),
        ("bad.csv", "product_code,unit_cost_pence\nPRD0000,x\n"),
    ):  # fmt: skip
        (folder / name).write_text(text)
    before = sorted(folder.rglob("*"))
    first = arguments if arguments in (["best"], ["copy"]) else []
    more = [] if first else arguments
    out = [] if "--out" in more else ["--out", "new"]
    assert main([*first, *given(chain[0], folder), *out, *more]) == 2
    printed, error = capsys.readouterr()
    assert printed == "" and error.count("\n") == 1
    assert error.startswith("error: ") and message in error
    assert sorted(folder.rglob("*")) == before
