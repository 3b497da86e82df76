# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Ids that resources go by: UUIDs of version 7 (RFC 9562 §5.7), which grow with time.

New ones lie side by side in an index: random ones have a page of it written for each, which at
100,000 people is what a directory's first sync waits for. 74 bits are random all the same. The
standard library has them from Python 3.14 on.
"""

from __future__ import annotations

import os

from .clock import now_ms

_RANDOM = (1 << 62) - 1
_BYTES, _AT_ONCE = 10, 100

_kept: list[int] = []
os.register_at_fork(after_in_child=_kept.clear)  # or two processes would make the same ids


def new_id() -> str:
    """Return a new id in the usual form, 36 characters in lower case."""
    chance = _chance()
    high = (now_ms() & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | chance >> 68
    low = 0b10 << 62 | chance & _RANDOM
    digits = f"{high:016x}{low:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _chance() -> int:
    """Return random bits; the system is asked for many at a time, as each asking costs 5 µs."""
    try:
        return _kept.pop()
    except IndexError:
        some = os.urandom(_BYTES * _AT_ONCE)
    first, *rest = (
        int.from_bytes(some[place : place + _BYTES], "big") for place in range(0, len(some), _BYTES)
    )
    _kept.extend(rest)
    return first
