# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The server as a station sees it: signed JSON requests, always outbound (R22).

http.client and not urllib.request, because a waiting poll must end at once when the station is
stopped: that takes the socket.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import re
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reader.identity import b64url

Json = dict[str, Any]

API = "/station/v1/"
VERSION_HEADER = "Keywright-Version"
TIMEOUT = 10.0
REQUEST_LIFE = 60
LONGEST_PAUSE = 300.0
"""However long a server or a proxy in between asks to be left alone: a desk comes back."""

_MAX_ANSWER = 1 << 20
_FAR = 1e14  # the year 5138 in milliseconds
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@cache
def version() -> str:
    """Of this program; it comes with the server or as a wheel of its own."""
    for name in ("keywright-reader", "keywright"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return "0"


def is_older(one: str, other: str) -> bool:
    """Whether version `one` came before `other`; unknown ones ("") never did."""
    first, second = ([int(n) for n in re.findall(r"[0-9]+", v)[:3]] for v in (one, other))
    return bool(first and second) and first < second


class ServerGone(Exception):
    """The server cannot be reached, or it is not well. Trying again may help."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class ServerRefused(Exception):
    """The server understood and says no. `error` is its word, the text its sentence."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message or error or f"status {status}")
        self.status = status
        self.error = error


class BadAddress(Exception):
    """No URL that a station may talk to; the text says why."""


def checked_address(url: str) -> str:
    """A base URL without a slash at its end. Plain http only to this computer itself.

    Raises BadAddress.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BadAddress(f"not a URL: {url}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadAddress("give the server's address as https://host")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadAddress("the server's address has no user name, query or fragment")
    if parts.scheme == "http" and host not in _LOOPBACK and not host.endswith(".localhost"):
        raise BadAddress(f"http to {host} would send everything in the clear: use https")
    return url.rstrip("/")


class Clock:
    """The server's time, as far as it ever told us that ours is wrong, and its version."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.server_version = ""

    def now(self) -> float:
        return time.time() + self.offset

    def set(self, server_time: float) -> None:
        # Both seconds and milliseconds since the epoch are in use on servers.
        self.offset = (server_time / 1000 if server_time > 1e11 else server_time) - time.time()


@dataclass(frozen=True)
class Signer:
    """`kid` is the station's id, or "pairing" while it has none."""

    kid: str
    key: Ed25519PrivateKey
    clock: Clock

    def sign(self, method: str, url: str, body: bytes) -> str:
        """A JWT in the shape of RFC 9449, with a hash of the body."""
        issued = int(self.clock.now())
        claims = {
            "htm": method,
            "htu": url,
            "iat": issued,
            "exp": issued + REQUEST_LIFE,
            "jti": secrets.token_urlsafe(24),
            "bh": b64url(hashlib.sha256(body).digest()),
        }
        headers = {"kid": self.kid, "typ": "station+jwt"}
        return jwt.encode(claims, self.key, algorithm="EdDSA", headers=headers)


class Server:
    """One kept-alive connection. One thread at a time, except for `interrupt`."""

    def __init__(self, base_url: str, signer: Signer) -> None:
        """Raises BadAddress."""
        self._base = checked_address(base_url)
        self._signer = signer
        self._connection: http.client.HTTPConnection | None = None
        self._interrupted = threading.Event()

    def post(self, path: str, body: Json, timeout: float = TIMEOUT) -> Json | None:
        """The answer's JSON object, None for 204.

        A lost connection is made once more, with a new signature: every request of the protocol
        may arrive twice. Raises ServerGone, ServerRefused.
        """
        status, answer = self._send(path, body, timeout)
        if status == 401 and answer.get("error") == "clock":
            told = answer.get("server_time")
            told = told if isinstance(told, int | float) and not isinstance(told, bool) else _FAR
            if abs(told) < _FAR:
                self._signer.clock.set(told)
                status, answer = self._send(path, body, timeout)
        if status in (200, 201):
            return answer
        if status == 204:
            return None
        message = answer.get("message")
        error = answer.get("error")
        raise ServerRefused(
            status,
            error if isinstance(error, str) else "",
            message if isinstance(message, str) else "",
        )

    def interrupt(self) -> None:
        """End the request under way, and every later one, with ServerGone; from any thread."""
        self._interrupted.set()
        self.drop()

    def drop(self) -> None:
        """Have the request under way sent anew on another connection; from any thread."""
        connection = self._connection
        link = connection.sock if connection else None
        if link is not None:
            # shutdown and not close: only that wakes the thread which sits in recv.
            with contextlib.suppress(OSError):
                # Below the TLS layer, which would fall apart under the waiting thread.
                socket.socket.shutdown(link, socket.SHUT_RDWR)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _send(self, path: str, body: Json, timeout: float) -> tuple[int, Json]:
        url = self._base + API + path
        content = json.dumps(body).encode()
        while True:
            if self._interrupted.is_set():
                raise ServerGone("interrupted")
            kept = self._connection is not None
            try:
                return self._exchange(url, content, timeout)
            except (http.client.HTTPException, OSError) as error:
                self.close()
                # A kept connection may have been closed by the server long ago. A new one that
                # fails is a failure.
                if not kept or isinstance(error, TimeoutError):
                    raise ServerGone(_reason(error)) from None

    def _exchange(self, url: str, content: bytes, timeout: float) -> tuple[int, Json]:
        connection = self._connect(timeout)
        headers = {
            "Authorization": "Station " + self._signer.sign("POST", url, content),
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"keywright-reader/{version()}",
        }
        connection.request("POST", self._target(url), content, headers)
        with connection.getresponse() as response:
            raw = response.read(_MAX_ANSWER + 1)
            self._signer.clock.server_version = response.getheader(VERSION_HEADER, "")[:32]
            if response.will_close or len(raw) > _MAX_ANSWER:
                self.close()
            if response.status == 429 or response.status >= 500:
                raise ServerGone(f"the server answers {response.status}", _retry_after(response))
            # Redirects are not followed: the signature is for this URL.
            return response.status, _parse(raw, response.status)

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = connection_to(urlsplit(self._base))
            self._connection.connect()
        if self._interrupted.is_set():
            raise ServerGone("interrupted")
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        return self._connection

    def _target(self, url: str) -> str:
        parts = urlsplit(url)
        through = _proxy(urlsplit(self._base))
        # A plain-http proxy wants the whole URL, a tunnel and the server itself the path.
        return url if through and parts.scheme == "http" else parts.path


def connection_to(base: SplitResult) -> http.client.HTTPConnection:
    """Unconnected; by the office's proxy where there is one, certificates verified."""
    host, secure = base.hostname or "", base.scheme == "https"
    port = base.port or (443 if secure else 80)
    through = _proxy(base)
    if not secure:
        if through:
            host, port = through.hostname or "", through.port or 80
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    context = ssl.create_default_context()
    if not through:
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
    tunnel = http.client.HTTPSConnection(
        through.hostname or "", through.port or 80, timeout=TIMEOUT, context=context
    )
    credentials = None
    if through.username is not None:
        login = f"{unquote(through.username)}:{unquote(through.password or '')}"
        token = base64.b64encode(login.encode()).decode()
        credentials = {"Proxy-Authorization": f"Basic {token}"}
    tunnel.set_tunnel(host, port, headers=credentials)
    return tunnel


def _proxy(base: SplitResult) -> SplitResult | None:
    """The office's proxy, from the environment or the system's settings. Raises ServerGone."""
    host = base.hostname or ""
    address = getproxies().get(base.scheme)
    if not address or host in _LOOPBACK or proxy_bypass(host):
        return None
    try:
        through = urlsplit(address if "://" in address else f"http://{address}")
        _ = through.port
    except ValueError:
        raise ServerGone("the proxy in this system's settings has no usable address") from None
    return through


def _parse(raw: bytes, status: int) -> Json:
    if status == 204 or not raw:
        return {}
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ServerGone(f"the answer ({status}) is not from a Keywright server")
    return answer


def _retry_after(response: http.client.HTTPResponse) -> float | None:
    value = response.getheader("Retry-After", "")
    return min(float(value), LONGEST_PAUSE) if value.isascii() and value.isdigit() else None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "no secure connection"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens at its address"
    return type(error).__name__
