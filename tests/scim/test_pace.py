# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A directory that asks too fast is told to wait, and no other one with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

import scim.pace
from provisioning.app import create_app
from provisioning.services import Services
from scim.errors import Busy
from scim.pace import BURST, Pace
from tests.scim.pushing import connect
from tests.scim.test_routes import refused


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [1_000.0]
    monkeypatch.setattr(scim.pace, "monotonic", lambda: clock[0])
    return clock


@pytest.mark.req("R30")
def test_so_many_requests_a_second_and_no_more(now: list[float]) -> None:
    pace = Pace(8)
    for _ in range(BURST * 8):
        pace.check(1)
    for _ in range(3):  # a refusal costs nothing
        with pytest.raises(Busy):
            pace.check(1)
    pace.check(2)
    now[0] += 1 / 8
    pace.check(1)
    with pytest.raises(Busy):
        pace.check(1)
    now[0] += 100
    for _ in range(BURST * 8):
        pace.check(1)
    with pytest.raises(Busy):
        pace.check(1)


def test_without_a_rate_there_is_no_limit(now: list[float]) -> None:
    pace = Pace(0)
    for _ in range(10_000):
        pace.check(1)


@pytest.mark.req("R30")
@pytest.mark.req("P24")
def test_a_directory_that_asks_too_fast_is_told_to_wait(
    services: Services, now: list[float]
) -> None:
    settings = services.settings.model_copy(update={"scim_rate": 1})
    app = create_app(replace(services, settings=settings))
    hasty, other = connect(app, "Hasty"), connect(app, "Other")
    answers = [hasty("GET", "/Users?count=0") for _ in range(BURST + 1)]
    assert [each.status_code for each in answers] == [200] * BURST + [429]
    refused(answers[-1], 429)
    assert other("GET", "/Users?count=0").status_code == 200
    now[0] += int(answers[-1].headers["Retry-After"])
    assert hasty("GET", "/Users?count=0").status_code == 200
