# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Times as people read them: filters on milliseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask
from flask_babel import format_date, format_timedelta, get_locale

from ..clock import now_ms


def register(app: Flask) -> None:
    """Give templates the filters `iso`, `exact`, `ago` and `clock_time`."""
    app.jinja_env.filters.update(iso=iso, exact=exact, ago=ago, clock_time=clock_time)


def iso(ms: int) -> str:
    """Return `2026-11-23T14:02:00Z`."""
    return utc(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact(ms: int) -> str:
    """Return `23 November 2026, 14:02:00 UTC` in the reader's language."""
    locale = get_locale()
    # The day first in English, too, as nobody mistakes it; CLDR has that for Britain only.
    day = "d MMMM y" if locale is None or locale.language == "en" else "long"
    return f"{format_date(utc(ms), day, rebase=False)}, {utc(ms):%H:%M:%S} UTC"


def clock_time(ms: int) -> str:
    """Return `14:02`."""
    return utc(ms).strftime("%H:%M")


def ago(ms: int) -> str:
    """Return `3 minutes ago` or `in 2 hours` in the reader's language."""
    told: str = format_timedelta(utc(ms) - utc(now_ms()), add_direction=True, threshold=1.2)
    return told


def utc(ms: int) -> datetime:
    """Return the moment with its zone."""
    return datetime.fromtimestamp(ms / 1000, UTC)
