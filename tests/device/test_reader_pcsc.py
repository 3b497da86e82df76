# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The station over pcscd and pyscard: the path that a reader on USB takes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from smartcard.pcsc.PCSCCardConnection import PCSCCardConnection
from smartcard.scard import SCARD_SHARE_EXCLUSIVE, SCARD_SHARE_SHARED

from reader.card import Card
from reader.card_reader import ReaderState
from reader.choice import ReaderChoice
from reader.faults import Cancelled, CardFault, Fault
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import BADGE, JAVACARD, U2F_ONLY, Faults, Profile
from reader.simulator.vpcd import VpcdCard
from reader.station import Station
from reader.transport import PcscReader, PcscSession
from reader.transport import readers as transport
from tests.device.bench import wait_until
from tests.fakes.pcscd import VirtualReaders
from tests.reader.conftest import Bench, CountingCard, FakeDesk
from tests.reader.fake_server import FakeJob, FakeServer

pytestmark = [pytest.mark.device, pytest.mark.enable_socket]

PIN = "482915"


def never() -> bool:
    return False


class Slots:
    """Both virtual readers, and what lies on them."""

    def __init__(self, readers: VirtualReaders) -> None:
        self.readers = readers
        self.names = readers.names
        self._on: dict[int, VpcdCard] = {}

    def lay(self, card: SoftwareCard, slot: int = 0) -> SoftwareCard:
        self.take(slot)
        self._on[slot] = VpcdCard(card, port=self.readers.ports[slot])
        self._on[slot].insert()
        return card

    def take(self, slot: int = 0) -> None:
        if slot in self._on:
            self._on.pop(slot).remove()

    def lies(self, slot: int = 0) -> bool:
        return slot in self._on and self._on[slot].inserted


@pytest.fixture
def slots(virtual_readers: VirtualReaders) -> Iterator[Slots]:
    slots = Slots(virtual_readers)
    yield slots
    for slot in (0, 1):
        slots.take(slot)
    # pcscd looks every 400 ms; the next test begins with empty readers.
    reader = PcscReader()
    until = time.monotonic() + 5
    while reader.state() is not ReaderState.NO_CARD and time.monotonic() < until:
        time.sleep(0.02)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def bench(server: FakeServer, slots: Slots) -> Iterator[Bench]:
    bench = Bench(
        server,
        server.identity(),
        FakeDesk(),
        PcscReader(),
    )  # type: ignore[arg-type]
    bench.start()
    yield bench
    bench.end()


def word(work: Callable[[], object]) -> Fault:
    with pytest.raises(CardFault) as fault:
        work()
    return fault.value.word


def has_pin(card: SoftwareCard, pin: str) -> bool:
    return card.memory.pin_hash == hashlib.sha256(pin.encode()).digest()[:16]


# Whole jobs


@pytest.mark.parametrize(
    "profile", [Profile(), JAVACARD, Profile(keep_alives=1)], ids=["2.1", "java", "slow"]
)
def test_a_card_is_enrolled_over_pcsc(bench: Bench, slots: Slots, profile: Profile) -> None:
    job = bench.server.enrol(PIN, tap_seconds=30)
    bench.saw("tap")
    card = slots.lay(SoftwareCard(profile))
    bench.finish(job)
    assert (job.fault, job.step, job.forced) == (None, "done", True)
    assert job.event("card")["uid"] == card.uid.hex()
    assert card.memory.force_pin_change


def test_from_enrolment_to_sign_in_over_pcsc(bench: Bench, slots: Slots) -> None:
    card = slots.lay(SoftwareCard())
    enrolled = bench.finish(bench.server.enrol(PIN, tap_seconds=30))
    bench.desk.pins, bench.desk.new_pins = [PIN], ["my own pin"]
    changed = bench.finish(bench.server.send(FakeJob("change_pin", tap_seconds=30)))
    assert (changed.fault, changed.step) == (None, "done")
    bench.desk.pins = ["my own pin"]
    assert bench.finish(bench.server.sign_in(enrolled, tap_seconds=30)).signed_in
    wiped = bench.finish(bench.server.send(FakeJob("reset", tap_seconds=30)))
    assert (wiped.fault, wiped.step) == (None, "done")
    assert card.memory.pin_hash is None


@pytest.mark.req("R20")
def test_a_card_pulled_at_any_apdu_is_finished_over_pcsc(bench: Bench, slots: Slots) -> None:
    """Before the card executes it and after, in turns: tests/reader cuts each one both ways."""
    counting = CountingCard()
    slots.lay(counting)
    assert bench.finish(bench.server.enrol(PIN, tap_seconds=30)).step == "done"
    last = counting.apdus
    assert last > 20
    slots.take()
    for number in range(1, last + 1):
        card = slots.lay(SoftwareCard(faults=Faults(die_at=number, die_executed=number % 2 == 0)))
        job = bench.server.enrol(PIN, tap_seconds=30)
        runs = 1
        until = time.monotonic() + 30
        while job.step != "done":
            where = f"APDU {number} of {last}: {job.story} {job.fault}"
            assert time.monotonic() < until, where
            if not slots.lies():
                card.faults = Faults()
                slots.lay(card)
            if job.ended.wait(0.02) and job.fault is not None:
                assert job.fault["fault"] == Fault.CARD_REMOVED, where
                bench.server.send(job)
                runs += 1
        where = f"APDU {number} of {last}: {job.story}"
        assert runs <= 2, where
        assert job.forced is True, where
        assert has_pin(card, PIN), where
        assert card.memory.pin_retries == 8, where
        assert job.credential_id in [one.credential_id for one in card.memory.credentials], where
        slots.take()


def test_a_program_of_its_own_enrols_a_card(
    server: FakeServer, slots: Slots, tmp_path: Path
) -> None:
    server.identity().save(tmp_path)
    command = [sys.executable, "-m", "reader", "run", "--headless", "--state", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        card = slots.lay(SoftwareCard())
        job = server.enrol(PIN, tap_seconds=30)
        assert job.ended.wait(20), job.story
        assert (job.fault, job.step) == (None, "done")
        assert server.polls[0]["state"] in ("no_card", "card")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr is not None
        log = process.stderr.read()
        process.stderr.close()
    assert "Traceback" not in log
    assert PIN not in log
    assert card.uid.hex() not in log


def test_the_doctor_and_info_look_at_a_real_reader(slots: Slots, tmp_path: Path) -> None:
    card = slots.lay(SoftwareCard(Profile(pin=PIN)))
    reader = PcscReader(slots.names[0])
    wait_until(lambda: reader.state() is ReaderState.CARD)  # pcscd looks every 400 ms
    for command in (["info", "--json"], ["doctor", "--json", "--state", str(tmp_path)]):
        ended = subprocess.run(
            [sys.executable, "-m", "reader", *command], capture_output=True, text=True, timeout=30
        )
        told = json.loads(ended.stdout)
        assert ended.stderr == ""
        if "findings" in told:
            first = [one for one in told["findings"] if one["reader"] == slots.names[0]]
            found = {one["name"]: one["ok"] for one in first}
            assert (found["card"], found["fido2"], found["pin"]) == (True, True, True)
        else:
            assert (told["uid"], told["reader"]) == (card.uid.hex(), slots.names[0])


def test_a_card_is_simulated_by_the_program_itself(
    virtual_readers: VirtualReaders, slots: Slots
) -> None:
    command = [sys.executable, "-m", "reader", "simulate", "--set", f"pin={PIN}"]
    command += ["--vpcd", f"127.0.0.1:{virtual_readers.ports[0]}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert "lies on the reader" in process.stdout.readline()
        session = PcscReader().wait_for_card(10, never)
        assert Card(session.device).has_pin
        session.close()
        for line, said in (
            ("fault delay=0.01 storage_full", "faults: delay=0.01 storage_full\n"),
            ("fault die_at=soon", "die_at: a whole number, also as 0x33\n"),
            ("remove", "off the reader\n"),
        ):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            assert process.stdout.readline() == said
        process.stdin.write("state\n")
        process.stdin.flush()
        state = json.loads(process.stdout.readline())
        assert (state["on_the_reader"], state["pin_set"]) == (False, True)
        assert state["faults"] == ["delay=0.01", "storage_full=true"]
        process.stdin.write("quit\n")
        process.stdin.flush()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()


# Cards


@pytest.mark.parametrize(
    ("profile", "fault"),
    [(BADGE, Fault.NOT_FIDO), (U2F_ONLY, Fault.U2F_ONLY)],
    ids=["badge", "u2f"],
)
def test_cards_without_fido2_are_told_apart(slots: Slots, profile: Profile, fault: Fault) -> None:
    card = slots.lay(SoftwareCard(profile))
    session = PcscReader().wait_for_card(10, never)
    try:
        assert session.uid == card.uid
        assert word(lambda: Card(session.device)) is fault
    finally:
        session.close()


def test_garbage_is_garbage(slots: Slots) -> None:
    slots.lay(SoftwareCard(faults=Faults(garbage=True)))
    session = PcscReader().wait_for_card(10, never)
    assert word(lambda: Card(session.device)) is Fault.GARBAGE
    session.close()


def test_a_mute_card_is_given_up_after_a_while(slots: Slots) -> None:
    slots.lay(SoftwareCard(faults=Faults(mute=True)))
    assert word(lambda: PcscReader().wait_for_card(10, never)) in (Fault.CARD_MUTE, Fault.NO_CARD)


def test_a_card_taken_away_between_two_commands(slots: Slots) -> None:
    slots.lay(SoftwareCard())
    session = PcscReader().wait_for_card(10, never)
    card = Card(session.device)
    slots.take()
    assert word(card.refresh) is Fault.CARD_REMOVED
    assert word(session.read_uid) is Fault.CARD_REMOVED
    session.close()
    session.close()


def test_a_card_laid_down_again_needs_a_new_session(slots: Slots) -> None:
    card = slots.lay(SoftwareCard())
    reader = PcscReader()
    session = reader.wait_for_card(10, never)
    before = reader.presence()
    slots.take()
    assert reader.wait_for_removal(before, 10, never)
    slots.lay(card)
    while reader.presence() in ("", before):
        time.sleep(0.02)
    assert word(session.read_uid) is Fault.CARD_REMOVED
    session.close()
    again = reader.wait_for_card(10, never)
    assert again.read_uid() == card.uid
    again.close()


def test_the_presence_of_a_card_that_stays_has_one_name(slots: Slots) -> None:
    slots.lay(SoftwareCard())
    reader = PcscReader()
    session = reader.wait_for_card(10, never)
    name = reader.presence()
    assert name
    session.power_cycle()
    Card(session.device)
    session.close()
    time.sleep(1.0)  # two of pcscd's looks
    assert reader.presence() == name


def test_power_is_cut_at_the_end_and_in_between(slots: Slots) -> None:
    card = slots.lay(SoftwareCard(Profile(random_uid=True)))
    session = PcscReader().wait_for_card(10, never)
    before = session.uid
    session.power_cycle()
    assert session.uid != before
    assert session.uid is not None
    assert session.uid[0] == 0x08
    session.close()
    until = time.monotonic() + 5
    while card.powered and time.monotonic() < until:
        time.sleep(0.05)
    assert not card.powered


def test_a_slow_card_is_left_behind_and_the_next_one_served(slots: Slots) -> None:
    reader = PcscReader(seconds=0.5)
    card = slots.lay(SoftwareCard())
    session = reader.wait_for_card(10, never)
    fido = Card(session.device)
    card.faults = Faults(delay=20)
    began = time.monotonic()
    assert word(fido.refresh) is Fault.TIMEOUT
    session.close()
    assert time.monotonic() - began < 3
    slots.take()
    slots.lay(SoftwareCard())
    again = reader.wait_for_card(15, never)
    assert not Card(again.device).has_pin
    again.close()


@pytest.mark.parametrize(
    "mode", [SCARD_SHARE_EXCLUSIVE, SCARD_SHARE_SHARED], ids=["exclusive", "shared"]
)
def test_a_card_in_other_hands_is_busy(slots: Slots, mode: int) -> None:
    """Also one that another program merely shares: nobody may listen while a PIN is set."""
    slots.lay(SoftwareCard())
    reader = PcscReader()
    reader.wait_for_card(10, never).close()
    other = PCSCCardConnection(slots.names[0])
    other.connect(mode=mode)
    try:
        assert word(lambda: reader.wait_for_card(10, never)) is Fault.CARD_BUSY
        if mode == SCARD_SHARE_EXCLUSIVE:
            assert reader.state() is ReaderState.BUSY
    finally:
        other.disconnect()
        other.release()
    reader.wait_for_card(10, never).close()


def test_a_card_that_is_let_go_in_time_is_taken(slots: Slots) -> None:
    slots.lay(SoftwareCard())
    reader = PcscReader()
    reader.wait_for_card(10, never).close()
    other = PCSCCardConnection(slots.names[0])
    other.connect(mode=SCARD_SHARE_EXCLUSIVE)

    def let_go() -> None:
        other.disconnect()
        other.release()

    timer = threading.Timer(0.7, let_go)
    timer.start()
    session = reader.wait_for_card(10, never)
    timer.join()
    assert not Card(session.device).has_pin
    session.close()


def test_no_other_program_gets_a_card_that_a_job_holds(slots: Slots) -> None:
    slots.lay(SoftwareCard())
    session = PcscReader().wait_for_card(10, never)
    assert word(lambda: PcscSession(slots.names[0], 5.0)) is Fault.CARD_BUSY
    session.close()
    PcscSession(slots.names[0], 5.0).close()


# Readers


def test_a_tap_chooses_one_of_two_readers(slots: Slots) -> None:
    reader = PcscReader()
    card = slots.lay(SoftwareCard(), slot=1)
    session = reader.wait_for_card(10, never)
    assert (session.uid, reader.name) == (card.uid, slots.names[1])
    session.close()


@pytest.mark.parametrize("held", [False, True], ids=["badge", "in-other-hands"])
def test_a_card_that_lies_in_another_reader_for_ever_is_no_tap(
    slots: Slots, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a token in a USB socket, or an employee's badge in the keyboard."""
    monkeypatch.setattr(transport, "_FURNITURE_AFTER", 0.2)
    slots.lay(SoftwareCard(Profile() if held else BADGE), slot=0)
    reader = PcscReader()
    while slots.names[0] not in reader.presence():
        time.sleep(0.02)
    time.sleep(0.3)
    other = PCSCCardConnection(slots.names[0])
    if held:
        other.connect(mode=SCARD_SHARE_EXCLUSIVE)
    try:
        expected = Fault.CARD_BUSY if held else Fault.NO_CARD
        assert word(lambda: reader.wait_for_card(4.0, never)) is expected
        timer = threading.Timer(0.3, slots.lay, [SoftwareCard(), 1])
        timer.start()
        session = reader.wait_for_card(10, never)
        assert session.reader == slots.names[1]
        assert not Card(session.device).has_pin
        session.close()
    finally:
        other.disconnect()
        other.release()


def test_a_badge_that_is_tapped_is_no_key_however_many_readers_there_are(slots: Slots) -> None:
    reader = PcscReader()
    slots.lay(SoftwareCard(BADGE))
    while reader.state() is not ReaderState.CARD:
        time.sleep(0.02)
    session = reader.wait_for_card(10, never)
    assert word(lambda: Card(session.device)) is Fault.NOT_FIDO
    session.close()


def test_a_named_reader_is_the_only_one(slots: Slots) -> None:
    first, second = PcscReader("00 00"), PcscReader(slots.names[1].lower())
    card = slots.lay(SoftwareCard(), slot=1)
    session = second.wait_for_card(10, never)
    assert session.uid == card.uid
    assert first.state() is ReaderState.NO_CARD
    assert word(lambda: first.wait_for_card(0.3, never)) is Fault.NO_CARD
    assert (first.name, second.name) == slots.names
    session.close()
    assert PcscReader("no such reader").state() is ReaderState.NO_READER
    assert word(lambda: PcscReader("none").wait_for_card(0.3, never)) is Fault.NO_READER


def test_a_reader_chosen_at_the_desk_is_the_only_one_from_then_on(
    server: FakeServer, slots: Slots, tmp_path: Path
) -> None:
    choice, desk, stop = ReaderChoice(tmp_path), FakeDesk(), threading.Event()
    station = Station(server.identity(), desk, PcscReader(), choice)
    working = threading.Thread(target=station.run, args=(stop,))
    working.start()
    try:
        wait_until(lambda: choice.offered == slots.names)
        choice.choose(slots.names[1])
        wait_until(lambda: bool(desk.states) and desk.states[-1].reader == slots.names[1])
        job = server.enrol(PIN)
        wait_until(lambda: desk.states[-1].step == "tap")
        stranger = slots.lay(SoftwareCard(), 0)
        own = slots.lay(SoftwareCard(), 1)
        assert job.ended.wait(20)
        assert (job.step, len(own.memory.credentials)) == ("done", 1)
        assert stranger.memory.pin_hash is None
        assert {one["name"] for one in server.polls[-1]["readers"]} == set(slots.names)
    finally:
        stop.set()
        working.join(20)


def test_two_desks_work_side_by_side(server: FakeServer, slots: Slots) -> None:
    """Two stations on one computer, each with its reader; the second holds its own card."""
    reader, other = PcscReader("00 00"), PcscReader("00 01")
    slots.lay(SoftwareCard(), slot=0)
    slots.lay(SoftwareCard(), slot=1)
    first, second = reader.wait_for_card(10, never), other.wait_for_card(10, never)
    for session in (first, second):
        card = Card(session.device)
        card.set_pin(PIN)
        assert card.has_pin
    first.close()
    second.close()


def test_a_wait_can_be_given_up(slots: Slots) -> None:
    over = threading.Event()
    threading.Timer(0.3, over.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        PcscReader().wait_for_card(30, over.is_set)
    assert time.monotonic() - began < 2


def test_a_tap_is_seen_soon(slots: Slots) -> None:
    reader = PcscReader()
    taken: list[float] = []
    for _ in range(3):
        timer = threading.Timer(0.2, slots.lay, [SoftwareCard()])
        began = time.monotonic()
        timer.start()
        reader.wait_for_card(10, never).close()
        taken.append(time.monotonic() - began - 0.2)
        slots.take()
        reader.wait_for_removal(reader.presence(), 10, never)
    assert min(taken) < 1.5, taken


# The service


@pytest.fixture
def restartable(virtual_readers: VirtualReaders, slots: Slots) -> Iterator[VirtualReaders]:
    yield virtual_readers
    for slot in (0, 1):
        slots.take(slot)
    virtual_readers.stop()
    virtual_readers.start()


def test_a_wait_survives_a_restart_of_the_service(
    restartable: VirtualReaders, slots: Slots
) -> None:
    reader = PcscReader()
    assert reader.state() is ReaderState.NO_CARD
    sessions: list[PcscSession] = []
    # The waiting is done beside: pcscd dies with the thread that started it.
    thread = threading.Thread(target=lambda: sessions.append(reader.wait_for_card(20, never)))
    thread.start()
    time.sleep(0.4)
    restartable.stop()
    time.sleep(0.4)
    assert PcscReader().state() is ReaderState.NO_SERVICE
    restartable.start()
    slots.lay(SoftwareCard())
    thread.join(25)
    assert not Card(sessions[0].device).has_pin
    sessions[0].close()


def test_a_whole_station_survives_it_too(
    restartable: VirtualReaders, slots: Slots, bench: Bench
) -> None:
    bench.saw("ready")
    restartable.stop()
    assert "not running" in bench.saw("no_reader").text
    job = bench.server.enrol(PIN, tap_seconds=30)
    bench.saw("tap")
    restartable.start()
    slots.lay(SoftwareCard())
    bench.finish(job, 30)
    assert (job.fault, job.step) == (None, "done")


def test_a_service_that_dies_in_the_middle_is_a_fault(
    restartable: VirtualReaders, slots: Slots
) -> None:
    card = slots.lay(SoftwareCard())
    session = PcscReader().wait_for_card(10, never)
    fido = Card(session.device)
    card.faults = Faults(delay=2)
    threading.Timer(0.3, restartable.kill).start()
    assert word(fido.refresh) is Fault.NO_SERVICE
    session.close()
    card.faults = Faults()
    assert PcscReader().state() is ReaderState.NO_SERVICE
    assert word(lambda: PcscReader().wait_for_card(0.3, never)) is Fault.NO_SERVICE


def test_without_a_service_the_program_says_so(tmp_path: Path) -> None:
    environment = {**os.environ, "PCSCLITE_CSOCK_NAME": "/nonexistent"}
    ended = subprocess.run(
        [sys.executable, "-m", "reader", "doctor", "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
    )
    assert ended.returncode == 1
    assert "PC/SC) is not running" in ended.stdout
    assert ended.stderr == ""
