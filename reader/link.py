# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The link that a page opens this program with: `keywright://pair?server=…&code=…`.

Any page in the world can offer such a link, so it only fills in what a person at the desk then
reads and agrees to: it never pairs by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from reader.server import BadAddress, checked_address

SCHEME = "keywright"
_LONGEST = 2_048


class BadLink(Exception):
    """No link that this program knows; the text says why."""


@dataclass(frozen=True)
class PairingLink:
    """`server` is a checked address in ASCII, `code` eight digits."""

    server: str
    code: str

    @property
    def host(self) -> str:
        """What the person at the desk compares."""
        return urlsplit(self.server).netloc


def read_link(text: str) -> PairingLink:
    """Raises BadLink."""
    if len(text) > _LONGEST or not text.isascii() or not text.isprintable():
        raise BadLink("this link is not one of Keywright's")
    try:
        parts = urlsplit(text)
        given = parse_qsl(parts.query, strict_parsing=True, max_num_fields=2)
    except ValueError:
        raise BadLink("this link cannot be read") from None
    # Some desktops hand over keywright:pair or add a slash.
    action = (parts.netloc or parts.path).strip("/")
    if parts.scheme != SCHEME or action != "pair" or parts.fragment:
        raise BadLink("this link is not one of Keywright's")
    values = dict(given)
    if len(given) != 2 or values.keys() != {"server", "code"}:
        raise BadLink("this link does not say a server and a code, once each")
    if not re.fullmatch(r"[0-9]{8}", values["code"]):
        raise BadLink("a pairing code has eight digits")
    # A host in other letters could look like one that the person trusts.
    if not (values["server"].isascii() and values["server"].isprintable()):
        raise BadLink("the server's address has letters that no address has")
    try:
        return PairingLink(checked_address(values["server"]), values["code"])
    except BadAddress as error:
        raise BadLink(str(error)) from None
