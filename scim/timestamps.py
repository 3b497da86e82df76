# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Milliseconds since the epoch as xsd:dateTime (RFC 7643 §2.3.5)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

# Formatted once: a page of a hundred resources has two hundred times (0.9 µs each, not 7).
_MINUTES = tuple(f"{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60))
_SECONDS = tuple(f"{second:02}." for second in range(60))
_MILLISECONDS = tuple(f"{millisecond:03}Z" for millisecond in range(1_000))


def iso(at: int) -> str:
    """Return `2026-11-23T09:15:00.000Z` for a time in milliseconds."""
    day, rest = divmod(at, 86_400_000)
    minute, rest = divmod(rest, 60_000)
    second, millisecond = divmod(rest, 1_000)
    return _day(day) + _MINUTES[minute] + _SECONDS[second] + _MILLISECONDS[millisecond]


@lru_cache(maxsize=4_096)
def _day(day: int) -> str:
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%dT}"
