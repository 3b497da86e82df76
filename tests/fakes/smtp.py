# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A mail server on loopback that keeps what it is given, and fails on demand."""

from __future__ import annotations

import asyncio
import ssl
import threading
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import Enum, auto
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Fault(Enum):
    """What goes wrong; each at the moment its name says."""

    REFUSE = auto()  # the connection is closed before the greeting
    SENDER_5XX = auto()
    ADDRESS_4XX = auto()
    ADDRESS_5XX = auto()
    MAIL_4XX = auto()  # at the end of DATA
    MAIL_5XX = auto()
    HANG = auto()  # no answer to DATA, ever
    DROP_AFTER_DATA = auto()  # the mail may or may not have been taken
    DROP_AFTER_250 = auto()  # the mail was taken, no QUIT is answered


@dataclass(frozen=True)
class Received:
    """A mail that the server took or saw whole."""

    raw: bytes
    message: EmailMessage
    envelope_from: str
    envelope_to: tuple[str, ...]
    tls: bool
    login: str | None
    accepted: bool  # whether the server meant to answer 250

    @property
    def text(self) -> str:
        """The text half."""
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    @property
    def html(self) -> str:
        """The HTML half."""
        part = self.message.get_body(("html",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")


class Sink:
    """`with Sink() as sink:` listens on 127.0.0.1, a free port or a given one.

    `fail(fault, times)` makes the next conversations fail. `tls` is a server context; with
    `starttls=True` it is offered, else spoken from the first byte. `login` is what AUTH must be,
    after STARTTLS.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.port = port
        self.received: list[Received] = []
        self._faults: list[Fault] = []
        self._changed = threading.Condition()
        self._options = {
            "ssl_context": tls if tls and not starttls else None,
            "tls_context": tls if starttls else None,
            "require_starttls": starttls,
            "auth_required": login is not None,
            "server_hostname": "sink.localhost",  # else asked of DNS
            "authenticator": self._authenticate,
        }
        self._login = login
        self._controller: _Controller | None = None

    @property
    def accepted(self) -> list[Received]:
        """The mails that were answered with 250, or were meant to be."""
        return [one for one in self.received if one.accepted]

    def fail(self, fault: Fault, times: int = 1) -> None:
        """Let the next `times` conversations meet this fault."""
        self._faults += [fault] * times

    def start(self) -> None:
        """Listen; a free port is chosen at the first start and kept for the next ones."""
        self._controller = _Controller(self, self._options)
        self._controller.start()
        self.port = self._controller.port

    def stop(self) -> None:
        """Stop listening: from now on connections are refused."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def wait_for(self, count: int, seconds: float = 10.0) -> list[Received]:
        """Return the received mails as soon as there are `count`, or fail."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, seconds), (
                f"{len(self.received)} of {count} mails came in {seconds} s"
            )
        return self.received

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What aiosmtpd calls, in its own thread.

    def _take_fault(self, *when: Fault) -> Fault | None:
        return self._faults.pop(0) if self._faults and self._faults[0] in when else None

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._take_fault(Fault.SENDER_5XX):
            return "550 5.7.1 We do not relay for this sender"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self._take_fault(Fault.ADDRESS_4XX, Fault.ADDRESS_5XX)
        if fault is Fault.ADDRESS_4XX:
            return "451 4.7.1 Greylisted, come back later"
        if fault is Fault.ADDRESS_5XX:
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        fault = self._take_fault(
            Fault.MAIL_4XX, Fault.MAIL_5XX, Fault.HANG, Fault.DROP_AFTER_DATA, Fault.DROP_AFTER_250
        )
        content = envelope.original_content
        assert content is not None
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        with self._changed:
            self.received.append(
                Received(
                    raw=content,
                    message=message,
                    envelope_from=envelope.mail_from or "",
                    envelope_to=tuple(envelope.rcpt_tos),
                    tls=session.ssl is not None or self._options["ssl_context"] is not None,
                    login=session.auth_data,
                    accepted=fault in (None, Fault.DROP_AFTER_250),
                )
            )
            self._changed.notify_all()
        if fault in (Fault.MAIL_4XX, Fault.MAIL_5XX):  # a filter that quotes what it dislikes
            body = " ".join(message.get_body(("plain",)).get_content().split())  # type: ignore[union-attr]
            return (
                f"{'451 4.3.0' if fault is Fault.MAIL_4XX else '554 5.6.0'} I refuse {body[:300]}"
            )
        if fault is Fault.HANG:
            await asyncio.sleep(3600)
        if fault is Fault.DROP_AFTER_250:
            await server.push("250 OK")
        if fault in (Fault.DROP_AFTER_DATA, Fault.DROP_AFTER_250):
            assert server.transport is not None
            server.transport.close()
            await asyncio.sleep(3600)  # cancelled with the connection; nothing more is answered
        return "250 OK"

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False, auth_data=given[0])


class _Server(SMTP):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.event_handler._take_fault(Fault.REFUSE):
            transport.abort()


class _Controller(Controller):
    def __init__(self, sink: Sink, options: dict[str, object]) -> None:
        super().__init__(sink, hostname=sink.host, port=sink.port, **options)

    def factory(self) -> SMTP:
        return _Server(self.handler, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:
        # Where port 0 became a real one; the superclass would knock, and eat a fault.
        self.port = self.server.sockets[0].getsockname()[1]
        self._factory_invoked.set()
        self.smtpd = self.factory  # only looked at for being there
