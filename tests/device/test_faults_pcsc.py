# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""Each fault of a card at a real pcscd: its word, and the next job works at the same desk."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from reader.faults import Fault
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import BADGE, NO_FAULTS, U2F_ONLY, Faults, Profile
from reader.simulator.vpcd import VpcdCard
from reader.transport import PcscReader
from tests.fakes.pcscd import VirtualReaders
from tests.reader.conftest import Bench, FakeDesk
from tests.reader.fake_server import FakeServer

pytestmark = [pytest.mark.device, pytest.mark.enable_socket]

PIN = "482915"


@pytest.fixture
def bench(virtual_readers: VirtualReaders) -> Iterator[Bench]:
    """A station whose watchdog waits half a second; it lives through all that follows."""
    with FakeServer() as server:
        reader = PcscReader(seconds=0.5)
        bench = Bench(server, server.identity(), FakeDesk(), reader)  # type: ignore[arg-type]
        bench.start()
        yield bench
        bench.end()


def pending_change() -> SoftwareCard:
    card = SoftwareCard(Profile(pin="1111"))
    card.memory.force_pin_change = True
    return card


CASES = {
    "badge": (lambda: SoftwareCard(BADGE), Fault.NOT_FIDO),
    "u2f": (lambda: SoftwareCard(U2F_ONLY), Fault.U2F_ONLY),
    "has-pin": (lambda: SoftwareCard(Profile(pin="1111")), Fault.PIN_PRESENT),
    "change-pending": (pending_change, Fault.CHANGE_PENDING),
    "no-pin-ever": (lambda: SoftwareCard(Profile(client_pin=False)), Fault.UNSUPPORTED),
    "longer-pin": (lambda: SoftwareCard(Profile(min_pin_length=8)), Fault.PIN_TOO_SHORT),
    "full": (lambda: SoftwareCard(faults=Faults(storage_full=True)), Fault.STORAGE_FULL),
    "garbage": (lambda: SoftwareCard(faults=Faults(garbage=True)), Fault.GARBAGE),
    "mute": (lambda: SoftwareCard(faults=Faults(mute=True)), Fault.CARD_MUTE),
    "slow": (lambda: SoftwareCard(faults=Faults(delay=3.0)), Fault.TIMEOUT),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_told_and_the_next_job_works(
    name: str, bench: Bench, virtual_readers: VirtualReaders
) -> None:
    make, word = CASES[name]
    card = make()
    first, second = virtual_readers.ports
    job = bench.server.enrol(PIN, tap_seconds=5)
    bench.saw("tap")
    began = time.monotonic()
    with VpcdCard(card, port=first):
        bench.finish(job, 30)
        took = time.monotonic() - began
        card.faults = NO_FAULTS
    assert job.fault is not None, job.story
    # A mute card may be none to pcscd itself.
    expected = {word, Fault.NO_CARD} if word is Fault.CARD_MUTE else {word}
    assert job.fault["fault"] in expected
    assert took < 12, "the watchdog did not answer in time"
    assert bench.saw("fault").text.count(" ") > 3
    # The other slot: a virtual one needs rest after a card that hung.
    with VpcdCard(SoftwareCard(), port=second):
        well = bench.finish(bench.server.enrol(PIN, tap_seconds=20), 30)
    assert (well.fault, well.step) == (None, "done")


def test_of_two_cards_neither_is_written_to(bench: Bench, virtual_readers: VirtualReaders) -> None:
    cards = [SoftwareCard(), SoftwareCard()]
    first, second = (
        VpcdCard(card, port=port) for card, port in zip(cards, virtual_readers.ports, strict=True)
    )
    bench.saw("ready")
    with first, second:
        reader = PcscReader()
        until = time.monotonic() + 10
        while list(map(str, reader_states(reader))) != ["card", "card"]:
            assert time.monotonic() < until
            time.sleep(0.05)
        job = bench.finish(bench.server.enrol(PIN, tap_seconds=2), 30)
        assert job.fault is not None
        assert job.fault["fault"] == Fault.TWO_CARDS
        assert [card.memory.pin_hash for card in cards] == [None, None]
        second.remove()
        again = bench.finish(bench.server.enrol(PIN, tap_seconds=20), 30)
        assert again.step == "done"
    assert cards[0].memory.pin_hash is not None
    assert cards[1].memory.pin_hash is None


def reader_states(reader: PcscReader) -> list[str]:
    reader.state()
    return list(reader.states().values())
