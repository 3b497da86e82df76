# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from provisioning import directory
from provisioning.audit import CLI
from provisioning.clock import MINUTE, now_ms
from provisioning.errors import Forbidden, InvalidValue, LinkDead, StepUpNeeded, Unauthenticated
from provisioning.lifecycle import Reason
from provisioning.models import OwnerLink, PanelAccount, Session
from provisioning.panel import access
from provisioning.panel.access import Role, SessionKind
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes import people


@pytest.fixture
def owner(services: Services) -> PanelAccount:
    with transaction():
        return access.create_account("Grace Hopper", Role.OWNER, CLI)


def signed_in(account: PanelAccount) -> tuple[Session, str]:
    with transaction():
        return access.open_session(SessionKind.PANEL, account=account)


def test_a_session_is_found_by_its_cookie_and_only_as_its_kind(owner: PanelAccount) -> None:
    session, secret = signed_in(owner)
    assert access.find_session(secret, SessionKind.PANEL) == session
    for wrong, kind in (
        (secret, SessionKind.USER),
        ("x", SessionKind.PANEL),
        (None, SessionKind.PANEL),
    ):
        with pytest.raises(Unauthenticated):
            access.find_session(wrong, kind)


@pytest.mark.parametrize(
    "harm",
    [
        {"expires_at": 0},
        {"last_seen_at": now_ms() - 16 * MINUTE},
        {"ended_at": 1},
    ],
)
def test_a_session_that_is_over_idle_or_ended_is_not_found(
    owner: PanelAccount, harm: dict[str, int]
) -> None:
    _session, secret = signed_in(owner)
    Session.update(**harm).execute()
    with pytest.raises(Unauthenticated):
        access.find_session(secret, SessionKind.PANEL)


def test_a_suspended_accounts_session_is_dead(owner: PanelAccount) -> None:
    _session, secret = signed_in(owner)
    PanelAccount.update(state="suspended").execute()
    with pytest.raises(Unauthenticated, match="suspended"):
        access.find_session(secret, SessionKind.PANEL)


def test_step_up_opens_one_hour_of_work(owner: PanelAccount) -> None:
    session, _secret = signed_in(owner)
    with pytest.raises(StepUpNeeded):
        access.require_step_up(session)
    with transaction():
        access.stepped_up(session)
    access.require_step_up(session)
    session.stepped_up_at = now_ms() - 61 * MINUTE
    with pytest.raises(StepUpNeeded):
        access.require_step_up(session)


@pytest.mark.parametrize(
    ("held", "needed", "allowed"),
    [
        (Role.OWNER, Role.OWNER, True),
        (Role.OFFICER, Role.OPERATOR, True),
        (Role.OPERATOR, Role.OFFICER, False),
        (Role.AUDITOR, Role.OPERATOR, False),
    ],
)
def test_a_role_holds_those_below_it(
    owner: PanelAccount, held: Role, needed: Role, allowed: bool
) -> None:
    owner.role = held
    owner.save()
    session, _secret = signed_in(owner)
    session.account = owner
    if allowed:
        access.require_role(session, needed)
    else:
        with pytest.raises(Forbidden):
            access.require_role(session, needed)


@pytest.mark.req("R18")
def test_the_last_owner_keeps_a_way_in_when_the_directory_says_gone(owner: PanelAccount) -> None:
    user = people.person()
    owner.user = user
    owner.save()
    _session, secret = signed_in(owner)
    with transaction():
        directory.deactivate(user, Reason.LEFT, CLI)
    assert access.find_session(secret, SessionKind.PANEL).account == owner


@pytest.mark.req("R18")
def test_another_owners_account_is_suspended_with_the_person(owner: PanelAccount) -> None:
    user = people.person()
    with transaction():
        second = access.create_account("Second", Role.OWNER, CLI)
    second.user = user
    second.save()
    _session, secret = signed_in(second)
    with transaction():
        directory.deactivate(user, Reason.LEFT, CLI)
    assert people.again(second).state == "suspended"
    with pytest.raises(Unauthenticated):
        access.find_session(secret, SessionKind.PANEL)


def test_an_owner_link_works_once_and_fifteen_minutes(services: Services) -> None:
    with transaction():
        token = access.make_owner_link(CLI)
    link = access.find_owner_link(token)
    with transaction():
        access.use_owner_link(link)
    with pytest.raises(LinkDead):
        access.find_owner_link(token)
    with pytest.raises(LinkDead), transaction():
        access.use_owner_link(link)
    with transaction():
        late = access.make_owner_link(CLI)
    OwnerLink.update(expires_at=0).execute()
    with pytest.raises(LinkDead):
        access.find_owner_link(late)


def test_an_owner_link_is_refused_while_there_is_an_owner(owner: PanelAccount) -> None:
    with pytest.raises(Forbidden, match="--recover"), transaction():
        access.make_owner_link(CLI)
    with transaction():
        assert access.find_owner_link(access.make_owner_link(CLI, recover=True))


def test_an_account_needs_a_name(services: Services) -> None:
    with pytest.raises(InvalidValue), transaction():
        access.create_account("  ", Role.OWNER, CLI)
