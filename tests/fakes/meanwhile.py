# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Somebody else, who commits while the code under test waits for the turn to write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from provisioning.storage.db import database, transaction


def meanwhile(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Have this done right before the next transaction begins, by a thread of its own."""
    kind = type(database.obj)
    writing = kind.writing

    def write() -> None:
        with transaction():
            work()
        if not database.is_closed():
            super(kind, database.obj).close()  # and not what all threads write by

    def first(opened: Any, **options: bool) -> Any:
        monkeypatch.setattr(kind, "writing", writing)
        other = threading.Thread(target=write)
        other.start()
        other.join()
        return writing(opened, **options)

    monkeypatch.setattr(kind, "writing", first)
