"""Damage to files, drawn by Hypothesis: what disks, copies, editors and people do to a folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from trainer.cache.json_files import read_json, write_json

Draw = Callable[[st.SearchStrategy], Any]

RAW_JSON = (
    "null", "true", "0", "1", "-1", "0.5", "1e999", "-0.0", "NaN", "-Infinity", '""', '"x"', "[]",
    "{}", "[[]]", '"\\ud800"', "9" * 400, "9" * 5000, "[" * 200_000 + "]" * 200_000,
    '{"a":' * 200_000, "", "'x'", "1_0", "0x10",
)  # fmt: skip
"""Texts that may stand in the place of a JSON value."""


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change facts and their digest with them, as only a faulty writer would."""
    facts = read_json(path)
    change(facts)
    write_json(path, facts)


def copied(folder: Path, to: Path) -> Path:
    """A copy of a folder that `damage_folder` may damage; it replaces an earlier one."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(folder, to, copy_function=os.link))


def damage_folder(draw: Draw, folder: Path, others: list[Path]) -> None:
    """Damage files of a folder, perhaps with those of another folder of its kind."""
    kinds = sorted(KINDS if _files(folder, "*.json") else KINDS.keys() - {"json"})
    KINDS[draw(st.sampled_from(kinds))](draw, _one_of(draw, folder), folder, others)


def damaged_bytes(draw: Draw, data: bytes) -> bytes:
    """With a few flipped bits, cut, longer, or with other bytes in the middle. May be the same."""
    kind = draw(st.sampled_from(["flip", "cut", "extend", "overwrite", "insert", "remove"]))
    # Headers are short and matter most.
    places = st.integers(0, max(0, len(data) - 1)) | st.integers(0, min(200, max(0, len(data) - 1)))
    place = draw(places)
    if kind == "flip" and data:
        changed = bytearray(data)
        for bit in draw(st.lists(st.integers(0, 7), min_size=1, max_size=3)):
            changed[draw(places)] ^= 1 << bit
        return bytes(changed)
    if kind == "cut":
        return data[:place]
    more = draw(st.binary(min_size=1, max_size=20) | st.just(b"\0" * 4096))
    if kind == "extend":
        return data + more
    after = {"overwrite": place + len(more), "insert": place, "remove": place}[kind]
    if kind == "remove":
        return data[:place] + data[place + len(more) :]
    return data[:place] + more + data[after:]


def damaged_json(draw: Draw, text: str) -> str:
    """Still near to JSON: another value, a name lost or there twice, other spaces."""
    content = json.loads(text)
    kind = draw(st.sampled_from(["value", "lose", "twice", "whole", "spaces", "mark", "recode"]))
    if kind == "whole":
        return draw(st.sampled_from(RAW_JSON))
    if kind == "spaces":
        return json.dumps(content, indent=draw(st.sampled_from([None, 0, 7])), sort_keys=True)
    if kind == "mark":
        return "\ufeff" + text
    if kind == "recode":
        return json.dumps(content).replace('"', "\u201c")
    parent, key = draw(st.sampled_from(list(_places(content))))
    if kind == "lose":
        del parent[key]
        return json.dumps(content, indent=1)
    raw = draw(st.sampled_from(RAW_JSON))
    if kind == "twice" and isinstance(parent, dict):
        kept = json.dumps(parent[key])
        first, last = draw(st.permutations([kept, raw]))
        parent[key] = "@@"
        return json.dumps(content, indent=1).replace(
            '"@@"', f"{first}, {json.dumps(key)}: {last}", 1
        )
    parent[key] = "@@"
    return json.dumps(content, indent=1).replace('"@@"', raw, 1)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _files(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


def _one_of(draw: Draw, folder: Path, pattern: str = "*") -> Path:
    names = [str(path.relative_to(folder)) for path in _files(folder, pattern)]
    return folder / draw(st.sampled_from(names))


def _write(path: Path, data: bytes) -> None:
    """Write a new file: the old one may be a link to the original's."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _bytes(draw, path, folder, others):
    _write(path, damaged_bytes(draw, path.read_bytes()))


def _json(draw, path, folder, others):
    path = _one_of(draw, folder, "*.json")
    text = damaged_json(draw, path.read_text(encoding="utf-8"))
    _write(path, text.encode("utf-8", "surrogatepass"))


def _delete(draw, path, folder, others):
    path.unlink()


def _empty(draw, path, folder, others):
    _write(path, b"")


def _swap(draw, path, folder, others):
    other = _one_of(draw, folder)
    first, second = path.read_bytes(), other.read_bytes()
    _write(path, second)
    _write(other, first)


def _exchange(draw, path, folder, others):
    """A file of another folder in its place, of the same name or any."""
    other = draw(st.sampled_from(others))
    same = other / path.relative_to(folder)
    source = same if same.is_file() and draw(st.booleans()) else _one_of(draw, other)
    _write(path, source.read_bytes())


def _exchange_many(draw, path, folder, others):
    """A copy of another folder that stopped somewhere, over this one."""
    other = draw(st.sampled_from(others))
    rng = draw(st.randoms(use_true_random=False))
    for source in _files(other):
        if rng.random() < 0.5:
            _write(folder / source.relative_to(other), source.read_bytes())


def _rename(draw, path, folder, others):
    name = draw(st.sampled_from([path.name.upper(), f"{path.name}.bak", "x", f".{path.name}"]))
    path.rename(path.with_name(name))


def _become_a_folder(draw, path, folder, others):
    path.unlink()
    path.mkdir()
    if draw(st.booleans()):
        (path / path.name).write_text("x")


def _become_a_link(draw, path, folder, others):
    target = draw(st.sampled_from([path.name, "nowhere", "..", "/dev/null"]))
    path.unlink()
    path.symlink_to(target)


KINDS: dict[str, Callable] = {
    "bytes": _bytes,
    "json": _json,
    "delete": _delete,
    "empty": _empty,
    "swap": _swap,
    "exchange": _exchange,
    "exchange many": _exchange_many,
    "rename": _rename,
    "become a folder": _become_a_folder,
    "become a link": _become_a_link,
}
