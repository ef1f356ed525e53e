"""Files of values, in pairs: of a chain's learned world and of the chain itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.cache.json_files import is_intact, read_json
from trainer.commands.errors import InputError

from .values import BASES

SAME = {
    "chain": "other chains", "start": "other starts", "weeks": "lives of other lengths",
    "decides": "prices and of coupons", "limits": "policies judged by other limits",
}  # fmt: skip
"""What both files of a pair have alike, and what they are of where they do not."""


def read_pairs(paths: Sequence[Path]) -> tuple[list[dict[str, Any]], str]:
    """For each chain, by policy, `model` and `truth` of `lives_of`; and the policy that others are
    compared with.

    Raises InputError for files that are no pairs: of two chains, spans or policies.
    """
    if len(paths) % 2:
        raise InputError("values must come in pairs: the learned world's and the true one's")
    chains, of_chain, first, bases = [], {}, None, set()
    for model, truth in zip(paths[::2], paths[1::2], strict=True):
        worlds = {"model": _read(model, "model"), "truth": _read(truth, "truth")}
        for name, what in SAME.items():
            if worlds["model"][name] != worlds["truth"][name]:
                raise InputError(f"{model} and {truth} are of {what}: they are no pair")
        chain, weeks = worlds["truth"]["chain"], worlds["truth"]["weeks"]
        if chain in of_chain:
            raise InputError(f"{truth} and {of_chain[chain]} are of the same chain: name it once")
        of_chain[chain] = truth
        first, base = first or weeks, BASES[worlds["truth"]["decides"]]
        bases.add(base)
        if len(bases) > 1:
            raise InputError(f"{truth} and {paths[1]} are of prices and of coupons: compare each")
        if weeks != first:
            raise InputError(f"{truth} has lives of {weeks} weeks, {paths[1]} of {first}")
        lived = {world: content["policies"] for world, content in worlds.items()}
        shared = [name for name in lived["truth"] if name in lived["model"]]
        for path, world in ((model, "model"), (truth, "truth")):
            if alone := [name for name in lived[world] if name not in shared]:
                print(f"left out: {', '.join(alone)}, in {path} alone", file=sys.stderr)
        for name in shared:
            if lived["model"][name]["made"] != lived["truth"][name]["made"]:
                raise InputError(f"{name}: not the same policy in {model} and {truth}")
        if base not in shared:
            raise InputError(f"{truth}: the policy {base} must be among those valued in both")
        chains.append({n: {w: lived[w][n] for w in lived} for n in shared})
    return chains, base


def _read(path: Path, world: str) -> dict[str, Any]:
    """What `value` wrote of a world."""
    try:
        content = read_json(path)
        found, intact = content["world"], is_intact(content)
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is no file of python -m simulator.policy value") from None
    if not (intact and SAME.keys() <= content.keys()):
        raise InputError(f"{path} was changed or is of an earlier version: value it again")
    if found != world:
        raise InputError(f"{path} is of the {found}, where {world} is expected")
    return content
