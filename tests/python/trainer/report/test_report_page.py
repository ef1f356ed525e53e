"""The command: a page that is safe, self-contained and says what the evaluation found."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import LABELS, toy_cache, toy_columns, toy_manifest

from trainer.batches.masking import evaluation_mask, mask_keys
from trainer.cache.json_files import read_json, write_json
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.evaluate import main as evaluate
from trainer.model.checkpoint import load_checkpoint, save_checkpoint
from trainer.model.world_model import create_world_model
from trainer.report.__main__ import main
from trainer.report.examples import answers, choose
from trainer.training.config import SCHEDULES

HOSTILE = "<script>alert('&')</script>"
DEPARTMENT = '"><img src=//evil>'
METRICS = {
    "R@10": "recall@10", "R@20": "recall@20", "P@10": "precision@10", "NDCG@10": "ndcg@10",
    "hit@10": "hit@10", "MRR": "mrr", "NLL": "nll",
}  # fmt: skip


class Page(HTMLParser):
    """Checks that tags are balanced; keeps attributes, texts, tables and headings."""

    VOID = ("meta", "br")

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.tables: list[tuple[str, list[list[str]]]] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in self.VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append(("", []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")

    def handle_endtag(self, tag):
        assert tag not in self.VOID and self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text.append(data)
        if "caption" in self.open:
            caption, rows = self.tables[-1]
            self.tables[-1] = (caption + data, rows)
        elif "td" in self.open or "th" in self.open:
            self.tables[-1][1][-1][-1] += data

    def rows(self, start: str) -> list[list[list[str]]]:
        """The tables whose captions start like this."""
        return [rows for caption, rows in self.tables if caption.startswith(start)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A cache with hostile codes, a run of an untrained model, its evaluation and its page."""
    folder = tmp_path_factory.mktemp("report")
    columns = toy_columns(customers=40, seed=3)
    codes = columns["products.code"].astype("U40")
    codes[:2] = HOSTILE, "A&B"
    columns["products.code"] = codes
    categories = columns["categories.code"].astype("U40")
    categories[-1] = DEPARTMENT
    columns["categories.code"] = categories
    manifest = toy_manifest()
    manifest["labels"] = LABELS | {"store_format": ["<i>LS", "MS", "SS"]}
    write_cache(folder / "cache", columns, manifest)
    cache = TensorCache(folder / "cache")
    torch.manual_seed(0)
    model = create_world_model("tiny", cache)
    torch.nn.init.normal_(model.output.weight, std=0.05)  # so that it differs from counting
    progress = {"training": SCHEDULES["tiny"].to_dict(), "epoch": 2}
    (folder / "run").mkdir()
    save_checkpoint(folder / "run" / "best", model, cache, progress)
    curves = [
        {"epoch": 1, "phase": "<b>warm-up", "focal": 3.5, "score": 0.1, "learning_rate": 0.01},
        {"epoch": 2, "phase": "main", "focal": 3.0, "contrastive": 5.25, "score": 0.2,
         "completion_ndcg@10": 0.125, "learning_rate": 0.005},
    ]  # fmt: skip
    save_checkpoint(folder / "run" / "last", model, cache, progress | {"curves": curves})
    weights = load_checkpoint(folder / "run" / "best").weights_digest
    write_json(folder / "summary.json", simulated(cache.digest, weights))
    arguments = ["--cache", str(folder / "cache")]
    written = str(folder / "figures.json")
    assert evaluate([str(folder / "run/best"), *arguments, "--json", written]) == 0
    simulation = ["--simulation", str(folder / "summary.json")]
    assert main([str(folder / "run"), *arguments, *simulation]) == 0
    return folder


def simulated(cache_digest: str, weights_digest: str) -> dict:
    """What `python -m simulator.run` writes: two runs of two weeks after week 29, one of which has
    no trip."""
    names = ("trips", "customers", "items", "spend_pence", "anonymous_trips")
    runs = [([20, 10], [8, 6], [60, 40], [3000, 2500], [7, 9]),
            ([30, 0], [10, 0], [120, 0], [5000, 0], [9, 12])]  # fmt: skip
    before = [[12, 0, 16], [7, 0, 9], [36, 0, 64], [1200, 0, 1600]]
    return {
        "simulated_weeks": [30, 31],
        "cache_digest": cache_digest,
        "weights_digest": weights_digest,
        "scenario": HOSTILE,
        "seed": 0,
        "before": dict(zip(names, before, strict=False)),
        "runs": [dict(zip(names, run, strict=True)) for run in runs],
    }


@pytest.fixture(scope="module")
def html(folder) -> str:
    return (folder / "run/report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_it_needs_nothing_beside_itself(html, page):
    for reference in ("http:", "https:", "src=", "@import", "url(", "<script", "<link", "<img"):
        outside = html if reference.startswith("<") else re.sub(r"&[^;]+;", "", html)
        outside = outside.replace("img src=//evil", "")  # the hostile code, escaped
        assert reference not in outside, reference
    assert all(tag["href"].startswith("#") for _, tag in page.tags if "href" in tag)
    assert not [name for _, tag in page.tags for name in tag if name.startswith("on")]
    identifiers = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(set(identifiers)) == len(identifiers)
    targets = [tag["href"][1:] for name, tag in page.tags if name == "a"]
    assert len(targets) == 9 and set(targets) <= set(identifiers)


def test_every_colour_of_the_charts_is_in_both_schemes(html):
    charts = "".join(re.findall(r"<figure.*?</figure>", html))
    assert not re.search(r"#[0-9a-f]{3,8}\b(?!-)", re.sub(r'href="[^"]*"', "", charts))
    used = set(re.findall(r"var\(--(\w+)\)", charts))
    style = html.partition("<style>")[2].partition("</style>")[0]
    light, dark = re.findall(r":root\{([^}]*--paper[^}]*)\}", style)[:2]
    for scheme in (light, dark):
        assert {"ink", "soft", "rule", "c1", "c2"} < used < set(re.findall(r"--(\w+):", scheme))
    assert light != dark


def test_codes_are_text(html, page):
    text = "".join(page.text)
    for code in (HOSTILE, DEPARTMENT, "<b>warm-up", "store: <i>LS", f"changes of {HOSTILE}"):
        assert code in text
    assert "<b>" not in html and "<i>" not in html


def shown(value: float | None, digits: int = 3, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign},.{digits}f}".replace("-", "−")


def with_interval(found: dict, digits: int = 3, sign: str = "") -> str:
    value, low, high = (shown(found[name], digits, sign) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def test_every_figure_is_that_of_the_evaluation(folder, page):
    tasks = json.loads((folder / "figures.json").read_text())["tasks"]
    for start, part in (("Fresh trips: ", "fresh"), ("Replayed weeks", "replayed")):
        tables = [rows for rows in page.rows(start) if "R@10" in rows[0]]
        assert len(tables) == len(tasks) == 3
        for rows, task in zip(tables, tasks.values(), strict=True):
            group = task[part]
            assert [row[0] for row in rows[1:]] == list(group["scorers"])
            for scorer, *cells in rows[1:]:
                found = group["scorers"][scorer]
                for cell, (name, metric) in zip(cells, METRICS.items(), strict=False):
                    expected = found[metric]
                    both = name in ("R@10", "NDCG@10")
                    assert cell == (with_interval(expected) if both else shown(expected["value"]))
                minus = group["model_minus"].get(scorer)
                assert cells[7:] == (
                    [with_interval(minus[m], 4, "+") for m in ("recall@10", "ndcg@10")]
                    if minus
                    else ["–", "–"]
                )


def test_strata_and_calibration_are_those_of_the_evaluation(folder, page):
    tasks = json.loads((folder / "figures.json").read_text())["tasks"]
    for rows, task in zip(page.rows("Fresh trips by group"), tasks.values(), strict=True):
        rule = rows[0][4]
        fresh = task["fresh"]["scorers"]
        best = max(list(fresh)[1:], key=lambda name: fresh[name]["recall@10"]["value"])
        assert rule == best
        expected = {
            f"{n}: {label}": g for n, gs in task["strata"].items() for label, g in gs.items()
        }
        assert [row[0] for row in rows[1:]] == list(expected)
        for name, trips, customers, model, of_rule, difference, *_ in rows[1:]:
            group = expected[name]
            assert (int(trips), int(customers)) == (group["trips"], group["customers"])
            assert model == shown(group["scorers"]["model"]["recall@10"]["value"])
            assert of_rule == shown(group["scorers"][rule]["recall@10"]["value"])
            assert difference == with_interval(group["model_minus"][rule]["recall@10"], 4, "+")
    calibrated = [rows for rows in page.rows("Next basket") if rows[0][0] == "tenth"]
    assert len(calibrated) == 2
    for rows, task in zip(calibrated, list(tasks.values())[:2], strict=True):
        pairs = zip(task["calibration"], task["raw_calibration"], strict=True)
        for row, (expected, raw) in zip(rows[1:], pairs, strict=True):
            assert row[1:] == [
                f"{expected['pairs']:,}",
                shown(expected["expected"], 1),
                f"{expected['observed']:,}",
                shown(expected["ratio"], 2),
                shown(raw["ratio"], 2),
            ]


def test_numbers_stand_to_the_right(html):
    cells = re.findall(r"<td( class=\"number\")?>([^<]*)", html)
    assert all(right for right, text in cells if re.fullmatch(r"[+−\d][\d,.]* ?", text))
    assert not any(right for right, text in cells if HOSTILE in text)


def test_the_summary_counts_the_cache(folder, page):
    cache = TensorCache(folder / "cache")
    (rows,) = page.rows("Trips by split")
    week, size = cache["trips.week"], np.diff(cache["trips.item_offsets"].astype(int))
    for row, (first, last) in zip(rows[1:], ((1, 20), (21, 25), (26, 28), (29, 30)), strict=True):
        chosen = (week >= first) & (week <= last)
        assert row[1] == f"{first}–{last}"
        assert row[3:5] == [f"{chosen.sum():,}", f"{size[chosen].sum():,}"]
        assert row[5] == f"{size[chosen].mean():.2f}"
        assert row[7] == f"{100 * cache['trips.is_cold_start'][chosen].mean():.1f} %"
        customers = np.repeat(np.arange(40), np.diff(cache["customers.trip_offsets"].astype(int)))
        assert row[2] == str(len(np.unique(customers[chosen])))
    assert [row[0] for row in rows[1:]] == ["train", "validation", "test, fresh", "test, replayed"]


def test_curves_and_the_epoch_of_the_checkpoint(html, page):
    (rows,) = page.rows("Every epoch")
    assert rows[1][:3] == ["1", "<b>warm-up", "3.500"] and rows[1][3] == "–"
    assert rows[2][:4] == ["2", "main", "3.000", "5.250"]
    curves = re.findall(r'<figure id="curve-\d+">.*?</figure>', html)
    assert len(curves) == 3
    assert all(curve.count("stroke-dasharray") == 1 for curve in curves)  # there were two phases
    assert all("<title>checkpoint: epoch 2</title>" in curve for curve in curves)


def test_every_known_product_is_on_the_map(folder, html, page):
    figure = html.partition('id="product-map"')[2].partition("</figure>")[0]
    departments = len(re.findall(r"\(\d+\)</text>", figure))
    assert departments > 1  # each has a mark in the legend too
    assert figure.count("<use ") == 39 + departments  # one of 40 is novel
    assert f"{DEPARTMENT} (" in "".join(page.text)


def test_baskets_are_chosen_by_their_rule(folder, page):
    cache = TensorCache(folder / "cache")
    size = np.diff(cache["trips.item_offsets"].astype(int))
    week = cache["trips.week"]
    fits = np.flatnonzero((week >= 26) & (week <= 28) & (size >= 4) & (size <= 10))
    ids = sorted(
        (cache["trips.basket_id"][row] for row in fits),
        key=lambda basket: hashlib.blake2b(basket, digest_size=8, person=b"examples").digest(),
    )
    rows = choose(cache, "test")
    assert [cache["trips.basket_id"][row] for row in rows] == ids[:4]
    assert [t for t in page.text if re.fullmatch(r"Basket \d+", t)] == [
        f"Basket {i.decode()}" for i in ids[:4]
    ]


def test_baskets_say_what_was_hidden_guessed_and_bought_before(folder, page):
    cache = TensorCache(folder / "cache")
    offsets, tokens = cache["trips.item_offsets"].astype(int), cache["items.token"].astype(int)
    customers = np.repeat(np.arange(40), np.diff(cache["customers.trip_offsets"].astype(int)))
    names = [code.decode() for code in cache["products.code"]]
    bought, whole, part = (
        page.rows(start) for start in ("What was bought", "Next basket, mission known: n",
                                       "Basket completion: the rest")
    )  # fmt: skip
    for index, row in enumerate(choose(cache, "test")):
        basket = tokens[offsets[row] : offsets[row + 1]]
        earlier = [
            set(tokens[offsets[t] : offsets[t + 1]])
            for t in range(row)
            if customers[t] == customers[row]
        ]
        hidden = evaluation_mask(
            torch.from_numpy(basket), torch.zeros(len(basket), dtype=torch.long),
            torch.from_numpy(mask_keys(cache["trips.basket_id"][[row]])), seed=0,
        ).numpy()  # fmt: skip
        times = {name: str(sum(t in trip for trip in earlier)) for t, name in enumerate(names, 1)}
        shown_items = [(name, before, state) for name, _, before, state in bought[index][1:]]
        assert shown_items == [
            (names[t - 1], times[names[t - 1]], "hidden" if h else "visible")
            for t, h in zip(basket, hidden, strict=True)
        ]
        for table, asked in ((whole[index], basket), (part[index], basket[hidden])):
            guesses = table[1:]
            assert len(guesses) == 10
            for _, product, _, before, _, hit in guesses:
                assert before == times[product]
                assert (hit == "✓ hit") == (names.index(product) + 1 in asked)
            chances = [float(guess[4]) for guess in guesses]
            assert chances == sorted(chances, reverse=True)
        seen = {names[t - 1] for t in basket[~hidden]}
        assert seen.isdisjoint(guess[1] for guess in part[index][1:])


def test_examples_are_scored_as_in_the_evaluation(folder):
    """Alone among its customer's trips or not: the same hidden items and probabilities."""
    from trainer.model.checkpoint import load_model

    cache = TensorCache(folder / "cache")
    model = load_model(folder / "run/best", cache)
    rows = choose(cache, "test")
    together = answers(model, cache, "test", "completion", 0, rows)
    assert set(together) == set(rows.tolist())
    alone = answers(model, cache, "test", "completion", 0, rows[:1])[int(rows[0])]
    assert alone.hidden == together[int(rows[0])].hidden
    for a, b in zip(alone.guesses, together[int(rows[0])].guesses, strict=True):
        assert (a.token, a.is_hit) == (b.token, b.is_hit)
        assert a.probability == pytest.approx(b.probability, rel=1e-4)


def test_weeks_to_come_are_those_of_the_simulation(html, page):
    """Weeks 27 to 29 before, of which 28 is missing; the mean of two runs after them."""
    (rows,) = page.rows("A week: mean of 2 runs")
    assert rows == [
        ["week", "trips", "customers", "items per trip", "spend", "anonymous trips"],
        ["28–29, as they were", "16", "9", "4.00", "16", "–"],
        ["30", "25", "9", "3.50", "40", "8"],
        ["31", "5", "3", "2.00", "12", "10"],
    ]
    text = "".join(page.text)
    assert (
        "In the mean of 2 runs a week has 15 trips (16), 6 customers (9), 2.75 items per trip "
        "(4.00) and 26 in spend (16); in brackets, the last 2 weeks of the history."
    ) in text
    assert "copies of earlier trips: 29." in text  # the last two of 30 weeks are replayed
    charts = re.findall(r'<figure id="to-come-\d">.*?</figure>', html)
    titles = [re.search("<figcaption>(.*?)<", chart)[1] for chart in charts]
    assert titles == ["Trips a week", "Customers a week", "Items per trip", "Spend a week"]
    assert "As it was, week 27: 3.00; week 29: 4.00. Simulated, mean of the runs" in charts[2]


def test_facts_for_reproduction(folder, page):
    text = "\n".join(page.text)
    digest = TensorCache(folder / "cache").digest
    assert text.count(digest) == 2  # measured on and trained on
    assert f"python -m trainer.report {folder / 'run'} --cache" in text
    assert torch.__version__ in text
    (rows,) = page.rows("Training configuration")
    assert ["seed", "0"] in rows and ["model", "tiny"] in rows
    (phases,) = page.rows("Phases")
    assert [row[:2] for row in phases[1:]] == [["warm-up", "1"], ["main", "4"], ["fine-tune", "1"]]


def test_figures_from_a_file_make_the_same_page(folder, html, tmp_path, capsys):
    out = tmp_path / "page.html"
    arguments = [str(folder / "run"), "--cache", str(folder / "cache"), "--out", str(out)]
    simulation = ["--simulation", str(folder / "summary.json")]
    assert main([*arguments, *simulation, "--evaluation", str(folder / "figures.json")]) == 0
    printed, progress = capsys.readouterr()
    assert printed.splitlines()[-1] == f"report: {out}" and "Next basket, mission known" in printed
    assert "page" in progress and "next_known" not in progress
    again = out.read_text(encoding="utf-8")
    ends = '<section id="part-9">'
    assert again.partition(ends)[0] == html.partition(ends)[0]
    assert "with the weights, cache and split of this page" in again
    assert str(folder / "run/best") in "".join(Page(again).text)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_sample_without_curves_or_configuration(folder, tmp_path):
    cache = toy_cache(tmp_path / "cache", customers=12)
    model = create_world_model("tiny", cache)
    save_checkpoint(tmp_path / "run" / "best", model, cache, {})
    arguments = ["--cache", str(tmp_path / "cache"), "--split", "validation", "--customers", "5"]
    assert main([str(tmp_path / "run"), *arguments]) == 0
    page = Page((tmp_path / "run/report.html").read_text(encoding="utf-8"))
    text = "".join(page.text)
    assert "has kept no curves" in text and "not recorded" in text
    assert "too little data to tell" in text and "flatter the model" in text
    assert page.rows("Replayed weeks") == []
    assert "weeks to come" not in text  # none were simulated


@pytest.fixture(scope="module")
def others(folder) -> Path:
    """What does not fit: another vocabulary, another cache's figures, damaged files."""
    wrong = folder / "wrong"
    wrong.mkdir()
    cache = toy_cache(wrong / "cache", customers=12, products=30)
    model = create_world_model("tiny", cache)
    save_checkpoint(wrong / "run" / "best", model, cache, {})
    text = (folder / "figures.json").read_text()
    content = read_json(folder / "figures.json")
    (wrong / "list.json").write_text("[]")
    (wrong / "half.json").write_text(text[: len(text) // 2])
    (wrong / "edited.json").write_text(text.replace("0.1", "0.2", 1))
    write_json(wrong / "cache.json", content | {"cache_digest": "0" * 64})
    for name, digest in (("weights", "1" * 64), ("nameless", None)):
        write_json(wrong / f"{name}.json", content | {"weights_digest": digest})
    weeks = read_json(folder / "summary.json")
    for name, changes in {
        "weeks_cache": {"cache_digest": "2" * 64},
        "weeks_weights": {"weights_digest": "3" * 64},
        "weeks_three": {"simulated_weeks": [30, 32]},
        "weeks_minus": {"before": {**weeks["before"], "trips": [12, -1, 16]}},
        "weeks_short": {"before": {**weeks["before"], "items": [36, 64]}},
        "weeks_none": {"runs": []},
    }.items():
        write_json(wrong / f"{name}.json", weeks | changes)
    edited = (folder / "summary.json").read_text().replace("3000", "4000")
    (wrong / "weeks_edited.json").write_text(edited)
    for task in content["tasks"].values():
        for part in ("fresh", "replayed"):
            task[part]["scorers"].pop("model")
    write_json(wrong / "rules.json", content)
    save_checkpoint(wrong / "curves" / "best", create_world_model(
        "tiny", TensorCache(folder / "cache")), TensorCache(folder / "cache"), {})  # fmt: skip
    (wrong / "curves" / "last").mkdir()
    (wrong / "curves/last/checkpoint.json").write_text('{"form')
    return wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "is no checkpoint"),
        (["run", "--cache", "nowhere"], "nowhere"),
        (["wrong/run"], "has another vocabulary"),
        (["wrong/curves"], "last/checkpoint.json is not JSON"),
        (["run", "--split", "tomorrow"], "split: expected one of"),
        (["run", "--split", "train"], "do not tell how good"),
        (["run", "--customers", "0"], "--customers: expected a whole number from 1"),
        (["run", "--out", "nowhere/page.html"], "--out: nowhere is not a folder"),
        (["run", "--out", "wrong"], "--out: wrong is a folder"),
        (["run", "--out", "figures.json"], "figures.json is there already, and this command did"),
        (["run", "--evaluation", "nowhere.json"], "nowhere.json"),
        (["run", "--evaluation", "wrong/list.json"], "is not what trainer.evaluate"),
        (["run", "--evaluation", "wrong/half.json"], "is not what trainer.evaluate"),
        (["run", "--evaluation", "wrong/edited.json"], "was changed after trainer.evaluate"),
        (["run", "--evaluation", "wrong/cache.json"], "was measured on another cache"),
        (["run", "--evaluation", "wrong/weights.json"], "with other weights (111111111111) than"),
        (["run", "--evaluation", "wrong/nameless.json"], "with other weights (None) than"),
        (["run", "--evaluation", "wrong/rules.json"], "does not compare a model"),
        (["run", "--evaluation", "figures.json", "--split", "validation"], "holds the split"),
        (["run", "--evaluation", "figures.json", "--customers", "3"], "--customers"),
        (["run", "--simulation", "nowhere.json"], "nowhere.json"),
        (["run", "--simulation", "figures.json"], "is not a summary.json of python -m simulator"),
        (["run", "--simulation", "wrong/list.json"], "is not a summary.json"),
        (["run", "--simulation", "wrong/half.json"], "is not a summary.json"),
        (["run", "--simulation", "wrong/weeks_three.json"], "is not a summary.json"),
        (["run", "--simulation", "wrong/weeks_minus.json"], "is not a summary.json"),
        (["run", "--simulation", "wrong/weeks_short.json"], "is not a summary.json"),
        (["run", "--simulation", "wrong/weeks_none.json"], "is not a summary.json"),
        (["run", "--simulation", "wrong/weeks_edited.json"], "was changed after python -m sim"),
        (["run", "--simulation", "wrong/weeks_cache.json"], "with another cache (222222222222)"),
        (["run", "--simulation", "wrong/weeks_weights.json"], "with other weights (333333333333)"),
    ],
)
def test_errors_are_one_line(folder, others, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    before = sorted(path.name for path in (folder / "run").iterdir())
    assert main(arguments) == 2
    printed, error = capsys.readouterr()
    assert printed == "" and error.count("\n") == 1
    assert error.startswith("error: ") and message in error
    assert sorted(path.name for path in (folder / "run").iterdir()) == before


def test_without_matplotlib_nothing_is_measured(folder, monkeypatch, capsys):
    for name in [*sys.modules]:
        if name.startswith(("trainer.report.page", "trainer.report.sections", "trainer.report.ch")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = folder / "none.html"
    assert main([str(folder / "run"), "--cache", str(folder / "cache"), "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        "error: the charts of a report need matplotlib, which is not installed: "
        "python -m pip install matplotlib\n"
    )
    assert not out.exists()


def test_a_failed_write_leaves_the_old_page(folder, monkeypatch, tmp_path, capsys):
    out = tmp_path / "page.html"
    old = "<title>RetailSim: run old</title>"
    out.write_text(old)

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    arguments = ["--cache", str(folder / "cache"), "--evaluation", str(folder / "figures.json")]
    assert main([str(folder / "run"), *arguments, "--out", str(out)]) == 2
    assert "no space left" in capsys.readouterr().err
    assert out.read_text() == old and [path.name for path in tmp_path.iterdir()] == ["page.html"]
