# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Errors of the protocol, and the one map from every error to its SCIM shape (RFC 7644 §3.12)."""

from __future__ import annotations

from dataclasses import dataclass

from werkzeug.exceptions import HTTPException

from provisioning import errors as core

URN = "urn:ietf:params:scim:api:messages:2.0:Error"


class ProtocolError(core.KeywrightError):
    """Base of the errors that only the protocol knows. Never raised itself."""

    status = 400
    scim_type: str | None = None


class InvalidSyntax(ProtocolError):
    """The body is no JSON, or not of the message's shape. 400 invalidSyntax."""

    scim_type = "invalidSyntax"


class InvalidFilter(ProtocolError):
    """The filter is malformed, too large or asks what cannot be asked. 400 invalidFilter."""

    scim_type = "invalidFilter"


class SecretFilter(InvalidFilter):
    """The filter asks for a password; in an address that is worse, see `Sensitive`."""


class Sensitive(ProtocolError):
    """An address holds what must not stand in logs (RFC 7644 §7.5.2). 403 sensitive."""

    status = 403
    scim_type = "sensitive"


class InvalidVersion(ProtocolError):
    """Another version of the protocol than 2 (RFC 7644 §3.13). 400 invalidVers."""

    scim_type = "invalidVers"


class InvalidPath(ProtocolError):
    """A PATCH path or a sortBy is malformed or names nothing. 400 invalidPath."""

    scim_type = "invalidPath"


class NoTarget(ProtocolError):
    """A PATCH operation has no target. 400 noTarget."""

    scim_type = "noTarget"


class Immutable(ProtocolError):
    """The attribute may not be written that way. 400 mutability."""

    scim_type = "mutability"


class InvalidCursor(ProtocolError):
    """The cursor was not given out for this query (RFC 9865 §2.1). 400 invalidCursor."""

    scim_type = "invalidCursor"


class ExpiredCursor(ProtocolError):
    """The cursor is older than `cursorTimeout` (RFC 9865 §2.1). 400 expiredCursor."""

    scim_type = "expiredCursor"


class InvalidCount(ProtocolError):
    """With a cursor, count is a whole number of at least 1 (RFC 9865 §2.1). 400 invalidCount."""

    scim_type = "invalidCount"


class TooMany(ProtocolError):
    """Answering would take more than the server is willing to do. 400 tooMany."""

    scim_type = "tooMany"


class Busy(ProtocolError):
    """So much waits already, or comes so fast, that the server takes no more for now. 429."""

    status = 429


class TooLarge(ProtocolError):
    """The request is larger than the server takes. 413."""

    status = 413


class Unsupported(ProtocolError):
    """The server does not do this. 501."""

    status = 501


class FilterForbidden(ProtocolError):
    """Discovery endpoints take no filter (RFC 7644 §4). 403."""

    status = 403


@dataclass(frozen=True)
class Fault:
    """An error as the wire shows it."""

    status: int
    detail: str
    scim_type: str | None = None

    def body(self) -> dict[str, object]:
        """Return the message; `status` is a string (RFC 7644 §3.12)."""
        body: dict[str, object] = {"schemas": [URN], "status": str(self.status)}
        if self.scim_type is not None:
            body["scimType"] = self.scim_type
        body["detail"] = self.detail
        return body


_CORE: tuple[tuple[type[core.KeywrightError], int, str | None], ...] = (
    (core.InvalidValue, 400, "invalidValue"),
    (core.Taken, 409, "uniqueness"),
    (core.NotFound, 404, None),
    (core.Stale, 412, None),
    (core.WrongState, 409, None),
    (core.Forbidden, 403, None),
    (core.Unauthenticated, 401, None),
)


def describe(error: core.KeywrightError) -> Fault:
    """Return what to answer; an error that no client can cause is a plain 500."""
    if isinstance(error, ProtocolError):
        return Fault(error.status, str(error), error.scim_type)
    for kind, status, scim_type in _CORE:
        if isinstance(error, kind):
            return Fault(status, str(error), scim_type)
    return Fault(500, "The server failed.")


def describe_http(error: HTTPException) -> Fault:
    """Return what to answer to an error of the framework: 404, 405, 413 and the like."""
    status = error.code or 500
    sentences = {
        400: "The request is malformed.",
        404: "There is nothing at this address.",
        405: "This address does not take this method.",
        413: "The request is larger than the server takes.",
        429: "Too many requests.",
    }
    return Fault(status, sentences.get(status, "The server could not answer the request."))
