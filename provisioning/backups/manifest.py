# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a backup says of itself, under a keyed hash: nobody without the keys can write another."""

from __future__ import annotations

import hmac
from dataclasses import asdict, dataclass

import orjson

from ..audit import Anchor
from ..errors import CommandRefused
from ..vault import Vault

_PURPOSE = "backup"
_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Of a copied database: when it was made by what, and how to tell that it is the same."""

    version: str  # of the program
    made_at: int  # ms
    migrations: list[str]
    anchor: str  # where the audit log stood, see `audit.Anchor`
    size: int  # bytes of the database
    sha256: str  # of the database, hex
    format: int = _FORMAT

    def sealed(self, vault: Vault) -> bytes:
        """Return it as it stands in the file."""
        content = asdict(self)
        return orjson.dumps({**content, "mac": _mac(content, vault).hex()})

    @classmethod
    def open(cls, text: bytes, vault: Vault) -> Manifest:
        """Read what `sealed` returned. Raises CommandRefused for anything that we did not write."""
        try:
            content = orjson.loads(text)
            mac = bytes.fromhex(content.pop("mac"))
            found = cls(**content)
            wrote_it = hmac.compare_digest(mac, _mac(content, vault))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CommandRefused("This is no backup of Keywright.") from None
        if not wrote_it:
            raise CommandRefused(
                "This backup was altered, or belongs to another installation: its manifest was "
                "not written with these keys."
            )
        if found.format != _FORMAT:
            raise CommandRefused(f"This backup is of format {found.format}, which is not known.")
        Anchor.parse(found.anchor)
        return found


def _mac(content: dict[str, object], vault: Vault) -> bytes:
    return vault.keyed_hash(_PURPOSE, orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
