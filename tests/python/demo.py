"""What `make demo` does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"


def demo_arguments(module: str) -> list[str]:
    """What the demo gives to `python -m module`."""
    recipe = MAKEFILE.read_text(encoding="utf-8").split("\ndemo: ")[1].split("\n\n")[0]
    (arguments,) = re.findall(rf"python -m {re.escape(module)} (.*)", recipe)
    return shlex.split(arguments)
