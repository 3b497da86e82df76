# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.csv_import import spreadsheet


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_what_a_spreadsheet_would_run_is_kept_as_text(start: str) -> None:
    assert spreadsheet.cell(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"
    assert spreadsheet.cell("Ada") == "Ada"
    assert spreadsheet.cell(7) == 7


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2
        )
    )
)
def test_what_was_written_can_be_read_back(rows: list[list[str]]) -> None:
    text = "".join(spreadsheet.lines(["a", "b"], rows))
    head, *read = csv.reader(io.StringIO(text, newline=""))
    assert head == ["a", "b"]
    assert [[spreadsheet.plain(cell) for cell in row] for row in read] == [
        [spreadsheet.plain(cell) for cell in row] for row in rows
    ]


def test_a_long_list_comes_in_pieces() -> None:
    pieces = list(spreadsheet.lines(["a"], (["x" * 100] for _ in range(2_000))))
    assert len(pieces) > 3
