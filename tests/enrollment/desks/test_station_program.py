# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The reader program itself, with a software card, against this server over HTTP."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask

from provisioning import audit, directory, keys
from provisioning.app import create_app
from provisioning.audit import CLI
from provisioning.desks import jobs, orders, stations
from provisioning.desks.jobs import Wipe
from provisioning.lifecycle import JobState, KeyKind, KeyState
from provisioning.models import Job, OutboxMail, SecurityKey, User
from provisioning.panel import sign_in
from provisioning.services import Services
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from provisioning.storage.migrate import migrate
from provisioning.vault import Vault
from reader.desk import DeskState, Question
from reader.pairing import pair
from reader.server import ServerRefused
from reader.simulator import SIMULATOR_AAGUID, Faults, Profile, SoftwareCard, root_pem
from reader.software_reader import SoftwareReader
from reader.station import Station, StationRevoked
from tests.fakes.desk import pairing_code
from tests.fakes.live_server import LiveServer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost"])


@dataclass
class Person:
    """Sits at the desk: types these PINs, says yes."""

    attended: bool = True
    pin: str | None = None
    new_pin: str | None = None
    states: list[DeskState] = field(default_factory=list)

    def show(self, state: DeskState) -> None:
        self.states.append(state)

    def ask_pin(self, question: Question) -> str | None:
        return self.pin

    def ask_new_pin(self, question: Question) -> str | None:
        return self.new_pin

    def confirm(self, question: Question) -> bool:
        return True


@pytest.fixture
def services(tmp_path: Path, vault: Vault) -> Iterator[Services]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    roots = tmp_path / "roots"
    roots.mkdir()
    (roots / f"{SIMULATOR_AAGUID}.pem").write_bytes(root_pem())
    settings = load(
        tmp_path,
        base_url=f"http://localhost:{port}",
        organisation="Example Hospital",
        demo=True,
        attestation_roots=roots,
    )
    opened = open_database(settings.database_url)
    migrate(opened)
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def live(app: Flask, services: Services) -> Iterator[str]:
    port = int(services.settings.base_url.rsplit(":", 1)[1])
    with LiveServer(app, port):
        yield services.settings.base_url


@dataclass
class Bench:
    """A paired station at work."""

    station_id: str
    person: Person
    reader: SoftwareReader
    stop: threading.Event
    ended: list[BaseException]


@pytest.fixture
def bench(live: str, services: Services) -> Iterator[Bench]:
    identity = pair(live, pairing_code(services), "Desk NFC")
    made = Bench(identity.station_id, Person(), SoftwareReader(), threading.Event(), [])
    station = Station(identity, made.person, made.reader)

    def run() -> None:
        try:
            station.run(made.stop)
        except StationRevoked as error:
            made.ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield made
    made.stop.set()
    thread.join(10)
    assert not thread.is_alive()


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def ended(job: Job) -> bool:
    return jobs.get(job.resource_id).state not in (JobState.QUEUED, JobState.RUNNING)


def ada() -> User:
    document = {
        "userName": "ada",
        "displayName": "Ada Lovelace",
        "active": True,
        "emails": [{"value": "ada@example.org", "primary": True}],
    }
    with transaction():
        return directory.create_user(document, connection=None, actor=CLI)


def enrolment(bench: Bench, services: Services, *, own_pin: bool = False) -> Job:
    return enrolment_of(ada(), bench, services, own_pin=own_pin)


def enrolment_of(user: User, bench: Bench, services: Services, *, own_pin: bool = False) -> Job:
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card of Ada", "user", user=user, actor=CLI)
        keys.assign(key, user, CLI)
        return orders.queue_enrolment(
            stations.living(bench.station_id), key, services, CLI, own_pin=own_pin
        )


def has_pin(card: SoftwareCard, pin: str) -> bool:
    return card.memory.pin_hash == hashlib.sha256(pin.encode()).digest()[:16]


def test_from_the_tap_to_the_changed_pin_to_a_sign_in(bench: Bench, services: Services) -> None:
    card = SoftwareCard()
    until(lambda: stations.shown_state(stations.living(bench.station_id)) == "ready")

    job = enrolment(bench, services)
    until(lambda: jobs.card_of(jobs.get(job.resource_id)).get("at") == "waiting")
    bench.reader.insert(card)
    until(lambda: ended(job))
    job = jobs.get(job.resource_id)
    assert (job.state, job.fault) == (JobState.DONE, None), job.card
    key = SecurityKey.get()
    assert key.state == KeyState.ACTIVE
    assert key.pin_change_forced is True
    assert key.aaguid == str(SIMULATOR_AAGUID)
    assert card.memory.force_pin_change

    mail = OutboxMail.get(OutboxMail.template == "pin")
    pin = services.vault.unseal(bytes(mail.sealed_secret), mail.message_id).decode()
    assert has_pin(card, pin)

    bench.person.pin, bench.person.new_pin = pin, "739154"
    with transaction():
        change = orders.queue_pin_change(stations.living(bench.station_id), key, CLI)
    until(lambda: ended(change))
    assert jobs.get(change.resource_id).state == JobState.DONE
    assert has_pin(card, "739154")
    assert SecurityKey.get().pin_change_forced is False

    bench.person.pin = "739154"
    with transaction():
        asked = orders.queue_assertion(
            stations.living(bench.station_id), CLI, purpose=sign_in.USER, binding="browser"
        )
    until(lambda: ended(asked))
    asked = jobs.get(asked.resource_id)
    assert (asked.state, asked.fault) == (JobState.DONE, None), asked.card
    assert asked.user == User.get()
    assert any(state.code == asked.code for state in bench.person.states)
    assert SecurityKey.get().confirmed_at is not None


@pytest.mark.req("R20")
def test_a_pulled_card_is_finished_at_the_next_tap(bench: Bench, services: Services) -> None:
    card = SoftwareCard(faults=Faults(die_command=0x01, die_at=1))
    job = enrolment(bench, services)
    bench.reader.insert(card)
    until(lambda: ended(job))
    stopped = jobs.get(job.resource_id)
    assert stopped.state == JobState.INTERRUPTED
    assert SecurityKey.get().state == KeyState.PENDING
    bench.reader.remove()
    card.faults = Faults()
    with transaction():
        jobs.requeue(stopped, CLI)
    bench.reader.insert(card)
    until(lambda: ended(job))
    assert jobs.get(job.resource_id).fault is None
    assert SecurityKey.get().state == KeyState.ACTIVE


def test_an_own_pin_never_leaves_the_desk(bench: Bench, services: Services) -> None:
    card = SoftwareCard()
    bench.person.new_pin = "739154"
    job = enrolment(bench, services, own_pin=True)
    bench.reader.insert(card)
    until(lambda: ended(job))
    assert jobs.get(job.resource_id).fault is None
    assert has_pin(card, "739154")
    assert not card.memory.force_pin_change
    assert OutboxMail.select().where(OutboxMail.template == "pin").count() == 0
    told = json.dumps([job.__data__ for job in Job.select()], default=str)
    assert "739154" not in told


def test_a_forgotten_pin_costs_one_yes_and_one_tap(bench: Bench, services: Services) -> None:
    card = SoftwareCard(Profile(pin="771199"))
    user = ada()
    job = enrolment_of(user, bench, services)
    bench.reader.insert(card)
    until(lambda: ended(job))
    assert jobs.get(job.resource_id).fault == "pin_present"
    with transaction():
        wipe = orders.queue_reset(
            stations.living(bench.station_id), SecurityKey.get(), services, CLI, Wipe.BLANK
        )
    until(lambda: ended(wipe) and ended(job))
    assert jobs.get(job.resource_id).state == JobState.DONE
    key = SecurityKey.get()
    assert key.state == KeyState.ACTIVE
    first = card.memory.pin_hash

    with transaction():
        wipe = orders.queue_reset(stations.living(bench.station_id), key, services, CLI, Wipe.AGAIN)
    until(lambda: ended(wipe) and SecurityKey.get().state == KeyState.ACTIVE)
    assert jobs.get(wipe.resource_id).fault is None
    assert len(card.memory.credentials) == 1
    assert card.memory.pin_hash != first

    with transaction():
        wipe = orders.queue_reset(stations.living(bench.station_id), key, services, CLI, Wipe.STOCK)
    until(lambda: ended(wipe))
    assert (SecurityKey.get().state, card.memory.pin_hash) == (KeyState.REVOKED, None)


def test_a_job_cancelled_on_the_page_lets_the_station_go(bench: Bench, services: Services) -> None:
    job = enrolment(bench, services)
    until(lambda: jobs.card_of(jobs.get(job.resource_id)).get("at") == "waiting")
    with transaction():
        jobs.cancel(jobs.get(job.resource_id), CLI)
    until(lambda: stations.shown_state(stations.living(bench.station_id)) == "ready")
    assert any("cancelled" in state.text for state in bench.person.states)


def test_a_wrong_code_pairs_nothing(live: str, services: Services) -> None:
    code = pairing_code(services)
    with pytest.raises(ServerRefused) as refused:
        pair(live, f"{(int(code) + 1) % 10**8:08d}", "Desk")
    assert refused.value.error == "pairing_code"
