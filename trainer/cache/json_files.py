"""JSON files with a digest of their own content, so that no damage is taken for a fact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTENT_DIGEST = "content_digest"
MAX_BYTES = 64 << 20


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON values and, as `content_digest`, their SHA-256."""
    facts = _facts(json.loads(json.dumps(dict(content))))  # as they will be read: lists, text keys
    facts[CONTENT_DIGEST] = json_digest(facts)
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, intact or not. Raises ValueError, naming the file, where it holds
    no such thing; OSError where it cannot be read."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has more than {MAX_BYTES >> 20} MB")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object")
    return content


def is_intact(content: Mapping[str, Any]) -> bool:
    """Whether what `read_json` found is what `write_json` wrote."""
    return content.get(CONTENT_DIGEST) == json_digest(_facts(content))


def json_digest(value: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its names."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _facts(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != CONTENT_DIGEST}
