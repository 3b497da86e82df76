# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Numbers as people read them: `100,000` in English, `100.000` in German."""

from __future__ import annotations

from flask import Flask
from flask_babel import format_decimal


def register(app: Flask) -> None:
    """Give templates the filter `number`."""
    app.jinja_env.filters["number"] = number


def number(value: int) -> str:
    """Return a whole number with its thousands apart, in the reader's language."""
    told: str = format_decimal(value)
    return told
