# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which exit code and which one line each error ends a command with."""

from __future__ import annotations

from reader.commands.console import FAULT, INTERRUPTED, NOT_PAIRED, SERVER, USAGE, Quit
from reader.faults import Cancelled, CardFault
from reader.identity import IdentityError
from reader.link import BadLink
from reader.pairing import PairingFailed
from reader.running import AlreadyRunning
from reader.server import BadAddress, ServerGone, ServerRefused
from reader.station import StationRevoked

EXPECTED = (
    Quit,
    CardFault,
    Cancelled,
    IdentityError,
    StationRevoked,
    AlreadyRunning,
    BadAddress,
    BadLink,
    ServerGone,
    ServerRefused,
    PairingFailed,
    KeyboardInterrupt,
    EOFError,
    OSError,
)
"""What a command may raise; anything else is a flaw of ours."""


def told(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the line for one of `EXPECTED`."""
    match error:
        case Quit():
            return error.code, str(error)
        case CardFault():
            return FAULT, error.sentence
        case Cancelled():
            return FAULT, "cancelled"
        case IdentityError():
            return NOT_PAIRED, str(error)
        case StationRevoked():
            return NOT_PAIRED, "the server has revoked this station: pair it again"
        case BadAddress() | BadLink():
            return USAGE, str(error)
        case ServerGone():
            return SERVER, f"the server cannot be used: {error}"
        case ServerRefused() | PairingFailed():
            return SERVER, str(error)
        case KeyboardInterrupt() | EOFError():
            return INTERRUPTED, "interrupted"
        case OSError():
            return FAULT, f"{error.filename or ''} {error.strerror or type(error).__name__}"
    return FAULT, str(error)
