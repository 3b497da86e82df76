# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The vpcd protocol against a listener that plays vpcd; the real one is in tests/device."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from reader.simulator import CardRemoved, Faults, SoftwareCard
from reader.simulator.vpcd import VpcdCard

pytestmark = pytest.mark.enable_socket

POWER_OFF, POWER_ON, RESET, GET_ATR = b"\x00", b"\x01", b"\x02", b"\x04"
GET_UID = bytes.fromhex("FFCA000000")
SELECT = bytes.fromhex("00A4040008A0000006472F000100")
GET_INFO = bytes.fromhex("80100000010400")


class Vpcd:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(5)
        self.port = self.listener.getsockname()[1]
        self.link: socket.socket | None = None

    def accept(self) -> None:
        if self.link is not None:
            self.link.close()
        self.link, _ = self.listener.accept()
        self.link.settimeout(5)

    def send(self, payload: bytes) -> None:
        assert self.link is not None
        # Two writes, as vpcd does.
        self.link.sendall(len(payload).to_bytes(2, "big"))
        self.link.sendall(payload)

    def receive(self) -> bytes | None:
        assert self.link is not None
        header = self.link.recv(2)
        if not header:
            return None
        length = int.from_bytes(header, "big")
        return self.link.recv(length, socket.MSG_WAITALL) if length else b""

    def ask(self, payload: bytes) -> bytes | None:
        self.send(payload)
        return self.receive()

    def close(self) -> None:
        if self.link is not None:
            self.link.close()
        self.listener.close()


@pytest.fixture
def vpcd() -> Iterator[Vpcd]:
    reader = Vpcd()
    yield reader
    reader.close()


@pytest.fixture
def card() -> SoftwareCard:
    return SoftwareCard()


@pytest.fixture
def inserted(vpcd: Vpcd, card: SoftwareCard) -> Iterator[VpcdCard]:
    with VpcdCard(card, port=vpcd.port) as link:
        vpcd.accept()
        yield link


def test_power_atr_and_apdus(vpcd: Vpcd, card: SoftwareCard, inserted: VpcdCard) -> None:
    assert inserted.inserted
    assert vpcd.ask(GET_ATR) == card.atr
    vpcd.send(POWER_ON)
    assert vpcd.ask(GET_UID) == card.uid + b"\x90\x00"
    assert vpcd.ask(SELECT) == b"FIDO_2_0\x90\x00"


@pytest.mark.parametrize("control", [[RESET], [POWER_OFF, POWER_ON]])
def test_a_reset_clears_the_selection(vpcd: Vpcd, inserted: VpcdCard, control: list[bytes]) -> None:
    vpcd.send(POWER_ON)
    vpcd.ask(SELECT)
    for frame in control:
        vpcd.send(frame)
    assert vpcd.ask(GET_INFO) == b"\x6d\x00"


def test_removal_closes_the_link_and_insertion_opens_a_new_one(
    vpcd: Vpcd, card: SoftwareCard, inserted: VpcdCard
) -> None:
    vpcd.send(POWER_ON)
    assert vpcd.ask(GET_UID)
    inserted.remove()
    assert vpcd.receive() is None
    assert not inserted.inserted
    assert not card.powered
    inserted.remove()
    inserted.insert(settle=0)
    vpcd.accept()
    vpcd.send(POWER_ON)
    assert vpcd.ask(GET_UID) == card.uid + b"\x90\x00"


def test_a_slot_stays_empty_until_pcscd_has_seen_it(vpcd: Vpcd, inserted: VpcdCard) -> None:
    inserted.remove()
    started = time.monotonic()
    other = VpcdCard(SoftwareCard(), port=vpcd.port)
    other.insert(settle=0.1)
    other.remove()
    assert time.monotonic() - started >= 0.09


def test_a_fault_closes_the_link_in_the_middle_of_an_apdu(
    vpcd: Vpcd, card: SoftwareCard, inserted: VpcdCard
) -> None:
    vpcd.send(POWER_ON)
    card.faults = Faults(die_at=1)
    assert vpcd.ask(GET_UID) is None
    deadline = time.monotonic() + 5
    while inserted.inserted and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not inserted.inserted


def test_removal_does_not_wait_for_a_slow_answer(
    vpcd: Vpcd, card: SoftwareCard, inserted: VpcdCard
) -> None:
    vpcd.send(POWER_ON)
    card.faults = Faults(delay=60)
    vpcd.send(GET_UID)
    started = time.monotonic()
    inserted.remove()
    assert time.monotonic() - started < 5
    assert vpcd.receive() is None


def test_a_mute_card_never_sends_the_empty_frame_that_blocks_pcscd(
    vpcd: Vpcd, card: SoftwareCard, inserted: VpcdCard
) -> None:
    card.faults = Faults(mute=True)
    assert vpcd.ask(GET_ATR) == b"\0"
    vpcd.send(POWER_ON)
    assert vpcd.ask(GET_UID) == b"\0"
    assert inserted.inserted


def test_the_card_notices_that_vpcd_has_gone(
    vpcd: Vpcd, card: SoftwareCard, inserted: VpcdCard
) -> None:
    vpcd.close()
    deadline = time.monotonic() + 5
    while inserted.inserted and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not inserted.inserted
    assert not card.powered


def test_no_vpcd_no_insertion() -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        VpcdCard(SoftwareCard(), port=port).insert()


def test_no_thread_is_left(vpcd: Vpcd, card: SoftwareCard) -> None:
    before = threading.active_count()
    with VpcdCard(card, port=vpcd.port):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_card_removed_is_a_connection_error() -> None:
    """The serving thread relies on it: a fault and a broken link are one thing."""
    assert issubclass(CardRemoved, OSError)
