"""A raw text file is whole, UTF-8, and its lines can be told apart, or it is said what is wrong."""

from __future__ import annotations

import gzip
import zlib

import pytest


def looked_through(path, content: bytes):
    from dbt_project.text_files import text_file

    path.write_bytes(content)
    return text_file(str(path))


@pytest.mark.parametrize(
    ("content", "line_end", "is_block"),
    [
        (b"", "\\n", False),
        (b"a", "\\n", False),
        (b"a\n\nb\n", "\\n", False),
        (b"a\rb\rc", "\\n", False),
        (b"a\nb\rc\n", "\\n", False),
        (b"a\r\n\r\nb", "\\r\\n", False),
        (b"a\r\nb\n", "\\r\\n", True),
        (b"\na\r\n", "\\r\\n", True),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_line_ends(tmp_path, monkeypatch, content, line_end, is_block, size):
    """Also where a file is read in parts that end between \\r and \\n, or within a letter."""
    from dbt_project import text_files

    whole = text_files._chunks
    monkeypatch.setattr(text_files, "_chunks", lambda path: whole(path, size))
    content = b"\xc3\xa9" + content
    assert looked_through(tmp_path / "a.csv", content) == {
        "problem": "",
        "line_end": line_end,
        "block": len(content) if is_block else 0,
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a\r\nb\rc\r\n", "carriage returns"),
        (b"a\r\r\n", "carriage returns"),
        (b"a\nb\n\xe9\nc\n", "not UTF-8 in line 3"),
        (b"a\nb\n\xc3", "not UTF-8 in line 3"),
        ("a\nb\n".encode("utf-16"), "not UTF-8 in line 1"),
        (b"a\nb\0\n", "NUL characters"),
        (b"a\n" + b"x" * 2_000_001, "line 2 is longer than 2 MB"),
        (b"a\n" + b"x" * 2_000_001 + b"\nb\n", "line 2 is longer than 2 MB"),
    ],
)
def test_what_is_no_text(tmp_path, content, problem):
    assert problem in looked_through(tmp_path / "a.csv", content)["problem"]


def test_every_damage_of_an_archive_is_found(tmp_path):
    whole = gzip.compress(b"1.25,a\n2.50,b\n", mtime=0)
    path = tmp_path / "a.CSV.GZ"
    assert not looked_through(path, whole + whole)["problem"]
    # Bytes 3 to 9 are flags, time and system of the header, which say nothing of the content. The
    # lowest bit of every other is used.
    for place in range(10, len(whole)):
        flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for damaged in (flipped, whole[:place], whole + flipped):
            assert "damaged or cut short" in looked_through(path, damaged)["problem"]


def test_archives_that_duckdb_would_not_name_are(tmp_path):
    """Whole ones, as tapes, mail programs and some libraries write them."""
    packed = gzip.compress(b"1.25,a\n", mtime=0)
    path = tmp_path / "a.csv.gz"

    def header(flag: int, field: bytes) -> bytes:
        start = packed[:3] + bytes([flag]) + packed[4:10]
        return start + (field or zlib.crc32(start).to_bytes(4, "little")[:2]) + packed[10:]

    for content, told in [
        (packed + bytes(512), "an archive with zeros behind its end, which is not read"),
        (header(2, b""), "an archive with a check sum of its header, which is not read"),
        (header(16, b"by me\0"), "an archive with a comment in its header, which is not read"),
        (header(8, b"name\0"), ""),
        (header(4, b"\x02\0xx"), ""),
        (packed + gzip.compress(b""), ""),
        (gzip.compress(b""), ""),
    ]:
        assert looked_through(path, content)["problem"].startswith(told)
        assert told or not looked_through(path, content)["problem"]


def test_first_line(tmp_path):
    from dbt_project.text_files import first_line

    path = tmp_path / "a.csv"
    for content, line in [
        (b"", None),
        (b"\n1", ""),
        (b"\xef\xbb\xbfa,b\r\n1", "a,b"),
        (b"a,\xc3\xa9\r1", "a,\u00e9"),
        (b"a" * 100_000 + b"\n", "a" * 65_536),  # longer than any header
    ]:
        path.write_bytes(content)
        assert first_line(str(path)) == line


def test_a_line_of_just_two_megabytes(tmp_path):
    for content in (b"a\n" + b"x" * 2_000_000, (b"x" * 1_999_999 + b"\r\n") * 3):
        assert not looked_through(tmp_path / "a.csv", content)["problem"]
