# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Times are written so that they read back as the same instant."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim.expressions import instant
from scim.timestamps import iso


@pytest.mark.req("S3")
@given(at=st.integers(0, 253_402_300_799_999))
def test_a_time_reads_back_as_itself(at: int) -> None:
    assert instant(iso(at)) == at


@pytest.mark.req("S3")
@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.5Z", Decimal(-500)),
        ("1970-01-01T00:00:00.0000001Z", Decimal("0.0001")),
        ("1970-01-01T00:00:01", 1000),
    ],
)
def test_every_offset_and_every_fraction_is_read(text: str, at: Decimal) -> None:
    assert instant(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1970-01-01",
        "1970-01-01 00:00:00Z",
        "1970-1-1T0:0:0Z",
        "1970-01-01T24:00:01Z",
        "1970-01-01T00:00:00.Z",
        "x",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        instant(text)
