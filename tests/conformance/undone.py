# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What happens in the database and is taken back: a thousand cases need no thousand databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provisioning.db import database


@contextmanager
def undone() -> Iterator[None]:
    """Take back what the block does, its transactions included. May be nested."""
    with database.atomic() as outermost:
        try:
            yield
        finally:
            outermost.rollback()
