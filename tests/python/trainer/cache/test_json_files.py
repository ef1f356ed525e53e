"""JSON files with a digest of their own content."""

from __future__ import annotations

import hashlib

import pytest

from trainer.cache.json_files import is_intact, read_json, write_json


def test_the_digest_is_of_everything_else(tmp_path):
    path = tmp_path / "facts.json"
    write_json(path, {"b": (1, 2.5), "a": {7: None, "é": float("inf")}})
    content = read_json(path)
    text = '{"a": {"7": null, "\\u00e9": Infinity}, "b": [1, 2.5]}'
    assert content["content_digest"] == hashlib.sha256(text.encode()).hexdigest()
    assert content["b"] == [1, 2.5] and is_intact(content)


def test_what_was_read_can_be_written_again(tmp_path):
    path = tmp_path / "facts.json"
    write_json(path, {"a": 1})
    write_json(path, read_json(path) | {"a": 2})
    assert is_intact(read_json(path))


@pytest.mark.parametrize("other", [1.0, True, "1", None, [1], 2])
def test_another_value_or_type_is_noticed(tmp_path, other):
    path = tmp_path / "facts.json"
    write_json(path, {"a": 1, "b": 1})
    content = read_json(path)
    assert not is_intact(content | {"a": other})
    assert not is_intact({name: value for name, value in content.items() if name != "a"})
    assert not is_intact({"a": 1, "b": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"), ("[1]", "holds no JSON object"), ("\ufeff{}", "is not JSON"),
        ("[" * 100_000, "is not JSON"), ('{"a": ' + "1" * 5000 + "}", "is not JSON"),
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "facts.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        read_json(path)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{path} ")
