# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from reader.identity import Identity, IdentityError, unb64url
from reader.pairing import PairingFailed, pair
from reader.server import BadAddress, ServerRefused
from tests.reader.fake_server import ORGANISATION, FakeServer

pytestmark = pytest.mark.enable_socket


def test_a_code_makes_an_identity(server: FakeServer) -> None:
    identity = pair(server.url + "/", "1234 5678", "Desk NFC")
    assert identity.organisation == ORGANISATION
    assert (identity.station_id, identity.name) == (server.station_id, "Desk NFC")
    assert (identity.rp_id, identity.origin) == ("localhost", server.origin)
    assert identity.server_key.public_bytes_raw() == server.key.public_key().public_bytes_raw()
    public = identity.sealing_key.public_key().public_bytes_raw()
    assert server.sealing_key == public


def test_a_code_is_good_once(server: FakeServer) -> None:
    pair(server.url, "12345678", "Desk")
    with pytest.raises(ServerRefused, match="used up") as refused:
        pair(server.url, "12345678", "Desk")
    assert refused.value.error == "pairing_code"


@pytest.mark.parametrize("code", ["", "1234567", "123456789", "abcdefgh", "１２３４５６７８"])
def test_what_is_no_code_is_not_sent(server: FakeServer, code: str) -> None:
    with pytest.raises(PairingFailed):
        pair(server.url, code, "Desk")
    assert server.requests == []


def test_nothing_is_sent_in_the_clear() -> None:
    with pytest.raises(BadAddress, match="https"):
        pair("http://keys.example.com", "12345678", "Desk")


@pytest.mark.req("R23")
@pytest.mark.parametrize(
    ("rp_id", "origin"),
    [
        ("bank.example", None),
        ("localhost", "https://bank.example"),
        ("bank.example", "https://bank.example"),
        ("localhost", "http://localhost:1"),
        ("", None),
    ],
)
def test_a_server_may_only_name_itself(server: FakeServer, rp_id: str, origin: str | None) -> None:
    """Else a desk paired with it would make sign-ins for any site in the world."""
    server.rp_id, server.origin = rp_id, origin or server.origin
    with pytest.raises(PairingFailed):
        pair(server.url, "12345678", "Desk")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"station_id": 7},
        {"server_key": "AAAA"},
        {"server_key": "***"},
        {"server_key": None},
        {"organisation": None},
    ],
    ids=str,
)
def test_an_answer_that_makes_no_sense_is_refused(
    server: FakeServer, answer: dict[str, Any]
) -> None:
    good = {
        "station_id": "s",
        "name": "Desk",
        "server_key": "A" * 43,
        "rp_id": "localhost",
        "origin": server.url,
        "organisation": "Example Works",
    }
    server.before = lambda path, body: (201, {**good, **answer} if answer else {})
    with pytest.raises(PairingFailed, match="not from a Keywright server"):
        pair(server.url, "12345678", "Desk")


# The file


@pytest.fixture
def paired(server: FakeServer, tmp_path: Path) -> Identity:
    return pair(server.url, "12345678", "Desk").save(tmp_path / "state")


def test_an_identity_is_kept(paired: Identity) -> None:
    assert paired.folder is not None
    again = Identity.load(paired.folder)
    for name in ("server", "station_id", "name", "organisation", "rp_id", "origin", "folder"):
        assert getattr(again, name) == getattr(paired, name)
    for name in ("signing_key", "sealing_key"):
        assert getattr(again, name).private_bytes_raw() == getattr(paired, name).private_bytes_raw()


def test_only_its_owner_may_read_it(paired: Identity) -> None:
    assert paired.folder is not None
    path = paired.folder / "identity.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert paired.folder.stat().st_mode & 0o777 == 0o700
    assert os.listdir(paired.folder) == ["identity.json"]
    path.chmod(0o644)
    with pytest.raises(IdentityError, match="chmod 600"):
        Identity.load(paired.folder)


def test_pairing_again_replaces_it(server: FakeServer, paired: Identity) -> None:
    assert paired.folder is not None
    server.codes.add("87654321")
    again = pair(server.url, "87654321", "Desk").save(paired.folder)
    assert Identity.load(paired.folder).station_id == again.station_id != paired.station_id


def test_no_key_is_printed(paired: Identity) -> None:
    assert paired.folder is not None
    stored = json.loads((paired.folder / "identity.json").read_text())
    for name in ("signing_key", "sealing_key"):
        assert stored[name] not in repr(paired)
        assert str(unb64url(stored[name])) not in repr(paired)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "{}", '{"format": 1}', '{"format": 2}', '{"format": 1, "server": 1}'],
)
def test_a_damaged_file_asks_for_a_new_pairing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "identity.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(IdentityError, match="pair again"):
        Identity.load(tmp_path)


def test_an_unpaired_station_says_how_to_pair(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="keywright-reader pair"):
        Identity.load(tmp_path)
