# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
from hashlib import sha256

import pytest
from fido2.ctap2.pin import PinProtocolV1
from fido2.hid import CTAPHID

from reader.simulator import CTAP_2_0, JAVACARD, Profile, SoftwareCard, SoftwareDevice
from tests.reader.simulator.ceremony import (
    CONFIGURE,
    ERR,
    GET,
    MAKE,
    MANAGE,
    PIN,
    RP_ID,
    Platform,
    refused,
    tap,
)


@pytest.fixture(params=[1, 2])
def protocol(request: pytest.FixtureRequest) -> int:
    return request.param


def fresh(protocol: int | None = None, profile: Profile | None = None) -> Platform:
    return tap(SoftwareCard(profile), protocol)


def test_a_pin_is_set_and_used(protocol: int) -> None:
    platform = fresh(protocol)
    assert platform.ctap.info.options["clientPin"] is False
    platform.client_pin.set_pin(PIN)
    assert platform.ctap.get_info().options["clientPin"] is True
    assert len(platform.token()) == 32


def test_a_pin_is_changed(protocol: int) -> None:
    platform = tap(protocol=protocol)
    platform.client_pin.change_pin(PIN, "918273")
    with refused(ERR.PIN_INVALID):
        platform.token()
    assert platform.token(pin="918273")


def test_set_pin_works_once_only() -> None:
    with refused(ERR.PIN_AUTH_INVALID):
        tap().client_pin.set_pin("555555")


def test_a_javacard_says_it_otherwise() -> None:
    platform = tap(SoftwareCard(JAVACARD))
    platform.client_pin.set_pin(PIN)
    with refused(ERR.PUAT_REQUIRED):
        platform.client_pin.set_pin("555555")


def test_without_a_pin_there_is_no_token() -> None:
    platform = fresh()
    with refused(ERR.PIN_NOT_SET):
        platform.token()
    with refused(ERR.PIN_NOT_SET):
        platform.client_pin.change_pin("1111", "2222")


@pytest.mark.parametrize("pin", ["12345", "é" * 5])
def test_a_pin_below_the_minimum_is_refused_by_its_characters(pin: str) -> None:
    platform = fresh(profile=Profile(min_pin_length=6))
    with refused(ERR.PIN_POLICY_VIOLATION):
        platform.client_pin.set_pin(pin)


def test_sixty_three_bytes_are_the_most() -> None:
    platform = fresh()
    with refused(ERR.PIN_POLICY_VIOLATION):
        platform.client_pin.set_pin("x" * 64)
    with refused(ERR.INVALID_PARAMETER):
        platform.client_pin.set_pin("x" * 65)
    platform.client_pin.set_pin("x" * 63)
    assert platform.token(pin="x" * 63)


def test_three_misses_in_a_row_ask_for_a_new_tap(protocol: int) -> None:
    platform = tap(protocol=protocol)
    for _ in range(2):
        with refused(ERR.PIN_INVALID):
            platform.token(pin="0000")
    with refused(ERR.PIN_AUTH_BLOCKED):
        platform.token(pin="0000")
    # Now even the right PIN is refused, and costs no try.
    with refused(ERR.PIN_AUTH_BLOCKED):
        platform.token()
    assert platform.client_pin.get_pin_retries() == (5, True)
    platform.device.close()
    platform.device.connect()
    assert platform.client_pin.get_pin_retries() == (5, False)
    assert platform.token()
    assert platform.client_pin.get_pin_retries() == (8, False)


def test_a_right_pin_forgives_the_misses_before_it() -> None:
    platform = tap()
    for _ in range(3):
        for _ in range(2):
            with refused(ERR.PIN_INVALID):
                platform.token(pin="0000")
        assert platform.token()


def test_eight_misses_block_the_pin_until_a_reset() -> None:
    platform = tap()
    for miss in range(1, 9):
        expected = ERR.PIN_AUTH_BLOCKED if miss % 3 == 0 else ERR.PIN_INVALID
        with refused(ERR.PIN_BLOCKED if miss == 8 else expected):
            platform.token(pin="0000")
        if miss % 3 == 0:
            platform.device.close()
            platform.device.connect()
    assert platform.client_pin.get_pin_retries()[0] == 0
    platform.device.close()
    platform.device.connect()
    with refused(ERR.PIN_BLOCKED):
        platform.token()
    platform.ctap.reset()
    assert platform.ctap.get_info().options["clientPin"] is False
    platform.client_pin.set_pin("1357")
    assert platform.token(pin="1357")


def test_a_miss_takes_a_new_key_agreement() -> None:
    platform = tap()
    before = platform.ctap.client_pin(2, 2)
    assert platform.ctap.client_pin(2, 2) == before
    with refused(ERR.PIN_INVALID):
        platform.token(pin="0000")
    assert platform.ctap.client_pin(2, 2) != before


def test_a_wrong_pin_at_a_change_costs_a_try() -> None:
    platform = tap()
    with refused(ERR.PIN_INVALID):
        platform.client_pin.change_pin("0000", "123456")
    assert platform.client_pin.get_pin_retries()[0] == 7


def test_a_token_that_was_bound_serves_no_other_site() -> None:
    platform = tap()
    token = platform.token(MAKE, "other.example.com")
    with refused(ERR.PIN_AUTH_INVALID):
        platform.register(token=token)


def test_a_token_serves_only_what_it_was_given_for() -> None:
    platform = tap()
    with refused(ERR.PIN_AUTH_INVALID):
        platform.register(token=platform.token(GET))
    platform.register()
    with refused(ERR.PIN_AUTH_INVALID):
        platform.sign_in(token=platform.token(MAKE))


def test_a_token_serves_one_ceremony() -> None:
    platform = tap()
    token = platform.token(MAKE | GET)
    platform.register(token=token)
    with refused(ERR.PIN_AUTH_INVALID):
        platform.sign_in(token=token)


def test_a_ctap_2_0_token_serves_many() -> None:
    platform = fresh(profile=CTAP_2_0)
    platform.client_pin.set_pin(PIN)
    token = platform.client_pin.get_pin_token(PIN)
    made = platform.register(token=token)
    platform.sign_in(made, token=token)


def test_a_legacy_token_on_a_new_card_is_bound_at_its_first_use() -> None:
    platform = tap()
    token = platform.client_pin.get_pin_token(PIN)
    with refused(ERR.NO_CREDENTIALS):
        platform.sign_in(token=token)
    with refused(ERR.PIN_AUTH_INVALID):
        platform.sign_in(token=token, rp_id="other.example.com")


def test_a_new_token_ends_the_old_one() -> None:
    platform = tap()
    old = platform.token()
    platform.token()
    with refused(ERR.PIN_AUTH_INVALID):
        platform.register(token=old)


def test_a_token_of_one_protocol_is_none_of_the_other() -> None:
    platform = tap(protocol=2)
    token = platform.token()
    platform.protocol = PinProtocolV1()
    with refused(ERR.PIN_AUTH_INVALID):
        platform.register(token=token)


def test_a_changed_pin_ends_the_token() -> None:
    platform = tap()
    token = platform.token()
    platform.client_pin.change_pin(PIN, "918273")
    with refused(ERR.PIN_AUTH_INVALID):
        platform.register(token=token)


def test_a_pin_with_a_false_mac_is_not_taken_and_costs_no_try() -> None:
    platform = fresh()
    key, secret = platform.client_pin._get_shared_secret()
    pin = platform.protocol.encrypt(secret, PIN.encode().ljust(64, b"\0"))
    with refused(ERR.PIN_AUTH_INVALID):
        platform.ctap.client_pin(2, 3, key, b"\0" * 32, pin)
    platform.client_pin.set_pin(PIN)
    key, secret = platform.client_pin._get_shared_secret()
    pin_hash = platform.protocol.encrypt(secret, sha256(PIN.encode()).digest()[:16])
    new_pin = platform.protocol.encrypt(secret, b"918273".ljust(64, b"\0"))
    with refused(ERR.PIN_AUTH_INVALID):
        platform.ctap.client_pin(2, 4, key, b"\0" * 32, new_pin, pin_hash)
    assert platform.client_pin.get_pin_retries()[0] == 8
    assert platform.token()


def test_a_token_in_use_lives_ten_minutes() -> None:
    now = [0.0]
    platform = tap(SoftwareCard(Profile(pin=PIN), clock=lambda: now[0]))
    management = platform.management()
    for seconds in (10, 300, 599):
        now[0] = seconds
        management.get_metadata()
    now[0] = 601
    with refused(ERR.PIN_AUTH_INVALID):
        management.get_metadata()


def test_a_token_dies_with_the_power() -> None:
    platform = tap()
    token = platform.token()
    platform.device.close()
    platform.device.connect()
    with refused(ERR.PIN_AUTH_INVALID):
        platform.register(token=token)


def test_a_token_that_waits_too_long_is_dead() -> None:
    now = [100.0]
    platform = tap(SoftwareCard(Profile(pin=PIN), clock=lambda: now[0]))
    token = platform.token()
    now[0] += 19.0
    platform.register(token=token)
    token = platform.token()
    now[0] += 20.0
    with refused(ERR.PIN_AUTH_INVALID):
        platform.register(token=token)


@pytest.mark.parametrize("permissions", [0x08, 0x10, 0x41])
def test_permissions_that_the_card_lacks_are_refused(permissions: int) -> None:
    with refused(ERR.UNAUTHORIZED_PERMISSION):
        tap().token(permissions)


def test_permissions_follow_the_model() -> None:
    card = SoftwareCard(Profile(pin=PIN, cred_mgmt=False, authnr_cfg=False))
    for permission in (MANAGE, CONFIGURE):
        with refused(ERR.UNAUTHORIZED_PERMISSION):
            tap(card).token(permission)


def test_a_ceremony_token_must_name_its_site() -> None:
    with refused(ERR.MISSING_PARAMETER):
        tap().token(MAKE, None)


def test_no_permission_at_all_is_an_error() -> None:
    platform = tap()
    with refused(ERR.INVALID_PARAMETER):
        platform.token(0)


def test_legacy_and_new_subcommands_say_a_forced_change_differently() -> None:
    platform = tap()
    platform.config().set_min_pin_length(force_change_pin=True)
    with refused(ERR.PIN_POLICY_VIOLATION):
        platform.token()
    with refused(ERR.PIN_INVALID):
        platform.client_pin.get_pin_token(PIN)
    # The PIN was right, so no try is lost.
    assert platform.client_pin.get_pin_retries()[0] == 8


def test_unknown_protocols_and_subcommands_are_refused() -> None:
    platform = tap()
    with refused(ERR.INVALID_PARAMETER):
        platform.ctap.client_pin(3, 2)
    with refused(ERR.INVALID_SUBCOMMAND):
        platform.ctap.client_pin(2, 6)
    with refused(ERR.MISSING_PARAMETER):
        platform.ctap.send_cbor(0x06, {2: 2})


def test_a_boolean_is_no_number_and_another_spelling_no_cbor() -> None:
    platform = tap()
    with refused(ERR.CBOR_UNEXPECTED_TYPE):
        platform.ctap.send_cbor(0x06, {1: 2, 2: True})
    for spelling in (
        bytes.fromhex("A2 02 01 01 02"),  # keys out of order
        bytes.fromhex("A1 02 18 01"),  # a long form of 1
        bytes.fromhex("A1 02 01 00"),  # a byte too many
        bytes.fromhex("A2 02 01 02 01"),  # a key twice
    ):
        assert platform.device.call(CTAPHID.CBOR, b"\x06" + spelling) == b"\x12"
    assert platform.device.call(CTAPHID.CBOR, bytes.fromhex("06 A1 02 01"))[0] == 0
    assert platform.device.call(CTAPHID.CBOR, bytes.fromhex("06 80")) == b"\x11"


def test_a_point_off_the_curve_is_refused() -> None:
    platform = tap()
    key = {1: 2, 3: -25, -1: 1, -2: b"\x01" * 32, -3: b"\x02" * 32}
    with refused(ERR.INVALID_PARAMETER):
        platform.ctap.client_pin(
            2, 9, key, pin_hash_enc=b"\0" * 32, permissions=1, permissions_rpid=RP_ID
        )


def test_the_pin_is_not_kept() -> None:
    card = SoftwareCard(Profile(pin=PIN))
    SoftwareDevice(card)
    assert PIN not in repr(card.memory)
    assert PIN not in repr(card.profile)
