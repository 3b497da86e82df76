# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Cursors: a place in a query's answer, sealed (RFC 9865 §2).

The server keeps nothing. A cursor holds where its page ended, under AES-SIV with the connection
and the query as associated data: forged, altered, or sent with another query or by another
directory, it does not open. Sealed and not only signed, because the place in a list that is sorted
by name is a person's name, and a cursor stands in URLs, which proxies log (RFC 7644 §7.5.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from decimal import Decimal

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from provisioning.clock import HOUR, now_ms

from .errors import ExpiredCursor, InvalidCursor

TIMEOUT = HOUR  # told in seconds in ServiceProviderConfig
_LONGEST = 8_192

SortKey = tuple[bool, str | Decimal | float]


@dataclass(frozen=True)
class Edge:
    """The last resource of a page: what it is sorted by, None where by nothing, and its row id."""

    key: SortKey | None
    pk: int


@dataclass(frozen=True)
class Place:
    """Where a page ended: in which of the types asked for, at which edge.

    `total` is how many resources the first page found, so that no later one counts them again.
    """

    type: int
    edge: Edge
    total: int


class Cursors:
    """Makes cursors and opens them, under a key of the server (32 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._siv = AESSIV(key)

    def seal(self, place: Place, query: bytes) -> str:
        """Return a cursor of unreserved characters (RFC 3986 §2.3) that only `query` opens."""
        edge = place.edge
        content = [now_ms(), place.type, place.total, edge.pk, _written(edge.key)]
        sealed = self._siv.encrypt(orjson.dumps(content), [query])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str, query: bytes) -> Place:
        """Return the place that a cursor holds. Raises InvalidCursor and ExpiredCursor."""
        try:
            sealed = base64.b64decode(_padded(text), altchars=b"-_", validate=True)
            content = orjson.loads(self._siv.decrypt(sealed, [query]))
        except (InvalidTag, ValueError, binascii.Error):
            raise InvalidCursor(
                "This is no cursor of this query: send an empty one for the first page, and every "
                "other parameter as it was."
            ) from None
        made_at, type_, total, pk, key = content
        if now_ms() - made_at > TIMEOUT:
            raise ExpiredCursor(f"The cursor is older than {TIMEOUT // 1000} seconds: start again.")
        return Place(type_, Edge(_read(key), pk), total)


def bound_to(*parts: object) -> bytes:
    """Return what a cursor is bound to: everything that decides a query's answer."""
    return hashlib.sha256(orjson.dumps(parts)).digest()


def _padded(text: str) -> bytes:
    # One spelling for each cursor: trailing bits that mean nothing would make twins of it.
    raw = text.encode("ascii", "strict") if len(text) <= _LONGEST else b"!"
    padded = raw + b"=" * (-len(raw) % 4)
    if base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)).rstrip(b"=") != raw:
        raise ValueError("not the spelling that was given out")
    return padded


def _written(key: SortKey | None) -> list[object] | None:
    if key is None:
        return None
    missing, value = key
    return [missing, str(value), "exact"] if isinstance(value, Decimal) else [missing, value]


def _read(key: list[object] | None) -> SortKey | None:
    if key is None:
        return None
    missing, value, *exact = key
    if isinstance(value, str | int | float):
        return bool(missing), Decimal(value) if exact else value
    raise InvalidCursor("This is no cursor.")
