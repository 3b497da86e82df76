# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The table of rows and tests: whole, true and up to date."""

from __future__ import annotations

import re

import pytest

from tests.conformance.matrix import PAGE, evidence, page
from tests.conformance.rows import PARTS, Row

ROWS = [row for part in PARTS for row in part.rows]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_each_row_has_a_test(row: Row) -> None:
    assert evidence().get(row.number), f"nothing holds {row.number}: {row.demand}"


def test_each_mark_names_a_row() -> None:
    marked = {number for number in evidence() if re.fullmatch(r"[SP]\d+|RFC\d+", number)}
    assert marked - {row.number for row in ROWS} == set()
    assert len(ROWS) == len({row.number for row in ROWS})


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make conformance"


def test_a_missing_test_would_be_seen() -> None:
    assert evidence().get("S99") is None
    assert all(test.name.startswith("test_") for test in evidence()["P12"])
