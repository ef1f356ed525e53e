"""The output folder: nothing that this command did not write is deleted or mixed with a chain."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from trainer.commands.errors import ExpectedError

GENERATOR = "dbt_project.sample"
CHAIN = Path("truth") / "chain.json"
# Names that this command writes, so that an edited chain.json cannot name other files.
_OURS = re.compile(r"(transactions_\d{6}\.(csv|parquet)|time\.csv|truth/[a-z_]+\.parquet)")


class FolderError(ExpectedError):
    """The output folder cannot be used; the message says why and what to do."""


def _present(folder: Path) -> set[str]:
    """Files that would mix with a chain: transactions, time.csv and the truth."""
    inside = [p for p in folder.glob("transactions*") if not p.is_dir()]
    inside += [folder / "time.csv"] if (folder / "time.csv").exists() else []
    inside += [p for p in (folder / "truth").glob("*") if p != folder / CHAIN]
    return {p.relative_to(folder).as_posix() for p in inside}


def _written(folder: Path) -> dict[str, int]:
    """Files a previous chain lists, with their sizes; empty if there is none."""
    try:
        chain = json.loads((folder / CHAIN).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(chain, dict) or chain.get("generator") != GENERATOR:
        return {}
    files = chain.get("files")
    return files if isinstance(files, dict) else {}


def check(folder: Path, overwrite: bool) -> None:
    """Create the folder if need be; raise FolderError where a chain cannot be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"cannot create the folder {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FolderError(f"cannot write into the folder {folder}")
    present = _present(folder)
    if not present:
        return
    written = _written(folder)
    foreign = sorted(
        name
        for name in present
        if written.get(name) != (folder / name).stat().st_size or not _OURS.fullmatch(name)
    )
    if foreign:
        raise FolderError(
            f"{folder} holds {foreign[0]}, which this command did not write; choose another folder"
        )
    if not overwrite:
        raise FolderError(
            f"{folder} already holds a synthetic chain; add --overwrite to replace it"
        )


def install(staging: Path, folder: Path, chain: dict) -> None:
    """Replace the chain in `folder`, if any, by the complete one in `staging`.

    `chain` gets the list of files with their sizes and becomes chain.json, written last.
    """
    check(folder, overwrite=True)
    for name in _present(folder):
        (folder / name).unlink()
    (folder / CHAIN).unlink(missing_ok=True)
    (folder / "truth").mkdir(exist_ok=True)
    files = sorted(p for p in staging.rglob("*") if p.is_file())
    sizes = {p.relative_to(staging).as_posix(): p.stat().st_size for p in files}
    for path in files:
        path.replace(folder / path.relative_to(staging))
    text = json.dumps({"generator": GENERATOR, **chain, "files": sizes}, indent=2)
    (folder / CHAIN).write_text(text + "\n")
