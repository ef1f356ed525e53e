"""Commands on damaged caches, runs and figures: one line and exit code 2, or the same result."""

from __future__ import annotations

import contextlib
import io

import pytest
from damage import copied, damage_folder
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from toy import toy_cache

from trainer.cache.json_files import CONTENT_DIGEST, json_digest, read_json
from trainer.evaluate import main as evaluate
from trainer.fit import main as fit


def output(command, arguments):
    """Exit code, and the lines on standard output and error; a stack trace fails the test."""
    streams = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        code = command([str(argument) for argument in arguments])
    return code, *(stream.getvalue().splitlines() for stream in streams)


def refused(folder, code, out, errors):
    """Whether a command ended in one line that names a file in the folder."""
    lines = [line for line in errors if line.startswith("error: ")]
    known = "fault of the program" not in str(lines)
    return code == 2 and not out and lines == errors[-1:] and known and str(folder) in lines[0]


def fitted(cache, out):
    options = ["--preset", "tiny", "--epochs", "1", "--threads", "1"]
    return output(fit, ["--cache", cache, "--out", out, *options])


def measured(cache, checkpoint, out):
    """Exit code of `evaluate`, its figures instead of what it prints, and its errors."""
    options = ["--baselines", "G-TopFreq", "--tasks", "next_known", "--customers", "3"]
    code, said, errors = output(evaluate, [checkpoint, "--cache", cache, "--json", out, *options])
    if code:
        return code, said, errors
    content = read_json(out)
    for name in ("checkpoint", "seconds", CONTENT_DIGEST):
        content.pop(name, None)
    return code, json_digest(content), []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two caches, and a run on the first."""
    folder = tmp_path_factory.mktemp("commands")
    for seed, name in enumerate(("cache", "other")):
        toy_cache(folder / name, customers=8, seed=seed)
    assert fitted(folder / "cache", folder / "run")[0] == 0
    return folder


@pytest.fixture(scope="module")
def said(folder):
    """What `fit` says of the complete run."""
    return fitted(folder / "cache", folder / "run")[1][0].partition("evaluate it")[0]


@pytest.fixture(scope="module")
def figures(folder):
    """Of `best`, and of `last`: a checkpoint that has come whole in the place of another."""
    out = folder / "figures.json"
    return [measured(folder / "cache", folder / name, out) for name in ("run/best", "run/last")]


def damaged(draw, folder, checkpoint, other):
    """Copies of the cache and of the run, one of them damaged."""
    cache = copied(folder / "cache", folder / "damaged_cache")
    run = copied(folder / "run", folder / "damaged_run")
    if draw(st.booleans()):
        damage_folder(draw, cache, [folder / "other"])
    else:
        damage_folder(draw, run / checkpoint, [folder / "run" / other])
    return cache, run


@examples(30)
@given(data=st.data())
def test_training_goes_on_from_nothing_damaged(folder, said, data):
    cache, run = damaged(data.draw, folder, "last", "best")
    code, out, errors = fitted(cache, run)
    assert refused(folder, code, out, errors) or (code == 0 and out[0].startswith(said))


@examples(30)
@given(data=st.data())
def test_nothing_damaged_is_evaluated(folder, figures, data):
    cache, run = damaged(data.draw, folder, "best", "last")
    found = measured(cache, run / "best", folder / "figures.json")
    assert refused(folder, *found) or found in figures
