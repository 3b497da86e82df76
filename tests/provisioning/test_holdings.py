# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from provisioning import directory, holdings, keys
from provisioning.audit import CLI
from provisioning.clock import now_ms
from provisioning.desks import jobs, orders
from provisioning.holdings import Rare
from provisioning.lifecycle import KeyKind, KeyState, Reason
from provisioning.models import AuditEvent, Challenge, PanelAccount, SecurityKey, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes import people


def _challenge(_services: Services, user: User) -> None:
    Challenge.create(
        binding="session:1", purpose="user.sign_in", user=user, challenge=b"c", expires_at=now_ms()
    )


def _account(_services: Services, user: User) -> None:
    PanelAccount.create(name="Ada", role="operator", user=user, user_handle=b"h")


def _job(services: Services, user: User) -> None:
    desk, key = people.station(services), people.pending_key(user)
    with transaction():
        orders.queue_enrolment(desk, key, services, CLI)


def _draft(_services: Services, user: User) -> None:
    keys.draft(KeyKind.CONTACTLESS_CARD, "Card of Ada", "user", user=user, actor=CLI)


_GIVE = {"account": _account, "challenge": _challenge, "job": _job, "draft": _draft}


@pytest.mark.req("R16")
@pytest.mark.parametrize("kind", Rare._fields)
def test_whatever_nearly_nobody_has_is_found_with_whoever_has_it(
    services: Services, kind: str
) -> None:
    user, other = people.person(), people.person("bob")
    _GIVE[kind](services, user)
    assert holdings.rare_of(user) == Rare(**{name: name == kind for name in Rare._fields})
    assert not any(holdings.rare_of(other))


def test_what_is_over_is_not_there(services: Services) -> None:
    user = people.person()
    _job(services, user)
    _draft(services, people.person("bob"))
    with transaction():
        jobs.cancel_for_user(user, CLI)
    assert not any(holdings.rare_of(user))


@pytest.mark.req("R16")
def test_a_leavers_drafted_key_ends_and_is_counted(services: Services) -> None:
    user = people.person()
    people.active_key(user, "Old card")
    with transaction():
        _draft(services, user)
        directory.deactivate(user, Reason.LEFT, CLI)
    states = {key.name: key.state for key in SecurityKey.select()}
    assert states == {"Old card": KeyState.SUSPENDED, "Card of Ada": KeyState.REVOKED}
    line = AuditEvent.get(AuditEvent.event == "user.deactivated")
    assert '"keys":2' in line.detail
