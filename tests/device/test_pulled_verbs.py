# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""A card pulled at each APDU of every other job: change PIN, demand a change, recognise, sign in,
reset and enrol again, replace. Each APDU is cut twice, before the card executes it and after: 250
moments, all over a real pcscd.

Whatever the moment, no key is active whose card does not work, no card carries a PIN that its
holder does not know and the server can neither resume nor flag, and the next tap finishes it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from provisioning import keys
from provisioning.audit import CLI
from provisioning.desks import jobs, orders
from provisioning.issuing import assignment, pins
from provisioning.lifecycle import JobState, KeyKind, KeyState
from provisioning.mails.mail import Template
from provisioning.models import Credential, Job, OutboxMail, PanelAccount, SecurityKey, Session
from provisioning.panel import sign_in
from provisioning.services import Services
from provisioning.storage.db import transaction
from reader.desk import DeskState, Question
from reader.simulator import Faults, Profile, SoftwareCard
from reader.simulator.profile import NO_FAULTS
from reader.transport import PcscReader
from tests.device.bench import (
    Bench,
    MortalCard,
    VirtualSlots,
    at_work,
    fresh,
    goes_on_waiting,
    tap_until_over,
    wait_until,
)
from tests.fakes.pcscd import READER_NAME, VirtualReaders
from tests.reader.simulator.ceremony import tap

pytestmark = [pytest.mark.device, pytest.mark.enable_socket, pytest.mark.req("R20")]

CHOICES = ("739154", "826473", "915062")


@dataclass
class Holder:
    """The person at the desk: agrees, and types the PINs that she may have, in turn."""

    known: list[str] = field(default_factory=list)
    asked: int = 0
    attended: bool = True

    def show(self, state: DeskState) -> None:
        """She reads it."""

    def confirm(self, question: Question) -> bool:
        self.asked = 0
        return True

    def ask_pin(self, question: Question) -> str | None:
        self.asked += 1
        return self.known[(self.asked - 1) % len(self.known)]

    def ask_new_pin(self, question: Question) -> str | None:
        new = next(pin for pin in CHOICES if question.rules is None or question.rules.allow(pin))
        self.known.append(new)
        return new

    def remembers(self, card: SoftwareCard) -> str:
        """The PIN that works, of those that she has had; she forgets the others."""
        (pin,) = {pin for pin in self.known if hashed(pin) == card.memory.pin_hash}
        self.known, self.asked = [pin], 0
        return pin


class CountingMortal(MortalCard):
    """Counts the APDUs that reach it, and tells when it left the field in the middle of one."""

    apdus = 0

    def transmit(self, apdu: bytes) -> bytes:
        self.apdus += 1
        return super().transmit(apdu)


@dataclass
class Life:
    """One person's card and key at a desk; they go on from case to case, as in life."""

    bench: Bench
    holder: Holder
    card: CountingMortal = field(default_factory=lambda: CountingMortal(Profile(), NO_FAULTS))
    key: SecurityKey = field(init=False)

    def __post_init__(self) -> None:
        job, pin = self.bench.enrol("holder-" + secrets.token_hex(4))
        self.key = jobs.key_of(job)
        self.lay()
        self.settle(lambda: fresh(job).state == JobState.DONE)
        self.holder.known = [pin]
        self.queue(orders.queue_pin_change)
        self.lay()
        self.settle(lambda: self.newest().state == JobState.DONE)
        self.holder.remembers(self.card)

    @property
    def row(self) -> SecurityKey:
        found: SecurityKey = SecurityKey.get_by_id(self.key.id)
        return found

    def queue(self, order: Callable[..., Job], *more: object) -> Job:
        with transaction():
            return order(self.bench.station, self.row, *more, CLI)

    def newest(self) -> Job:
        """The newest job at this station: a reset is followed by an enrolment by itself."""
        found: Job = (
            Job.select().where(Job.station == self.bench.station).order_by(Job.id.desc()).get()
        )
        return found

    def lay(self) -> None:
        self.bench.tray.lay(self.card)

    def settle(self, done: Callable[[], bool]) -> None:
        wait_until(done)
        self.bench.tray.take_away()


@dataclass(frozen=True)
class Verb:
    """How a job is ordered; it ends with the newest job done."""

    order: Callable[[Life], Job]
    writes: bool = True


def change_pin(life: Life) -> Job:
    return life.queue(orders.queue_pin_change)


def sign_in_at_desk(life: Life) -> Job:
    with transaction():
        return orders.queue_assertion(
            life.bench.station, CLI, purpose=sign_in.USER, binding=secrets.token_hex(8)
        )


def recognise(life: Life) -> Job:
    with transaction():
        account, _ = PanelAccount.get_or_create(
            name="Grace Hopper", defaults={"role": "owner", "user_handle": b"grace"}
        )
        session, _ = Session.get_or_create(
            secret_hash=b"grace",
            defaults={"kind": "panel", "account": account, "expires_at": 2**60},
        )
        return orders.queue_verification(
            life.bench.station, CLI, binding=secrets.token_hex(8), session=session
        )


def demand_change(life: Life) -> Job:
    return life.queue(orders.queue_forced_change)


def reset_and_enrol(life: Life) -> Job:
    return life.queue(orders.queue_reset, life.bench.services)


def replace(life: Life) -> Job:
    """A new card takes over; the old one is its holder's until the new one works."""
    old = life.row
    with transaction():
        name = "Card " + secrets.token_hex(4)
        new = keys.draft(KeyKind.CONTACTLESS_CARD, name, "user", user=old.user, actor=CLI)
        keys.assign(new, keys.owner_of(old), CLI)
        assignment.replace(new, old)
        job = orders.queue_enrolment(life.bench.station, new, life.bench.services, CLI)
    life.key, life.card = new, CountingMortal(Profile(), NO_FAULTS)
    return job


VERBS = {
    "change PIN": Verb(change_pin),
    "demand a change": Verb(demand_change),
    "recognise": Verb(recognise, writes=False),
    "sign in": Verb(sign_in_at_desk, writes=False),
    "reset and enrol again": Verb(reset_and_enrol),
    "replace": Verb(replace),
}


@pytest.mark.parametrize("name", VERBS)
def test_a_card_pulled_at_any_apdu_is_finished_by_the_next_tap(
    name: str,
    bench_server: str,
    services: Services,
    virtual_readers: VirtualReaders,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verb, holder = VERBS[name], Holder()
    slots = VirtualSlots(virtual_readers.ports)
    with at_work(bench_server, services, PcscReader(READER_NAME), slots, holder) as bench:
        life = Life(bench, holder)
        count = undisturbed(verb, life)
        met: Counter[str] = Counter()
        for number in range(1, count + 1):
            for executed in (False, True):
                case = f"APDU {number} of {count}, {'after' if executed else 'before'} execution"
                try:
                    met[pulled(verb, life, number, executed)] += 1
                except AssertionError as error:
                    raise AssertionError(f"{case}: {error}") from error
    assert met.total() == 2 * count >= 20
    with capsys.disabled():
        print(f"\nover pcscd, {name}: {met.total()} moments ({count} APDUs): {dict(met)}")


def undisturbed(verb: Verb, life: Life) -> int:
    """Do it once in peace; returns how many APDUs it takes."""
    verb.order(life)
    before = life.card.apdus
    life.lay()
    life.settle(lambda: finished(life))
    assert_works(life)
    return life.card.apdus - before


def pulled(verb: Verb, life: Life, number: int, executed: bool) -> str:
    """Lose the card at one APDU, look at both sides, tap it again; returns the key's state then."""
    old = life.row
    job = verb.order(life)
    card = life.card
    before = card.memory.pin_hash, len(card.memory.credentials)
    card.died.clear()
    card.faults = Faults(die_at=number, die_executed=executed)
    life.lay()
    wait_until(card.died.is_set)
    life.bench.tray.take_away()
    wait_until(lambda: life.newest().state != JobState.RUNNING or goes_on_waiting(life.newest()))
    card.faults = NO_FAULTS
    said = str(life.row.state)
    assert_honest(life)
    if old.id != life.key.id:
        assert SecurityKey.get_by_id(old.id).state == KeyState.ACTIVE, "the old key went first"
    if not verb.writes:
        assert (card.memory.pin_hash, len(card.memory.credentials)) == before
        assert fresh(job).state != JobState.DONE
        assert said == KeyState.ACTIVE
    # The next tap goes on; the person types what she remembers.
    life.holder.asked = 0
    tap_until_over(life.bench, life.card, life.newest)
    life.bench.tray.take_away()
    assert_works(life)
    if old.id != life.key.id:
        assert SecurityKey.get_by_id(old.id).state == KeyState.REVOKED
    return said


def finished(life: Life) -> bool:
    """Whether nothing is under way; the enrolment that follows a reset is queued with its end."""
    return life.newest().state not in (JobState.QUEUED, JobState.RUNNING, JobState.INTERRUPTED)


def assert_honest(life: Life) -> None:
    """0 active keys without a working card, 0 PINs that nobody can resume or flag."""
    key, memory = life.row, life.card.memory
    if key.state == KeyState.ACTIVE:
        held = {one.credential_id for one in memory.credentials}
        assert bytes(Credential.get(Credential.key == key).credential_id) in held
        assert not Job.select().where(
            Job.key == key, Job.sealed_pin.is_null(False), Job.state.in_(jobs.OPEN)
        )
    if memory.pin_hash is None or key.state == KeyState.NEEDS_RESET:
        return
    vault = life.bench.services.vault
    open_jobs = Job.select().where(Job.key == key, Job.sealed_pin.is_null(False))
    known = {*life.holder.known, *(pins.unseal(vault, job) for job in open_jobs), mailed(life)}
    assert memory.pin_hash in {hashed(pin) for pin in known if pin}, "nobody knows its PIN"


def assert_works(life: Life) -> None:
    """The key is active, its holder gets at its PIN, and the card signs with it."""
    job, key = life.newest(), life.row
    assert (job.state, job.fault, key.state) == (JobState.DONE, None, KeyState.ACTIVE)
    assert_honest(life)
    life.holder.known = [pin for pin in (*life.holder.known, mailed(life)) if pin]
    pin = life.holder.remembers(life.card)
    # Its memory in another card's body, so that this look leaves the reader alone.
    there = tap(SoftwareCard(life.card.profile, memory=life.card.memory, uid=life.card.uid))
    assert there.client_pin.get_pin_retries()[0] >= 7, "tries were spent"
    if life.card.memory.force_pin_change:
        new = next(one for one in CHOICES if one != pin)
        there.client_pin.change_pin(pin, new)
        life.holder.known, pin = [new], new
    row = Credential.get(Credential.key == key)
    challenge = secrets.token_bytes(32)
    token = there.client_pin.get_pin_token(pin, 0x02, "localhost")
    (answer,) = there.ctap.get_assertions("localhost", challenge, **there.mac(token, challenge))
    assert bytes(answer.credential["id"]) == bytes(row.credential_id)


def mailed(life: Life) -> str:
    """The PIN that was mailed last for this key, or an empty text."""
    mail = (
        OutboxMail.select()
        .where(OutboxMail.key == life.key, OutboxMail.template == Template.PIN)
        .order_by(OutboxMail.id.desc())
        .first()
    )
    if mail is None or mail.sealed_secret is None:
        return ""
    sealed = bytes(mail.sealed_secret)
    return life.bench.services.vault.unseal(sealed, bound_to=mail.message_id).decode()


def hashed(pin: str) -> bytes:
    return hashlib.sha256(pin.encode()).digest()[:16]
