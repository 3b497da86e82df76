# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
import secrets
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature as BadSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fido2.attestation import PackedAttestation
from fido2.attestation.base import InvalidSignature
from fido2.ctap2.base import AttestationResponse

from reader.simulator import (
    CTAP_2_0,
    SIMULATOR_AAGUID,
    Faults,
    Profile,
    SoftwareCard,
    attestation_root,
    root_pem,
)
from reader.simulator.attestation import AAGUID_EXTENSION, ROOT_SEED, build_root
from tests.reader.simulator.ceremony import ERR, PIN, RP_ID, credential_id, refused, tap

HASH = sha256(b"client data").digest()


def leaf_of(made: AttestationResponse) -> x509.Certificate:
    return x509.load_der_x509_certificate(made.att_stmt["x5c"][0])


def test_a_credential_is_made_with_presence_and_verification() -> None:
    made = tap().register()
    assert made.fmt == "packed"
    assert made.auth_data.rp_id_hash == sha256(RP_ID.encode()).digest()
    assert made.auth_data.is_user_present()
    assert made.auth_data.is_user_verified()
    assert not made.auth_data.is_backup_eligible()
    assert made.auth_data.credential_data.aaguid == SIMULATOR_AAGUID


def test_packed_attestation_is_what_webauthn_8_2_1_asks_for() -> None:
    made = tap().register(client_data_hash=HASH)
    # python-fido2 checks the signature, the OU, that it is no CA and the AAGUID extension.
    PackedAttestation().verify(made.att_stmt, made.auth_data, HASH)
    leaf = leaf_of(made)
    leaf.verify_directly_issued_by(attestation_root())
    assert leaf.version is x509.Version.v3
    assert leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)[0].value == (
        "Authenticator Attestation"
    )
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    extension = leaf.extensions.get_extension_for_oid(AAGUID_EXTENSION)
    assert extension.value.value == b"\x04\x10" + SIMULATOR_AAGUID
    assert not extension.critical


def test_the_shipped_root_is_the_one_the_published_seed_makes() -> None:
    shipped = x509.load_pem_x509_certificate(root_pem())
    built = build_root(ROOT_SEED)
    assert shipped.tbs_certificate_bytes == built.tbs_certificate_bytes
    shipped.verify_directly_issued_by(shipped)
    assert "TEST" in shipped.subject.rfc4514_string()


def test_self_attestation_signs_with_the_new_key() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, attestation="self")))
    made = platform.register(client_data_hash=HASH)
    assert made.fmt == "packed"
    assert "x5c" not in made.att_stmt
    PackedAttestation().verify(made.att_stmt, made.auth_data, HASH)


def test_no_attestation() -> None:
    made = tap(SoftwareCard(Profile(pin=PIN, attestation="none"))).register()
    assert (made.fmt, made.att_stmt) == ("none", {})


def test_a_wrong_aaguid_is_seen_against_the_certificate() -> None:
    made = tap(SoftwareCard(Profile(pin=PIN), Faults(wrong_aaguid=True))).register()
    assert made.auth_data.credential_data.aaguid != SIMULATOR_AAGUID
    extension = leaf_of(made).extensions.get_extension_for_oid(AAGUID_EXTENSION)
    assert extension.value.value[2:] == SIMULATOR_AAGUID


def test_a_foreign_root_has_the_right_names_only() -> None:
    card = SoftwareCard(Profile(pin=PIN), Faults(foreign_root=True))
    made = tap(card).register(client_data_hash=HASH)
    PackedAttestation().verify(made.att_stmt, made.auth_data, HASH)
    leaf = leaf_of(made)
    assert leaf.issuer == attestation_root().subject
    with pytest.raises(BadSignature):
        leaf.verify_directly_issued_by(attestation_root())


def test_a_bad_signature_does_not_verify() -> None:
    card = SoftwareCard(Profile(pin=PIN), Faults(bad_signature=True))
    made = tap(card).register(client_data_hash=HASH)
    with pytest.raises(InvalidSignature):
        PackedAttestation().verify(made.att_stmt, made.auth_data, HASH)


def test_the_uv_flag_can_be_left_out() -> None:
    made = tap(SoftwareCard(Profile(pin=PIN), Faults(no_uv=True))).register()
    assert not made.auth_data.is_user_verified()


def test_another_model_attests_under_its_own_aaguid() -> None:
    other = type(SIMULATOR_AAGUID)(secrets.token_bytes(16))
    made = tap(SoftwareCard(Profile(pin=PIN, aaguid=other))).register(client_data_hash=HASH)
    assert made.auth_data.credential_data.aaguid == other
    PackedAttestation().verify(made.att_stmt, made.auth_data, HASH)


@pytest.mark.parametrize("algorithms", [(-257, -8, -7), (-8,)])
def test_the_first_algorithm_that_the_card_knows_is_taken(algorithms: tuple[int, ...]) -> None:
    platform = tap()
    made = platform.register(algorithms=algorithms)
    assert made.auth_data.credential_data.public_key[3] == -8
    platform.sign_in(made)


def test_unknown_algorithms_are_refused() -> None:
    with refused(ERR.UNSUPPORTED_ALGORITHM):
        tap().register(algorithms=(-257, -37))


def test_an_excluded_credential_stops_the_ceremony() -> None:
    platform = tap()
    made = platform.register()
    with refused(ERR.CREDENTIAL_EXCLUDED):
        platform.register(user_id=b"u-2", exclude=[b"?" * 32, credential_id(made)])


def test_an_excluded_credential_of_another_site_does_not() -> None:
    platform = tap()
    made = platform.register(rp_id="other.example.com")
    platform.register(exclude=[credential_id(made)])


def test_a_hidden_credential_excludes_nobody_who_is_not_verified() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, make_cred_uv_not_required=True)))
    hidden = platform.register(extensions={"credProtect": 3})
    seen = platform.register(user_id=b"u-2", extensions={"credProtect": 2})
    platform.register(pin=None, resident=False, exclude=[credential_id(hidden)])
    for pin, made in [(None, seen), (PIN, hidden)]:
        with refused(ERR.CREDENTIAL_EXCLUDED):
            platform.register(pin=pin, resident=False, exclude=[credential_id(made)])


def test_a_list_that_is_too_long_is_refused() -> None:
    with refused(ERR.LIMIT_EXCEEDED):
        tap().register(exclude=[bytes([n]) * 32 for n in range(9)])


def test_the_same_user_has_one_resident_credential() -> None:
    platform = tap()
    first = platform.register(user_id=b"u-1")
    second = platform.register(user_id=b"u-1")
    platform.register(user_id=b"u-2")
    assert len(platform.sign_in()) == 2
    platform.sign_in(second, allow=[credential_id(second)])
    with refused(ERR.NO_CREDENTIALS):
        platform.sign_in(allow=[credential_id(first)])


def test_a_full_card_says_so_and_still_takes_a_replacement() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, resident_credentials=2)))
    platform.register(user_id=b"u-1")
    assert platform.ctap.get_info().remaining_disc_creds == 1
    platform.register(user_id=b"u-2")
    with refused(ERR.KEY_STORE_FULL):
        platform.register(user_id=b"u-3")
    platform.register(user_id=b"u-2")
    platform.register(user_id=b"u-3", resident=False)


def test_storage_can_be_full_by_fault() -> None:
    with refused(ERR.KEY_STORE_FULL):
        tap(SoftwareCard(Profile(pin=PIN), Faults(storage_full=True))).register()


def test_a_card_with_a_pin_asks_for_it() -> None:
    with refused(ERR.PUAT_REQUIRED):
        tap().register(pin=None)
    with refused(ERR.PUAT_REQUIRED):
        tap().register(pin=None, resident=False)


def test_a_card_may_do_without_the_pin_for_second_factors() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, make_cred_uv_not_required=True)))
    made = platform.register(pin=None, resident=False)
    assert not made.auth_data.is_user_verified()
    with refused(ERR.PUAT_REQUIRED):
        platform.register(pin=None, resident=True)


def test_a_card_without_a_pin_asks_for_none_unless_always_uv() -> None:
    assert not tap(SoftwareCard()).register(pin=None).auth_data.is_user_verified()
    with refused(ERR.PUAT_REQUIRED):
        tap(SoftwareCard(Profile(always_uv=True))).register(pin=None)


def test_an_empty_mac_asks_which_card_is_touched() -> None:
    empty = {"pin_uv_param": b"", "pin_uv_protocol": 2}
    request = (HASH, {"id": RP_ID}, {"id": b"u"}, [{"type": "public-key", "alg": -7}])
    with refused(ERR.PIN_INVALID):
        tap().ctap.make_credential(*request, **empty)
    with refused(ERR.PIN_NOT_SET):
        tap(SoftwareCard()).ctap.make_credential(*request, **empty)


@pytest.mark.parametrize("options", [{"uv": True}, {"up": False}])
def test_options_that_make_no_sense_are_refused(options: dict[str, bool]) -> None:
    with refused(ERR.INVALID_OPTION):
        tap(SoftwareCard()).ctap.make_credential(
            HASH, {"id": RP_ID}, {"id": b"u"}, [{"type": "public-key", "alg": -7}], options=options
        )


def test_enterprise_attestation_is_not_offered() -> None:
    with refused(ERR.INVALID_PARAMETER):
        tap(SoftwareCard()).ctap.make_credential(
            HASH,
            {"id": RP_ID},
            {"id": b"u"},
            [{"type": "public-key", "alg": -7}],
            enterprise_attestation=1,
        )


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_every_mandatory_member_is_mandatory(missing: int) -> None:
    members = {
        1: HASH,
        2: {"id": RP_ID},
        3: {"id": b"u"},
        4: [{"type": "public-key", "alg": -7}],
    }
    del members[missing]
    with refused(ERR.MISSING_PARAMETER):
        tap(SoftwareCard()).ctap.send_cbor(0x01, members)


def test_cred_protect_is_kept_and_told() -> None:
    made = tap().register(extensions={"credProtect": 3})
    assert made.auth_data.extensions == {"credProtect": 3}


def test_an_unknown_cred_protect_is_refused() -> None:
    with refused(ERR.INVALID_OPTION):
        tap().register(extensions={"credProtect": 4})


def test_unknown_extensions_are_passed_over() -> None:
    made = tap().register(extensions={"credBlob": b"1"})
    assert made.auth_data.extensions is None


def test_the_sign_count_starts_and_steps_as_the_model_says() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, sign_count_start=13, sign_count_step=5)))
    made = platform.register()
    assert made.auth_data.counter == 18
    assert platform.sign_in()[0].auth_data.counter == 23


def test_a_ctap_2_0_card_makes_credentials_too() -> None:
    platform = tap(SoftwareCard(CTAP_2_0))
    platform.client_pin.set_pin(PIN)
    assert platform.protocol.VERSION == 1
    made = platform.register(client_data_hash=HASH)
    PackedAttestation().verify(made.att_stmt, made.auth_data, HASH)
    platform.sign_in(made)


def test_the_leaf_key_is_on_p_256() -> None:
    key = leaf_of(tap().register()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
