# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Logs: one JSON line per event, control characters escaped (T17), faults without their text."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import structlog


def configure() -> None:
    """Set up this process's log; called once at the edge."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def kind_and_place(error: BaseException) -> dict[str, object]:
    """Return what may be said of an exception: its text may repeat what it choked on, a PIN too."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    return {"fault": type(error).__name__, "at": places}
