# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A batch whose server and station are killed with SIGKILL at random points.

All that a customer runs is there: `keywright serve` with its web and worker processes, the
station's process, pcscd, a mail server. The dice say whom to kill (the server with all its
processes, the station, or both) and when: at an APDU of somebody's enrolment, before the card
executes it or after, or some moment later. The person at the desk sees what the desk shows and
nothing else, and lays and takes away cards; the operator's page is closed.

`TEST_SEED` chooses the dice, `TEST_PEOPLE` how many get a card. Times differ from run to run, so a
seed gives the same kills and not the same run.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from provisioning.clock import now_ms
from provisioning.lifecycle import KeyState
from provisioning.mails.outbox import MailState
from provisioning.models import Credential, Job, OutboxMail, SecurityKey
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from reader.simulator import SoftwareCard
from reader.simulator.vpcd import VpcdCard
from tests.device.bench import assert_signs, wait_until
from tests.e2e.browser import Person
from tests.e2e.desk import Desk, Shown
from tests.e2e.directory import connected
from tests.e2e.mailbox import pin_in
from tests.e2e.models import new_card
from tests.e2e.product import Product
from tests.fakes.pcscd import VirtualReaders
from tests.fakes.smtp import Sink
from tests.reader.simulator.ceremony import tap

pytestmark = pytest.mark.e2e

SEED = 20261127
PATIENCE = 300.0  # seconds for all of it; a busy machine is only slow
APDUS = 60  # about what two enrolments take
LATER = 1.5  # seconds
OWN_PIN = "739154"
PEOPLE = [f"Person{n:02}" for n in range(1, int(os.environ.get("TEST_PEOPLE", "20")) + 1)]


@dataclass(frozen=True)
class Kill:
    """Who dies and when: at an APDU (counted from when this kill is due), or after a while."""

    server: bool
    station: bool
    apdu: int | None
    executed: bool
    seconds: float

    def __str__(self) -> str:
        who = " and ".join(
            name for name, dies in (("server", self.server), ("station", self.station)) if dies
        )
        if self.apdu is None:
            return f"{who} {self.seconds:.1f} s later"
        return f"{who} {'after' if self.executed else 'before'} APDU {self.apdu}"


def throw(dice: random.Random) -> list[Kill]:
    """Three deaths of each, and two of both at once; two in three at an APDU."""
    who = [(True, False)] * 3 + [(False, True)] * 3 + [(True, True)] * 2
    dice.shuffle(who)
    return [
        Kill(
            server,
            station,
            dice.randint(1, APDUS) if dice.random() < 2 / 3 else None,
            dice.random() < 0.5,
            dice.uniform(0, LATER),
        )
        for server, station in who
    ]


class Death:
    """Carries out one kill after the other; `starts` brings the dead back, from the test's thread.

    Kills come from the threads of the cards and of timers, in the middle of whatever happens.
    """

    def __init__(self, product: Product, desk: Desk, kills: list[Kill]) -> None:
        self._product, self._desk = product, desk
        self._left = list(kills)
        self._lock = threading.Lock()
        self._apdus = 0
        self._dead: Kill | None = None
        self._timer: threading.Timer | None = None
        self._due()

    @property
    def over(self) -> bool:
        """Whether everybody has died and been started again."""
        return not self._left and self._dead is None

    @property
    def strikes(self) -> bool:
        """Whether somebody lies dead just now."""
        return self._dead is not None

    def stop(self) -> None:
        """Nobody dies any more."""
        with self._lock:
            self._left.clear()
            if self._timer is not None:
                self._timer.cancel()

    def at_apdu(self, executed: bool) -> None:
        """A card is about to execute an APDU, or has done so."""
        with self._lock:
            self._apdus += not executed
            kill = self._left[0] if self._left and self._dead is None else None
            if kill is None or kill.apdu is None or executed != kill.executed:
                return
            if self._apdus >= kill.apdu:
                self._strike(kill)

    def starts(self) -> Kill | None:
        """Start again what has died, if anything has; returns that kill."""
        with self._lock:
            kill = self._dead
        if kill is None:
            return None
        if kill.station:
            self._desk.kill()  # it is dead: this closes its pipes
            self._desk.start()
        if kill.server:
            self._product.start()
        with self._lock:
            self._dead = None
            self._due()
        return kill

    def _due(self) -> None:
        self._apdus = 0
        if self._left and self._left[0].apdu is None:
            self._timer = threading.Timer(self._left[0].seconds, self._timed, self._left[:1])
            self._timer.start()

    def _timed(self, kill: Kill) -> None:
        with self._lock:
            self._strike(kill)

    def _strike(self, kill: Kill) -> None:
        self._left.pop(0)
        self._dead = kill
        if kill.station:
            os.kill(self._desk.pid, signal.SIGKILL)
        if kill.server:
            self._product.kill()


class WatchedCard(SoftwareCard):
    """A card from the same maker as `new_card`'s that says when an APDU comes and goes."""

    def __init__(self, death: Death) -> None:
        super().__init__(new_card().profile)
        self._death = death

    def transmit(self, apdu: bytes) -> bytes:
        self._death.at_apdu(executed=False)
        answer = super().transmit(apdu)
        self._death.at_apdu(executed=True)
        return answer


class Hands:
    """The person at the desk: lays the card of whom the desk names, and takes it away after."""

    def __init__(self, slot: int, death: Death, dice: random.Random) -> None:
        self._port, self._death, self._dice = slot, death, dice
        self.cards: dict[str, SoftwareCard] = {}
        self.said: Counter[str] = Counter()
        self._lies: VpcdCard | None = None

    def see(self, shown: Shown) -> None:
        """Do what the desk says."""
        state = shown.get("state")
        if state == "tap":
            own = self.cards.setdefault(shown["user"], WatchedCard(self._death))
            # What was left there when the station died lies there still: in the way, or rightly.
            if self._lies is None or not self._lies.inserted:
                self._lies = VpcdCard(own, port=self._port)
                self._lies.insert()
        elif state in ("done", "remove", "fault", "cancelled"):
            if state in ("fault", "cancelled"):
                self.said[str(shown["fault"] or shown["text"])] += 1
            self.take_away()

    def shrug(self) -> None:
        """The screen went dark: half of the people take their card back, half leave it there."""
        if self._dice.random() < 0.5:
            self.take_away()

    def take_away(self) -> None:
        if self._lies is not None:
            self._lies.remove()
            self._lies = None


@pytest.mark.req("R20")
def test_twenty_cards_survive_the_sudden_death_of_server_and_station(
    product: Product,
    desk: Desk,
    virtual_readers: VirtualReaders,
    mail: Sink,
    person: Callable[[], Person],
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("TEST_SEED", SEED))
    dice = random.Random(seed)
    kills = throw(dice)
    with connected(product, "Example directory") as directory:
        for name in PEOPLE:
            directory.pushes_user(name, "Example")
    grace = person()
    grace.holds_key()
    grace.opens(product.owner_link())
    grace.fills("Your name", "Grace Hopper")
    grace.presses("Register my security key")
    board = begins_batch(grace)

    death = Death(product, desk, kills)
    hands = Hands(virtual_readers.ports[0], death, dice)
    begun = time.monotonic()
    try:
        while not death.over or results(grace, board)["done"] < len(PEOPLE):
            assert time.monotonic() - begun < PATIENCE, (seed, kills, hands.said, desk.shown[-5:])
            died = death.starts()
            if died is not None and died.station:
                hands.shrug()
            while (shown := desk.next(0.2)) is not None:
                hands.see(shown)
                if death.strikes:
                    break
    finally:
        death.stop()
        hands.take_away()
    took = time.monotonic() - begun

    assert results(grace, board) == {"done": len(PEOPLE)}
    assert "chain whole" in product.verify_audit()
    open_database(load(product.data).database_url)
    try:
        check_mails()
        mailed = mailed_pins(mail)
        check_jobs()
        check_keys(hands.cards, mailed)
    finally:
        database.close()
    product.never_logged(*mailed.values())
    with capsys.disabled():
        print(
            f"\nseed {seed}: {len(PEOPLE)} cards, each its person's, in {took:.0f} s; killed "
            f"{', '.join(map(str, kills))}; the desk said {dict(hands.said)}"
        )


def begins_batch(grace: Person) -> str:
    """Choose everybody and start at the desk; returns the batch's page, which is then closed."""
    grace.follows("Batch")
    grace.fills("Name", "First day")
    grace.presses("Choose people")
    grace.presses(f"Add all {len(PEOPLE)} who are New")
    grace.picks("Desk NFC")
    grace.presses("Start")
    if "step-up" in grace.page.url:
        grace.presses("Use my security key")
        grace.picks("Desk NFC")
        grace.presses("Start")
    grace.sees(f"0 of {len(PEOPLE)} have their card")
    board = grace.page.url
    grace.opens("about:blank")
    return board


def results(grace: Person, board: str) -> Counter[str]:
    """How many turns stand where, by the batch's CSV."""
    answer = grace.page.request.get(f"{board}/result.csv")
    assert answer.ok, answer.status
    return Counter(row["result"] for row in csv.DictReader(answer.text().splitlines()))


def mailed_pins(mail: Sink) -> dict[str, str]:
    """The PIN of each person by address. A mail may come twice, never with two PINs."""
    pins: dict[str, set[str]] = {}
    for letter in mail.accepted:
        (address,) = letter.envelope_to
        pins.setdefault(address, set()).add(pin_in(letter))
    return {address: pin for address, (pin,) in pins.items()}


def check_mails() -> None:
    """Every PIN leaves the server; one whose worker died in the middle does when its lease ends."""
    waiting = OutboxMail.state == MailState.QUEUED
    free = OutboxMail.leased_until.is_null() | (OutboxMail.leased_until < now_ms())
    wait_until(lambda: not OutboxMail.select().where(waiting, free))
    with transaction():
        OutboxMail.update(leased_until=now_ms()).where(waiting).execute()  # five minutes pass
    wait_until(lambda: not OutboxMail.select().where(waiting))
    assert {mail.state for mail in OutboxMail.select()} == {MailState.SENT}
    assert not OutboxMail.select().where(OutboxMail.sealed_secret.is_null(False))


def check_jobs() -> None:
    """Nothing is under way any more, and no job keeps a PIN."""
    assert not Job.select().where(Job.finished_at.is_null()), "a job is left open"
    assert not Job.select().where(Job.sealed_pin.is_null(False)), "a PIN is left in a job"


def check_keys(cards: dict[str, SoftwareCard], mailed: dict[str, str]) -> None:
    """Each person has one key, which works, on their own card, with the PIN that was mailed."""
    assert {key.state for key in SecurityKey.select()} == {KeyState.ACTIVE}
    assert SecurityKey.select().count() == Credential.select().count() == len(PEOPLE)
    assert len({key.user_id for key in SecurityKey.select()}) == len(PEOPLE)
    assert len(cards) == len(mailed) == len(PEOPLE)
    for key in SecurityKey.select():
        card = cards[key.user.display_name]
        (held,) = card.memory.credentials
        assert held.user_display_name == key.user.display_name
        assert card.memory.force_pin_change
        there = tap(SoftwareCard(card.profile, memory=card.memory, uid=card.uid))
        assert there.client_pin.get_pin_retries()[0] == 8, "tries were spent"
        there.client_pin.change_pin(mailed[key.user.user_name], OWN_PIN)
        assert_signs(there, key, OWN_PIN)
