# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The CBOR map of one CTAP request, read with type checks.

The card never trusts a shape: a missing or mistyped member becomes the status byte that
CTAP 2.1 §6 names, never a Python exception.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TypeVar, cast

from fido2 import cbor
from fido2.ctap import CtapError

ERR = CtapError.ERR
Kind = TypeVar("Kind", int, str, bytes, bool, list[object], dict[object, object])

Answer = dict[int, object]
"""The response map of one CTAP command; an empty one is sent as the status byte alone."""


class Parameters:
    """Members of a CBOR map; absent ones are None or ``MISSING_PARAMETER``."""

    def __init__(self, members: Mapping[object, object]) -> None:
        self._members = members

    @classmethod
    def decode(cls, data: bytes) -> Parameters:
        """Read the map that follows the command byte.

        :raises CtapError: INVALID_CBOR if it is not one canonical CBOR map.
        """
        if not data:
            return cls({})
        try:
            value = cbor.decode(data)
            # CTAP 2.1 §8 demands canonical CBOR. The check also catches truncated strings,
            # which the decoder lets pass, and makes re-encoding a part of it (for a MAC) exact.
            canonical = cbor.encode(value) == data
        except (ValueError, IndexError, KeyError, TypeError, struct.error, RecursionError):
            raise CtapError(ERR.INVALID_CBOR) from None
        if not canonical:
            raise CtapError(ERR.INVALID_CBOR)
        if not isinstance(value, dict):
            raise CtapError(ERR.CBOR_UNEXPECTED_TYPE)
        return cls(value)

    def optional(self, key: int | str, kind: type[Kind]) -> Kind | None:
        value = self._members.get(key)
        if value is None:
            return None
        # A bool is an int for Python, but another type for CBOR.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise CtapError(ERR.CBOR_UNEXPECTED_TYPE)
        return value

    def required(self, key: int | str, kind: type[Kind]) -> Kind:
        value = self.optional(key, kind)
        if value is None:
            raise CtapError(ERR.MISSING_PARAMETER)
        return value

    def map(self, key: int | str) -> Parameters | None:
        value = self.optional(key, dict)
        return None if value is None else Parameters(value)

    def required_map(self, key: int | str) -> Parameters:
        return Parameters(self.required(key, dict))

    def maps(self, key: int | str) -> list[Parameters] | None:
        """A list whose elements are maps, such as excludeList."""
        values = self.optional(key, list)
        if values is None:
            return None
        maps = [Parameters(value) for value in values if isinstance(value, dict)]
        if len(maps) != len(values):
            raise CtapError(ERR.CBOR_UNEXPECTED_TYPE)
        return maps

    def encoded(self, key: int | str) -> bytes:
        """The member's bytes as sent, b"" if absent: a part of the request that a MAC covers."""
        value = self._members.get(key)
        return b"" if value is None else cbor.encode(cast(cbor.CborType, value))

    def __contains__(self, key: int | str) -> bool:
        return key in self._members
