# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Addresses that somebody typed in: to nobody in our own network (T16, R29)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from provisioning.errors import InvalidValue
from provisioning.event_streams import receivers
from provisioning.event_streams.receivers import (
    MAX_ANSWER,
    Refused,
    Unreachable,
    check_address,
    is_public,
    post,
)
from tests.fakes.receiver import Receiver, receiver

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

BAD = [
    ("http://example.com/x", "https://"),
    ("ftp://example.com/x", "https://"),
    ("example.com", "no address"),
    ("https://", "no address"),
    ("", "no address"),
    ("https://exa mple.com/", "blanks"),
    ("https://example.com/\r\nX: y", "blanks"),
    ("https://exämple.com/", "no address"),
    ("https://user:pw@example.com/", "no password"),
    ("https://example.com/#x", "no password"),
    ("https://example.com:99999/", "no address"),
    ("https://localhost/", "public"),
    ("https://127.0.0.1/", "public"),
    ("https://127.1.2.3/", "public"),
    ("https://0.0.0.0/", "public"),
    ("https://10.0.0.1/", "public"),
    ("https://172.16.0.1/", "public"),
    ("https://192.168.1.1/", "public"),
    ("https://169.254.169.254/latest/meta-data", "public"),
    ("https://100.64.0.1/", "public"),
    ("https://[::1]/", "public"),
    ("https://[::]/", "public"),
    ("https://[fe80::1]/", "public"),
    ("https://[fc00::1]/", "public"),
    ("https://[::ffff:10.0.0.1]/", "public"),
    ("https://[64:ff9b::a00:1]/", "public"),
    ("https://[2002:a00:1::]/", "public"),
    ("https://224.0.0.1/", "public"),
    ("https://example.com/" + "x" * 2000, "no address"),
]


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as mine:
        yield mine


@pytest.mark.req("R29")
@pytest.mark.parametrize(("url", "sentence"), BAD)
def test_an_address_that_leads_where_we_do_not_go(url: str, sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence) as refused:
        check_address(url)
    assert refused.value.field == "endpoint"


@pytest.mark.req("R29")
@pytest.mark.parametrize("url", ["https://example.com", "https://example.com:8443/a?b=c",
                                 "https://8.8.8.8/", "https://[2606:4700::1111]/"])  # fmt: skip
def test_an_address_on_the_public_internet(url: str) -> None:
    assert check_address(url).hostname


@pytest.mark.req("R29")
def test_plain_http_goes_to_this_machine_only_and_only_when_allowed() -> None:
    assert check_address("http://localhost:8000/x", local=True)
    for url in ("http://localhost:8000/x", "http://example.com/", "http://10.0.0.1/"):
        with pytest.raises(InvalidValue):
            check_address(url, local="localhost" not in url)


@pytest.mark.req("R29")
@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::1", False),
        ("240.0.0.1", False),
        ("ff02::1", False),
        ("192.0.2.1", False),
    ],
)
def test_an_address_is_judged_by_what_is_in_it(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.req("R29")
@pytest.mark.parametrize(
    "places",
    [["127.0.0.1"], ["10.0.0.1"], ["8.8.8.8", "192.168.0.1"], ["::ffff:10.0.0.1"], ["::1"]],
)
def test_a_name_that_leads_into_our_network_is_refused(
    monkeypatch: pytest.MonkeyPatch, places: list[str]
) -> None:
    def resolve(host: str, port: int, **_: object) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in place else socket.AF_INET, 1, 6, "", (place, port))
            for place in places
        ]

    monkeypatch.setattr(receivers.socket, "getaddrinfo", resolve)
    with pytest.raises(Refused, match="not public"):
        post("https://inside.example.com/", b"", {})
    with pytest.raises(Refused):  # the setting for trials opens this machine under its own name
        post("https://inside.example.com/", b"", {}, local=True)


@pytest.mark.req("R29")
def test_the_connection_goes_to_the_address_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that answers differently the second time (rebinding) is not asked a second time."""
    asked: list[str] = []
    went: list[object] = []

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, 1, 6, "", ("8.8.8.8" if len(asked) == 1 else "127.0.0.1", port))]

    class Socket:
        def __init__(self, *_: object) -> None:
            pass

        def settimeout(self, _: float) -> None:
            pass

        def connect(self, place: object) -> None:
            went.append(place)
            raise TimeoutError

        def close(self) -> None:
            pass

    monkeypatch.setattr(receivers.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(receivers.socket, "socket", Socket)
    with pytest.raises(Unreachable):
        post("https://rebinding.example.com/", b"", {})
    assert (asked, went) == (["rebinding.example.com"], [("8.8.8.8", 443)])


def test_what_is_sent_and_what_comes_back(there: Receiver) -> None:
    there.answers = [(400, b'{"err":"x"}')]
    answer = post(there.url + "?a=b", b"body", {"Authorization": "Bearer t"}, local=True)
    assert (answer.status, answer.body) == (400, b'{"err":"x"}')
    headers, body = there.got[0]
    assert (headers["Authorization"], body) == ("Bearer t", b"body")


@pytest.mark.req("R29")
def test_a_redirect_is_an_answer_and_no_way_to_go(there: Receiver) -> None:
    there.answers, there.headers = [(302, b"")], {"Location": there.url}
    assert post(there.url, b"", {}, local=True).status == 302
    assert len(there.got) == 1


@pytest.mark.req("R29")
def test_a_long_answer_is_cut_off(there: Receiver) -> None:
    there.answers = [(200, b"x" * MAX_ANSWER), (200, b"x" * (MAX_ANSWER + 1))]
    assert len(post(there.url, b"", {}, local=True).body) == MAX_ANSWER
    with pytest.raises(Unreachable):
        post(there.url, b"", {}, local=True)


@pytest.mark.req("R29")
def test_a_slow_receiver_is_not_waited_for(
    there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receivers, "TIMEOUT", 0.2)
    there.delay = 5.0
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1 does not answer"):
        post(there.url, b"", {}, local=True)
    assert time.monotonic() - started < 2


@pytest.mark.req("R29")
@pytest.mark.parametrize("again", [b"X-A: a\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_receiver_that_goes_on_and_on_is_cut_off(
    again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receivers, "TIMEOUT", 0.3)
    over = threading.Event()

    def trickle(listening: socket.socket) -> None:
        heard, _ = listening.accept()
        with heard, contextlib.suppress(OSError):
            if not again.startswith(b"HTTP"):
                heard.sendall(b"HTTP/1.1 202 Accepted\r\n")
            while not over.wait(0.1):
                heard.sendall(again)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=trickle, args=(listening,), daemon=True)
        thread.start()
        started = time.monotonic()
        with pytest.raises(Unreachable):
            post(f"http://127.0.0.1:{listening.getsockname()[1]}/", b"", {}, local=True)
        assert time.monotonic() - started < 2
        over.set()
        thread.join()


@pytest.mark.req("R29")
def test_a_resolver_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()
    monkeypatch.setattr(receivers, "TIMEOUT", 0.1)
    monkeypatch.setattr(receivers.socket, "getaddrinfo", lambda *_, **__: over.wait(5) and [])
    with pytest.raises(Unreachable, match="has no address"):
        post("https://slow.example.com/", b"", {})
    over.set()


def test_a_closed_port_is_unreachable() -> None:
    with receiver() as gone:
        url = gone.url
    with pytest.raises(Unreachable):
        post(url, b"", {}, local=True)


def test_a_certificate_that_nobody_vouches_for_is_no_receiver(there: Receiver) -> None:
    with pytest.raises(Unreachable):  # it speaks plain HTTP, so that no handshake comes about
        post(there.url.replace("http:", "https:"), b"", {}, local=True)
