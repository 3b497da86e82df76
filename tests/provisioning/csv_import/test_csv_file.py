# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.csv_import import csv_file
from provisioning.csv_import.csv_file import Encoding, Line, Separator
from provisioning.errors import InvalidValue

PEOPLE = "userName,givenName\nada,Ada\nzoë,Zoë\n"


def read(content: bytes) -> tuple[csv_file.Shape, list[Line]]:
    file = io.BytesIO(content)
    shape = csv_file.look_at(file)
    return shape, list(csv_file.lines(file, shape))


def cells(content: bytes) -> list[list[str]]:
    return [line.cells for line in read(content)[1]]


@pytest.mark.parametrize(
    ("content", "encoding", "label"),
    [
        (PEOPLE.encode(), Encoding.UTF_8, "UTF-8"),
        (codecs.BOM_UTF8 + PEOPLE.encode(), Encoding.UTF_8, "UTF-8"),
        (PEOPLE.encode("utf-16"), Encoding.UTF_16, "UTF-16"),
        (codecs.BOM_UTF16_BE + PEOPLE.encode("utf-16-be"), Encoding.UTF_16, "UTF-16"),
        (PEOPLE.encode("utf-16-le"), Encoding.UTF_16_LE, "UTF-16"),
        (PEOPLE.encode("utf-16-be"), Encoding.UTF_16_BE, "UTF-16"),
        (PEOPLE.encode("cp1252"), Encoding.WINDOWS_1252, "Windows-1252"),
    ],
)
def test_the_encoding_is_found_and_can_be_said(
    content: bytes, encoding: Encoding, label: str
) -> None:
    shape, lines = read(content)
    assert (shape.encoding, shape.encoding.label) == (encoding, label)
    assert shape.header == ["userName", "givenName"]
    assert [line.cells for line in lines] == [["ada", "Ada"], ["zoë", "Zoë"]]


def test_a_character_that_comes_late_in_the_file_counts_too() -> None:
    head = "userName\n" + "ada\n" * 200_000
    assert read((head + "zoë\n").encode("cp1252"))[0].encoding is Encoding.WINDOWS_1252
    assert read((head + "zoë\n").encode())[0].encoding is Encoding.UTF_8


@pytest.mark.parametrize("separator", list(Separator))
def test_the_separator_is_the_one_that_parts_the_headings(separator: Separator) -> None:
    text = separator.value.join(["user name", '"a, b; c"', "third"]) + "\n1\n"
    shape, _ = read(text.encode())
    assert shape.separator is separator
    assert shape.header == ["user name", "a, b; c", "third"]


def test_one_column_needs_no_separator() -> None:
    assert cells(b"userName\nada\n") == [["ada"]]


def test_excels_own_announcement_of_the_separator_is_no_heading() -> None:
    shape, lines = read(b"sep=;\r\nuserName;title\r\nada;Lead, Engines\r\n")
    assert shape.header == ["userName", "title"]
    assert lines == [Line(3, ["ada", "Lead, Engines"])]


def test_a_quoted_line_break_belongs_to_its_cell_and_lines_are_counted_as_an_editor_does() -> None:
    text = b'userName,title\r\n"ada","Lead\r\nEngines"\r\n\r\n  ,\r\ngrace,"say ""hi"""\r\n'
    assert read(text)[1] == [Line(2, ["ada", "Lead\r\nEngines"]), Line(6, ["grace", 'say "hi"'])]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b"  \n", "The file is empty."),
        (b"\n,,\n", "The file has no line of headings."),
        (b"PK\x03\x04rest of a workbook", "Excel workbook"),
        (b"user\x00name\n", "This is no text file."),
        (b'userName\n"ada\n' + b"grace\n" * 10, "never closed"),
        (b'userName\nada\n"grace"x\n', "Line 3: something stands between"),
        (b"userName\n\x81\x8d\n", "A character cannot be read"),
        (b"x\n" + b"y\n" * 70_000 + b"\x81\n", "Below line \\d+: a character cannot be read"),
        (b"x\n" + b"a" * 10_001, "Line 2: a cell has more than 10,000 characters"),
        (b'x\n"' + b"a" * 200_000, "never closed"),
        (b"," * 100 + b"x\n1\n", "Line 1: more than 100 columns"),
        (b"x\nada\ngrace" + b"," * 100 + b"\n", "Line 3: more than 100 columns"),
        (b"x\nada\ngrace" + b"," * 1_000_000 + b"\n", "Line 3: more than 1,000,000 characters"),
        (b"x\nada\n" + b'"\n",' * 300_000, "Line 3: more than 1,000,000 characters"),
    ],
)
def test_what_cannot_be_read_is_told_in_words(content: bytes, sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence) as told:
        read(content)
    assert told.value.field == "file"


def test_a_record_may_have_as_many_characters_as_its_cells() -> None:
    text = ",".join(["a" * 9_990] * 100)
    assert cells(b"x\n" + f"{text}\n{text}\n".encode()) == [text.split(",")] * 2


def test_a_line_as_long_as_the_file_is_refused_in_bounded_memory() -> None:
    body = io.BytesIO(b"userName\nada" + b"," * 8_000_000 + b"\n")
    shape = csv_file.look_at(body)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidValue, match="Line 2"):
            list(csv_file.lines(body, shape))
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_is_too_long_is_told_before_anything_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_file, "MAX_LINES", 2)
    with pytest.raises(InvalidValue, match="more than 2 lines"):
        read(b"x\n1\n2\n3\n")


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=20)
ROW = st.lists(TEXT, min_size=3, max_size=3).filter(lambda row: any(c.strip() for c in row))


@given(st.lists(ROW, min_size=1, max_size=5), st.sampled_from(list(Separator)))
def test_what_the_standard_writer_wrote_is_read_as_it_was(
    rows: list[list[str]], separator: Separator
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator.value)
    writer.writerows([["one", "two", "three"], *rows])
    assert cells(out.getvalue().encode()) == rows


@given(st.binary(max_size=200))
def test_whatever_is_uploaded_is_read_or_refused_in_words(content: bytes) -> None:
    with contextlib.suppress(InvalidValue):
        read(content)
