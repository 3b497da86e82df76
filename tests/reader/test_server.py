# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from reader.server import (
    BadAddress,
    Clock,
    Server,
    ServerGone,
    ServerRefused,
    Signer,
    checked_address,
    is_older,
)
from tests.reader.fake_server import FakeServer

pytestmark = pytest.mark.enable_socket

KEY = Ed25519PrivateKey.generate()


def signer(kid: str = "station-1") -> Signer:
    return Signer(kid, KEY, Clock())


def post(url: str, used: Signer, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    with contextlib.closing(Server(url, used)) as server:
        return server.post(path, body)


class Raw:
    """A server that sends what a test says, byte for byte, one connection after another."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://localhost:{self.socket.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.answers: list[list[bytes]] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self.socket.accept()
            except OSError:
                return
            with link:
                for answer in self.answers.pop(0) if self.answers else []:
                    self.requests.append(_request(link))
                    link.sendall(answer)

    def close(self) -> None:
        self.socket.close()


def _request(link: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += link.recv(65536)
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(head.split(b"\r\n\r\n", 1)[1]) < length:
        head += link.recv(65536)
    return head


def answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def raw() -> Iterator[Raw]:
    raw = Raw()
    yield raw
    raw.close()


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "https://keys.example.com",
        "https://keys.example.com/",
        "https://keys.example.com:8443/keywright/",
        "http://localhost:5005",
        "http://127.0.0.1:5005",
        "http://[::1]:5005",
        "http://desk.localhost",
    ],
)
def test_addresses_that_a_station_talks_to(url: str) -> None:
    assert checked_address(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://keys.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "ftp://keys.example.com",
        "keys.example.com",
        "https://",
        "",
        "https://user:pass@keys.example.com",
        "https://keys.example.com/?a=b",
        "https://keys.example.com/#x",
        "https://keys.example.com:99999",
        "https://[::1",
    ],
)
def test_addresses_that_a_station_refuses(url: str) -> None:
    with pytest.raises(BadAddress):
        checked_address(url)


# What is sent


def test_a_request_is_signed_for_itself(raw: Raw) -> None:
    raw.answers = [[answer("200 OK", b"{}")]]
    post(raw.url + "/base/", signer(), "poll", {"wait": 0})
    head, body = raw.requests[0].split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /base/station/v1/poll HTTP/1.1")
    line = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization"))
    scheme, token = line.decode().split(": ", 1)[1].split(" ")
    assert scheme == "Station"
    assert jwt.get_unverified_header(token) == {
        "alg": "EdDSA",
        "kid": "station-1",
        "typ": "station+jwt",
    }
    claims = jwt.decode(token, KEY.public_key(), algorithms=["EdDSA"])
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
    assert claims["htm"] == "POST"
    assert claims["htu"] == raw.url + "/base/station/v1/poll"
    assert claims["bh"] == digest
    assert claims["exp"] - claims["iat"] == 60
    assert len(claims["jti"]) >= 22


def test_no_two_requests_have_the_same_id(raw: Raw) -> None:
    tokens = {signer().sign("POST", "x", b"") for _ in range(50)}
    ids = {jwt.decode(token, options={"verify_signature": False})["jti"] for token in tokens}
    assert len(ids) == 50


# What comes back


def test_no_content_is_none(raw: Raw) -> None:
    raw.answers = [[b"HTTP/1.1 204 No Content\r\n\r\n"]]
    assert post(raw.url, signer(), "poll", {}) is None


def test_a_connection_is_kept(raw: Raw) -> None:
    raw.answers = [[answer("200 OK", b'{"a": 1}'), answer("200 OK", b'{"a": 2}')]]
    server = Server(raw.url, signer())
    assert server.post("poll", {}) == {"a": 1}
    assert server.post("poll", {}) == {"a": 2}
    server.close()


def test_a_kept_connection_that_the_server_closed_is_made_anew(raw: Raw) -> None:
    raw.answers = [[answer("200 OK", b"{}")], [answer("200 OK", b'{"again": true}')]]
    server = Server(raw.url, signer())
    server.post("poll", {})
    time.sleep(0.05)
    assert server.post("poll", {}) == {"again": True}
    ids = [request.split(b"Station ")[1].split(b"\r\n")[0] for request in raw.requests]
    assert ids[0] != ids[1]
    server.close()


def test_a_new_connection_that_breaks_is_a_server_that_is_away(raw: Raw) -> None:
    raw.answers = [[]]
    with pytest.raises(ServerGone):
        post(raw.url, signer(), "poll", {})


def test_a_refusal_has_its_word_and_its_sentence(raw: Raw) -> None:
    raw.answers = [[answer("403 Forbidden", b'{"error": "pairing_code", "message": "No."}')]]
    with pytest.raises(ServerRefused, match=r"^No\.$") as refused:
        post(raw.url, signer(), "pair", {})
    assert (refused.value.status, refused.value.error) == (403, "pairing_code")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(raw: Raw, status: str) -> None:
    raw.answers = [[answer(status, b"{}", "Location: https://evil.example/")]]
    with pytest.raises(ServerRefused):
        post(raw.url, signer(), "poll", {})
    assert len(raw.requests) == 1


@pytest.mark.parametrize(
    "content",
    [
        answer("500 Oops", b"{}"),
        answer("502 Bad Gateway", b"<html>"),
        answer("429 Slow", b"{}", "Retry-After: 7"),
        answer("200 OK", b"<html>hello</html>"),
        answer("200 OK", b"[1]"),
        answer("200 OK", b"[" * 100_000),
        answer("200 OK", b"\xff"),
        b"HTTP/1.1 banana\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ],
    ids=["500", "502", "429", "html", "list", "nested", "bytes", "no-status", "tls"],
)
def test_answers_of_no_keywright_server_are_a_server_that_is_away(raw: Raw, content: bytes) -> None:
    raw.answers = [[content]]
    with pytest.raises(ServerGone) as gone:
        post(raw.url, signer(), "poll", {})
    if b"429" in content:
        assert gone.value.retry_after == 7


def test_an_answer_without_end_is_cut_off() -> None:
    class Endless(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            sent = 0
            while sent < 64 << 20:
                try:
                    sent += self.wfile.write(b" " * 65536)
                except OSError:
                    break
            self.server.sent = sent  # type: ignore[attr-defined]

        def log_message(self, *_: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Endless) as endless:
        thread = threading.Thread(target=endless.handle_request)
        thread.start()
        with pytest.raises(ServerGone):
            post(f"http://localhost:{endless.server_address[1]}", signer(), "poll", {})
        thread.join(5)
        assert endless.sent < 32 << 20  # type: ignore[attr-defined]


def test_the_clock_is_corrected_once_and_not_for_ever(raw: Raw) -> None:
    wrong = answer("401 Unauthorized", json.dumps({"error": "clock", "server_time": 1}).encode())
    raw.answers = [[wrong, wrong]]
    with pytest.raises(ServerRefused):
        post(raw.url, signer(), "poll", {})
    assert len(raw.requests) == 2


@pytest.mark.parametrize("told", ["soon", None, True, math.inf, 1e300])
def test_a_server_that_tells_no_time_corrects_nothing(raw: Raw, told: object) -> None:
    body = json.dumps({"error": "clock", "server_time": told}).encode()
    raw.answers = [[answer("401 Unauthorized", body)]]
    used = signer()
    with pytest.raises(ServerRefused):
        post(raw.url, used, "poll", {})
    assert used.clock.offset == 0


@pytest.mark.parametrize(
    ("asked", "pause"), [("30", 30), ("86400", 300), ("9" * 30, 300), ("Fri, 1 Jan", None)]
)
def test_however_long_a_server_wants_to_be_left_alone_a_desk_comes_back(
    raw: Raw, asked: str, pause: float | None
) -> None:
    raw.answers = [[answer("503 Service Unavailable", b"{}", f"Retry-After: {asked}")]]
    with pytest.raises(ServerGone) as gone:
        post(raw.url, signer(), "poll", {})
    assert gone.value.retry_after == pause


def test_a_proxy_without_a_usable_port_is_a_server_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:none")
    with pytest.raises(ServerGone, match="proxy"):
        Server("https://keys.example.com", signer()).post("poll", {})


def test_nothing_listens_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServerGone, match="nothing listens"):
            post(url, signer(), "poll", {})


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For localhost, signed by itself; with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "localhost.pem"
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(encoding, form, serialization.NoEncryption())
    path.write_bytes(secret + made.public_bytes(encoding))
    return path


@pytest.mark.parametrize("trusted", [False, True])
def test_a_certificate_must_be_trusted(
    certificate: Path, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a company's own authority is named as every OpenSSL program is told of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    requests: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        link, _ = listener.accept()
        with link, contextlib.suppress(OSError), context.wrap_socket(link, server_side=True) as tls:
            requests.append(_request(tls))
            tls.sendall(answer("200 OK", b"{}"))

    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        if trusted:
            assert post(url, signer(), "poll", {}) == {}
        else:
            with pytest.raises(ServerGone, match="certificate is not trusted"):
                post(url, signer(), "poll", {})
        thread.join(5)
    assert len(requests) == trusted


def test_a_waiting_request_can_be_interrupted(server: FakeServer) -> None:
    identity = server.identity()
    waiting = Server(server.url, Signer(identity.station_id, identity.signing_key, Clock()))
    ended: list[float] = []

    def wait() -> None:
        with pytest.raises(ServerGone):
            waiting.post("poll", {"state": "card", "reader": "", "version": "", "wait": 25}, 30)
        ended.append(time.monotonic())
        waiting.close()

    thread = threading.Thread(target=wait)
    thread.start()
    while not server.polls:
        time.sleep(0.01)
    began = time.monotonic()
    waiting.interrupt()
    thread.join(5)
    assert ended[0] - began < 0.5
    with pytest.raises(ServerGone):
        waiting.post("poll", {})


def test_the_offices_proxy_is_used(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """https goes through a tunnel; this computer's own addresses do not."""
    raw.answers = [[]]
    seen: list[bytes] = []

    def proxy() -> None:
        link, _ = listener.accept()
        with link:
            seen.append(link.recv(4096))
            link.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=proxy, daemon=True)
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://me:se%20cret@{address}")
        monkeypatch.setenv("http_proxy", f"http://{address}")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(ServerGone):
            post("https://keys.example.com", signer(), "poll", {})
        thread.join(5)
    assert seen[0].startswith(b"CONNECT keys.example.com:443 ")
    assert base64.b64encode(b"me:se cret") in seen[0]
    raw.answers = [[answer("200 OK", b"{}")]]
    post(raw.url, signer(), "poll", {})
    assert raw.requests[0].startswith(b"POST /station/v1/poll ")


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ("0.1.0", "0.2.0", True),
        ("0.9.0", "0.10.0", True),
        ("1.0", "1.0.1", True),
        ("0.2.0", "0.1.9", False),
        ("1.2.3", "1.2.3", False),
        ("1.2.3", "", False),
        ("", "1.2.3", False),
        ("1.2.3", "new!", False),
    ],
)
def test_versions_are_compared_as_numbers(one: str, other: str, older: bool) -> None:
    assert is_older(one, other) is older
