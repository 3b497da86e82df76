# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest

from provisioning.audit import CLI, SYSTEM, Actor
from provisioning.clock import DAY, now_ms
from provisioning.lifecycle import KeyState, Reason
from provisioning.mails import alert_mails, alerts, languages
from provisioning.mails.mail import Template
from provisioning.mails.outbox import MailState
from provisioning.models import Alert, Credential, OutboxMail, PanelAccount, PanelCredential, User
from provisioning.panel import access, leavers, sign_in
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import tokens
from tests.fakes import people
from tests.fakes.authenticator import Authenticator
from tests.provisioning.upstream.test_guard import crowd as crowd
from tests.provisioning.upstream.test_guard import leave


@pytest.fixture
def team(services: Services) -> dict[str, PanelAccount]:
    """One admin of each role with an address, and an owner without."""
    made = {}
    with transaction():
        for role in Role:
            made[role.value] = access.create_account(role, role, CLI, f"{role}@example.org")
        made["silent"] = access.create_account("Silent", Role.OWNER, CLI)
        access.create_account("Gone", Role.OWNER, CLI, "gone@example.org", state="suspended")
    return made


def tell(services: Services) -> list[tuple[str, str]]:
    """Let the worker look; whom it writes to about what, since the last time."""
    OutboxMail.update(state=MailState.SENT).where(OutboxMail.template == Template.ALERT).execute()
    with transaction():
        alert_mails.tell(services)
    queued = OutboxMail.select().where(
        OutboxMail.template == Template.ALERT, OutboxMail.state == MailState.QUEUED
    )
    return sorted((row.recipient, json.loads(row.context)["alert"]) for row in queued)


@pytest.mark.req("R17")
def test_officers_and_owners_hear_of_a_held_departure_once(
    services: Services, team: dict[str, PanelAccount], crowd: list[User]
) -> None:
    leave(crowd[:20])
    told = [("officer@example.org", "departures_held"), ("owner@example.org", "departures_held")]
    assert tell(services) == told
    leave(crowd[20:])
    assert tell(services) == []


@pytest.mark.req("R28")
def test_many_dead_mails_are_one_alert_a_day(
    services: Services, team: dict[str, PanelAccount]
) -> None:
    for number in range(40):
        OutboxMail.create(
            message_id=str(number), template=Template.PIN, recipient="a@b.example",
            state=MailState.DEAD,
        )  # fmt: skip
    assert [kind for _who, kind in tell(services)] == ["mail_dead", "mail_dead"]
    assert Alert.get().subject == "40"
    assert tell(services) == []


def test_an_alert_that_could_not_be_sent_is_no_reason_for_another(
    services: Services, team: dict[str, PanelAccount]
) -> None:
    OutboxMail.create(
        message_id="1", template=Template.ALERT, recipient="a@b.example", state=MailState.DEAD
    )
    with transaction():
        assert alert_mails.tell(services) == 0


def test_owners_hear_of_a_token_that_runs_out(
    services: Services, team: dict[str, PanelAccount]
) -> None:
    with transaction():
        entra = tokens.create_connection("Entra", CLI)
        tokens.create(entra, 10, CLI)
    assert tell(services) == [("owner@example.org", "token_expiring")]
    assert tell(services) == []
    with transaction():
        tokens.create(entra, 90, CLI)
    assert alert_mails.expiring_tokens() == []


@pytest.mark.req("R15")
def test_a_users_key_whose_counter_went_backwards_is_stopped_and_told_of(
    services: Services, team: dict[str, PanelAccount]
) -> None:
    ada = people.person()
    key = people.active_key(ada)
    card = Authenticator(services.settings.origin, services.settings.rp_id)
    Credential.update(credential_id=card.credential_id).execute()
    with transaction():
        sign_in.lock_regressed(_answer(card), SYSTEM)
    assert people.again(key).state == KeyState.SUSPENDED  # type: ignore[attr-defined]
    assert people.again(key).reason == Reason.COUNTER_REGRESSED  # type: ignore[attr-defined]
    assert [kind for _who, kind in tell(services)] == ["key_locked", "key_locked"]
    assert Alert.get().path == f"/users/{ada.resource_id}"


@pytest.mark.req("R15")
def test_a_panel_key_whose_counter_went_backwards_is_told_of(
    services: Services, team: dict[str, PanelAccount]
) -> None:
    card = Authenticator(services.settings.origin, services.settings.rp_id)
    PanelCredential.create(
        account=team["operator"], label="Blue key", rp_id="localhost",
        credential_id=card.credential_id, public_key=b"k", aaguid="",
        attestation_format="none", attestation_object=b"",
    )  # fmt: skip
    with transaction():
        sign_in.lock_regressed(_answer(card), SYSTEM)
        sign_in.lock_regressed(_answer(card), SYSTEM)
    assert [kind for _who, kind in tell(services)] == ["key_locked", "key_locked"]
    assert Alert.get().subject == "Blue key"


@pytest.mark.req("R18")
def test_owners_hear_when_the_last_owners_account_was_kept(services: Services) -> None:
    ada = people.person()
    with transaction():
        access.create_account("Ada", Role.OWNER, CLI, "ada@example.org", user=ada)
        leavers.hold_account_of(ada, CLI)
    assert tell(services) == [("ada@example.org", "account_held")]


@pytest.mark.req("R18")
def test_a_directory_that_takes_a_second_account_within_an_hour_is_doubted(
    services: Services, team: dict[str, PanelAccount]
) -> None:
    directory = Actor("connection", "1", "Entra")
    for name, role in (("ada", "operator"), ("berta", "officer"), ("carla", "auditor")):
        team[role].user = people.person(name)
        team[role].save()
    with transaction():
        leavers.hold_account_of(team["operator"].user, directory)
        leavers.hold_account_of(team["officer"].user, directory)
    states = {
        a.role: a.state for a in PanelAccount.select().where(PanelAccount.user.is_null(False))
    }
    assert states == {"operator": "suspended", "officer": "active", "auditor": "active"}
    assert tell(services) == [("owner@example.org", "account_doubted")]
    with transaction():
        leavers.hold_account_of(team["auditor"].user, CLI)
    assert people.again(team["auditor"]).state == "suspended"  # type: ignore[attr-defined]


@pytest.mark.req("R25")
def test_the_holder_and_officers_hear_of_one_more_key_of_a_panel_account(
    services: Services, team: dict[str, PanelAccount]
) -> None:
    for role in ("operator", "auditor"):
        team[role].email = f"{role}@example.org"
        team[role].save()
    with transaction():
        made = PanelCredential.create(
            account=team["operator"], label="Key 2", rp_id="localhost", credential_id=b"2",
            public_key=b"k", aaguid="", attestation_format="none", attestation_object=b"",
        )  # fmt: skip
        alerts.note_panel_key(team["operator"], made)
    assert sorted(who for who, _kind in tell(services)) == [
        "officer@example.org",
        "operator@example.org",
        "owner@example.org",
    ]


def test_each_admin_reads_it_in_their_language(
    services: Services, team: dict[str, PanelAccount]
) -> None:
    with transaction():
        languages.choose_for_account(team["owner"], "de")
        alerts.note(alerts.Kind.KEY_LOCKED, "1", "Blue key", "/keys")
    tell(services)
    found = {row.recipient: row.locale for row in OutboxMail.select()}
    assert found == {"owner@example.org": "de", "officer@example.org": "en"}


def test_a_thing_may_be_told_of_again_after_a_month(services: Services) -> None:
    with transaction():
        alerts.note(alerts.Kind.KEY_LOCKED, "1", "Blue key", "/keys")
        alerts.note(alerts.Kind.KEY_LOCKED, "1", "Blue key", "/keys")
    assert Alert.select().count() == 1
    Alert.update(created_at=now_ms() - 31 * DAY).execute()
    tell(services)
    assert not Alert.select().exists()


def _answer(card: Authenticator) -> dict[str, object]:
    return card.get(json.dumps({"challenge": "AA", "rpId": "localhost"}))
