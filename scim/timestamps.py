# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Milliseconds since the epoch as xsd:dateTime (RFC 7643 §2.3.5)."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at: int) -> str:
    """Return `2026-11-23T09:15:00.000Z` for a time in milliseconds."""
    seconds, milliseconds = divmod(at, 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"
