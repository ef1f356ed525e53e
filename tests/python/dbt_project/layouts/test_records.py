"""The reader of delimited text: it reads back whatever was written, and loses no line."""

from __future__ import annotations

import csv
import gzip
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from dbt_project.layouts import LayoutError
from dbt_project.layouts.records import records

UNCLOSED = "quotation mark not closed, or inside a field"


def read(tmp_path, content: bytes, encoding: str = "utf-8", delimiter: str = ",", name="a.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return list(records(path, encoding, delimiter))


def test_what_real_files_hold(tmp_path):
    found = read(
        tmp_path,
        b"\xef\xbb\xbfid;text;n\r\n"  # a byte order mark
        b'1;"x;y";3\r\n'
        b'2;"line\r\nend ""q""";4\r\n'
        b"\r\n"
        b'3;"open;4\r\n'  # would swallow what follows
        b"4;5\r\n"
        b'5;6" pipe;7\r\n'
        b"6;\xff;7\n"
        b"7;a\0b;3\r"
        b'8;"bad"x;3\n'
        b"9;;\n"
        b'10;"never\n'
        b"11;b;c",
        delimiter=";",
    )
    assert [(record.line, record.fields, record.fault) for record in found] == [
        (1, ["id", "text", "n"], None),
        (2, ["1", "x;y", "3"], None),
        (3, ["2", 'line\r\nend "q"', "4"], None),
        (5, [], "blank line"),
        (6, [], UNCLOSED),
        (7, [], "wrong number of fields"),
        (8, ["5", '6" pipe', "7"], None),
        (9, [], "not utf-8"),
        (10, [], "NUL character"),
        (11, [], UNCLOSED),
        (12, ["9", "", ""], None),
        (13, [], UNCLOSED),
        (14, ["11", "b", "c"], None),
    ]
    assert found[2].text == '2;"line\r\nend ""q""";4'
    assert [found[place].text for place in (4, 7, 8, 12)] == [
        '3;"open;4', "6;\\xff;7", "7;a\\x00b;3", "11;b;c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "written"), [("latin-1", "latin-1"), ("cp1252", "cp1252"), ("utf-16", "utf-16")]
)
def test_encodings(tmp_path, encoding, written):
    found = read(tmp_path, "a,b\nCrème,Käse\n".encode(written), encoding)
    assert found[1].fields == ["Crème", "Käse"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path, encoding):
    found = read(tmp_path, "\ufeffa,b\n1,2\n".encode(encoding), encoding)
    assert [record.fields for record in found] == [["a", "b"], ["1", "2"]]


def test_a_gzipped_file_is_unpacked(tmp_path):
    found = read(tmp_path, gzip.compress(b"a,b\n1,2\n"), name="A.CSV.GZ")
    assert [record.fields for record in found] == [["a", "b"], ["1", "2"]]


def test_a_quotation_mark_reaches_a_hundred_lines(tmp_path):
    """A text of so many is read; of one more, each line is at fault by itself."""
    for lines, whole in ((100, True), (101, False)):
        text = "\n".join("x" * lines)
        found = read(tmp_path, f'a,b\n1,"{text}"\n2,3\n'.encode())
        assert (found[1].fields == ["1", text]) == whole
        assert found[-1].fields == ["2", "3"] and found[-1].line == 2 + lines
        assert len(found) == (3 if whole else 2 + lines)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "a.csv: empty. Expected a header and lines"),
        (b"\na,b\n", "the header, its first line: blank line"),
        (b'"a,b\n1,2\n', f"the header, its first line: {UNCLOSED}"),
        ("a,b\n".encode("utf-16-le"), "NUL character; is it UTF-16? Say its `encoding`"),
        (b"a\xe4,b\n", "the header, its first line: not utf-8? Say its `encoding`"),
        (b"a,b\n" + b"x" * 2_000_001 + b"\n", "line 2 is longer than 2 MB"),
    ],
)
def test_what_cannot_be_read_as_a_whole(tmp_path, content, told):
    with pytest.raises(LayoutError, match="a.csv: ") as error:
        read(tmp_path, content)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_a_damaged_archive(tmp_path):
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)
    for content in (packed[:-20], packed[:-8] + bytes(8), b"not packed"):
        with pytest.raises(LayoutError, match="a.csv.gz: damaged or cut short"):
            read(tmp_path, content, name="a.csv.gz")


def test_a_field_without_end_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1," + "x" * 200_000 + "\n2,3\n")
    found = list(records(path, "utf-8", ","))
    assert [(record.line, record.fault) for record in found] == [
        (1, None), (2, "field longer than 131072 characters"), (3, None)
    ]  # fmt: skip


# Whatever may be in a field, with all that means something in a file.
FIELDS = st.text(
    st.sampled_from("ab1 \t,;|\"'\r\n\\\u00e9\u20ac\u00a0") | st.characters(codec="utf-8")
)
FIELDS = FIELDS.map(lambda text: re.sub("[\0\ufeff]", "", text))


@st.composite
def files(draw):
    """Rows, and a way to write them; every field has a value in quotation marks at times."""
    width = draw(st.integers(2, 4))
    row = st.lists(FIELDS, min_size=width, max_size=width)
    return (
        draw(st.lists(row, min_size=1, max_size=8)),
        draw(st.sampled_from(",;\t|")),
        draw(st.sampled_from(["\n", "\r\n", "\r"])),
        draw(st.lists(st.booleans(), min_size=width, max_size=width)),
        draw(st.booleans()),
    )


def written(rows, delimiter, line_end, quoted, ends_with_line_end) -> str:
    """A writer of its own: slow, and in quotation marks what must be or is wanted to."""
    lines = []
    for row in rows:
        fields = []
        for text, wanted in zip(row, quoted, strict=True):
            if wanted or any(sign in text for sign in f'{delimiter}"\r\n'):
                text = '"' + text.replace('"', '""') + '"'
            fields.append(text)
        lines.append(delimiter.join(fields))
    return line_end.join(lines) + (line_end if ends_with_line_end else "")


@examples(300)
@given(files())
def test_what_was_written_is_read_back(tmp_path_factory, file):
    rows, delimiter, *_ = file
    text = written(*file)
    found = read(tmp_path_factory.getbasetemp(), text.encode(), delimiter=delimiter)
    assert [record.fields for record in found] == rows
    before = ""
    for record in found:
        assert record.line == 1 + len(re.findall("\r\n|\r|\n", before))
        before += "".join(record.lines)
    assert before == text


@examples(300)
@given(files())
def test_the_library_writes_the_same(tmp_path_factory, file):
    rows, delimiter, *_ = file
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    found = read(tmp_path_factory.getbasetemp(), text.getvalue().encode(), delimiter=delimiter)
    assert [record.fields for record in found] == rows


@examples(300)
@given(st.text(st.sampled_from('ab,"\r\n \u00e9')), st.binary(max_size=3))
def test_nothing_is_lost_of_any_text(tmp_path_factory, text, bytes_between):
    content = b"x,y\n" + text.encode() + bytes_between + text.encode()
    found = read(tmp_path_factory.getbasetemp(), content)
    lines = "".join(line for record in found for line in record.lines)
    assert lines.encode("utf-8", "surrogateescape") == content
    for record in found:
        assert (record.fault is None) == (len(record.fields) == 2)
    numbers = [record.line for record in found]
    assert numbers == sorted(set(numbers))
