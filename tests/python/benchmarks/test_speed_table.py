"""README's table of speeds: known results give known rows, wrong ones a line that says so."""

from __future__ import annotations

import json

import pytest

from benchmarks.common import ROOT
from benchmarks.table import PLACE, main, number, table

CPU = {"processor": "Some CPU", "cores": 4, "gpu": None, "device": "cpu"}
SPEED = {"items_per_s": 7712, "tokens_per_s": 8810, "share_of_ceiling": 0.381}
TRAINING = {
    "benchmark": "training",
    "configuration": {"preset": "small", "dtype": "float32", "backend": "torch", "threads": 1},
    "hardware": CPU,
    "step": SPEED,
    "forward_backward": SPEED | {"share_of_ceiling": 0.485},
    "peak_memory_gb": 1.634,
    "loader": {"items_per_s": 102_334, "padding": {"encoder": 0.03, "decoder": 0.699}},
}
SCALING = {
    "benchmark": "scaling",
    "configuration": {"threads": 1},
    "hardware": CPU | {"gpu": "Some GPU", "device": "cuda"},
    "sizes": [
        {"customers": 50, "time_per_item_over_first": 1.0},
        {"customers": 400, "time_per_item_over_first": 0.939},
    ],
    "time_per_item_max_over_min": 1.074,
    "ranks": [{"ranks": 1, "over_one": 1.0}, {"ranks": 2, "over_one": 1.911}],
}
INFERENCE = {
    "benchmark": "inference",
    "configuration": {"preset": "small", "batch": 64, "threads": 1},
    "hardware": CPU,
    "one_customer": {"prefill_ms": 7.0, "step_ms": 2.78, "questions_ms": 1.7, "answer_ms": 7.17},
    "batch": {"prefill_ms": 521.0, "step_ms": 6.43, "questions_ms": 49.84, "answer_ms": 18.66},
    "all": {
        "customers": 3012, "prefill_s": 20.4, "step_s": 0.31, "questions_s": 2.46, "answer_s": 0.9,
    },
}  # fmt: skip


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.fixture
def readme(tmp_path):
    return write(
        tmp_path / "README.md", "Above.\n\n<!-- speed: how -->\nold\n<!-- /speed -->\n\nBelow.\n"
    )


def run(readme, *results):
    return main([*results, "--readme", readme])


def test_known_results_give_known_rows(tmp_path, readme):
    results = [write(tmp_path / "b.json", SCALING), write(tmp_path / "a.json", TRAINING)]
    assert run(readme, *results) == 0
    on = "1 thread of Some CPU, 4 cores"
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == (
        "Above.\n\n<!-- speed: how -->\n"
        "| | | on |\n|---|---|---|\n"
        f"| training `small`, scan by torch | 7,710 items/s, 8,810 tokens/s; 1.63 GB | {on} |\n"
        "| share of the float32 rate of large matrix products | "
        f"38 % in the whole step, 48 % in forward and backward | {on} |\n"
        "| its loader alone, one process | 102,000 items/s; padding 3 % of the encoder's steps, "
        f"70 % of the decoder's slots | {on} |\n"
        "| training on 8 times the customers | 0.939 times the time per item; of all sizes the "
        "largest over the smallest 1.07 | Some GPU |\n"
        "| in 2 processes | 1.91 times the items/s of one | Some GPU |\n"
        "<!-- /speed -->\n\nBelow.\n"
    )


def test_a_next_basket_takes_counting_and_answer(tmp_path, readme):
    assert run(readme, write(tmp_path / "a.json", INFERENCE)) == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "one customer | past 7 ms, a finished trip 2.78 ms, next basket 8.87 ms |" in text
    assert "64 customers together | past 521 ms, a finished trip 6.43 ms, next basket 68.5" in text
    assert "all 3,012, in such batches | past 20.4 s, a finished trip 0.31 s, next ba" in text


def test_writing_again_changes_nothing(tmp_path, readme):
    result = write(tmp_path / "a.json", TRAINING)
    assert run(readme, result) == 0
    first = (tmp_path / "README.md").read_bytes()
    assert run(readme, result) == 0
    assert (tmp_path / "README.md").read_bytes() == first


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({k: v for k, v in TRAINING.items() if k != "step"}, "no 'step': run its benchmark again"),
        ({k: v for k, v in TRAINING.items() if k != "hardware"}, "no 'hardware'"),
        (TRAINING | {"benchmark": "sample"}, "'sample' has no rows"),
        ("{", "not JSON"),
    ],
)
def test_wrong_results_are_named_in_one_line(content, said, tmp_path, readme, capsys):
    path = write(tmp_path / "a.json", content)
    assert run(readme, path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ") and said in error and error.count("\n") == 1
    assert "old" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_a_readme_without_a_place(tmp_path, capsys):
    readme = write(tmp_path / "README.md", "Nothing.\n")
    assert run(readme, write(tmp_path / "a.json", TRAINING)) == 2
    assert capsys.readouterr().err.startswith(f"error: {readme}: no lines <!-- speed:")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.0421, "0.0421"), (12.345, "12.3"), (99.96, "100"), (1234, "1,230")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_the_readme_shows_the_kept_results():
    made = table(sorted((ROOT / "benchmarks" / "results").glob("*.json")))
    found = PLACE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found and f"\n{made}\n" in found[0]
