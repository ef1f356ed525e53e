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


def left_behind(path, killed_at):
    """What a writer of `path` leaves that is killed at its nth rename, with two renames."""
    code = """
import os, sys
from pathlib import Path
from trainer.cache import atomic
renames, rename = 0, Path.rename
def killed(path, target):
    global renames
    renames += 1
    if renames == int(sys.argv[2]):
        os._exit(1)
    return rename(path, target)
Path.rename, atomic.ctypes.CDLL = killed, lambda _: None
with atomic.new_folder(Path(sys.argv[1])) as fresh:
    (fresh / "x").write_text("2")
os._exit(1)
"""
    assert subprocess.run([sys.executable, "-c", code, path, str(killed_at)], cwd=ROOT).returncode


def test_a_kill_between_two_renames_is_recovered(tmp_path):
    path = tmp_path / "last"
    for moment, expected in ((1, "1"), (2, "1"), (3, "2")):
        with new_folder(path) as fresh:
            (fresh / "x").write_text("1")
        left_behind(path, moment)
        assert path.exists() == (moment != 2)
        recover(path)
        assert (path / "x").read_text() == expected and names(tmp_path) == ["last"]


def test_leftovers_of_dead_writers_go_and_what_others_own_stays(tmp_path):
    (tmp_path / ".last.old").mkdir()  # a copy of one's own, say
    (tmp_path / ".last.old" / "mine.txt").write_text("mine")
    for name in (f".last.{os.getpid()}.new", ".last.12345.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
    (tmp_path / ".last.notes.new").write_text("mine")
    (tmp_path / ".last.marked.new").mkdir()
    (tmp_path / ".last.marked.new" / atomic.MARK).write_text("mine")
    kept = names(tmp_path)
    left_behind(tmp_path / "last", 1)
    assert len(names(tmp_path)) == len(kept) + 1
    with new_folder(tmp_path / "last") as fresh:  # while this one is being written
        (fresh / "x").write_text("1")
        write(tmp_path / "last", "2")
        recover(tmp_path / "last")
    assert names(tmp_path) == sorted([*kept, "last"])
    assert (tmp_path / "last" / "x").read_text() == "1"
    assert (tmp_path / ".last.old" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("moment", ["made", "marked"])
def test_a_writer_killed_before_its_mark_was_written_leaves_nothing_to_the_next(tmp_path, moment):
    """Between the folder, the empty mark in it, and what the mark says."""
    code = """
import os, sys
from pathlib import Path
from trainer.cache import atomic
if sys.argv[2] == "made":
    Path.open = lambda *_: os._exit(1)
atomic.fcntl.flock = lambda *_: os._exit(1)
with atomic.new_folder(Path(sys.argv[1])):
    pass
"""
    path = tmp_path / "last"
    assert subprocess.run([sys.executable, "-c", code, path, moment], cwd=ROOT).returncode == 1
    (left,) = names(tmp_path)
    assert names(tmp_path / left) == ([] if moment == "made" else [atomic.MARK])
    write(path, "1")
    assert names(tmp_path) == ["last"]


@pytest.mark.parametrize("moment", ["made", "marked"])
def test_a_folder_that_another_writer_takes_for_left_over_is_made_again(
    tmp_path, monkeypatch, moment
):
    path, taken = tmp_path / "last", []

    def take(*_):
        if not taken:
            taken.extend(names(tmp_path))
            recover(path)
            assert names(tmp_path) == []

    module, name = (atomic.tempfile, "mkdtemp") if moment == "made" else (atomic.fcntl, "flock")
    real = getattr(module, name)

    def taking(*arguments, **options):
        if moment == "made":
            folder = real(*arguments, **options)
            take()
            return folder
        monkeypatch.setattr(module, name, real)
        take()
        return real(*arguments)

    monkeypatch.setattr(module, name, taking)
    write(path, "1")
    assert len(taken) == 1 and names(tmp_path) == ["last"]


def test_a_killed_writer_of_a_file_leaves_nothing_to_the_next(tmp_path):
    code = """
import os, sys
from pathlib import Path
from trainer.cache.atomic import new_file
with new_file(Path(sys.argv[1])) as fresh:
    fresh.write_text("half")
    os._exit(1)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "figures.json"], cwd=ROOT)
    assert len(names(tmp_path)) == 1
    with new_file(tmp_path / "figures.json") as fresh:
        fresh.write_text("whole")
    assert names(tmp_path) == ["figures.json"]


def test_errors_of_writing_name_what_was_to_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for error in (OSError(28, "No space left on device"), OSError("12 requested and 0 written")):
        with pytest.raises(OSError) as raised, new_file(Path("figures.json")):
            raise error
        assert raised.value.filename == str(tmp_path / "figures.json") and raised.value.errno
        assert str(error.strerror or error) in raised.value.strerror
    with pytest.raises(FileNotFoundError) as raised, new_folder(Path("cache")) as fresh:
        (fresh / "a" / "b").write_text("")
    assert raised.value.filename == str(tmp_path / "cache")
    with pytest.raises(FileNotFoundError) as raised, new_folder(Path("cache")):
        Path("elsewhere").read_text()
    assert raised.value.filename == "elsewhere" and names(tmp_path) == []


def test_a_file_behind_a_link_is_replaced(tmp_path):
    (tmp_path / "link.json").symlink_to("figures.json")
    with new_file(tmp_path / "link.json") as fresh:
        fresh.write_text("1")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "figures.json").read_text() == "1"


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
    # A writer killed before it could mark its folder leaves it, with nothing in it.
    held = [p.name for p in tmp_path.iterdir() if any(f.stat().st_size for f in p.iterdir())]
    assert held == ["last"]


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
