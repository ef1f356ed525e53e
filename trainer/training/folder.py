"""The folder of a training run: whose its contents are, and who may train in it.

    last, best        checkpoints
    curves.jsonl      one line per epoch
    tensorboard/      event files whose names end in `EVENTS`
    run.json          made first and kept: says that `fit` trains here, and is locked while it does

Nothing else is touched, and none of these names where something else has them. A run of an earlier
version has no run.json; its checkpoints tell it.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from trainer.cache.atomic import errors_naming
from trainer.cache.locks import take_lock
from trainer.cache.reader import MANIFEST
from trainer.commands.errors import ExpectedError
from trainer.model.checkpoint import DESCRIPTION, check_replaceable, remove_checkpoint
from trainer.training.ranks import Ranks

LAST, BEST, CURVES, TENSORBOARD = "last", "best", "curves.jsonl", "tensorboard"
RUN = "run.json"
WRITTEN_BY = "python -m trainer.fit"
BEGINNING = f'{{"written_by": "{WRITTEN_BY}"'.encode()
EVENTS = ".retailsim"
"""Ending of the names of TensorBoard's files, which its own names lack."""


class FolderError(ExpectedError):
    """A folder that cannot be trained in; the message says why and what to do."""


@contextmanager
def run_folder(folder: Path, ranks: Ranks) -> Iterator[None]:
    """Have a run folder to oneself: no other process trains in it until the end of the block.

    The folder is made if need be. Every rank must call it; the first one holds the lock, which ends
    with its process, however that ends. Raises FolderError where another process trains there or
    the folder holds something else of a run's names, before anything is written.
    """
    lock, failed = None, True
    try:
        if ranks.is_first:
            lock = _locked(folder)
        failed = False
    finally:
        others_wait = ranks.agree(failed)
    if others_wait:
        raise FolderError(f"{folder}: the first process cannot train there, and says why")
    try:
        yield
    finally:
        if lock is not None:
            lock.close()


def clear(folder: Path) -> None:
    """Remove a run from its folder, and nothing that the run did not write.

    Raises CheckpointError where `last` or `best` is something else; nothing is removed then.
    """
    for step in (check_replaceable, remove_checkpoint):
        for name in (LAST, BEST):
            step(folder / name)
    (folder / CURVES).unlink(missing_ok=True)
    events = folder / TENSORBOARD
    for path in events.glob(f"events.out.tfevents.*{EVENTS}"):
        path.unlink()
    if events.is_dir() and not any(events.iterdir()):
        events.rmdir()


def _locked(folder: Path) -> IO[str]:
    """Check the folder and lock it; the lock lasts until the file is closed."""
    _check_contents(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RUN
    # Neither replaced nor removed, ever: a lock on a file that has lost its name locks nothing.
    lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
    try:
        _lock(lock, folder)
        facts = {"written_by": WRITTEN_BY, "process": os.getpid(), "host": platform.node()}
        with errors_naming(path):
            lock.truncate()
            lock.write(json.dumps(facts))
            lock.flush()
    except BaseException:
        lock.close()
        raise
    # A loader process that outlives this one must not hold the lock any longer.
    os.register_at_fork(after_in_child=lock.close)
    return lock


def _lock(file: IO[str], folder: Path) -> None:
    try:
        has_locks = take_lock(file)
    except BlockingIOError:
        raise FolderError(
            f"another process ({_owner(file.read())}) trains in {folder}: wait until it has "
            "finished, or use another --out"
        ) from None
    if not has_locks:
        print(
            f"warning: {folder}: the file system has no locks, so see to it that no other process "
            "trains there",
            file=sys.stderr,
        )


def _owner(text: str) -> str:
    try:
        facts = json.loads(text)
        here = facts["host"] == platform.node()
        return f"{facts['process']}" if here else f"{facts['process']} on {facts['host']}"
    except (ValueError, KeyError, TypeError):
        return "which has just begun"


def _check_contents(folder: Path) -> None:
    """Raise FolderError or CheckpointError where a name of a run belongs to something else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FolderError(f"{folder} is a file, where a folder is to be written: use another --out")
    for name, what in ((MANIFEST, "a tensor cache"), (DESCRIPTION, "a checkpoint")):
        if (folder / name).exists():
            raise FolderError(f"{folder} is {what}, and no place for a run: use another --out")
    for name in (LAST, BEST):
        check_replaceable(folder / name)
    is_run = _is_ours(folder / RUN) or any((folder / name).exists() for name in (LAST, BEST))
    foreign = {
        RUN: (folder / RUN).exists() and not _is_ours(folder / RUN),
        CURVES: (folder / CURVES).exists() and not (is_run and (folder / CURVES).is_file()),
        TENSORBOARD: (folder / TENSORBOARD).exists() and not (folder / TENSORBOARD).is_dir(),
    }
    for name, is_foreign in foreign.items():
        if is_foreign:
            raise FolderError(
                f"{folder / name} was not written by {WRITTEN_BY}, and is not replaced: move it "
                "away, or use another --out"
            )


def _is_ours(path: Path) -> bool:
    """Whether this is a run.json, or the beginning of one, if writing it was interrupted."""
    try:
        text = path.read_bytes()[: len(BEGINNING)]
    except OSError:
        return False
    return BEGINNING.startswith(text)
