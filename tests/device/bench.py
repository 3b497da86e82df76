# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""Server, station and reader of the tests that pull cards over pcscd."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fido2 import cbor
from fido2.cose import CoseKey

from provisioning import keys
from provisioning.audit import CLI
from provisioning.desks import jobs, orders, stations
from provisioning.issuing import pins
from provisioning.lifecycle import JobState, KeyKind
from provisioning.models import Credential, Job, SecurityKey
from provisioning.models import Station as PairedStation
from provisioning.services import Services
from provisioning.storage.db import transaction
from reader.card_reader import CardReader
from reader.desk import Desk, HeadlessDesk
from reader.pairing import pair
from reader.simulator import (
    CardRemoved,
    Faults,
    Profile,
    SoftwareCard,
)
from reader.simulator.vpcd import VpcdCard
from reader.station import Station
from tests.fakes.desk import pairing_code
from tests.fakes.people import person
from tests.reader.simulator.ceremony import Platform

RP_ID = "localhost"
PATIENCE = 60.0
SETTLE_SECONDS = 0.1  # pcscd is in haste


class VirtualSlots:
    """Two slots of one virtual reader, in turn: a slot needs rest after a pulled card."""

    def __init__(self, ports: tuple[int, int]) -> None:
        self._ports = ports
        self._slot: VpcdCard | None = None
        self._turn = 0

    def lay(self, card: SoftwareCard) -> None:
        self._turn += 1
        self._slot = VpcdCard(card, port=self._ports[self._turn % 2])
        self._slot.insert(settle=SETTLE_SECONDS)

    def take_away(self) -> None:
        if self._slot is not None:
            self._slot.remove()


@dataclass
class Bench:
    """The server, a station at it, and the place for cards."""

    services: Services
    station: PairedStation
    tray: VirtualSlots

    def enrol(self, name: str) -> tuple[Job, str]:
        """Queue the assignment of a new person's card; returns the PIN made for it."""
        user = person(name)
        with transaction():
            key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "user", user=user, actor=CLI)
            keys.assign(key, user, CLI)
            job = orders.queue_enrolment(self.station, key, self.services, CLI)
        return job, pins.unseal(self.services.vault, job)


@contextmanager
def at_work(
    server: str,
    services: Services,
    reader: CardReader,
    tray: VirtualSlots,
    desk: Desk | None = None,
) -> Iterator[Bench]:
    """A paired station that runs until the block ends; at a kiosk unless there is a desk."""
    identity = pair(server, pairing_code(services), "Desk NFC")
    stop = threading.Event()
    station = Station(identity, desk or HeadlessDesk(), reader)
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


def assert_signs(card: Platform, key: SecurityKey, pin: str) -> None:
    """The card holds one credential of ours, and the server has its public key."""
    row = Credential.get(Credential.key == key)
    challenge = secrets.token_bytes(32)
    token = card.client_pin.get_pin_token(pin, 0x02, RP_ID)
    (answer,) = card.ctap.get_assertions(RP_ID, challenge, **card.mac(token, challenge))
    assert bytes(answer.credential["id"]) == bytes(row.credential_id)
    answer.verify(challenge, CoseKey.parse(cbor.decode(bytes(row.public_key))))


def goes_on_waiting(job: Job) -> bool:
    """Whether the station took the pulled card for none at all, as far as it has said so far."""
    end = time.monotonic() + 0.3  # on a busy machine a fault may come later: see `tap_until_over`
    while (now := fresh(job)).state == JobState.RUNNING:
        if jobs.card_of(now).get("at") != "waiting":
            return False
        if time.monotonic() > end:
            return True
        time.sleep(0.02)
    return False


def tap_until_over(bench: Bench, card: SoftwareCard, newest: Callable[[], Job]) -> None:
    """Tap the card until its job is over; one that breaks off goes on with the next tap.

    It breaks off for no other reason than the pull before, of which the station may say so late.
    The card is left where it lies.
    """
    for _ in range(3):
        if (now := newest()).state == JobState.INTERRUPTED:
            assert now.fault == "card_removed", now.fault
            with transaction():
                jobs.requeue(now, CLI)
        bench.tray.lay(card)
        wait_until(lambda: newest().state not in (JobState.QUEUED, JobState.RUNNING))
        if newest().state != JobState.INTERRUPTED:
            return
        bench.tray.take_away()
    raise AssertionError("it breaks off again and again")


def fresh_station(bench: Bench) -> PairedStation:
    return stations.living(bench.station.resource_id)


def fresh(job: Job) -> Job:
    return jobs.get(job.resource_id)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
