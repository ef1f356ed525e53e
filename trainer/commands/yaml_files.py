"""Settings that people write as YAML. Needs PyYAML, which only some commands do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from trainer.commands.errors import InputError

LARGEST = 1 << 20
"""Bytes of the largest file that is read."""
MOST_VALUES = 100_000
"""Of a file, those behind an alias counted wherever it stands: a few lines of aliases of aliases
can stand for more than any memory holds."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Keys and values, every value as its text stands: NO is a name, and 007 a code.

    Raises InputError, in one line, for a file that is none, too large or no YAML, for one of more
    than MOST_VALUES, and for a key that stands twice, of which YAML would silently keep the last
    value.
    """
    try:
        import yaml
    except ModuleNotFoundError:
        raise InputError(
            f"{path}: to read it needs PyYAML, which is not installed: python -m pip install pyyaml"
        ) from None

    class Texts(yaml.BaseLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            found = super().construct_mapping(node, deep=deep)
            for key, times in Counter(key.value for key, _ in node.value).items():
                if times > 1:
                    raise yaml.YAMLError(f"{key} stands more than once")
            return found

    try:
        if not path.is_file():
            raise InputError(f"{path}: there is no such file")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than 1 MB. Expected a short YAML file")
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=Texts)
        if _values(content, {}) > MOST_VALUES:
            raise InputError(
                f"{path}: more than {MOST_VALUES:,} values. Expected a short YAML file"
            )
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{path}: not read as YAML: nested too deeply") from None
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values, such as `name: value`")
    return content


def _values(content: Any, known: dict[int, int]) -> int:
    """How many values something is made of; known: of what was counted before, by its id."""
    if id(content) not in known:
        parts: Any = content.values() if isinstance(content, dict) else content
        parts = parts if isinstance(content, dict | list) else ()
        known[id(content)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(content)]
