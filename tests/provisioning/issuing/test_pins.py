# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.audit import CLI
from provisioning.desks import orders
from provisioning.issuing import pins
from provisioning.models import Job
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.vault import SealBroken
from tests.fakes import people

pytestmark = pytest.mark.req("R19")


@given(length=st.integers(6, 16))
def test_a_made_pin_has_its_length_is_digits_and_is_not_trivial(length: int) -> None:
    pin = pins.make(length)
    assert len(pin) == length
    assert pin.isascii()
    assert pin.isdigit()
    assert not pins.is_trivial(pin)


@pytest.mark.parametrize(
    "pin",
    ["000000", "123456", "654321", "121212", "123123", "112233", "123321", "111112", "159159159"],
)
def test_a_pin_that_a_thief_tries_first_is_trivial(pin: str) -> None:
    assert pins.is_trivial(pin)


def test_pins_differ_from_card_to_card() -> None:
    assert len({pins.make(6) for _ in range(50)}) > 45


def test_a_sealed_pin_opens_for_its_own_job_only(services: Services) -> None:
    desk, user = people.station(services), people.person()
    key = people.pending_key(user)
    with transaction():
        job = orders.queue_enrolment(desk, key, services, CLI)
    pin = pins.unseal(services.vault, job)
    other = Job(resource_id="another", sealed_pin=job.sealed_pin)
    with pytest.raises(SealBroken) as broken:
        pins.unseal(services.vault, other)
    assert pin not in str(broken.value)
    assert pin.encode() not in bytes(job.sealed_pin)
    pins.erase(job)
    with pytest.raises(SealBroken):
        pins.unseal(services.vault, job)
