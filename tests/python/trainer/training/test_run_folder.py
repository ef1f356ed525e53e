"""Run folders: nothing of others is touched, and one process at a time trains in one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_trainer import CONFIG, make
from toy import toy_cache

from trainer import fit
from trainer.commands.errors import ExpectedError
from trainer.model.checkpoint import load_checkpoint
from trainer.training.folder import FolderError, clear, run_folder
from trainer.training.ranks import Ranks

ROOT = Path(__file__).resolve().parents[4]
ALONE = Ranks(0, 1, torch.device("cpu"))
ONE_EPOCH = replace(CONFIG, phases=CONFIG.phases[:1])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=20, seed=6)


@pytest.fixture(scope="module")
def finished(cache, tmp_path_factory):
    """The folder of a run of one epoch."""
    folder = tmp_path_factory.mktemp("run")
    with run_folder(folder, ALONE):
        make(cache, folder, ONE_EPOCH).fit()
    return folder


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def contents(folder):
    """Every file's bytes, by path."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def write(path, text="mine"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


FOREIGN = [
    "best/recipes.txt", "last/recipes.txt", "best", "last", "best/checkpoint.json", "curves.jsonl",
    "curves.jsonl/notes.txt", "tensorboard", "run.json",
]  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_that_holds_something_else_is_refused_as_it_is(tmp_path, name):
    write(tmp_path / "results" / name)
    before = contents(tmp_path)
    with (
        pytest.raises(ExpectedError, match=f"results/{name.split('/')[0]}.* move it away"),
        run_folder(tmp_path / "results", ALONE),
    ):
        pass
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "what"), [("manifest.json", "tensor cache"), ("checkpoint.json", "checkpoint")]
)
def test_no_run_begins_in_a_cache_or_a_checkpoint(tmp_path, name, what):
    write(tmp_path / name)
    with pytest.raises(ExpectedError, match=f"is a {what}"), run_folder(tmp_path, ALONE):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize("name", ["last/notes.txt", "best/vocabulary/notes.txt", "best/x/y.npy"])
def test_what_is_put_into_a_checkpoint_is_not_lost(run, cache, name):
    write(run / name)
    before = contents(run)
    for touch in (lambda: clear(run), make(cache, run, ONE_EPOCH).fit):
        with pytest.raises(ExpectedError, match="is no part of a checkpoint and would be lost"):
            touch()
    with pytest.raises(ExpectedError), run_folder(run, ALONE):
        pass
    assert contents(run) == before


def test_what_lies_beside_a_run_is_left_alone(cache, tmp_path, capsys):
    others = (
        "best-photos/cat.txt", "last-year/figures.txt", "last-001-000000/x",
        "tensorboard/other.txt", "tensorboard/events.out.tfevents.1.host.1.0", ".last.1.new/x",
        ".best.old/x", "curves.json",
    )  # fmt: skip
    folder = tmp_path / "results"
    for name in others:
        write(folder / name)
    arguments = ["--cache", str(cache.folder), "--out", str(folder), "--preset", "tiny"]
    for more in ([], ["--fresh"]):
        assert fit.main([*arguments, "--epochs", "1", *more]) == 0
        found = contents(folder)
        assert all(found[name] == b"mine" for name in others)
    clear(folder)
    assert contents(folder).keys() == {*others, "run.json"}
    capsys.readouterr()


def test_starting_over_leaves_nothing_of_a_run(run):
    assert (run / "tensorboard").is_dir()
    clear(run)
    assert contents(run).keys() == {"run.json"} and not (run / "tensorboard").exists()


def test_a_run_of_an_earlier_version_goes_on(run, cache):
    """It had no run.json, and `last` and `best` were links."""
    (run / "run.json").unlink()
    for name in ("last", "best"):
        (run / name).rename(run / f"{name}-001-000000")
        (run / name).symlink_to(f"{name}-001-000000", target_is_directory=True)
    config = replace(CONFIG, phases=CONFIG.phases[:1])
    with run_folder(run, ALONE):
        trainer = make(cache, run, config)
        assert trainer.resume() and trainer.epoch == 1
        trainer.start_over()
    names = {path.name for path in run.iterdir()}
    assert names == {"run.json", "last-001-000000", "best-001-000000"}


@pytest.mark.parametrize("text", ["", '{"writ'])
def test_a_run_that_was_killed_as_it_began_can_begin_again(tmp_path, text):
    write(tmp_path / "run.json", text)
    with run_folder(tmp_path, ALONE):
        pass
    assert json.loads((tmp_path / "run.json").read_text())["process"] == os.getpid()


HOLD = """
import os, signal, sys, torch
from pathlib import Path
from trainer.training.folder import run_folder
from trainer.training.ranks import Ranks
with run_folder(Path(sys.argv[1]), Ranks(0, 1, torch.device("cpu"))):
    if not os.fork():
        signal.pause()  # as a loader process does that outlives the one that trained
    print("locked", flush=True)
    signal.pause()
"""


def test_one_process_trains_in_a_folder(run, cache, capsys):
    arguments = ["--cache", str(cache.folder), "--out", str(run), "--preset", "tiny", "--fresh"]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "locked\n"
        before = contents(run)
        assert fit.main([*arguments, "--epochs", "1"]) == 2
        expected = f"error: another process ({process.pid}) trains in {run}: wait until it has "
        assert capsys.readouterr().err == f"{expected}finished, or use another --out\n"
        assert contents(run) == before
        load_checkpoint(run / "best")  # it can be evaluated all the while
        process.kill()
        process.wait()
        with run_folder(run, ALONE):
            assert json.loads((run / "run.json").read_text())["process"] == os.getpid()
        os.killpg(process.pid, signal.SIGKILL)


def test_the_lock_is_this_process_s_own_too_and_ends_with_the_block(tmp_path):
    refused = pytest.raises(FolderError, match=f"another process .{os.getpid()}. trains in")
    with run_folder(tmp_path, ALONE), refused, run_folder(tmp_path, ALONE):
        pass
    with run_folder(tmp_path, ALONE):
        pass
