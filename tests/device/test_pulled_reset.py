# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A card pulled at each APDU of its reset, before the card executes it and after.

Whatever the moment: no key is active whose card does not hold it, and the next tap ends with a
card that works. The enrolment that follows a reset is pulled apart in the device lane.
"""

from __future__ import annotations

from collections import Counter

import pytest

from provisioning import keys
from provisioning.audit import CLI
from provisioning.desks import jobs, orders, stations
from provisioning.desks.jobs import Op, Wipe
from provisioning.lifecycle import JobState, KeyState
from provisioning.models import Credential, Job, SecurityKey
from provisioning.services import Services
from provisioning.storage.db import transaction
from reader.simulator import CardRemoved, Faults, Profile, SoftwareCard
from reader.simulator.profile import NO_FAULTS
from tests.enrollment.desks import test_station_program as program
from tests.enrollment.desks.test_station_program import Bench, ended, enrolment_of, until
from tests.fakes.people import person

pytestmark = [pytest.mark.device, pytest.mark.enable_socket, pytest.mark.req("R20")]
app, bench, live, services = program.app, program.bench, program.live, program.services


class MortalCard(SoftwareCard):
    """Counts its APDUs, and tells when it left the field in the middle of one."""

    apdus = 0
    died = False

    def transmit(self, apdu: bytes) -> bytes:
        self.apdus += 1
        try:
            return super().transmit(apdu)
        except CardRemoved:
            self.died = True
            raise


def working(bench: Bench, services: Services, number: int) -> tuple[SecurityKey, MortalCard]:
    """Somebody with an active key, its card off the reader."""
    card = MortalCard(Profile())
    job = enrolment_of(person(f"pulled{number}"), bench, services)
    bench.reader.insert(card)
    until(lambda: ended(job))
    bench.reader.remove()
    key = jobs.key_of(jobs.get(job.resource_id))
    assert holds(key, card)
    return key, card


def holds(key: SecurityKey, card: SoftwareCard) -> bool:
    """Whether the key is active and on the card."""
    made = Credential.get_or_none(Credential.key == key)
    on_card = [bytes(one.credential_id) for one in card.memory.credentials]
    state = SecurityKey.get_by_id(key.id).state
    return state == KeyState.ACTIVE and made is not None and bytes(made.credential_id) in on_card


def reset(bench: Bench, services: Services, key: SecurityKey) -> Job:
    with transaction():
        desk = stations.living(bench.station_id)
        return orders.queue_reset(desk, keys.get_key(key.resource_id), services, CLI, Wipe.AGAIN)


def enrolment_ended(key: SecurityKey) -> bool:
    job = jobs.of_key(key, Op.ENROL)
    return job is not None and job.state not in (JobState.QUEUED, JobState.RUNNING)


def test_no_moment_of_a_reset_leaves_an_active_key_without_its_card(
    bench: Bench, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    key, card = working(bench, services, 0)
    card.apdus = 0
    job = reset(bench, services, key)
    bench.reader.insert(card)
    until(lambda: ended(job))
    count = card.apdus  # some of them belong to the enrolment that follows at once
    until(lambda: enrolment_ended(key))
    bench.reader.remove()
    assert holds(key, card)
    met: Counter[str] = Counter()
    for number in range(1, count + 1):
        for executed in (False, True):
            met[pulled(bench, services, number, executed)] += 1
    with capsys.disabled():
        print(f"\n{met.total()} moments to pull a card in its reset ({count} APDUs): {dict(met)}")
    assert met[KeyState.NEEDS_RESET] > 0
    assert met[KeyState.ACTIVE] > 0


def pulled(bench: Bench, services: Services, number: int, executed: bool) -> str:
    """Pull the card there, look, tap it again; returns the key's state after the pull."""
    key, card = working(bench, services, 1_000 * number + executed)
    card.died = False
    card.faults = Faults(die_at=number, die_executed=executed)
    job = reset(bench, services, key)
    bench.reader.insert(card)
    until(lambda: card.died or (ended(job) and enrolment_ended(key)))
    bench.reader.remove()
    until(lambda: jobs.get(job.resource_id).state != JobState.RUNNING or waits(job))
    state = str(SecurityKey.get_by_id(key.id).state)
    assert state != KeyState.ACTIVE or holds(key, card), (number, executed)
    card.faults = NO_FAULTS
    again(job)
    bench.reader.insert(card)
    until(lambda: ended(job))
    follow = jobs.of_key(key, Op.ENROL)
    if follow is not None and not holds(key, card):
        until(lambda: enrolment_ended(key))
        again(follow)
        until(lambda: enrolment_ended(key))
    assert holds(key, card), (number, executed, jobs.get(job.resource_id).fault)
    bench.reader.remove()
    return state


def again(job: Job) -> None:
    with transaction():
        fresh = jobs.get(job.resource_id)
        if fresh.state == JobState.INTERRUPTED:
            jobs.requeue(fresh, CLI)


def waits(job: Job) -> bool:
    """A card that died before it was met: the station goes on waiting for one."""
    return jobs.card_of(jobs.get(job.resource_id)).get("at") == "waiting"
