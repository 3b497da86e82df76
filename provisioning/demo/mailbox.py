# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The mailbox of the demo: an SMTP server on loopback that keeps what it is given."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from ..clock import now_ms


@dataclass(frozen=True)
class Mail:
    """One delivered mail; `number` counts from 1, `received_at` is in ms."""

    number: int
    received_at: int
    sender: str
    recipient: str
    subject: str
    text: str
    html: str


class Mailbox:
    """Takes mail by SMTP and keeps each one as a file, so that a restart keeps them too."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._controller = Controller(self, hostname="127.0.0.1", port=port)

    def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._controller.start()

    def stop(self) -> None:
        """Stop listening."""
        self._controller.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep a mail; aiosmtpd calls this for each one that was received whole."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        with self._lock:
            number = max((mail.number for mail in self.all()), default=0) + 1
            path = self._folder / f"{number:06d}-{now_ms()}.eml"
            path.touch(mode=0o600)
            path.write_bytes(content)
        return "250 kept"

    def all(self) -> list[Mail]:
        """Return every mail, the newest first."""
        return [_read(path) for path in sorted(self._folder.glob("*.eml"), reverse=True)]

    def get(self, number: int) -> Mail | None:
        """Return one mail, or None."""
        return next((mail for mail in self.all() if mail.number == number), None)


def _read(path: Path) -> Mail:
    parsed = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(parsed, EmailMessage)  # noqa: S101 - the default policy makes these
    number, _, received_at = path.stem.partition("-")
    return Mail(
        number=int(number),
        received_at=int(received_at),
        sender=str(parsed["From"]),
        recipient=str(parsed["To"]),
        subject=str(parsed["Subject"]),
        text=_body(parsed, "plain"),
        html=_body(parsed, "html"),
    )


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else ""
