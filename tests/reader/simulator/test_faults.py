# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
import threading
import time

import pytest
from fido2.ctap2.base import Ctap2

from reader.simulator import CardRemoved, Faults, Profile, SoftwareCard, SoftwareDevice
from reader.simulator.card import INS_SELECT
from tests.reader.simulator.ceremony import PIN, Platform, refused, tap

CLIENT_PIN, MAKE_CREDENTIAL, CONFIG = 0x06, 0x01, 0x0D
SET_PIN, GET_TOKEN = 0x03, 0x09


def new_card() -> tuple[SoftwareCard, Platform]:
    card = SoftwareCard()
    return card, tap(card)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_the_card_dies_at_the_nth_apdu_of_any_kind(at: int) -> None:
    card, platform = new_card()
    card.faults = Faults(die_at=at)
    uid = b"\xff\xca\0\0\0"
    for _ in range(at - 1):
        platform.device.apdu_exchange(uid)
    with pytest.raises(CardRemoved):
        platform.device.apdu_exchange(uid)
    assert not card.powered
    with pytest.raises(CardRemoved):
        platform.device.apdu_exchange(uid)


def test_the_card_dies_at_an_instruction() -> None:
    card, platform = new_card()
    card.faults = Faults(die_at=2, die_ins=INS_SELECT)
    platform.ctap.get_info()
    platform.device.connect()
    platform.ctap.get_info()
    with pytest.raises(CardRemoved):
        platform.device.connect()


def test_dying_before_the_command_leaves_no_trace() -> None:
    card, platform = new_card()
    card.faults = Faults(die_at=1, die_command=CLIENT_PIN, die_subcommand=SET_PIN)
    with pytest.raises(CardRemoved):
        platform.client_pin.set_pin(PIN)
    assert card.memory.pin_hash is None


@pytest.mark.usefixtures("fast_polling")
@pytest.mark.parametrize("keep_alives", [0, 1])
def test_dying_after_the_command_loses_only_the_answer(keep_alives: int) -> None:
    card = SoftwareCard(Profile(keep_alives=keep_alives))
    platform = tap(card)
    card.faults = Faults(
        die_at=1, die_command=CLIENT_PIN, die_subcommand=SET_PIN, die_executed=True
    )
    with pytest.raises(CardRemoved):
        platform.client_pin.set_pin(PIN)
    # The next tap goes through: a fault strikes once.
    assert tap(card).token()


def test_a_credential_may_stay_on_a_card_whose_answer_was_lost() -> None:
    card = SoftwareCard(Profile(pin=PIN))
    platform = tap(card)
    card.faults = Faults(die_at=1, die_command=MAKE_CREDENTIAL, die_executed=True)
    with pytest.raises(CardRemoved):
        platform.register()
    assert len(card.memory.discoverable) == 1
    card.faults = Faults(die_at=1, die_command=MAKE_CREDENTIAL)
    platform = tap(card)
    with pytest.raises(CardRemoved):
        platform.register(user_id=b"u-2")
    assert len(card.memory.discoverable) == 1


def test_only_the_named_subcommand_counts() -> None:
    card = SoftwareCard(Profile(pin=PIN))
    platform = tap(card)
    card.faults = Faults(die_at=2, die_command=CLIENT_PIN, die_subcommand=GET_TOKEN)
    platform.client_pin.get_pin_retries()
    platform.token()
    platform.client_pin.get_pin_retries()
    with pytest.raises(CardRemoved):
        platform.token()


def test_a_command_that_comes_in_a_chain_counts_once_at_its_end() -> None:
    card = SoftwareCard(Profile(pin=PIN))
    platform = tap(card)
    card.faults = Faults(die_at=2, die_command=MAKE_CREDENTIAL)
    excluded = [bytes([n]) * 32 for n in range(8)]
    platform.register(exclude=excluded)
    with pytest.raises(CardRemoved):
        platform.register(user_id=b"u-2", exclude=excluded)
    assert len(card.memory.discoverable) == 1


def test_the_settings_command_can_be_the_fatal_one() -> None:
    card = SoftwareCard(Profile(pin=PIN))
    platform = tap(card)
    card.faults = Faults(die_at=1, die_command=CONFIG, die_subcommand=3, die_executed=True)
    with pytest.raises(CardRemoved):
        platform.config().set_min_pin_length(force_change_pin=True)
    assert card.memory.force_pin_change


def test_setting_faults_again_starts_the_count_again() -> None:
    card, platform = new_card()
    for _ in range(2):
        card.faults = Faults(die_at=2)
        platform.device.apdu_exchange(b"\xff\xca\0\0\0")
        assert card.powered


def test_a_delay_delays_and_a_removal_ends_it() -> None:
    card, platform = new_card()
    card.faults = Faults(delay=0.02)
    started = time.monotonic()
    platform.device.apdu_exchange(b"\xff\xca\0\0\0")
    assert time.monotonic() - started >= 0.02
    card.faults = Faults(delay=60)
    threading.Timer(0.02, card.power_off).start()
    with pytest.raises(CardRemoved):
        platform.device.apdu_exchange(b"\xff\xca\0\0\0")
    assert time.monotonic() - started < 5
    card.faults = Faults(delay=0.01)
    platform.device.connect()


def test_a_mute_card_has_no_atr_and_no_answer() -> None:
    card, platform = new_card()
    card.faults = Faults(mute=True)
    assert card.atr == b""
    with pytest.raises(CardRemoved):
        platform.ctap.get_info()
    with pytest.raises(CardRemoved):
        SoftwareDevice(card)


def test_garbage_is_what_the_client_stumbles_over() -> None:
    card = SoftwareCard(faults=Faults(garbage=True))
    with pytest.raises(ValueError, match="Extraneous data"):
        Ctap2(SoftwareDevice(card))


def test_the_pin_tries_survive_the_death_of_the_card() -> None:
    """A try is taken before the comparison, so pulling the card is no free guess."""
    card = SoftwareCard(Profile(pin=PIN))
    platform = tap(card)
    card.faults = Faults(
        die_at=1, die_command=CLIENT_PIN, die_subcommand=GET_TOKEN, die_executed=True
    )
    with pytest.raises(CardRemoved):
        platform.token(pin="0000")
    platform = tap(card)
    assert platform.client_pin.get_pin_retries()[0] == 7
    with refused(0x31):
        platform.token(pin="0000")
