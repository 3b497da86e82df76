# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The one error tree. Each door maps it once: status and scimType, a sentence, an exit code."""

from __future__ import annotations


class KeywrightError(Exception):
    """Base of every error that a person may cause. `str(error)` is safe to show anyone."""


class InvalidValue(KeywrightError):
    """A value is missing, of the wrong shape or not allowed. SCIM: 400 invalidValue."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Taken(KeywrightError):
    """A unique value is held by something else. SCIM: 409 uniqueness.

    `kind` (User or Group) and `value` say what was wanted, where a directory may want it.
    """

    def __init__(
        self, message: str, field: str | None = None, *, kind: str | None = None, value: str = ""
    ) -> None:
        super().__init__(message)
        self.field = field
        self.kind = kind
        self.value = value


class NotFound(KeywrightError):
    """There is no such thing (any more). SCIM: 404."""


class Stale(KeywrightError):
    """Somebody else saved in between. SCIM: 412."""


class WrongState(KeywrightError):
    """The thing exists but its state forbids this. Panel: 409."""


class Forbidden(KeywrightError):
    """The actor may not do this. SCIM and panel: 403."""


class PolicyForbids(Forbidden):
    """The policy of the person's groups does not allow this."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class StepUpNeeded(Forbidden):
    """The action asks for the actor's key again (UV assertion not older than five minutes)."""


class Unauthenticated(KeywrightError):
    """No valid session, token or signature. 401."""


class LinkDead(KeywrightError):
    """The link is used, expired, superseded, cancelled or was never made: one page, 410."""


class CeremonyRefused(KeywrightError):
    """A WebAuthn answer fails our checks. `reason` is a stable word for the audit log."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ConfigurationError(KeywrightError):
    """Settings or key files do not let the product start. Names every fault at once."""


class CommandRefused(KeywrightError):
    """A command at a shell does not do what it was asked. No page shows it, so it is English."""
