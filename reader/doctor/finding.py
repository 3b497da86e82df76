# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`ok` is None for what is no fault but cannot be judged now, or may matter."""

    name: str
    ok: bool | None
    text: str
    mend: str = ""
    reader: str = ""
    """The reader that it is about, where it is about one."""
