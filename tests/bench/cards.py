# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`make bench-cards`: cards per minute in a batch, and from the click to the verified enrolment.

The product serves as installed, in processes of its own; the station runs in this one, with a
software card that stops the time spent inside it. A real card takes 0.3 to 1.5 s, and a person's
hands take longer: both come on top. Exits with 1 above the goal.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from provisioning.audit import CLI
from provisioning.clock import now_ms
from provisioning.desks import batches, jobs, orders, stations, turns
from provisioning.lifecycle import JobState, TurnState
from provisioning.models import Job, PanelAccount, Station
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import database, transaction
from reader.desk import DeskState, Question, Step
from reader.pairing import pair
from reader.simulator import SoftwareCard
from reader.software_reader import SoftwareReader
from reader.station import Station as Program
from tests.bench import loading, servers
from tests.fakes.people import pending_key, person

GOAL = 150.0  # milliseconds beside the card's own time
CARDS = 30
CLICKS = 20
_PATIENCE = 120.0


class TimedCard(SoftwareCard):
    """Sums the seconds that are spent inside it."""

    seconds = 0.0

    def transmit(self, apdu: bytes) -> bytes:
        """Answer, and stop the time."""
        begun = time.perf_counter()
        try:
            return super().transmit(apdu)
        finally:
            self.seconds += time.perf_counter() - begun


class Hands:
    """Lay a fresh card down the moment one is asked for, and take it away when it is done."""

    attended = False

    def __init__(self, reader: SoftwareReader) -> None:
        self.reader = reader
        self.used: list[TimedCard] = []
        self.lays = True

    def lay(self) -> TimedCard:
        """Put a fresh card on the reader."""
        card = TimedCard()
        self.used.append(card)
        self.reader.remove()
        self.reader.insert(card)
        return card

    def show(self, state: DeskState) -> None:
        """Do what the desk asks for."""
        if state.step is Step.TAP and self.lays:
            self.lay()
        elif state.step in (Step.DONE, Step.FAULT, Step.REMOVE) and self.lays:
            self.reader.remove()

    def ask_pin(self, question: Question) -> str | None:
        """Nobody types here."""
        return None

    def ask_new_pin(self, question: Question) -> str | None:
        """Nobody types here."""
        return None

    def confirm(self, question: Question) -> bool:
        """Nobody clicks here."""
        return False


def main() -> int:
    """Run both; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cards", description=__doc__)
    parser.add_argument("--cards", type=int, default=CARDS)
    arguments = parser.parse_args()
    os.environ["KEYWRIGHT_DEMO"] = "true"  # or the software card's model would be refused
    servers.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=servers.CACHE) as folder:
        data, port = Path(folder) / "data", servers.free_port()
        services = loading.set_up(data, port, "")
        try:
            with servers.product(data, port):
                return _measure(services, arguments.cards)
        finally:
            database.close()


def _measure(services: Services, count: int) -> int:
    with transaction():
        _row, code = stations.make_code(services.vault, CLI)
        account = access.create_account("Grace Hopper", Role.OPERATOR, CLI)
    identity = pair(services.settings.base_url, code, "Desk NFC")
    hands, stop = Hands(SoftwareReader()), threading.Event()
    program = Program(identity, hands, hands.reader)
    working = threading.Thread(target=program.run, args=(stop,))
    working.start()
    try:
        desk = stations.living(identity.station_id)
        _batch(services, account, desk, hands, count)
        return _clicks(services, desk, hands)
    finally:
        stop.set()
        working.join(30)


def _batch(
    services: Services, account: PanelAccount, desk: Station, hands: Hands, count: int
) -> None:
    users = [person(f"batch{n}", displayName=f"Batch {n}") for n in range(count)]
    with transaction():
        batch = batches.make("Bench", account, users)
        turns.start(batch, [desk], CLI)
        turns.wake(batch, services)
    begun = time.perf_counter()
    while not batches.is_over(batch):
        if time.perf_counter() - begun > _PATIENCE:
            raise TimeoutError("the batch does not end")
        time.sleep(0.1)
    took = time.perf_counter() - begun
    done = batches.counts(batch)[TurnState.DONE]
    inside = sum(card.seconds for card in hands.used)
    print(
        f"batch of {done} software cards at one station: {60 * done / took:.0f} cards a minute, "
        f"{1000 * took / done:.0f} ms each, {100 * (1 - inside / took):.0f} % outside the card "
        f"({1000 * inside / done:.0f} ms inside)"
    )
    with transaction():
        turns.finish(batches.get(batch.resource_id), CLI)


def _clicks(services: Services, desk: Station, hands: Hands) -> int:
    hands.lays = False
    whole: list[float] = []
    beside: list[float] = []
    for number in range(CLICKS):
        key = pending_key(person(f"click{number}"))
        card = hands.lay()
        time.sleep(0.4)  # the station waits at the server again, and knows of the card
        clicked = now_ms()
        with transaction():
            job = orders.queue_enrolment(desk, key, services, CLI)
        # Rarely looked at: the station is a thread of this process, and would wait for us.
        while (job := Job.get_by_id(job.id)).state != JobState.DONE:
            if now_ms() - clicked > 1000 * _PATIENCE:
                raise TimeoutError(f"no enrolment: {jobs.card_of(job)}")
            time.sleep(0.05)
        took = (job.finished_at or 0) - clicked
        whole.append(took)
        beside.append(took - 1000 * card.seconds)
    verdict = median(beside)
    print(
        f"click to verified enrolment with forced PIN change: {median(whole):.0f} ms, "
        f"{verdict:.0f} beside the card's own time (median of {CLICKS}; best {min(beside):.0f}, "
        f"worst {max(beside):.0f}; goal {GOAL:.0f}; load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores)"
    )
    return 0 if verdict < GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
