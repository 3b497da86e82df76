# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""A card pulled at each APDU of its enrolment, with station and server, over a real pcscd.

Each APDU is cut twice: before the card executes it, and after it has, with the answer lost.
Whatever the moment, no key may be active whose card does not work, and the next tap of the same
card must finish it with the same PIN.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from fido2.ctap import CtapError

from provisioning.audit import CLI
from provisioning.desks import faults, jobs, stations
from provisioning.desks.faults import Next
from provisioning.issuing import pins
from provisioning.lifecycle import JobState, KeyState
from provisioning.mails.mail import Template
from provisioning.models import Job, OutboxMail, SecurityKey
from provisioning.services import Services
from provisioning.storage.db import transaction
from reader.simulator import (
    CTAP_2_0,
    Faults,
    Profile,
    SoftwareCard,
)
from reader.simulator.profile import NO_FAULTS
from reader.transport import PcscReader
from tests.device.bench import (
    RP_ID,
    Bench,
    CountingCard,
    MortalCard,
    VirtualSlots,
    assert_signs,
    at_work,
    fresh,
    fresh_station,
    goes_on_waiting,
    tap_until_over,
    wait_until,
)
from tests.fakes.pcscd import READER_NAME, VirtualReaders
from tests.reader.simulator.ceremony import tap

pytestmark = [pytest.mark.device, pytest.mark.enable_socket, pytest.mark.req("R20")]

OWN_PIN = "739154"


@pytest.mark.parametrize(
    ("kind", "profile"),
    [
        ("CTAP 2.1", Profile()),
        ("CTAP 2.0, which cannot force a change", CTAP_2_0),
        ("a random UID at each tap", Profile(random_uid=True)),
    ],
)
def test_a_pulled_card_is_finished_by_the_next_tap_with_the_same_pin(
    kind: str, profile: Profile, at_desk: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    told = pull_at_every_moment(at_desk, profile, tap_again)
    with capsys.disabled():
        print(f"\n{kind}: {told}")


def test_who_gives_up_after_a_pull_has_a_key_that_needs_a_reset_and_never_an_active_one(
    at_desk: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    told = pull_at_every_moment(at_desk, Profile(), give_up)
    with capsys.disabled():
        print(f"\ncancelled instead: {told}")


@pytest.fixture
def at_desk(
    bench_server: str, services: Services, virtual_readers: VirtualReaders
) -> Iterator[Bench]:
    """A station at work behind pcscd."""
    slots = VirtualSlots(virtual_readers.ports)
    with at_work(bench_server, services, PcscReader(READER_NAME), slots) as bench:
        yield bench


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
    card.faults = NO_FAULTS
    tap_until_over(bench, card, lambda: fresh(job))
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
