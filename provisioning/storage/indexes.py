# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which index a statement is not to go by, where SQLite would guess wrong."""

from __future__ import annotations

from typing import Any


def unindexed(column: Any) -> Any:
    """Return a column of whole numbers as a term that says the same and that no index answers.

    SQLite, which nobody tells what is in its tables, takes an index of many equal values for a
    short way; for a sum it has none.
    """
    return column + 0
