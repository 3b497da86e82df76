# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Reading a CSV file as HR systems and spreadsheets write them: which encoding, which separator.

The file is read as a stream, twice: once to learn its encoding, once for its lines, so that its
size is no matter of memory. RFC 4180 says commas and little else; Excel writes semicolons where
the comma is the decimal sign, Windows-1252 without being asked, and UTF-16 as "Unicode text".
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import IO

from ..errors import InvalidValue

MAX_BYTES = 64 * 1024 * 1024
MAX_LINES = 250_000
MAX_COLUMNS = 100
MAX_CELL = 10_000  # characters
MAX_RECORD = MAX_COLUMNS * MAX_CELL
_PIECE = 256 * 1024
_HEAD = 64 * 1024


@unique
class Encoding(StrEnum):
    """How the file's characters are written; the value is Python's codec."""

    UTF_8 = "utf-8-sig"  # with or without the mark
    UTF_16 = "utf-16"  # the mark says which order
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    WINDOWS_1252 = "cp1252"

    @property
    def label(self) -> str:
        """The name that people know it by."""
        names = {Encoding.UTF_8: "UTF-8", Encoding.WINDOWS_1252: "Windows-1252"}
        return names.get(self, "UTF-16")


@unique
class Separator(StrEnum):
    """What stands between cells."""

    COMMA = ","
    SEMICOLON = ";"
    TAB = "\t"

    @property
    def label(self) -> str:
        """The word for it."""
        return {",": "comma", ";": "semicolon", "\t": "tab"}[self.value]


@dataclass(frozen=True)
class Shape:
    """What was found out about a file."""

    encoding: Encoding
    separator: Separator
    header: list[str]


@dataclass(frozen=True)
class Line:
    """One record: the number of the line that it begins on, as an editor shows it."""

    number: int
    cells: list[str]


def look_at(file: IO[bytes]) -> Shape:
    """Return encoding, separator and headings. Raises InvalidValue, in words for people."""
    encoding = _encoding(file)
    first = _first_line(_head(file, encoding))
    separator = _announced(first)
    if separator is None:
        separator = _separator(first)
    header = next(iter(_records(file, encoding, separator)), None)
    if header is None or not any(cell.strip() for cell in header.cells):
        raise InvalidValue("The file has no line of headings.", "file")
    return Shape(encoding, separator, [cell.strip() for cell in header.cells])


def lines(file: IO[bytes], shape: Shape) -> Iterator[Line]:
    """Stream the lines below the headings; empty ones are left out.

    Raises InvalidValue, naming the line, for a quotation mark that is never closed, a cell, a
    record or a file that is too long.
    """
    records = _records(file, shape.encoding, shape.separator)
    next(records)
    for count, line in enumerate(records, 1):
        if count > MAX_LINES:
            raise InvalidValue(
                f"The file has more than {MAX_LINES:,} lines: split it into several.", "file"
            )
        yield line


def _records(file: IO[bytes], encoding: Encoding, separator: Separator) -> Iterator[Line]:
    text = _Bounded(_text(file, encoding))
    reader = csv.reader(text, delimiter=separator.value, strict=True)
    number = 1
    announced = True
    try:
        for cells in reader:
            begins, number = number, reader.line_num + 1
            text.begin_record()
            if announced and _announced(separator.value.join(cells)) is not None:
                continue
            announced = False
            if any(cell.strip() for cell in cells):
                if len(cells) > MAX_COLUMNS:
                    raise InvalidValue(f"Line {begins}: more than {MAX_COLUMNS} columns.", "file")
                if any(len(cell) > MAX_CELL for cell in cells):
                    raise InvalidValue(
                        f"Line {begins}: a cell has more than {MAX_CELL:,} characters. "
                        "Is a quotation mark not closed?",
                        "file",
                    )
                yield Line(begins, cells)
    except _TooLong:
        raise InvalidValue(
            f"Line {number}: more than {MAX_RECORD:,} characters. Is a quotation mark not closed?",
            "file",
        ) from None
    except csv.Error as error:
        raise InvalidValue(f"Line {number}: {_plain(error)}", "file") from None
    except UnicodeError:
        raise InvalidValue(
            f"Below line {number - 1}: a character cannot be read. Save the file as UTF-8.", "file"
        ) from None


class _TooLong(Exception):
    """A record has more than `MAX_RECORD` characters."""


class _Bounded:
    """Lines for `csv.reader`, which would make cells of a whole file where it is one line."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.begin_record()

    def begin_record(self) -> None:
        self._left = MAX_RECORD

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._left + 1)
        if not line:
            raise StopIteration
        self._left -= len(line)
        if self._left < 0:
            raise _TooLong
        return line


def _plain(error: csv.Error) -> str:
    said = str(error)
    if "end of data" in said or "field limit" in said or "field larger" in said:
        return "a quotation mark is opened here or below and never closed."
    if "expected after" in said:
        return "something stands between a closing quotation mark and the separator."
    return f"this is no CSV ({said})."


def _text(file: IO[bytes], encoding: Encoding) -> io.TextIOWrapper:
    file.seek(0)
    # The wrapper would close the file that it is given, which its caller still needs.
    return io.TextIOWrapper(_Kept(file), encoding=encoding.value, newline="")


class _Kept(io.BufferedIOBase):
    """A file that stays open when its wrapper goes."""

    name = ""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._file.read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._file.read(_PIECE if size < 0 else size)


def _encoding(file: IO[bytes]) -> Encoding:
    file.seek(0)
    head = file.read(_HEAD)
    if not head.strip():
        raise InvalidValue("The file is empty.", "file")
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidValue("This is an Excel workbook: save it as CSV UTF-8 first.", "file")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding.UTF_16
    zeros = head[0::2].count(0), head[1::2].count(0)
    if max(zeros) > len(head) // 8:  # what is mostly Latin letters has a zero in each of them
        return Encoding.UTF_16_BE if zeros[0] > zeros[1] else Encoding.UTF_16_LE
    if 0 in head:
        raise InvalidValue("This is no text file.", "file")
    return Encoding.UTF_8 if _is(file, "utf-8") else Encoding.WINDOWS_1252


def _is(file: IO[bytes], codec: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        while piece := file.read(_PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _head(file: IO[bytes], encoding: Encoding) -> str:
    try:
        return _text(file, encoding).read(_HEAD).lstrip("\r\n")
    except UnicodeError:
        raise InvalidValue("A character cannot be read. Save the file as UTF-8.", "file") from None


def _first_line(text: str) -> str:
    """Return the first record's text: line breaks within quotation marks do not end it."""
    found = re.match(r'(?:"(?:[^"]|"")*"|[^"\r\n])*', text)
    return found[0] if found else ""


def _announced(line: str) -> Separator | None:
    """Return the separator that a first line `sep=;` announces, as Excel writes it."""
    found = re.fullmatch(r"\s*sep=([,;\t])\s*", line)
    return Separator(found[1]) if found else None


def _separator(line: str) -> Separator:
    outside = re.sub(r'"(?:[^"]|"")*"', "", line)
    return max(Separator, key=lambda one: outside.count(one.value))
