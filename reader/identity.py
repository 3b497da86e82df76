# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who this station is and which server it belongs to: the result of pairing, kept in a file."""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

FILE = "identity.json"
_FORMAT = 1


class IdentityError(Exception):
    """There is no usable identity; the text is one line that says what to do."""


@dataclass(frozen=True)
class Identity:
    """`server` is the base URL without a slash at its end; `folder` is None in memory only."""

    server: str
    station_id: str
    name: str
    organisation: str
    rp_id: str
    origin: str
    signing_key: Ed25519PrivateKey = field(repr=False)
    sealing_key: X25519PrivateKey = field(repr=False)
    server_key: Ed25519PublicKey = field(repr=False)
    folder: Path | None = None

    def save(self, folder: Path) -> Identity:
        """Write the file, whole or not at all, readable by its owner only."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = {
            "server": self.server,
            "station_id": self.station_id,
            "name": self.name,
            "organisation": self.organisation,
            "rp_id": self.rp_id,
            "origin": self.origin,
        }
        keys = {
            "signing_key": self.signing_key.private_bytes_raw(),
            "sealing_key": self.sealing_key.private_bytes_raw(),
            "server_key": self.server_key.public_bytes_raw(),
        }
        encoded = {name: b64url(key) for name, key in keys.items()}
        write_private(folder / FILE, json.dumps({"format": _FORMAT, **text, **encoded}, indent=1))
        return Identity(
            **text,
            signing_key=self.signing_key,
            sealing_key=self.sealing_key,
            server_key=self.server_key,
            folder=folder,
        )

    @classmethod
    def load(cls, folder: Path) -> Identity:
        """Raises IdentityError."""
        path = folder / FILE
        try:
            mode = path.stat().st_mode
            content = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise IdentityError(
                "This station is not paired yet: keywright-reader pair --server URL --code CODE"
            ) from None
        except (OSError, UnicodeDecodeError):
            raise IdentityError(f"{path} cannot be read") from None
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise IdentityError(f"{path} is open to other users of this computer: chmod 600 it")
        try:
            values: Any = json.loads(content)
            if values["format"] != _FORMAT:
                raise IdentityError(f"{path} is of another version of this program: pair again")
            names = ("server", "station_id", "name", "organisation", "rp_id", "origin")
            text = {name: str(values[name]) for name in names}
            return cls(
                **text,
                signing_key=Ed25519PrivateKey.from_private_bytes(unb64url(values["signing_key"])),
                sealing_key=X25519PrivateKey.from_private_bytes(unb64url(values["sealing_key"])),
                server_key=Ed25519PublicKey.from_public_bytes(unb64url(values["server_key"])),
                folder=folder,
            )
        except (ValueError, KeyError, TypeError):
            raise IdentityError(f"{path} is damaged: pair again") from None


def default_folder() -> Path:
    """Where the operating system wants a program's state."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "keywright-reader"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "keywright-reader"
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "keywright-reader"


def write_private(path: Path, content: str) -> None:
    """Replace a file by one of mode 0600, so that a crash leaves the old or the new one."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def b64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def unb64url(value: object) -> bytes:
    """Raises ValueError for anything but unpadded base64url."""
    if not isinstance(value, str):
        raise ValueError("not base64url")
    try:
        padded = value.encode("ascii") + b"=" * (-len(value) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("not base64url") from None
