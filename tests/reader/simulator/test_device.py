# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""In-process reader, connection and device; and fido2.pcsc on top of the connection."""

import subprocess
import sys
import threading

import pytest
from fido2.ctap import STATUS, CtapError
from fido2.ctap2.base import Ctap2
from fido2.hid import CAPABILITY, CTAPHID
from fido2.pcsc import CtapPcscDevice

from reader.simulator import (
    BADGE,
    U2F_ONLY,
    CardRemoved,
    Profile,
    SoftwareCard,
    SoftwareConnection,
    SoftwareDevice,
    SoftwareReader,
)
from tests.reader.simulator.ceremony import PIN, Platform, tap


def test_neither_pyscard_nor_fido2_pcsc_is_imported() -> None:
    program = (
        "import sys, reader.simulator, reader.simulator.vpcd, reader.simulator.store\n"
        "print([m for m in sys.modules if m.split('.')[0] == 'smartcard' or m == 'fido2.pcsc'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.usefixtures("fast_polling")
@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("polling", [False, True])
def test_every_way_of_sending_apdus_reaches_the_card(extended: bool, polling: bool) -> None:
    platform = tap(SoftwareCard(Profile(pin=PIN, keep_alives=1)))
    platform.device.use_ext_apdu = extended
    platform.device.use_nfcctap_getresponse = polling
    made = platform.register(exclude=[bytes([n]) * 32 for n in range(8)])
    platform.sign_in(made)


@pytest.mark.usefixtures("fast_polling")
def test_keep_alives_are_told_once() -> None:
    platform = tap(SoftwareCard(Profile(keep_alives=3)))
    told: list[STATUS] = []
    platform.device.call(CTAPHID.CBOR, b"\x04", on_keepalive=told.append)
    assert told == [STATUS.PROCESSING]


def test_a_waiting_command_can_be_cancelled() -> None:
    platform = tap(SoftwareCard(Profile(keep_alives=1)))
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(CtapError) as error:
        platform.ctap.send_cbor(0x04, event=cancelled)
    assert error.value.code == CtapError.ERR.KEEPALIVE_CANCEL


def test_cards_without_fido_are_refused_as_by_fido2_pcsc() -> None:
    for device in (SoftwareDevice, lambda card: CtapPcscDevice(SoftwareConnection(card), "x")):
        with pytest.raises(ValueError, match="FIDO applet selection failure"):
            device(SoftwareCard(BADGE))


def test_a_u2f_card_is_a_device_of_version_one() -> None:
    device = SoftwareDevice(SoftwareCard(U2F_ONLY))
    assert device.version == 1
    assert device.capabilities == CAPABILITY.NMSG
    with pytest.raises(ValueError, match="does not support CTAP2"):
        Ctap2(device)
    with pytest.raises(CtapError):
        device.call(CTAPHID.MSG, b"")


def test_fido2_pcsc_works_on_the_connection() -> None:
    card = SoftwareCard(Profile(pin=PIN))
    device = CtapPcscDevice(SoftwareConnection(card), "Software card")
    assert device.get_atr() == card.atr
    platform = Platform(device)
    platform.sign_in(platform.register())
    device.use_ext_apdu = True
    platform.sign_in(platform.register())
    device.close()
    assert not card.powered


def test_closing_cuts_the_power() -> None:
    card = SoftwareCard()
    with SoftwareDevice(card) as device:
        assert card.powered
        assert device.get_atr() == card.atr
    assert not card.powered
    with pytest.raises(CardRemoved):
        device.call(CTAPHID.CBOR, b"\x04")
    device.connect()
    assert device.version == 2


def test_an_empty_reader_has_no_card() -> None:
    reader = SoftwareReader("Desk")
    assert reader.name == str(reader) == "Desk"
    assert reader.card is None
    with pytest.raises(CardRemoved):
        SoftwareDevice(reader)


def test_a_card_taken_off_the_reader_is_gone_for_its_old_connection() -> None:
    reader = SoftwareReader()
    first, second = SoftwareCard(), SoftwareCard()
    reader.insert(first)
    device = SoftwareDevice(reader)
    reader.insert(second)
    assert not first.powered
    with pytest.raises(CardRemoved):
        device.call(CTAPHID.CBOR, b"\x04")
    device.connect()
    assert device.apdu_exchange(b"\xff\xca\0\0\0")[0] == second.uid
    reader.remove()
    assert reader.card is None


def test_waiting_for_a_card_ends_when_it_comes() -> None:
    reader = SoftwareReader()
    assert not reader.wait(present=True, timeout=0.01)
    assert reader.wait(present=False, timeout=0)
    threading.Timer(0.02, reader.insert, [SoftwareCard()]).start()
    assert reader.wait(present=True, timeout=5)


def test_a_connection_needs_exactly_one_source() -> None:
    with pytest.raises(ValueError, match="either a card or a reader"):
        SoftwareConnection()


def test_software_cards_are_made_not_found() -> None:
    assert list(SoftwareDevice.list_devices()) == []
