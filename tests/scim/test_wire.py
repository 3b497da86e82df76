# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Requests as they come off the wire, and replies as they go on it."""

from __future__ import annotations

import io
from itertools import product

import pytest
from flask import Flask
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

from provisioning.errors import InvalidValue
from scim.errors import InvalidSyntax
from scim.wire import Request
from tests.scim.pushing import Directory, connect


def request(path: str = "/", **given: object) -> Request:
    return Request(EnvironBuilder(path=path, **given).get_environ())  # type: ignore[arg-type]


def test_parameters_are_read_as_a_browser_writes_them() -> None:
    args = request("/", query_string="Filter=a+eq%20%22%C3%A9%26%22&count=&x").args
    assert args == {"filter": 'a eq "é&"', "count": "", "x": ""}
    twice = request("/", query_string="attributes=a,b&attributes=c&excludedAttributes=d")
    assert twice.args == {"attributes": "a,b,c", "excludedattributes": "d"}
    with pytest.raises(InvalidValue):
        assert request("/", query_string="count=7&COUNT=8").args
    assert request("/").args == {}
    assert request("/", query_string="a=%ff").args == {"a": "\ufffd"}


def test_a_path_is_read_as_utf_8() -> None:
    assert request("/Users/é%20x").path == "/Users/é x"


@pytest.mark.req("R4")
def test_a_body_ends_where_its_length_says() -> None:
    environ = EnvironBuilder(method="POST", data=b'{"a":1}').get_environ()
    environ["wsgi.input"] = io.BytesIO(b'{"a":1}{"b":2}')
    assert Request(environ).body(100) == {"a": 1}
    with pytest.raises(InvalidSyntax):
        request("/").body(100)


@pytest.mark.req("R4")
def test_a_body_without_a_length_has_its_cap_too() -> None:
    for size, length in product((30, 31), (True, False)):
        environ = EnvironBuilder(method="POST", data=b'{"a":1}'.ljust(size)).get_environ()
        environ["wsgi.input_terminated"] = True  # as granian says of chunks
        if not length:
            del environ["CONTENT_LENGTH"]
        if size == 30:
            assert Request(environ).body(30) == {"a": 1}
        else:
            with pytest.raises(RequestEntityTooLarge):
                Request(environ).body(30)


@pytest.mark.parametrize("length", ["9" * 5_000, "-7", "seven", "٧"])
def test_a_length_that_is_none_is_no_fault_of_the_server(length: str) -> None:
    environ = EnvironBuilder(method="POST", data=b'{"a":1}').get_environ()
    environ["CONTENT_LENGTH"] = length
    with pytest.raises((InvalidSyntax, RequestEntityTooLarge)):
        Request(environ).body(100)


@pytest.mark.req("R4")
def test_a_body_that_breaks_off_is_none() -> None:
    environ = EnvironBuilder(method="POST", data=b'{"a":1}').get_environ()
    environ["CONTENT_LENGTH"] = "8"
    with pytest.raises(ClientDisconnected):
        Request(environ).body(100)


@pytest.mark.req("R30")
def test_every_reply_has_the_common_headers(directory: Directory) -> None:
    for answer in (
        directory("GET", "/Users"),
        directory("GET", "/nothing"),
        directory("POST", "/Users", b"{"),
        directory("HEAD", "/Users"),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert int(answer.headers["Content-Length"]) > 0
        assert "Set-Cookie" not in answer.headers


def test_another_hosts_request_is_refused(app: Flask, directory: Directory) -> None:
    for host, status in (
        ("localhost:5005", 200),
        ("127.0.0.1:5005", 200),
        ("LOCALHOST", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("", 400),
    ):
        assert directory("GET", "/Users", Host=host).status_code == status, host


def test_the_panel_does_not_answer_below_the_door(app: Flask) -> None:
    client = app.test_client()
    for path in ("/scim/v2", "/scim/v2/", "/scim/v2/static/app.css", "/scim/v2/../users"):
        assert client.get(path).mimetype == "application/scim+json"
    assert client.get("/scim/vx/Users").mimetype == "text/html"


def test_both_doors_share_one_app(app: Flask) -> None:
    assert connect(app)("GET", "/Schemas").status_code == 200
    assert app.test_client().get("/healthz").status_code == 200
