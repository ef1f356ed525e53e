"""The curves of a run: a file with a line per epoch, and events for TensorBoard."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from trainer.cache.atomic import errors_naming, new_file
from trainer.training.folder import CURVES, EVENTS, TENSORBOARD


def write_curves(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows of all epochs anew, and the last one, which is new, for TensorBoard."""
    with new_file(folder / CURVES) as fresh:
        fresh.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    _log_to_tensorboard(folder / TENSORBOARD, rows[-1])


def _log_to_tensorboard(folder: Path, row: dict[str, Any]) -> None:
    """Where it is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return
    # Its thread's errors are raised here as well; Python would print their stack trace besides.
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        with errors_naming(folder):
            writer = SummaryWriter(str(folder), filename_suffix=EVENTS)
            for name, value in row.items():
                if isinstance(value, (int, float)) and name != "epoch":
                    writer.add_scalar(name, value, row["epoch"])
            writer.close()
    finally:
        threading.excepthook = hook
