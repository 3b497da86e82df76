# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""CSV for people who open it in a spreadsheet (RFC 4180), in which nothing runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

_PIECE = 32_768  # characters
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Write the rows as CSV, in pieces, so that a long list is never in memory as a whole."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    for row in rows:
        writer.writerow([cell(value) for value in row])
        if out.tell() > _PIECE:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def cell(value: object) -> object:
    """Return a value that no spreadsheet runs: an apostrophe keeps as text what is a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def plain(text: str) -> str:
    """Return what a cell held before `cell`, so that an exported file can be read back."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text
