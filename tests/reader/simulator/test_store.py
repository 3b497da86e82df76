# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
import base64
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from reader.simulator import CTAP_2_0, JAVACARD, Profile, SoftwareCard
from reader.simulator.store import NotACard, from_dict, load, save, to_dict
from tests.reader.simulator.ceremony import PIN, RP_ID, credential_id, tap


def used_card() -> SoftwareCard:
    card = SoftwareCard(Profile(pin=PIN, resident_credentials=7))
    platform = tap(card)
    platform.register(user_id=b"u-1", extensions={"hmac-secret": True, "credProtect": 2})
    platform.register(user_id=b"u-2", resident=False, algorithms=[-8])
    platform.config().set_min_pin_length(6, rp_ids=[RP_ID])
    return card


def test_a_card_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ada.json"
    card = used_card()
    save(card, path)
    again = load(path)
    assert again.memory == card.memory
    assert again.uid == card.uid
    assert again.profile.resident_credentials == 7
    platform = tap(again)
    assert platform.client_pin.get_pin_retries()[0] == 8
    platform.sign_in()


@pytest.mark.parametrize("profile", [Profile(), CTAP_2_0, JAVACARD, Profile(random_uid=True)])
def test_every_model_survives(profile: Profile) -> None:
    assert from_dict(to_dict(SoftwareCard(profile))).profile == profile


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    save(SoftwareCard(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    save(SoftwareCard(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["card.json"]


def test_the_pin_is_written_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    save(SoftwareCard(Profile(pin=PIN)), path)
    assert PIN not in path.read_text()
    assert tap(load(path)).token()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "uid": {"hex": "04"}}',
        '{"format": 1, "uid": {"hex": "zz"}, "profile": {}, "memory": {}}',
    ],
)
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(NotACard):
        load(path)


def test_a_field_of_a_newer_simulator_is_refused() -> None:
    state = to_dict(SoftwareCard())
    state["profile"]["antenna"] = 1
    with pytest.raises(NotACard, match="newer"):
        from_dict(state)


def test_the_dict_is_plain_json() -> None:
    state = to_dict(used_card())
    assert json.loads(json.dumps(state)) == state


def test_a_credential_is_exported_for_chromium() -> None:
    card = SoftwareCard(Profile(pin=PIN))
    made = tap(card).register(user_id=b"u-1")
    exported = card.export_credential(credential_id(made))
    assert exported == {
        "credentialId": base64.b64encode(credential_id(made)).decode(),
        "isResidentCredential": True,
        "rpId": RP_ID,
        "privateKey": exported["privateKey"],
        "userHandle": base64.b64encode(b"u-1").decode(),
        "signCount": 1,
    }
    pkcs8 = base64.b64decode(exported["privateKey"])
    assert pkcs8 == card.export_private_key(credential_id(made))
    key = load_der_private_key(pkcs8, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    x = key.public_key().public_numbers().x.to_bytes(32, "big")
    assert x == made.auth_data.credential_data.public_key[-2]


def test_only_what_is_there_can_be_exported() -> None:
    for export in (SoftwareCard().export_private_key, SoftwareCard().export_credential):
        with pytest.raises(KeyError):
            export(b"?" * 32)
