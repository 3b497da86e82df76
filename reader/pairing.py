# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Pairing: a one-time code for an identity, and the server's key pinned."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from fido2.rpid import verify_rp_id

from reader.identity import Identity, b64url, unb64url
from reader.server import Clock, Server, Signer, checked_address, version


class PairingFailed(Exception):
    """The text is one line for the person who typed the code."""


def pair(server_url: str, code: str, name: str) -> Identity:
    """Make keys, trade the code for a station id. The identity is in memory: `save` it.

    Raises PairingFailed, BadAddress, ServerGone, ServerRefused (`pairing_code`: the code is
    wrong, used or too old).
    """
    code = re.sub(r"[\s-]", "", code)
    if not re.fullmatch(r"[0-9]{8}", code):
        raise PairingFailed("a pairing code has eight digits")
    address = checked_address(server_url)
    signing_key, sealing_key = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    server = Server(address, Signer("pairing", signing_key, Clock()))
    try:
        answer = server.post(
            "pair",
            {
                "code": code,
                "name": name,
                "signing_key": b64url(signing_key.public_key().public_bytes_raw()),
                "sealing_key": b64url(sealing_key.public_key().public_bytes_raw()),
                "version": version(),
            },
        )
    finally:
        server.close()
    try:
        answer = answer or {}
        texts = ("station_id", "name", "organisation", "rp_id", "origin")
        if not all(isinstance(answer[text], str) for text in texts):
            raise TypeError
        identity = Identity(
            server=address,
            **{text: answer[text] for text in texts},
            signing_key=signing_key,
            sealing_key=sealing_key,
            server_key=Ed25519PublicKey.from_public_bytes(unb64url(answer["server_key"])),
        )
    except (KeyError, TypeError, ValueError):
        raise PairingFailed("the answer is not from a Keywright server") from None
    _check_site(identity)
    return identity


def _check_site(identity: Identity) -> None:
    """The server names the site that cards are enrolled for: it may only name itself.

    Else whoever runs a server that a desk was paired with could have sign-ins made there for any
    site in the world (threat T19).
    """
    parts = urlsplit(identity.server)
    if identity.origin != f"{parts.scheme}://{parts.netloc}":
        raise PairingFailed(
            f"the server says that its address is {identity.origin}: pair with that one"
        )
    if not verify_rp_id(identity.rp_id, identity.origin):
        raise PairingFailed(f"the server may not speak for {identity.rp_id}")
