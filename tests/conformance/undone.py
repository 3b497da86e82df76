# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What happens in the database and is taken back: a thousand cases need no thousand databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from provisioning.storage.db import database, is_sqlite


@contextmanager
def undone() -> Iterator[None]:
    """Take back what the block does, its transactions included. May be nested."""
    turn = database.turn() if is_sqlite() else nullcontext()
    with turn, database.atomic() as outermost:
        if not is_sqlite():  # a busy machine may well take a minute for one store
            database.execute_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        try:
            yield
        finally:
            outermost.rollback()
