"""Arrays and facts in one file without code in it: safetensors with a mark and a digest of all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trainer.commands.errors import InputError

LARGEST = 1 << 30
"""Bytes of the largest file that is read."""


@dataclass(frozen=True)
class TensorFile:
    """A kind of file. mark: what all of the kind and version have; name: as people are told; made:
    the command that writes them."""

    mark: str
    name: str
    made: str

    def write(self, path: Path, arrays: Mapping[str, np.ndarray], facts: Any) -> None:
        """Write arrays, and facts that JSON can hold."""
        arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        about = json.dumps(facts, sort_keys=True)
        arrays |= {} if arrays else {_NONE: np.zeros(1)}  # the format holds one array at least
        digest = _digest(arrays, about)
        save_file(arrays, path, {"format": self.mark, "facts": about, "digest": digest})

    def read(self, path: Path) -> tuple[dict[str, np.ndarray], Any]:
        """Arrays and facts of what `write` wrote. Raises InputError for any other file, and for
        numbers that are none."""
        if not path.is_file():
            raise InputError(f"{path}: there is no such file; {self.made}")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST >> 20} MB")
        try:
            with safe_open(path, "np") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != self.mark:
                    raise InputError(
                        f"{path} is no {self.name}, or of another version: {self.made}"
                    )
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = metadata.get("facts", "")
            if metadata.get("digest") != _digest(arrays, about):
                raise InputError(f"{path} is damaged or was changed: {self.made}")
            facts = json.loads(about)
        except InputError:
            raise
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be read ({error}): {self.made}") from None
        for name, values in arrays.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise InputError(f"{path}: {name} is not all numbers: {self.made}")
        arrays.pop(_NONE, None)
        return arrays, facts


def padded(codes: Sequence[str]) -> np.ndarray:
    """(n, bytes) uint8 codes, padded with 0: text as an array."""
    encoded = [code.encode() for code in codes]
    width = max(map(len, encoded))
    return np.array([list(code.ljust(width, b"\0")) for code in encoded], np.uint8)


def texts(codes: np.ndarray) -> list[str]:
    """(n,) what `padded` made an array of."""
    return [bytes(code).rstrip(b"\0").decode() for code in codes]


_NONE = "none"


def _digest(arrays: Mapping[str, np.ndarray], facts: str) -> str:
    """Of facts, names, types, shapes and values."""
    found = hashlib.sha256(facts.encode())
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        found.update(np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()
