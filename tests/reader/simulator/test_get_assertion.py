# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
import secrets

import pytest
from cryptography.exceptions import InvalidSignature
from fido2.ctap2.extensions import HmacSecretExtension

from reader.simulator import CTAP_2_0, Faults, Profile, SoftwareCard
from tests.reader.simulator.ceremony import ERR, GET, PIN, RP_ID, credential_id, refused, tap


def test_a_listed_credential_signs_in() -> None:
    platform = tap()
    made = platform.register(resident=False)
    (answer,) = platform.sign_in(made, allow=[credential_id(made)])
    assert answer.auth_data.is_user_present()
    assert answer.auth_data.is_user_verified()
    assert answer.credential["id"] == credential_id(made)
    assert answer.user is None
    assert answer.number_of_credentials is None


def test_a_resident_credential_is_discovered_with_its_user() -> None:
    platform = tap()
    made = platform.register(user_id=b"u-7")
    (answer,) = platform.sign_in(made)
    # One candidate: the names are nobody's business (CTAP 2.1 §6.2.2).
    assert answer.user == {"id": b"u-7"}


def test_a_credential_that_is_not_resident_is_not_discovered() -> None:
    platform = tap()
    platform.register(resident=False)
    with refused(ERR.NO_CREDENTIALS):
        platform.sign_in()


def test_several_credentials_come_newest_first_with_names() -> None:
    platform = tap()
    for user_id in (b"u-1", b"u-2", b"u-3"):
        platform.register(user_id=user_id)
    answers = platform.sign_in()
    assert [answer.user["id"] for answer in answers] == [b"u-3", b"u-2", b"u-1"]
    assert answers[0].number_of_credentials == 3
    assert answers[0].user["name"] == "u-3@example.com"
    counters = [answer.auth_data.counter for answer in answers]
    assert counters == sorted(set(counters))


def test_names_are_told_only_after_verification() -> None:
    platform = tap()
    platform.register(user_id=b"u-1")
    platform.register(user_id=b"u-2")
    answers = platform.sign_in(pin=None)
    assert [answer.user for answer in answers] == [{"id": b"u-2"}, {"id": b"u-1"}]
    assert not answers[0].auth_data.is_user_verified()


def test_next_assertion_needs_a_first_one() -> None:
    with refused(ERR.NOT_ALLOWED):
        tap().ctap.get_next_assertion()


def test_another_command_ends_the_enumeration() -> None:
    platform = tap()
    platform.register(user_id=b"u-1")
    platform.register(user_id=b"u-2")
    platform.ctap.get_assertion(RP_ID, secrets.token_bytes(32))
    platform.ctap.get_info()
    with refused(ERR.NOT_ALLOWED):
        platform.ctap.get_next_assertion()


def test_the_enumeration_ends_after_half_a_minute() -> None:
    now = [0.0]
    platform = tap(SoftwareCard(Profile(pin=PIN), clock=lambda: now[0]))
    for user_id in (b"u-1", b"u-2", b"u-3"):
        platform.register(user_id=user_id)
    platform.ctap.get_assertion(RP_ID, secrets.token_bytes(32))
    now[0] += 25
    platform.ctap.get_next_assertion()
    now[0] += 31
    with refused(ERR.NOT_ALLOWED):
        platform.ctap.get_next_assertion()


def test_a_pre_flight_tells_whether_a_credential_is_there_without_presence() -> None:
    platform = tap()
    made = platform.register()
    (answer,) = platform.sign_in(pin=None, allow=[credential_id(made)], present=False)
    assert not answer.auth_data.is_user_present()
    with refused(ERR.NO_CREDENTIALS):
        platform.sign_in(pin=None, allow=[b"?" * 32], present=False)


def test_a_pre_flight_leaves_the_token_alive() -> None:
    platform = tap()
    made = platform.register()
    token = platform.token(GET)
    platform.sign_in(token=token, allow=[credential_id(made)], present=False)
    platform.sign_in(made, token=token, allow=[credential_id(made)])
    with refused(ERR.PIN_AUTH_INVALID):
        platform.sign_in(token=token, allow=[credential_id(made)])


def test_another_site_finds_nothing() -> None:
    platform = tap()
    made = platform.register()
    with refused(ERR.NO_CREDENTIALS):
        platform.sign_in(rp_id="other.example.com", allow=[credential_id(made)])


@pytest.mark.parametrize(
    ("level", "discovered", "listed"), [(1, True, True), (2, False, True), (3, False, False)]
)
def test_cred_protect_hides_a_credential_from_the_unverified(
    level: int, discovered: bool, listed: bool
) -> None:
    platform = tap()
    made = platform.register(extensions={"credProtect": level})
    for allow, visible in [([], discovered), ([credential_id(made)], listed)]:
        if visible:
            platform.sign_in(made, pin=None, allow=allow)
        else:
            with refused(ERR.NO_CREDENTIALS):
                platform.sign_in(pin=None, allow=allow)
        platform.sign_in(made, allow=allow)


def test_always_uv_asks_for_the_pin_but_lets_pre_flights_through() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, always_uv=True)))
    made = platform.register()
    with refused(ERR.PUAT_REQUIRED):
        platform.sign_in(pin=None)
    platform.sign_in(pin=None, allow=[credential_id(made)], present=False)
    platform.sign_in(made)


@pytest.mark.parametrize(
    ("options", "code"),
    [({"uv": True}, ERR.INVALID_OPTION), ({"rk": True}, ERR.UNSUPPORTED_OPTION)],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, bool], code: int) -> None:
    with refused(code):
        tap().ctap.get_assertion(RP_ID, b"h" * 32, options=options)


def test_a_bad_signature_does_not_verify() -> None:
    card = SoftwareCard(Profile(pin=PIN))
    platform = tap(card)
    made = platform.register()
    card.faults = Faults(bad_signature=True)
    with pytest.raises(InvalidSignature):
        platform.sign_in(made)


def test_the_uv_flag_can_be_left_out() -> None:
    card = SoftwareCard(Profile(pin=PIN))
    platform = tap(card)
    made = platform.register()
    card.faults = Faults(no_uv=True)
    (answer,) = platform.sign_in(made)
    assert not answer.auth_data.is_user_verified()


@pytest.mark.parametrize("profile", [Profile(pin=PIN), CTAP_2_0])
@pytest.mark.parametrize("protocol", [1, 2])
def test_hmac_secret_gives_the_same_secret_for_the_same_salt(
    profile: Profile, protocol: int
) -> None:
    if protocol not in profile.pin_protocols:
        protocol = profile.pin_protocols[0]
    platform = tap(SoftwareCard(profile), protocol)
    if not platform.ctap.info.options["clientPin"]:
        platform.client_pin.set_pin(PIN)
    made = platform.register(extensions={"hmac-secret": True})
    assert made.auth_data.extensions == {"hmac-secret": True}
    first, second = b"1" * 32, b"2" * 32

    def ask(salts: bytes, pin: str | None = PIN) -> bytes:
        key, secret = platform.client_pin._get_shared_secret()
        encrypted = platform.protocol.encrypt(secret, salts)
        entry = {1: key, 2: encrypted, 3: platform.protocol.authenticate(secret, encrypted)}
        if protocol == 2:
            entry[4] = 2
        (answer,) = platform.sign_in(made, pin=pin, extensions={"hmac-secret": entry})
        output = answer.auth_data.extensions[HmacSecretExtension.NAME]
        return platform.protocol.decrypt(secret, output)

    both = ask(first + second)
    assert ask(first) == both[:32]
    assert ask(second) == both[32:]
    assert ask(first, pin=None) != both[:32]


def test_hmac_secret_needs_a_true_mac() -> None:
    platform = tap()
    platform.register(extensions={"hmac-secret": True})
    key, secret = platform.client_pin._get_shared_secret()
    encrypted = platform.protocol.encrypt(secret, b"1" * 32)
    entry = {1: key, 2: encrypted, 3: b"\0" * 32, 4: 2}
    with refused(ERR.PIN_AUTH_INVALID):
        platform.ctap.get_assertion(RP_ID, b"h" * 32, extensions={"hmac-secret": entry})


def test_a_credential_made_without_hmac_secret_gives_none() -> None:
    platform = tap()
    made = platform.register()
    key, secret = platform.client_pin._get_shared_secret()
    encrypted = platform.protocol.encrypt(secret, b"1" * 32)
    mac = platform.protocol.authenticate(secret, encrypted)
    entry = {1: key, 2: encrypted, 3: mac, 4: 2}
    (answer,) = platform.sign_in(made, pin=None, extensions={"hmac-secret": entry})
    assert answer.auth_data.extensions is None
