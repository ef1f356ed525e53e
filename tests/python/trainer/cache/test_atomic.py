"""Files and folders that are the old ones or the new ones, never a mixture."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.cache import atomic
from trainer.cache.atomic import new_file, new_folder, recover

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(params=["exchange", "two renames"])
def _way(request, monkeypatch):
    """A system that exchanges two names in one step, and one that cannot."""
    if request.param == "two renames":
        monkeypatch.setattr(atomic.ctypes, "CDLL", lambda _: None)


def write(path, text):
    with new_folder(path) as fresh:
        assert list(fresh.iterdir()) == []
        (fresh / "deep").mkdir()
        (fresh / "deep" / "x").write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("_way")
def test_a_new_folder_takes_the_old_one_s_place(tmp_path):
    path = tmp_path / "above" / "last"
    for text in ("1", "2", "2"):
        write(path, text)
        assert (path / "deep" / "x").read_text() == text
        assert names(path.parent) == ["last"] and names(path) == ["deep"]


@pytest.mark.usefixtures("_way")
def test_an_error_leaves_the_old_folder_or_none(tmp_path):
    for before in ([], ["last"]):
        with pytest.raises(RuntimeError), new_folder(tmp_path / "last") as fresh:
            (fresh / "x").write_text("half")
            raise RuntimeError
        assert names(tmp_path) == before
        write(tmp_path / "last", "1")
    assert (tmp_path / "last" / "deep" / "x").read_text() == "1"


@pytest.mark.usefixtures("_way")
def test_a_link_stays_a_link(tmp_path):
    """As `last` was, in runs of earlier versions."""
    (tmp_path / "last-002-000000").mkdir()
    (tmp_path / "last").symlink_to("last-002-000000", target_is_directory=True)
    write(tmp_path / "last", "1")
    assert (tmp_path / "last").is_symlink() and names(tmp_path) == ["last", "last-002-000000"]
    assert (tmp_path / "last" / "deep" / "x").read_text() == "1"


def test_a_kill_between_two_renames_is_recovered(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.ctypes, "CDLL", lambda _: None)
    write(tmp_path / "last", "1")
    for moment in (1, 2, 3):
        calls, real = 0, Path.rename

        def rename(path, target):
            nonlocal calls
            calls += 1
            if calls == moment:  # noqa: B023
                raise KeyboardInterrupt
            return real(path, target)  # noqa: B023

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", rename)
            patch.setattr(atomic.shutil, "rmtree", lambda *_, **__: None)  # as after a kill
            with pytest.raises(KeyboardInterrupt):
                write(tmp_path / "last", "2")
        recover(tmp_path / "last")
        assert (tmp_path / "last" / "deep" / "x").read_text() == ("2" if moment == 3 else "1")
        write(tmp_path / "last", "1")
        assert "last" in names(tmp_path)


def test_leftovers_of_dead_processes_go_and_of_others_stay(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = [".last.new", f".last.{os.getppid()}.new", f".last.{'9' * 30}.new", ".last.x.new"]
    for name in (f".last.{ended.pid}.new", f".last.{os.getpid()}.new", *kept):
        (tmp_path / name).mkdir()
    write(tmp_path / "last", "1")
    assert names(tmp_path) == sorted([*kept, "last"])


def test_a_kill_at_any_moment_leaves_one_folder_or_the_other(tmp_path):
    code = """
import sys
from pathlib import Path
from trainer.cache.atomic import new_folder
number = 0
while True:
    number += 1
    with new_folder(Path(sys.argv[1])) as fresh:
        for name in "abc":
            (fresh / name).write_text(str(number))
    print("written", flush=True)
"""
    rng, path = random.Random(3), tmp_path / "last"
    for _ in range(5):
        command = [sys.executable, "-c", code, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.random() / 10)
            process.kill()
        assert len({(path / name).read_text() for name in "abc"}) == 1
    write(path, "1")
    assert names(tmp_path) == ["last"]


def test_a_file_is_the_old_one_or_the_new_one(tmp_path):
    path = tmp_path / "figures.json"
    for text in ("1", "2"):
        with new_file(path) as fresh:
            fresh.write_text(text)
            assert not path.exists() or path.read_text() != text
        with pytest.raises(RuntimeError), new_file(path) as fresh:
            fresh.write_text("half")
            raise RuntimeError
        assert path.read_text() == text and names(tmp_path) == [path.name]


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "last").write_text("mine")
    with pytest.raises(NotADirectoryError, match="is a file"), new_folder(tmp_path / "last"):
        pass
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("last", "mine")]
