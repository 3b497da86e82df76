# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The software card over a real pcscd: vpcd, libpcsclite, pyscard and fido2.pcsc."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fido2.ctap2.base import Ctap2
from fido2.pcsc import CtapPcscDevice
from smartcard.CardConnectionDecorator import CardConnectionDecorator
from smartcard.Exceptions import CardConnectionException, NoCardException
from smartcard.pcsc.PCSCExceptions import EstablishContextException
from smartcard.pcsc.PCSCReader import PCSCReader
from smartcard.scard import (
    SCARD_S_SUCCESS,
    SCARD_SCOPE_USER,
    SCARD_SHARE_EXCLUSIVE,
    SCARD_STATE_PRESENT,
    SCARD_STATE_UNAWARE,
    SCardEstablishContext,
    SCardGetStatusChange,
    SCardReleaseContext,
)
from smartcard.System import readers

from reader.simulator import (
    BADGE,
    CTAP_2_0,
    JAVACARD,
    U2F_ONLY,
    Faults,
    Profile,
    SoftwareCard,
)
from reader.simulator.vpcd import VpcdCard
from tests.fakes.pcscd import PcscdUnavailable, VirtualReaders
from tests.reader.simulator import full_loop
from tests.reader.simulator.ceremony import PIN, Platform

pytestmark = [pytest.mark.device, pytest.mark.enable_socket]

GET_UID = [0xFF, 0xCA, 0x00, 0x00, 0x00]
NO_SERVICE, NO_CARD, SHARING_VIOLATION = 0x8010001D, 0x8010000C, 0x8010000B
CARD_REMOVED, NOT_TRANSACTED, PROTOCOL_MISMATCH = 0x80100069, 0x80100016, 0x8010000F


class Exclusive(CardConnectionDecorator):
    """Connects exclusively in one step.

    pyscard's ExclusiveConnectCardConnection connects shared first; if another program holds
    the card it then fails without an hresult, and leaves a handle that breaks its destructor.
    """

    def connect(self, protocol=None, mode=None, disposition=None):
        self.component.connect(protocol, SCARD_SHARE_EXCLUSIVE, disposition)


@pytest.fixture(autouse=True)
def slots_are_empty(virtual_readers: VirtualReaders) -> Iterator[None]:
    yield
    gc.collect()
    for reader in readers():
        wait_for(lambda reader=reader: not present(reader))


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    # pcscd looks for cards every 400 ms.
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "pcscd did not notice"
        time.sleep(0.01)


def present(reader: PCSCReader) -> bool:
    """As pcscd sees it, without connecting."""
    _, context = SCardEstablishContext(SCARD_SCOPE_USER)
    try:
        unknown = [(reader.name, SCARD_STATE_UNAWARE)]
        status, states = SCardGetStatusChange(context, 0, unknown)
        assert status == SCARD_S_SUCCESS
        return bool(states[0][1] & SCARD_STATE_PRESENT)
    finally:
        SCardReleaseContext(context)


def hresult(error: BaseException) -> int:
    return error.hresult & 0xFFFFFFFF


class Desk:
    """One slot and the card that comes and goes on it."""

    def __init__(self, virtual_readers: VirtualReaders, slot: int, card: SoftwareCard) -> None:
        self.reader = next(r for r in readers() if r.name == virtual_readers.names[slot])
        self.card = card
        self.link = VpcdCard(card, port=virtual_readers.ports[slot])
        self._opened: list[CtapPcscDevice] = []

    def insert(self) -> None:
        self.link.insert()
        wait_for(lambda: present(self.reader))

    def remove(self) -> None:
        self.link.remove()
        wait_for(lambda: not present(self.reader))

    def open(self) -> CtapPcscDevice:
        device = CtapPcscDevice(Exclusive(self.reader.createConnection()), self.reader.name)
        self._opened.append(device)
        return device

    def retap(self, device: CtapPcscDevice) -> CtapPcscDevice:
        device.close(release=True)
        self.remove()
        self.insert()
        reopened = self.open()
        reopened.use_ext_apdu = device.use_ext_apdu
        return reopened

    def close(self) -> None:
        for device in self._opened:
            device.close(release=True)
        self.link.remove()


Lay = Callable[..., Desk]


@pytest.fixture
def lay(virtual_readers: VirtualReaders) -> Iterator[Lay]:
    """Lay a card of some model on a slot."""
    desks = []

    def lay_card(profile: Profile | None = None, slot: int = 0) -> Desk:
        desk = Desk(virtual_readers, slot, SoftwareCard(profile))
        desks.append(desk)
        desk.insert()
        return desk

    yield lay_card
    for desk in desks:
        desk.close()


@pytest.mark.parametrize(
    ("profile", "extended"),
    [(Profile(), False), (Profile(), True), (CTAP_2_0, False), (JAVACARD, True)],
    ids=["CTAP 2.1 short", "CTAP 2.1 extended", "CTAP 2.0 short", "JavaCard extended"],
)
def test_a_cards_whole_life_over_pcsc(lay: Lay, profile: Profile, extended: bool) -> None:
    desk = lay(profile)
    device = desk.open()
    device.use_ext_apdu = extended
    full_loop.run(device, desk.retap)


@pytest.mark.parametrize("extended", [False, True], ids=["short", "extended"])
def test_a_busy_card_is_polled(lay: Lay, extended: bool) -> None:
    device = lay(Profile(pin=PIN, keep_alives=1)).open()
    device.use_ext_apdu = extended
    platform = Platform(device)
    platform.sign_in(platform.register())


def test_the_fixture_lays_a_fresh_card(
    virtual_readers: VirtualReaders, vpcd_card: VpcdCard
) -> None:
    (reader,) = [r for r in readers() if r.name == virtual_readers.names[0]]
    wait_for(lambda: present(reader))
    connection = reader.createConnection()
    connection.connect()
    assert bytes(connection.transmit(GET_UID)[0]) == vpcd_card.card.uid
    assert bytes(connection.getATR()) == vpcd_card.card.atr
    connection.release()


def test_two_readers_hold_two_cards(virtual_readers: VirtualReaders, lay: Lay) -> None:
    assert [r.name for r in readers()] == list(virtual_readers.names)
    left, right = lay(slot=0), lay(slot=1)
    uids = [bytes(desk.open()._conn.transmit(GET_UID)[0]) for desk in (left, right)]
    assert uids == [left.card.uid, right.card.uid]
    assert uids[0] != uids[1]


def test_a_card_held_exclusively_is_held_from_everyone(lay: Lay) -> None:
    desk = lay()
    desk.open()
    for connection in (
        desk.reader.createConnection(),
        Exclusive(desk.reader.createConnection()),
    ):
        with pytest.raises(CardConnectionException) as failure:
            connection.connect()
        assert hresult(failure.value) == SHARING_VIOLATION
        connection.release()


def test_an_exclusive_connection_tells_that_somebody_else_has_the_card(lay: Lay) -> None:
    desk = lay()
    other = desk.reader.createConnection()
    other.connect()
    mine = Exclusive(desk.reader.createConnection())
    with pytest.raises(CardConnectionException) as failure:
        mine.connect()
    assert hresult(failure.value) == SHARING_VIOLATION
    other.disconnect()
    mine.connect()
    mine.release()
    other.release()


def test_closing_gives_the_card_free_and_cuts_its_power(lay: Lay) -> None:
    desk = lay(Profile(pin=PIN))
    device = desk.open()
    token = Platform(device).token()
    device.close(release=True)
    platform = Platform(desk.open())
    with pytest.raises(Exception, match="PIN_AUTH_INVALID"):
        platform.register(token=token)


def test_an_empty_reader_says_so(virtual_readers: VirtualReaders) -> None:
    connection = readers()[0].createConnection()
    with pytest.raises(NoCardException) as failure:
        connection.connect()
    assert hresult(failure.value) == NO_CARD
    connection.release()


def test_a_badge_is_told_from_a_fido_card_by_select(lay: Lay) -> None:
    desk = lay(BADGE)
    connection = Exclusive(desk.reader.createConnection())
    with pytest.raises(ValueError, match="FIDO applet selection failure"):
        CtapPcscDevice(connection, "badge")
    assert bytes(connection.transmit(GET_UID)[0]) == desk.card.uid
    assert bytes(connection.getATR()).startswith(bytes.fromhex("3B8F8001804F0CA000000306"))
    connection.release()


def test_a_u2f_card_is_no_ctap2_device(lay: Lay) -> None:
    device = lay(U2F_ONLY).open()
    assert device.version == 1
    with pytest.raises(ValueError, match="does not support CTAP2"):
        Ctap2(device)


def test_a_card_pulled_in_the_middle_of_an_apdu(lay: Lay) -> None:
    desk = lay()
    device = desk.open()
    desk.card.faults = Faults(die_at=1)
    with pytest.raises(CardConnectionException, match="no valid response") as failure:
        Ctap2(device)
    assert hresult(failure.value) == 0
    wait_for(lambda: not desk.link.inserted)
    assert not desk.card.powered


def test_a_card_pulled_between_two_apdus_needs_a_new_connection(lay: Lay) -> None:
    desk = lay()
    device = desk.open()
    desk.remove()
    for _ in range(2):
        with pytest.raises(CardConnectionException) as failure:
            Ctap2(device)
        assert hresult(failure.value) in (CARD_REMOVED, NOT_TRANSACTED)
    desk.insert()
    with pytest.raises(CardConnectionException) as failure:
        Ctap2(device)
    assert hresult(failure.value) == CARD_REMOVED
    device.close()
    device.connect()
    assert Ctap2(device).info.versions == ["FIDO_2_0", "FIDO_2_1"]


def test_a_card_that_died_can_be_laid_on_again_at_once(lay: Lay) -> None:
    desk = lay()
    for _ in range(2):
        device = desk.open()
        desk.card.faults = Faults(die_at=1)
        with pytest.raises(CardConnectionException):
            Ctap2(device)
        device.close(release=True)
        desk.insert()
    assert Ctap2(desk.open()).info.aaguid


def test_the_answer_of_a_card_that_died_afterwards_is_lost_and_its_work_is_not(lay: Lay) -> None:
    desk = lay(Profile(pin=PIN))
    platform = Platform(desk.open())
    desk.card.faults = Faults(die_at=1, die_command=0x01, die_executed=True)
    with pytest.raises(CardConnectionException):
        platform.register()
    assert len(desk.card.memory.discoverable) == 1


def test_a_card_that_falls_silent_is_an_error_and_no_hang(lay: Lay) -> None:
    desk = lay()
    device = desk.open()
    desk.card.faults = Faults(mute=True)
    with pytest.raises(CardConnectionException):
        Ctap2(device)


def test_a_mute_card_is_there_and_cannot_be_used(lay: Lay) -> None:
    desk = lay()
    desk.remove()
    desk.card.faults = Faults(mute=True)
    desk.insert()
    with pytest.raises(CardConnectionException) as failure:
        desk.open()
    assert hresult(failure.value) == PROTOCOL_MISMATCH


def test_a_card_with_a_bad_atr_is_there_and_cannot_be_used(lay: Lay) -> None:
    desk = lay(Profile(atr=b"\x3b"))
    with pytest.raises(CardConnectionException) as failure:
        desk.open()
    assert hresult(failure.value) == PROTOCOL_MISMATCH


def test_an_apdu_does_not_wait_for_a_delayed_acknowledgement(lay: Lay) -> None:
    """40 ms each without TCP_QUICKACK in the link; under half a millisecond with it."""
    device = lay().open()
    times = []
    for _ in range(20):
        started = time.perf_counter()
        device.apdu_exchange(bytes(GET_UID))
        times.append(time.perf_counter() - started)
    assert statistics.median(times) < 0.020


def test_pcscd_can_be_stopped_and_started_again(virtual_readers: VirtualReaders, lay: Lay) -> None:
    virtual_readers.stop()
    with pytest.raises(EstablishContextException) as failure:
        readers()
    assert hresult(failure.value) == NO_SERVICE
    virtual_readers.start()
    assert Ctap2(lay().open()).info.aaguid


def test_a_machine_without_the_packages_fails_and_names_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.fakes.pcscd.DRIVER", tmp_path / "missing.so")
    elsewhere = VirtualReaders()
    with pytest.raises(PcscdUnavailable, match="apt-get install -y pcscd vsmartcard-vpcd"):
        elsewhere.start()
    elsewhere.close()
