# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from provisioning.audit import CLI
from provisioning.clock import now_ms
from provisioning.errors import InvalidValue, LinkDead
from provisioning.issuing import activations
from provisioning.lifecycle import KeyState, LinkState
from provisioning.models import Activation, OutboxMail, PanelAccount, SecurityKey
from provisioning.services import Services
from provisioning.storage.db import database, transaction
from tests.fakes import people

pytestmark = pytest.mark.req("R11")


def issue(services: Services, key: SecurityKey) -> tuple[Activation, str]:
    with transaction():
        activation, url = activations.issue(key, services, CLI)
    return activation, url.partition("#")[2]


def test_a_link_carries_its_token_in_the_fragment_and_is_mailed(services: Services) -> None:
    key = people.pending_key(people.person())
    with transaction():
        _activation, url = activations.issue(key, services, CLI)
    assert url.startswith("http://localhost:5005/activate#")
    mail = OutboxMail.get()
    assert mail.recipient == "ada@example.org"
    assert url not in mail.context


@pytest.mark.sqlite
def test_the_token_is_nowhere_in_the_database(services: Services) -> None:
    _activation, token = issue(services, people.pending_key(people.person()))
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert token.encode() not in (services.settings.data / "keywright.sqlite3").read_bytes()


def test_a_newer_link_supersedes_the_older_one_and_its_mail(services: Services) -> None:
    key = people.pending_key(people.person())
    first, old = issue(services, key)
    _second, new = issue(services, key)
    with pytest.raises(LinkDead):
        activations.find(old)
    assert activations.find(new).key == key
    assert people.again(first).state == LinkState.SUPERSEDED
    assert [m.state for m in OutboxMail.select().order_by(OutboxMail.id)] == [
        "cancelled",
        "queued",
    ]


def test_expiry_is_decided_at_use(services: Services) -> None:
    activation, token = issue(services, people.pending_key(people.person()))
    Activation.update(expires_at=now_ms() - 1).execute()
    with pytest.raises(LinkDead):
        activations.find(token)
    assert activations.state_of(people.again(activation)) is LinkState.EXPIRED


def test_a_link_is_used_once_even_by_two_at_a_time(services: Services) -> None:
    activation, token = issue(services, people.pending_key(people.person()))
    rival = activations.find(token)
    with transaction():
        activations.use(activation, CLI)
    with pytest.raises(LinkDead), transaction():
        activations.use(rival, CLI)
    with pytest.raises(LinkDead):
        activations.find(token)


def test_a_link_dies_with_its_key(services: Services) -> None:
    key = people.pending_key(people.person())
    _activation, token = issue(services, key)
    SecurityKey.update(state=KeyState.REVOKED).execute()
    with pytest.raises(LinkDead):
        activations.find(token)


def test_a_forged_token_is_dead(services: Services) -> None:
    for forged in ("", "x", "a" * 43):
        with pytest.raises(LinkDead):
            activations.find(forged)


def test_a_person_without_an_address_gets_no_link(services: Services) -> None:
    key = people.pending_key(people.person("ada", emails=[]))
    with pytest.raises(InvalidValue, match="no e-mail address"), transaction():
        activations.issue(key, services, CLI)
    assert Activation.select().count() == 0


def test_asking_again_tells_the_admins_at_most_once_an_hour(services: Services) -> None:
    PanelAccount.create(name="Grace", email="grace@example.org", role="owner", user_handle=b"h")
    activation, _token = issue(services, people.pending_key(people.person()))
    with transaction():
        activations.ask_again(activation, services)
        activations.ask_again(activation, services)
    asked = list(OutboxMail.select().where(OutboxMail.template == "link_requested"))
    assert [mail.recipient for mail in asked] == ["grace@example.org"]


def test_opening_is_noted_once_and_decides_nothing(services: Services) -> None:
    activation, token = issue(services, people.pending_key(people.person()))
    with transaction():
        activations.opened(activation)
        first = activation.opened_at
        activations.opened(people.again(activation))
    assert people.again(activation).opened_at == first
    assert activations.find(token) == activation
