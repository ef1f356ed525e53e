"""Columns that come part by part and do not fit memory."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .warehouse import Columns


class Spool:
    """A file for each column, without a name: nothing is left of it when this process ends."""

    def __init__(self, folder: Path) -> None:
        """folder: where there is room for what will be written; made if it is not there."""
        self._folder = folder
        self._open = ExitStack()
        self._files: dict[str, BinaryIO] = {}
        self._columns: dict[str, np.ndarray] = {}
        """Of every column its first part, without rows: dtype and width."""

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def append(self, columns: Columns) -> None:
        """Add rows to columns.

        Raises ValueError where a column changes its dtype or width, OSError, which names the
        folder.
        """
        for name, values in columns.items():
            kind = self._columns.setdefault(name, values[:0].copy())
            if (values.dtype, values.shape[1:]) != (kind.dtype, kind.shape[1:]):
                raise ValueError(
                    f"{name}: {values.dtype} {values.shape[1:]} after {kind.dtype} {kind.shape[1:]}"
                )
            try:
                self._write(name, values)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self._folder)) from None

    def _write(self, name: str, values: np.ndarray) -> None:
        if name not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Without a buffer, whose rest would fail again when the file is closed.
            file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            self._files[name] = self._open.enter_context(file)
        left = memoryview(values.tobytes())
        while left:
            left = left[self._files[name].write(left) :]

    def columns(self) -> Columns:
        """All columns so far, mapped from their files."""
        return {name: self._mapped(name) for name in self._columns}

    def _mapped(self, name: str) -> np.ndarray:
        file, kind = self._files[name], self._columns[name]
        if not file.tell():  # an empty file cannot be mapped
            return kind
        values = np.memmap(file, kind.dtype, "r")
        return values.reshape(-1, *kind.shape[1:])
