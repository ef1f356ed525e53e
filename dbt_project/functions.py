"""Functions of Python that SQL may call, on every engine: text to text, which is JSON.

What a file or the layout says is the same whichever engine asks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from .layouts import LayoutError, load_layout
from .text_files import first_line, folder, text_file


def layout(name: str) -> dict[str, Any]:
    """A layout's fields; the one key `problem` where it cannot be used."""
    try:
        found = load_layout(name)
    except LayoutError as error:
        return {"problem": str(error)}
    fields: dict[str, Any] = asdict(found)
    if found.order_lines is not None:
        for key in ("columns", "has_time"):
            fields["order_lines"][key] = getattr(found.order_lines, key)
    return fields


def _as_json(function: Callable[[str], Any]) -> Callable[[str], str]:
    return lambda text: json.dumps(function(text))


FUNCTIONS: dict[str, Callable[[str], str]] = {
    function.__name__: _as_json(function) for function in (layout, folder, first_line, text_file)
}
"""By their names in SQL."""
