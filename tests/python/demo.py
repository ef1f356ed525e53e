"""What `make demo` does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"


def demo_arguments(module: str) -> list[str]:
    """What the demo gives to `python -m module`."""
    makefile = MAKEFILE.read_text(encoding="utf-8")
    (arguments,) = re.findall(rf"python -m {re.escape(module)} (.*)", makefile)
    return shlex.split(arguments)
