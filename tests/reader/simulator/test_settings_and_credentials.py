# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""authenticatorConfig, credentialManagement, reset and selection."""

import pytest
from fido2.ctap2.credman import CredentialManagement

from reader.simulator import CTAP_2_0, Profile, SoftwareCard
from tests.reader.simulator.ceremony import (
    ERR,
    MANAGE,
    PIN,
    RP_ID,
    credential_id,
    refused,
    tap,
)

RESULT = CredentialManagement.RESULT


def test_the_minimum_pin_length_only_grows() -> None:
    platform = tap()
    platform.config().set_min_pin_length(6)
    assert platform.ctap.get_info().min_pin_length == 6
    with refused(ERR.PIN_POLICY_VIOLATION):
        platform.config().set_min_pin_length(5)
    platform.config().set_min_pin_length(6)
    with refused(ERR.PIN_POLICY_VIOLATION):
        platform.client_pin.change_pin(PIN, "12345")
    assert not platform.ctap.get_info().force_pin_change


def test_a_pin_that_became_too_short_must_be_changed() -> None:
    platform = tap()
    platform.config().set_min_pin_length(8)
    assert platform.ctap.get_info().force_pin_change
    with refused(ERR.PIN_POLICY_VIOLATION):
        platform.token()
    platform.client_pin.change_pin(PIN, "12345678")
    assert not platform.ctap.get_info().force_pin_change
    assert platform.token(pin="12345678")


def test_a_forced_change_stops_everything_until_the_pin_changes() -> None:
    platform = tap()
    made = platform.register()
    config = platform.config()
    config.set_min_pin_length(force_change_pin=True)
    # The token that ordered it is dead too.
    with refused(ERR.PIN_AUTH_INVALID):
        config.toggle_always_uv()
    with refused(ERR.PIN_POLICY_VIOLATION):
        platform.sign_in()
    platform.client_pin.change_pin(PIN, "918273")
    platform.sign_in(made, pin="918273")


def test_a_forced_change_wants_another_pin() -> None:
    platform = tap()
    platform.config().set_min_pin_length(force_change_pin=True)
    with refused(ERR.PIN_POLICY_VIOLATION):
        platform.client_pin.change_pin(PIN, PIN)
    assert platform.ctap.get_info().force_pin_change
    with refused(ERR.PIN_POLICY_VIOLATION):
        platform.token()
    platform.client_pin.change_pin(PIN, "918273")


def test_some_cards_take_the_same_pin_again() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, accept_same_pin=True)))
    platform.config().set_min_pin_length(force_change_pin=True)
    platform.client_pin.change_pin(PIN, PIN)
    assert platform.token()


def test_without_force_the_same_pin_is_no_offence() -> None:
    tap().client_pin.change_pin(PIN, PIN)


def test_a_change_cannot_be_forced_where_no_pin_is() -> None:
    platform = tap(SoftwareCard())
    with refused(ERR.PIN_NOT_SET):
        platform.ctap.config(3, {3: True})


def test_a_card_without_protection_takes_settings_from_anyone() -> None:
    platform = tap(SoftwareCard())
    platform.ctap.config(3, {1: 6})
    assert platform.ctap.get_info().min_pin_length == 6


def test_a_protected_card_does_not() -> None:
    platform = tap()
    with refused(ERR.PUAT_REQUIRED):
        platform.ctap.config(3, {1: 6})
    with refused(ERR.PIN_AUTH_INVALID):
        platform.ctap.config(3, {1: 6}, 2, b"\0" * 32)


def test_always_uv_toggles() -> None:
    platform = tap()
    platform.config().toggle_always_uv()
    assert platform.ctap.get_info().options["alwaysUv"] is True
    platform.config().toggle_always_uv()
    assert platform.ctap.get_info().options["alwaysUv"] is False


def test_always_uv_takes_back_that_a_pin_is_not_required() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, make_cred_uv_not_required=True)))
    assert platform.ctap.info.options["makeCredUvNotRqd"] is True
    platform.config().toggle_always_uv()
    assert platform.ctap.get_info().options["makeCredUvNotRqd"] is False


def test_only_named_sites_learn_the_minimum_pin_length() -> None:
    platform = tap()
    platform.config().set_min_pin_length(6, rp_ids=[RP_ID])
    made = platform.register(extensions={"minPinLength": True})
    assert made.auth_data.extensions == {"minPinLength": 6}
    other = platform.register(rp_id="other.example.com", extensions={"minPinLength": True})
    assert other.auth_data.extensions is None
    with refused(ERR.KEY_STORE_FULL):
        platform.config().set_min_pin_length(rp_ids=["a", "b", "c", "d", "e"])


@pytest.mark.parametrize("profile", [CTAP_2_0, Profile(authnr_cfg=False, cred_mgmt=False)])
def test_a_card_without_them_does_not_know_the_commands(profile: Profile) -> None:
    platform = tap(SoftwareCard(profile))
    for command in (0x0A, 0x0D):
        with refused(ERR.INVALID_COMMAND):
            platform.ctap.send_cbor(command, {1: 1})


def test_set_min_pin_length_may_be_missing_by_itself() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, set_min_pin_length=False)))
    assert "setMinPINLength" not in platform.ctap.info.options
    with refused(ERR.INVALID_PARAMETER):
        platform.config().set_min_pin_length(6)
    platform.config().toggle_always_uv()


def test_credentials_are_counted() -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, resident_credentials=5)))
    platform.register(user_id=b"u-1")
    platform.register(user_id=b"u-2", resident=False)
    assert platform.management().get_metadata() == {1: 1, 2: 4}


def test_sites_and_their_credentials_are_listed() -> None:
    platform = tap()
    made = [
        platform.register(rp_id=rp_id, user_id=user)
        for rp_id, user in [(RP_ID, b"u-1"), ("other.example.com", b"u-2"), (RP_ID, b"u-3")]
    ]
    management = platform.management()
    sites = management.enumerate_rps()
    assert [site[RESULT.RP]["id"] for site in sites] == [RP_ID, "other.example.com"]
    credentials = management.enumerate_creds(sites[0][RESULT.RP_ID_HASH])
    assert [one[RESULT.USER]["id"] for one in credentials] == [b"u-1", b"u-3"]
    assert credentials[0][RESULT.USER]["displayName"] == "Ada"
    assert credentials[1][RESULT.CREDENTIAL_ID]["id"] == credential_id(made[2])
    assert credentials[1][RESULT.PUBLIC_KEY] == made[2].auth_data.credential_data.public_key
    assert credentials[0][RESULT.CRED_PROTECT] == 1


def test_an_empty_card_lists_nothing() -> None:
    management = tap().management()
    assert management.enumerate_rps() == []
    assert management.enumerate_creds(b"\0" * 32) == []
    for following in (management.enumerate_rps_next, management.enumerate_creds_next):
        with refused(ERR.NOT_ALLOWED):
            following()


def test_one_listing_ends_the_other_and_any_command_ends_both() -> None:
    platform = tap()
    for rp_id, user in [(RP_ID, b"u-1"), (RP_ID, b"u-2"), ("other.example.com", b"u-3")]:
        platform.register(rp_id=rp_id, user_id=user)
    management = platform.management()
    rp_id_hash = management.enumerate_rps_begin()[RESULT.RP_ID_HASH]
    management.enumerate_creds_begin(rp_id_hash)
    with refused(ERR.NOT_ALLOWED):
        management.enumerate_rps_next()
    with refused(ERR.NOT_ALLOWED):
        management.enumerate_creds_next()
    management.enumerate_rps_begin()
    for following in (management.enumerate_creds_next, management.enumerate_rps_next):
        with refused(ERR.NOT_ALLOWED):
            following()
    management.enumerate_creds_begin(rp_id_hash)
    platform.ctap.get_info()
    with refused(ERR.NOT_ALLOWED):
        management.enumerate_creds_next()


def test_only_resident_credentials_are_managed() -> None:
    platform = tap()
    made = platform.register(resident=False)
    with refused(ERR.NO_CREDENTIALS):
        platform.management().delete_cred({"type": "public-key", "id": credential_id(made)})
    platform.sign_in(made, allow=[credential_id(made)])


def test_a_credential_is_deleted() -> None:
    platform = tap()
    made = platform.register()
    descriptor = {"type": "public-key", "id": credential_id(made)}
    platform.management().delete_cred(descriptor)
    with refused(ERR.NO_CREDENTIALS):
        platform.sign_in()
    with refused(ERR.NO_CREDENTIALS):
        platform.management().delete_cred(descriptor)


def test_a_users_names_are_updated_and_the_user_is_not() -> None:
    platform = tap()
    made = platform.register(user_id=b"u-1")
    descriptor = {"type": "public-key", "id": credential_id(made)}
    management = platform.management()
    management.update_user_info(descriptor, {"id": b"u-1", "name": "new", "displayName": "N"})
    site = management.enumerate_rps()[0]
    (credential,) = management.enumerate_creds(site[RESULT.RP_ID_HASH])
    assert credential[RESULT.USER] == {"id": b"u-1", "name": "new", "displayName": "N"}
    with refused(ERR.INVALID_PARAMETER):
        management.update_user_info(descriptor, {"id": b"u-2", "name": "x", "displayName": "x"})


def test_a_token_for_one_site_manages_that_site_only() -> None:
    platform = tap()
    mine = platform.register()
    other = platform.register(rp_id="other.example.com")
    bound = platform.management(rp_id=RP_ID)
    with refused(ERR.PIN_AUTH_INVALID):
        bound.get_metadata()
    with refused(ERR.PIN_AUTH_INVALID):
        bound.delete_cred({"type": "public-key", "id": credential_id(other)})
    bound.delete_cred({"type": "public-key", "id": credential_id(mine)})


def test_management_needs_its_own_permission() -> None:
    platform = tap()
    with refused(ERR.PUAT_REQUIRED):
        platform.ctap.credential_mgmt(1)
    wrong = CredentialManagement(platform.ctap, platform.protocol, platform.token())
    with refused(ERR.PIN_AUTH_INVALID):
        wrong.get_metadata()
    with refused(ERR.INVALID_SUBCOMMAND):
        platform.ctap.credential_mgmt(9)
    assert platform.token(MANAGE, None)


def test_a_reset_within_ten_seconds_wipes_everything() -> None:
    now = [0.0]
    platform = tap(SoftwareCard(Profile(pin=PIN), clock=lambda: now[0]))
    platform.register()
    platform.config().set_min_pin_length(6)
    now[0] += 10.5
    with refused(ERR.NOT_ALLOWED):
        platform.ctap.reset()
    platform.device.close()
    platform.device.connect()
    now[0] += 9.5
    platform.ctap.reset()
    info = platform.ctap.get_info()
    assert info.options["clientPin"] is False
    assert info.min_pin_length == 4
    assert info.remaining_disc_creds == 25
    with refused(ERR.NO_CREDENTIALS):
        platform.sign_in(pin=None)


def test_a_card_may_be_deselected_by_its_reset() -> None:
    platform = tap(SoftwareCard(Profile(reset_deselects=True)))
    platform.ctap.reset()
    with refused(ERR.OTHER):
        platform.ctap.get_info()
    platform.device.close()
    platform.device.connect()
    platform.ctap.get_info()


def test_selection_is_answered_at_once() -> None:
    tap().ctap.selection()
    with refused(ERR.INVALID_COMMAND):
        tap(SoftwareCard(CTAP_2_0)).ctap.selection()


def test_get_info_of_a_2_0_card_has_nothing_of_2_1() -> None:
    info = tap(SoftwareCard(CTAP_2_0)).ctap.info
    assert info.versions == ["FIDO_2_0"]
    assert info.pin_uv_protocols == [1]
    assert set(info.options) == {"rk", "up", "plat", "clientPin"}
