# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The station's pairing, and the server that it belongs to."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from urllib.parse import urlsplit

from reader.doctor.finding import Finding
from reader.identity import Identity, IdentityError
from reader.server import connection_to

_SKEW_SECONDS = 60


def examine(folder: Path) -> Iterator[Finding]:
    try:
        identity = Identity.load(folder)
    except IdentityError as error:
        yield Finding("pairing", False, f"{error}.", "ask for a pairing code in the panel")
        return
    yield Finding(
        "pairing",
        True,
        f"Paired with {identity.organisation} at {identity.server} as {identity.name!r}.",
    )
    yield from _server(identity)


def _server(identity: Identity) -> Iterator[Finding]:
    """Whether it answers, and whether the two clocks agree."""
    parts = urlsplit(identity.server)
    link = connection_to(parts)
    try:
        link.request("GET", f"{parts.path}/healthz")
        response = link.getresponse()
    except ssl.SSLCertVerificationError as error:
        yield Finding(
            "server",
            False,
            f"Its certificate is not trusted: {error.verify_message}.",
            "check this computer's clock; name your own CA with SSL_CERT_FILE",
        )
        return
    except (OSError, http.client.HTTPException) as error:
        text = f"The server cannot be reached ({type(error).__name__})."
        yield Finding("server", False, text, "check network, proxy and address")
        return
    finally:
        link.close()
    if response.status != 200:
        text = f"The server answers {response.status}."
        yield Finding("server", False, text, "ask its keeper")
        return
    yield Finding("server", True, "The server answers.")
    yield from _clock(response.getheader("Date", ""))


def _clock(date: str) -> Iterator[Finding]:
    try:
        offset = round(parsedate_to_datetime(date).timestamp() - time())
    except ValueError:
        return  # a server may leave the date out (RFC 9110 §6.6.1)
    if abs(offset) > _SKEW_SECONDS:
        how = "slow" if offset > 0 else "fast"
        text = f"This computer's clock is {abs(offset)} seconds {how}."
        yield Finding("clock", False, text, "set it: timedatectl set-ntp true")
    else:
        yield Finding("clock", True, "This computer's clock is right.")
