# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Requests and replies of the SCIM door, straight on WSGI.

Directories need no sessions, forms, pages or templates, so their requests never pass the panel's
framework: that halves what a small request costs (GET: 0.45 to 0.9 of an empty Flask route).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import (
    ClientDisconnected,
    MethodNotAllowed,
    RequestEntityTooLarge,
    ServiceUnavailable,
)
from werkzeug.http import parse_accept_header
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.wsgi import get_content_length, get_input_stream

from provisioning.errors import InvalidValue
from provisioning.storage.db import RETRY_AFTER

from . import json_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from provisioning.models import Token

    from .caller import Caller

SCIM_JSON = "application/scim+json"
JSON = "application/json"

_LISTS = frozenset({"attributes", "excludedattributes"})
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
# Nothing that a browser could make a page of, nothing that anybody in between may keep.
_ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))


class Request:
    """One request, read as far as somebody asks."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        # WSGI hands over the bytes of the path as characters (PEP 3333).
        self.path: str = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        self.token: str | None = None  # its public id
        self.caller: Caller | None = None
        self.provisional: Token | None = None  # to be looked up once more, see `admission`
        self._is_read = False
        self._body: bytes | None = None  # unless it is large

    @property
    def reads(self) -> bool:
        """Whether it is a GET, or a HEAD, which differs in what is sent only."""
        return self.method in ("GET", "HEAD")

    def header(self, name: str) -> str | None:
        """Return a header by its CGI name, such as `IF_MATCH`."""
        value: str | None = self.environ.get(f"HTTP_{name}")
        return value

    @cached_property
    def args(self) -> Mapping[str, str]:
        """The query parameters, by their names in lower case; lists that are repeated are joined.

        Raises InvalidValue for another one that is given twice: whichever were passed over might
        have been the one that narrows the answer.
        """
        query = self.environ.get("QUERY_STRING")
        if not query:
            return {}
        found: dict[str, str] = {}
        for given, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
            name = given.lower()
            if name in found and name not in _LISTS:
                raise InvalidValue(f"{given} is given twice.", given)
            found[name] = f"{found[name]},{value}" if name in found else value
        return found

    def body(self, limit: int) -> dict[str, object]:
        """Return the JSON object that was sent; at most `limit` bytes are read.

        Raises RequestEntityTooLarge, ClientDisconnected, InvalidSyntax and InvalidValue, and
        ServiceUnavailable to who asks again for one that was too large to keep.
        """
        if self._body is not None:
            return json_body.parse(self._body)
        if self._is_read:
            raise ServiceUnavailable(retry_after=int(RETRY_AFTER))
        self._is_read = True
        body = self._read(limit)
        if len(body) <= json_body.MEBIBYTE:
            self._body = body
        return json_body.parse(body)

    def _read(self, limit: int) -> bytes:
        body, length = None, self._length()
        if length is None:
            # One byte more tells: of chunks the stream gives what fits, and no error.
            body = get_input_stream(self.environ, max_content_length=limit + 1).read()
            length = len(body)
        if length > limit:
            raise RequestEntityTooLarge
        if body is None:
            # Without werkzeug's stream, whose buffer of 64 KiB costs more than most bodies do.
            body = self.environ["wsgi.input"].read(length)
            if len(body) < length:
                raise ClientDisconnected
        return body

    def is_within(self, size: int) -> bool:
        """Say whether its body has at most so many bytes, and says so."""
        length = self._length()
        return length is not None and length <= size

    def _length(self) -> int | None:
        """Return the body's length in bytes, or None where it comes in chunks."""
        told = self.environ.get("CONTENT_LENGTH", "")
        # Nineteen digits are no length, and some thousand no number that Python reads.
        plain = told.isascii() and told.isdecimal() and len(told) < 19
        if plain and "HTTP_TRANSFER_ENCODING" not in self.environ:
            return int(told)  # what nearly everybody says costs no regular expression
        return get_content_length(self.environ)

    def is_for(self, hosts: Collection[str]) -> bool:
        """Say whether it was addressed to one of these hosts (T15)."""
        host = self.environ.get("HTTP_HOST", self.environ.get("SERVER_NAME", ""))
        return _is_trusted(host, tuple(hosts))

    def allow(self, *methods: str) -> None:
        """Raise MethodNotAllowed for any other method."""
        if "GET" in methods:
            methods = ("GET", "HEAD", *(each for each in methods if each != "GET"))
        if self.method not in methods:
            raise MethodNotAllowed(valid_methods=methods)


@dataclass(frozen=True)
class Reply:
    """What is sent back; the common headers come to it on the way."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    scim_type: str | None = None  # of a refusal; for the trace only
    media_type: str | None = None  # unless the client may choose

    def send(self, request: Request, start_response: StartResponse) -> Iterable[bytes]:
        """Send it in the media type asked for; OneLogin asks for application/json."""
        headers = [*self.headers.items(), *_ALWAYS]
        if self.body:
            media_type = self.media_type or _media_type(request.header("ACCEPT"))
            headers.append(("Content-Type", media_type))
        if self.status not in (204, 304):
            headers.append(("Content-Length", str(len(self.body))))
        start_response(_STATUS[self.status], headers)
        return () if request.method == "HEAD" else (self.body,)


WsgiApp = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


@lru_cache(maxsize=256)
def _media_type(accept: str | None) -> str:
    wanted = parse_accept_header(accept, MIMEAccept)
    return str(wanted.best_match([SCIM_JSON, JSON], SCIM_JSON))


@lru_cache(maxsize=256)
def _is_trusted(host: str, hosts: tuple[str, ...]) -> bool:
    return host_is_trusted(host.lower(), hosts)
