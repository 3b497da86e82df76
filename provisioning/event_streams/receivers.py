# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Requests to addresses that somebody typed in (T16, R29): to nobody in our own network.

https only. A name is resolved once, every address that it has must be public, and the connection
goes to the address that was looked at, so that a name which changes its mind in between (DNS
rebinding) changes nothing. No redirect is followed; 5 seconds and 64 KiB are all an answer gets.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..clock import SECOND, now_ms
from ..errors import InvalidValue, KeywrightError

TIMEOUT = 5.0  # seconds, for everything together
MAX_ANSWER = 64 * 1024
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
# Addresses that a gateway translates to IPv4 (RFC 6052, RFC 8215).
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(KeywrightError):
    """The address leads where we do not go. `str` says where, and never the path."""


class Unreachable(KeywrightError):
    """The receiver does not answer, or not in time."""


@dataclass(frozen=True)
class Answer:
    """What a receiver said."""

    status: int
    body: bytes
    rest: int = 0  # ms for which it wants to be left alone, as it says itself


def check_address(url: str, *, local: bool = False) -> SplitResult:
    """Return the parts of an address. Raises InvalidValue(field="endpoint").

    `local`: http to this machine is allowed, for trials.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidValue("This is no address.", "endpoint") from None
    if any(character.isspace() or not character.isprintable() for character in url):
        raise InvalidValue("An address has no blanks.", "endpoint")
    if not parts.hostname or not url.isascii() or len(url) > 2_000:
        raise InvalidValue("This is no address: write https://host/path.", "endpoint")
    trial = local and parts.hostname in _LOCAL_NAMES
    if parts.scheme != "https" and not (trial and parts.scheme == "http"):
        raise InvalidValue("An address starts with https://.", "endpoint")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidValue("An address holds no password and no #.", "endpoint")
    if not trial:
        literal = _literal(parts.hostname)
        if literal is not None and not is_public(literal):
            raise InvalidValue("This address is not on the public internet.", "endpoint")
        if parts.hostname in _LOCAL_NAMES or port == 0:
            raise InvalidValue("This address is not on the public internet.", "endpoint")
    return parts


def is_public(address: Address) -> bool:
    """Say whether an address is on the public internet, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if any(address in network for network in _NAT64):
            return False  # whatever IPv4 address is in there, a gateway of ours would go to it
        if any(each is not None and not is_public(each) for each in inner):
            return False
        if address.ipv4_mapped is not None:
            return True
    return address.is_global and not address.is_multicast and not address.is_reserved


def post(url: str, body: bytes, headers: Mapping[str, str], *, local: bool = False) -> Answer:
    """Send a POST. Raises InvalidValue, Refused and Unreachable; any answer is an answer."""
    parts = check_address(url, local=local)
    host = str(parts.hostname)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    until = time.monotonic() + TIMEOUT
    address = _resolved(host, port, until, trial=local and host in _LOCAL_NAMES)
    connection = _Pinned(host, port, address, secure=parts.scheme == "https", until=until)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Whoever sends a byte now and then is never late for one of them.
    end = threading.Timer(max(0.0, until - time.monotonic()), connection.cut)
    end.daemon = True
    end.start()
    try:
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        answer = response.read(MAX_ANSWER + 1)
        connection.left()  # what was cut off may look whole
        if len(answer) > MAX_ANSWER:
            raise http.client.HTTPException("more than 64 KiB")
        return Answer(response.status, answer, _rest(response.getheader("Retry-After", "")))
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{host} does not answer ({type(error).__name__}).") from None
    finally:
        end.cancel()
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was looked at, under the name that was asked for."""

    def __init__(
        self, host: str, port: int, address: tuple[int, str], *, secure: bool, until: float
    ) -> None:
        super().__init__(host, port, timeout=TIMEOUT)
        self._address = address
        self._secure = secure
        self._until = until
        self.default_port = 443 if secure else 80

    def connect(self) -> None:
        family, address = self._address
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(self.left())
        self.sock.connect((address, self.port))
        if self._secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()

    def cut(self) -> None:
        """End what another thread waits for; without a word of TLS, which might wait as well."""
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def left(self) -> float:
        """Return how many seconds are left. Raises TimeoutError."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _rest(retry_after: str) -> int:
    """Return what `Retry-After` asks for (RFC 9110 §10.2.3: seconds or a date), 0 for nothing."""
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return int(retry_after) * SECOND
    try:
        date = parsedate_to_datetime(retry_after)
        at = date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return 0
    return max(0, int(at * SECOND) - now_ms())


def _resolved(host: str, port: int, until: float, *, trial: bool) -> tuple[int, str]:
    """Return family and address of a host all of whose addresses are public."""
    found = _looked_up(host, port, until)
    for _family, _type, _protocol, _name, place in found:
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if not (is_public(address) or (trial and address.is_loopback)):
            raise Refused(f"{host} leads into a network that is not public.")
    family, _type, _protocol, _name, place = found[0]
    return family, str(place[0])


def _looked_up(host: str, port: int, until: float) -> list[Any]:
    """Resolve a name in time: the system's resolver knows no time limit, so a thread waits."""
    answers: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            answers.put([])

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        found = answers.get(timeout=max(0.0, until - time.monotonic()))
    except queue.Empty:
        found = []
    if not found:
        raise Unreachable(f"{host} has no address.")
    return found


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
