# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One keep-alive HTTP/1.1 connection over a bare socket: what is timed is the server, not this."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_CHUNK = 1 << 18
_LENGTH = b"\r\ncontent-length: "


class Answer(NamedTuple):
    """A response: its status and its body."""

    status: int
    body: bytes


class WrongAnswer(Exception):
    """The server did not do what the operation asks for, so its time says nothing."""


def request(method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None:
        lines += ["Content-Type: application/scim+json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class Connection:
    """Opened at the first exchange, and again where a server closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def exchange(self, message: bytes) -> Answer:
        """Send one request and read its response to the end."""
        opened = self._socket or self._open()
        opened.sendall(message)
        data = opened.recv(_CHUNK)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more(opened)
        head, body = data[:end].lower(), data[end + 4 :]
        status = int(head[9:12])
        if b"\r\ntransfer-encoding: chunked" in head:
            body = self._chunks(opened, body)
        elif status not in (204, 304):
            start = head.find(_LENGTH) + len(_LENGTH)
            size = int(head[start:].split(b"\r\n", 1)[0])
            if len(body) < size:
                parts, missing = [body], size - len(body)
                while missing:
                    parts.append(self._more(opened))
                    missing -= len(parts[-1])
                body = b"".join(parts)
        if b"\r\nconnection: close" in head or head.startswith(b"http/1.0"):
            self.close()
        return Answer(status, body)

    def seconds(self, messages: Iterable[bytes], status: int | None = None) -> float:
        """Exchange one message after another; return how long each took in the mean.

        Raises WrongAnswer for any other status than the one that the operation must have; without
        one, for any that is not of success.
        """
        count = 0
        begun = time.perf_counter()
        for message in messages:
            answer = self.exchange(message)
            count += 1
            if answer.status != status and (status is not None or answer.status // 100 != 2):
                raise WrongAnswer(
                    f"{message[:80]!r} was answered {answer.status} {answer.body[:200]!r}"
                )
        return (time.perf_counter() - begun) / count

    def close(self) -> None:
        """Close it; the next exchange opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _more(self, opened: socket.socket) -> bytes:
        data = opened.recv(_CHUNK)
        if not data:
            raise WrongAnswer("the server closed the connection in mid-answer")
        return data

    def _chunks(self, opened: socket.socket, data: bytes) -> bytes:
        body = b""
        while True:
            while (end := data.find(b"\r\n")) < 0:
                data += self._more(opened)
            size = int(data[:end], 16)
            while len(data) < end + size + 4:
                data += self._more(opened)
            body += data[end + 2 : end + 2 + size]
            data = data[end + size + 4 :]
            if size == 0:
                return body


def listening(port: int) -> bool:
    """Say whether somebody takes connections at a port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
