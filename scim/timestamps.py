# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Milliseconds since the epoch as xsd:dateTime (RFC 7643 §2.3.5)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def iso(at: int) -> str:
    """Return `2026-11-23T09:15:00.000Z` for a time in milliseconds."""
    seconds, milliseconds = divmod(at, 1000)
    return f"{_second(seconds)}.{milliseconds:03}Z"


@lru_cache(maxsize=4_096)
def _second(seconds: int) -> str:
    # A directory that is loaded at once has many resources of one second.
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
