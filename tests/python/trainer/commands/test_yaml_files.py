"""Settings in YAML: what a few lines of it must not be able to do."""

from __future__ import annotations

import pytest

from trainer.commands.errors import InputError
from trainer.commands.yaml_files import MOST_VALUES, read_yaml


def read(tmp_path, text: str):
    path = tmp_path / "settings.yml"
    path.write_text(text)
    return read_yaml(path)


def test_an_alias_is_the_value_it_stands_for(tmp_path):
    assert read(tmp_path, "a: &few [x, 007]\nb: *few\n") == {"a": ["x", "007"], "b": ["x", "007"]}


def test_aliases_of_aliases_are_refused(tmp_path):
    """Nine lines stand for a thousand million values: to show one in a message takes all memory."""
    lines = ["a0: &a0 [" + ", ".join("x" * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]
    with pytest.raises(InputError, match=rf"settings.yml: more than {MOST_VALUES:,} values"):
        read(tmp_path, "\n".join(lines))
