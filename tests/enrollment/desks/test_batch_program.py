# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A batch of fifty software cards at one station, with both sides killed at random points."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from provisioning import audit
from provisioning.app import create_app
from provisioning.audit import CLI
from provisioning.desks import batches, desk_events, dispatch, turns
from provisioning.lifecycle import KeyState, TurnState
from provisioning.models import Credential, Job, OutboxMail, SecurityKey, User
from provisioning.models import Station as PairedStation
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from provisioning.storage.migrate import migrate
from provisioning.vault import Vault
from reader import job as job_module
from reader import poller
from reader import station as station_module
from reader.desk import DeskState, Question, Step
from reader.identity import Identity
from reader.pairing import pair
from reader.simulator import SIMULATOR_AAGUID, SoftwareCard, root_pem
from reader.software_reader import SoftwareReader
from reader.station import Station
from tests.fakes.desk import pairing_code
from tests.fakes.live_server import LiveServer
from tests.fakes.people import person

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost"])

PEOPLE = 50
PATIENCE = 150.0  # seconds for all of it
SEED = 20261127


class Killed(BaseException):
    """The process is gone: nothing of ours catches this."""


@pytest.fixture
def services(tmp_path: Path, vault: Vault) -> Iterator[Services]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    roots = tmp_path / "roots"
    roots.mkdir()
    (roots / f"{SIMULATOR_AAGUID}.pem").write_bytes(root_pem())
    settings = load(
        tmp_path, base_url=f"http://localhost:{port}", demo=True, attestation_roots=roots
    )
    migrate(open_database(settings.database_url))
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


class Fate:
    """Decides by dice when something dies; the figures say how often it did."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.met: Counter[str] = Counter()
        self.off = False
        self._lock = threading.Lock()

    def strikes(self, what: str, chance: float) -> bool:
        with self._lock:
            if self.off or self.dice.random() >= chance:
                return False
            self.met[what] += 1
            return True


class FragileServer(LiveServer):
    """The web app, which dies before it hears, after it has committed, or between two commits."""

    def __init__(self, app: Flask, port: int, fate: Fate) -> None:
        super().__init__(app, port)
        self._fate = fate
        self._inner = app.wsgi_app
        app.wsgi_app = self  # type: ignore[assignment, method-assign]
        self.start()

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        if "/events" in environ["PATH_INFO"]:
            if self._fate.strikes("server, before it heard", 0.02):
                return self._gone(start)
            if self._fate.strikes("server, answer lost", 0.02):
                list(self._inner(environ, lambda *_: None))
                return self._gone(start)
        return self._inner(environ, start)

    def restart(self) -> None:
        """Close the listening socket, and open it again."""
        self.stop()
        self.start()

    def _gone(self, start: Any) -> list[bytes]:
        start("503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"gone"]


class Operator:
    """Stands at the desk: lays each person's card, takes it away, and errs now and then."""

    attended = True

    def __init__(self, reader: SoftwareReader, fate: Fate) -> None:
        self.reader, self.fate = reader, fate
        self.cards: dict[str, SoftwareCard] = {}
        self.before: SoftwareCard | None = None
        self.said: Counter[str] = Counter()

    def show(self, state: DeskState) -> None:
        if state.step is Step.TAP:
            own = self.cards.setdefault(state.user, SoftwareCard())
            wrong = self.before is not None and self.before is not own
            if wrong and self.fate.strikes("operator, card tapped twice", 0.1):
                self.reader.insert(self.before)
            else:
                self.reader.insert(own)
        elif state.step is Step.DONE:
            self.before = self.reader.card
            self.reader.remove()
        elif state.step in (Step.REMOVE, Step.FAULT, Step.CANCELLED):
            self.said[str(state.fault or state.text)] += 1
            self.reader.remove()
        if state.op == "enrol" and self.fate.strikes("station", 0.03):
            raise Killed

    def ask_pin(self, question: Question) -> str | None:
        return None

    def ask_new_pin(self, question: Question) -> str | None:
        return None

    def confirm(self, question: Question) -> bool:
        return False


def run_station(identity: Identity, operator: Operator, stop: threading.Event) -> None:
    """Start the station again whenever it died; a process of its own is a new object here."""
    while not stop.is_set():
        station = Station(identity, operator, operator.reader)
        try:
            station.run(stop)
        except Killed:
            operator.reader.remove()


@pytest.mark.req("R20")
def test_fifty_cards_survive_the_death_of_either_side(
    services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fate = Fate(SEED)
    # The real times are for people and networks; here nobody waits for anybody.
    monkeypatch.setattr(station_module, "_GLANCE", 0.005)
    monkeypatch.setattr(poller, "_BACK_OFF", (0.02, 0.1))
    monkeypatch.setattr(poller, "_EMPTY_PAUSE", 0.02)
    monkeypatch.setattr(job_module, "RETRY_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(dispatch, "QUIET", 100)
    handle = desk_events.handle

    def fragile(*args: Any) -> desk_events.Reply:
        if fate.strikes("server, between two commits", 0.01):
            raise OSError("killed")
        return handle(*args)

    monkeypatch.setattr(desk_events, "handle", fragile)
    port = int(services.settings.base_url.rsplit(":", 1)[1])
    server = FragileServer(create_app(services), port, fate)
    users = [person(f"person{n:02}", displayName=f"Person {n:02}") for n in range(PEOPLE)]
    identity = pair(services.settings.base_url, pairing_code(services), "Desk NFC")
    with transaction():
        account = access.create_account("Grace Hopper", Role.OPERATOR, CLI)
        batch = batches.make("Monday", account, users)
        desk = PairedStation.get(PairedStation.resource_id == identity.station_id)
        turns.start(batch, [desk], CLI)
        turns.wake(batch, services)
    operator, stop = Operator(SoftwareReader(), fate), threading.Event()
    working = threading.Thread(target=run_station, args=(identity, operator, stop))
    began = time.monotonic()
    working.start()
    try:
        restarts = 0
        while not batches.is_over(batch):
            assert time.monotonic() - began < PATIENCE, (
                [
                    (item.user.user_name, item.state, item.note)
                    for item in batches.items(batch)
                    if item.state != TurnState.DONE
                ][:3]
                + [
                    (job.state, job.fault, job.card)
                    for job in Job.select().where(Job.finished_at.is_null())
                ]
                + [fate.met, operator.said, working.is_alive()]
            )
            time.sleep(0.25)
            if batches.counts(batch)[TurnState.DONE] > (restarts + 1) * 15:
                server.restart()
                restarts += 1
    finally:
        stop.set()
        fate.off = True
        working.join(30)
        server.stop()
    assert not working.is_alive()
    took = time.monotonic() - began
    _check_assignments(services, users, operator)
    assert len(fate.met) == 5, "each kind of death and mistake was met"
    assert restarts == 3
    with capsys.disabled():
        print(
            f"\n50 cards, each its person's, in {took:.0f} s; "
            f"{restarts} restarts and {dict(fate.met)}; the desk said {dict(operator.said)}"
        )


def _check_assignments(services: Services, users: list[User], operator: Operator) -> None:
    """Each person has one working key, on their own card, with the PIN that was mailed."""
    keys = list(SecurityKey.select().where(SecurityKey.state == KeyState.ACTIVE))
    assert {key.user_id for key in keys} == {user.id for user in users}
    assert len(keys) == PEOPLE
    for key in keys:
        card = operator.cards[key.user.display_name]
        credential = Credential.get(Credential.key == key)
        held = [made.credential_id for made in card.memory.credentials]
        assert held == [bytes(credential.credential_id)]
        assert card.memory.force_pin_change
        mail = OutboxMail.get(OutboxMail.key == key, OutboxMail.template == "pin")
        pin = services.vault.unseal(bytes(mail.sealed_secret), mail.message_id)
        assert card.memory.pin_hash == hashlib.sha256(pin).digest()[:16]
