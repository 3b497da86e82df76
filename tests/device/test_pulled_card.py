# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""A card pulled at each APDU of its enrolment, with station and server: over a real pcscd, and
for other kinds of card on a reader in this process.

Each APDU is cut twice: before the card executes it, and after it has, with the answer lost.
Whatever the moment, no key may be active whose card does not work, and the next tap of the same
card must finish it with the same PIN.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import pytest
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.ctap import CtapError
from werkzeug.serving import make_server

from provisioning import audit, faults, jobs, keys, orders, pins, stations
from provisioning.app import create_app
from provisioning.audit import CLI
from provisioning.db import database, open_database, transaction
from provisioning.faults import Next
from provisioning.lifecycle import JobState, KeyKind, KeyState
from provisioning.mail import Template
from provisioning.migrate import migrate
from provisioning.models import Credential, Job, OutboxMail, SecurityKey
from provisioning.models import Station as PairedStation
from provisioning.services import Services
from provisioning.settings import load
from provisioning.vault import Vault
from reader.card_reader import CardReader
from reader.desk import HeadlessDesk
from reader.pairing import pair
from reader.simulator import (
    CTAP_2_0,
    SIMULATOR_AAGUID,
    CardRemoved,
    Faults,
    Profile,
    SoftwareCard,
    root_pem,
)
from reader.simulator.profile import NO_FAULTS
from reader.simulator.vpcd import VpcdCard
from reader.software_reader import SoftwareReader
from reader.station import Station
from reader.transport import PcscReader
from tests.fakes.desk import pairing_code
from tests.fakes.pcscd import READER_NAME, VirtualReaders
from tests.fakes.people import person
from tests.reader.simulator.ceremony import Platform, tap

pytestmark = [pytest.mark.device, pytest.mark.enable_socket, pytest.mark.req("R20")]

RP_ID = "localhost"
OWN_PIN = "739154"
PATIENCE = 20.0


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, vault: Vault) -> Iterator[Services]:
    """A database and settings that live as long as all the cases."""
    folder = tmp_path_factory.mktemp("pulled")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    roots = folder / "roots"
    roots.mkdir()
    (roots / f"{SIMULATOR_AAGUID}.pem").write_bytes(root_pem())
    settings = load(folder, base_url=f"http://localhost:{port}", demo=True, attestation_roots=roots)
    opened = open_database(settings.database_url)
    migrate(opened)
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


class Tray(Protocol):
    """Where a test lays its cards."""

    def lay(self, card: SoftwareCard) -> None: ...

    def take_away(self) -> None: ...


class VirtualSlots:
    """Two slots of one virtual reader, in turn: a slot needs rest after a pulled card."""

    def __init__(self, ports: tuple[int, int]) -> None:
        self._ports = ports
        self._slot: VpcdCard | None = None
        self._turn = 0

    def lay(self, card: SoftwareCard) -> None:
        self._turn += 1
        self._slot = VpcdCard(card, port=self._ports[self._turn % 2])
        self._slot.insert()

    def take_away(self) -> None:
        if self._slot is not None:
            self._slot.remove()


class InProcess:
    """The software reader, which reads APDUs as well."""

    def __init__(self) -> None:
        self.reader = SoftwareReader()

    def lay(self, card: SoftwareCard) -> None:
        self.reader.insert(card)

    def take_away(self) -> None:
        self.reader.remove()


@dataclass
class Bench:
    """The server, a station at it, and the place for cards."""

    services: Services
    station: PairedStation
    tray: Tray

    def enrol(self, name: str) -> tuple[Job, str]:
        """Queue the assignment of a new person's card; returns the PIN made for it."""
        user = person(name)
        with transaction():
            key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "user", user=user, actor=CLI)
            keys.assign(key, user, CLI)
            job = orders.queue_enrolment(self.station, key, self.services, CLI)
        return job, pins.unseal(self.services.vault, job)


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[str]:
    base_url = services.settings.base_url
    made = make_server(
        "localhost", int(base_url.rsplit(":", 1)[1]), create_app(services), threaded=True
    )
    made.daemon_threads = True
    serving = threading.Thread(target=made.serve_forever)
    serving.start()
    yield base_url
    made.shutdown()
    serving.join(30)
    made.server_close()


@contextmanager
def at_work(server: str, services: Services, reader: CardReader, tray: Tray) -> Iterator[Bench]:
    """A paired station that runs until the block ends."""
    identity = pair(server, pairing_code(services), "Desk NFC")
    stop = threading.Event()
    station = Station(identity, HeadlessDesk(), reader)
    working = threading.Thread(target=station.run, args=(stop,))
    working.start()
    try:
        yield Bench(services, stations.living(identity.station_id), tray)
    finally:
        tray.take_away()
        stop.set()
        working.join(30)
        assert not working.is_alive()


class CountingCard(SoftwareCard):
    """Counts the APDUs that reach it."""

    apdus = 0

    def transmit(self, apdu: bytes) -> bytes:
        self.apdus += 1
        return super().transmit(apdu)


class MortalCard(SoftwareCard):
    """Tells when it left the field in the middle of an APDU."""

    def __init__(self, profile: Profile, faults: Faults) -> None:
        super().__init__(profile, faults)
        self.died = threading.Event()

    def transmit(self, apdu: bytes) -> bytes:
        try:
            return super().transmit(apdu)
        except CardRemoved:
            self.died.set()
            raise


def test_over_pcscd_a_pulled_card_is_finished_by_the_next_tap_with_the_same_pin(
    server: str,
    services: Services,
    virtual_readers: VirtualReaders,
    capsys: pytest.CaptureFixture[str],
) -> None:
    slots = VirtualSlots(virtual_readers.ports)
    with at_work(server, services, PcscReader(READER_NAME), slots) as bench:
        told = pull_at_every_moment(bench, Profile(), tap_again)
    with capsys.disabled():
        print(f"\nover pcscd: {told}")


@pytest.mark.parametrize(
    ("kind", "profile"),
    [
        ("CTAP 2.0, which cannot force a change", CTAP_2_0),
        ("a random UID at each tap", Profile(random_uid=True)),
    ],
)
def test_other_kinds_of_card_are_finished_by_the_next_tap_too(
    server: str,
    services: Services,
    kind: str,
    profile: Profile,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tray = InProcess()
    with at_work(server, services, tray.reader, tray) as bench:
        told = pull_at_every_moment(bench, profile, tap_again)
    with capsys.disabled():
        print(f"\n{kind}: {told}")


def test_who_gives_up_after_a_pull_has_a_key_that_needs_a_reset_and_never_an_active_one(
    server: str, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    tray = InProcess()
    with at_work(server, services, tray.reader, tray) as bench:
        told = pull_at_every_moment(bench, Profile(), give_up)
    with capsys.disabled():
        print(f"\ncancelled instead: {told}")


Case = Callable[["Bench", Profile, int, bool], str]


def pull_at_every_moment(bench: Bench, profile: Profile, then: Case) -> str:
    """All cases with one kind of card; returns what was met, in figures."""
    whole = CountingCard(profile)
    job, pin = bench.enrol("whole-" + secrets.token_hex(4))
    bench.tray.lay(whole)
    wait_until(lambda: fresh(job).state == JobState.DONE)
    count = whole.apdus
    assert_works(fresh(job), whole, pin, bench)
    bench.tray.take_away()
    met: Counter[str] = Counter()
    for number in range(1, count + 1):
        for executed in (False, True):
            case = f"APDU {number} of {count}, {'after' if executed else 'before'} execution"
            try:
                met[then(bench, profile, number, executed)] += 1
            except AssertionError as error:
                raise AssertionError(f"{case}: {error}") from error
    assert met.total() == 2 * count > 30
    return f"{2 * count} moments to pull a card at ({count} APDUs): {dict(met)}"


def tap_again(bench: Bench, profile: Profile, number: int, executed: bool) -> str:
    """Pull the card, tap it again; returns what the server said of the pulled card."""
    job, pin, card = pull(bench, profile, number, executed)
    assert pins.unseal(bench.services.vault, job) == pin
    assert not OutboxMail.select().where(OutboxMail.key == job.key).exists(), "a mail is out early"
    said = "still waiting for a card"
    if job.state != JobState.RUNNING:
        fault = faults.of(job.fault)
        assert fault.word == "card_removed", fault.word
        assert Next.TRY_AGAIN in fault.steps
        said = fault.word
        with transaction():
            jobs.requeue(job, CLI)
    card.faults = NO_FAULTS
    bench.tray.lay(card)
    wait_until(lambda: fresh(job).state not in (JobState.QUEUED, JobState.RUNNING))
    assert_works(fresh(job), card, pin, bench)
    bench.tray.take_away()
    return said


def give_up(bench: Bench, profile: Profile, number: int, executed: bool) -> str:
    """Pull the card, cancel the job; returns the key's state."""
    job, _, card = pull(bench, profile, number, executed)
    with transaction():
        jobs.cancel(fresh(job), CLI)
    if job.state == JobState.RUNNING:  # the station hears of it within seconds
        wait_until(lambda: stations.shown_state(fresh_station(bench)) == "ready")
    key = SecurityKey.get_by_id(job.key_id)
    if card.memory.pin_hash is not None or card.memory.credentials:
        assert key.state == KeyState.NEEDS_RESET
    assert key.state in (KeyState.PENDING, KeyState.NEEDS_RESET)
    assert not OutboxMail.select().where(OutboxMail.key == key).exists()
    return str(key.state)


def pull(
    bench: Bench, profile: Profile, number: int, executed: bool
) -> tuple[Job, str, SoftwareCard]:
    """Start an assignment and lose the card at one APDU; the key is pending, whatever happened."""
    job, pin = bench.enrol("pulled-" + secrets.token_hex(4))
    card = MortalCard(profile, Faults(die_at=number, die_executed=executed))
    bench.tray.lay(card)
    wait_until(card.died.is_set)
    bench.tray.take_away()
    wait_until(lambda: fresh(job).state != JobState.RUNNING or goes_on_waiting(job))
    job = fresh(job)
    assert job.state in (JobState.RUNNING, JobState.INTERRUPTED)
    assert SecurityKey.get_by_id(job.key_id).state == KeyState.PENDING
    return job, pin, card


def assert_works(job: Job, card: SoftwareCard, pin: str, bench: Bench) -> None:
    """The key is active, its PIN is on its way, and the card does with it what it should."""
    assert (job.state, job.fault) == (JobState.DONE, None), (job.state, job.fault, job.card)
    key = SecurityKey.get_by_id(job.key_id)
    assert key.state == KeyState.ACTIVE
    (mail,) = OutboxMail.select().where(OutboxMail.key == key, OutboxMail.template == Template.PIN)
    sealed = bytes(mail.sealed_secret)
    assert bench.services.vault.unseal(sealed, bound_to=mail.message_id).decode() == pin
    # Its memory in another card's body, so that this look leaves the slot alone.
    there = tap(SoftwareCard(card.profile, memory=card.memory, uid=card.uid))
    assert there.client_pin.get_pin_retries()[0] == 8, "a try was spent"
    if card.profile.ctap_2_1:
        with pytest.raises(CtapError) as refused:
            there.token(pin=pin, rp_id=RP_ID)
        assert refused.value.code == CtapError.ERR.PIN_POLICY_VIOLATION
        assert key.pin_change_forced
        there.client_pin.change_pin(pin, OWN_PIN)
        pin = OWN_PIN
    assert_signs(there, key, pin)


def assert_signs(card: Platform, key: SecurityKey, pin: str) -> None:
    """The card holds one credential of ours, and the server has its public key."""
    row = Credential.get(Credential.key == key)
    challenge = secrets.token_bytes(32)
    token = card.client_pin.get_pin_token(pin, 0x02, RP_ID)
    (answer,) = card.ctap.get_assertions(RP_ID, challenge, **card.mac(token, challenge))
    assert bytes(answer.credential["id"]) == bytes(row.credential_id)
    answer.verify(challenge, CoseKey.parse(cbor.decode(bytes(row.public_key))))


def goes_on_waiting(job: Job) -> bool:
    """Whether the station took the pulled card for none at all."""
    end = time.monotonic() + 1.0  # a fault that is on its way is told by then
    while (now := fresh(job)).state == JobState.RUNNING:
        if jobs.card_of(now).get("at") != "waiting":
            return False
        if time.monotonic() > end:
            return True
        time.sleep(0.02)
    return False


def fresh_station(bench: Bench) -> PairedStation:
    return stations.living(bench.station.resource_id)


def fresh(job: Job) -> Job:
    return jobs.get(job.resource_id)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
