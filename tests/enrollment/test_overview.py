# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The panel's home: what needs a hand, the funnel, the plot, and what it costs to ask."""

from __future__ import annotations

import re
import uuid

import pytest
from flask import Flask

from provisioning import tasks
from provisioning.audit import CLI, Actor, Event
from provisioning.clock import DAY, HOUR, MINUTE, now_ms
from provisioning.issuing import approvals
from provisioning.lifecycle import KeyState, LinkState
from provisioning.mails import alerts, outbox
from provisioning.mails.mail import MailPermanent, Template
from provisioning.mails.outbox import MailState
from provisioning.models import (
    Activation,
    AuditEvent,
    Connection,
    MassDeparture,
    OutboxMail,
    PanelAccount,
    PanelCredential,
    SecurityKey,
    Station,
    User,
)
from provisioning.pages import attention
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import tokens
from tests.fakes import people
from tests.fakes.panel import Panel, text_of
from tests.fakes.queries import counted
from tests.provisioning.upstream.test_guard import crowd as crowd
from tests.provisioning.upstream.test_guard import leave

HOME = "/overview"


def mail(services: Services, user: User, template: Template = Template.PIN) -> OutboxMail:
    with transaction():
        return outbox.queue(
            template,
            "ada@example.org",
            vault=services.vault,
            context={
                "organisation": "Example Hospital", "name": "Ada", "key_name": "Card",
                "base_url": services.settings.base_url, "contact": "desk",
            },
            secret="4711" if template is Template.PIN else None,
            user=user,
        )  # fmt: skip


def die(letter: OutboxMail, said: str = "550 5.1.1 No such mailbox") -> None:
    with transaction():
        claimed = outbox.claim(now_ms() + 1)
        assert claimed is not None
        assert claimed.id == letter.id
        outbox.failed(claimed, MailPermanent(said))


def test_it_is_the_panels_home(panel: Panel) -> None:
    assert panel.get("/").location == HOME
    page = panel.get(HOME).text
    assert re.search(r'href="/overview" aria-current="page"', page)


def test_an_empty_panel_says_what_to_do_next(panel: Panel) -> None:
    page = panel.see(HOME)
    for words in ("No people yet", "No station yet", "None in these thirty days."):
        assert words in page


def test_when_nothing_needs_a_hand_it_says_so(panel: Panel) -> None:
    for _ in range(2):
        PanelCredential.create(
            account=panel.account, rp_id="localhost", credential_id=uuid.uuid4().bytes,
            public_key=b"k", aaguid="", attestation_format="none", attestation_object=b"",
        )  # fmt: skip
    page = panel.see(HOME)
    assert "Nothing needs a hand" in page
    assert "one key only" not in page


def test_an_admin_with_one_key_is_nagged(panel: Panel) -> None:
    assert "You have one key only." in panel.see(HOME)


def test_the_funnel_counts_people_on_their_way(panel: Panel) -> None:
    for name in ("new1", "new2", "new3"):
        people.person(name)
    people.pending_key(people.person("waits"))
    people.active_key(people.person("works"))
    page = panel.see(HOME)
    assert "5 people" in page
    assert "New 3 without a key Pending 1 a key waits for activation Active 1" in page


def test_a_decision_is_offered_to_who_may_decide_it(app: Flask, panel: Panel) -> None:
    ada = people.person()
    asked = panel.account
    with transaction():
        key = people.pending_key(ada)
        approvals.ask(key, ada, Actor("account", str(asked.id), asked.name))
    told = "1 key waits for a second officer"
    assert told not in panel.see(HOME)  # who asked never decides
    assert told not in Panel(app, Role.OPERATOR, name="Operator").see(HOME)
    officer = Panel(app, Role.OFFICER, name="Officer")
    assert told in officer.see(HOME)
    PanelAccount.update(user=ada).where(PanelAccount.id == officer.account.id).execute()
    assert told not in officer.see(HOME)  # nor whose key it is


def test_activations_are_drawn_by_day_with_a_table_beside(panel: Panel) -> None:
    for number, days in enumerate((0, 0, 3, 29, 30)):
        key = people.active_key(people.person(f"u{number}"))
        SecurityKey.update(activated_at=now_ms() - days * DAY).where(
            SecurityKey.id == key.id
        ).execute()
    days = attention.activations_by_day(now_ms())
    assert len(days) == 30
    assert [count for _day, count in days if count] == [1, 1, 2]
    page = panel.get(HOME).text
    plot = re.search(r'<svg class="plot".*?</svg>', page, re.S)
    assert plot
    assert plot[0].count('class="bar"') == 3
    assert 'role="img" aria-label="Keys activated' in plot[0]
    assert "4 in thirty days" in text_of(panel.get(HOME))
    assert re.search(r'<th scope="row">[^<]+</th><td class="number">2</td>', page)


@pytest.mark.req("R28")
def test_a_dead_mail_can_be_looked_at_and_tried_again(panel: Panel, services: Services) -> None:
    letter = mail(services, people.person())
    die(letter)
    assert "1 mail could not be delivered" in panel.see(HOME)
    page = panel.see("/mails")
    assert "550 5.1.1 No such mailbox" in page
    assert "4711" not in panel.get("/mails").text
    panel.post(f"/mails/{letter.id}/retry")
    assert OutboxMail.get_by_id(letter.id).state == MailState.QUEUED
    [row] = AuditEvent.select().where(AuditEvent.event == Event.MAIL_RETRIED)
    assert row.actor_name == "Grace Hopper"
    assert "Every mail has arrived" in panel.see("/mails")


def test_a_mail_whose_secret_is_erased_says_what_to_do_instead(
    panel: Panel, services: Services
) -> None:
    letter = mail(services, people.person())
    die(letter)
    OutboxMail.update(sealed_secret=None).execute()
    assert "Its secret is erased: make a new link or card." in panel.see("/mails")
    assert "retry" not in panel.get("/mails").text
    answer = panel.post(f"/mails/{letter.id}/retry", follow_redirects=True)
    assert "cannot be sent again" in text_of(answer)
    assert OutboxMail.get_by_id(letter.id).state == MailState.DEAD


def test_an_auditor_sees_failed_mail_and_retries_none(
    app: Flask, panel: Panel, services: Services
) -> None:
    letter = mail(services, people.person())
    die(letter)
    auditor = Panel(app, Role.AUDITOR, name="An auditor")
    assert "No such mailbox" in auditor.see("/mails")
    assert auditor.post(f"/mails/{letter.id}/retry").status_code == 403
    assert panel.post("/mails/999/retry").status_code == 404


def test_a_mail_server_that_is_away_is_told_in_its_words(panel: Panel, services: Services) -> None:
    mail(services, people.person())
    OutboxMail.update(
        last_error="The mail server cannot be reached: Connection refused.",
        created_at=now_ms() - HOUR,
        attempts=0,
    ).execute()
    page = panel.see(HOME)
    assert "Mail is not going out" in page
    assert "Connection refused." in page
    assert "Waiting" in panel.see("/mails")


def test_cards_links_directories_tokens_and_stations_each_have_their_line(
    panel: Panel, services: Services
) -> None:
    key = people.pending_key(people.person())
    SecurityKey.update(state=KeyState.NEEDS_RESET).where(SecurityKey.id == key.id).execute()
    waits = people.pending_key(people.person("waits"))
    for hours in (1, 5, 7):
        Activation.create(
            resource_id=str(uuid.uuid4()), key=waits, user=waits.user, address="a@b.example",
            token_hash=uuid.uuid4().bytes, state=LinkState.LIVE,
            expires_at=now_ms() + hours * HOUR,
        )  # fmt: skip
    with transaction():
        silent = tokens.create_connection("Entra", CLI)
        tokens.create(silent, 10, CLI)
        fine = tokens.create_connection("Okta", CLI)
        tokens.create(fine, 10, CLI)
        tokens.create(fine, 180, CLI)
    Connection.update(last_seen_at=now_ms() - 4 * DAY).where(Connection.id == silent.id).execute()
    people.station(services)
    Station.update(last_seen_at=1).execute()
    page = panel.see(HOME)
    for words in (
        "1 card needs a reset",
        "2 activation links run out within six hours",
        "Entra has gone silent Nothing was heard of it since 4 days ago",
        "The token of Entra runs out soon",
        "1 station is offline Desk NFC",
    ):
        assert words in page
    assert "The token of Okta" not in page
    retired = Connection.update(retired_at=1).where(Connection.id == silent.id)
    retired.execute()
    assert "Entra" not in panel.see(HOME)


@pytest.mark.req("R15")
def test_a_key_that_may_be_a_copy_is_on_top(panel: Panel) -> None:
    ada = people.person()
    key = people.active_key(ada)
    with transaction():
        alerts.note(alerts.Kind.KEY_LOCKED, "1", key.name, f"/users/{ada.resource_id}")
    page = panel.get(HOME).text
    assert "There may be a copy of “Card of Ada”" in page
    assert f'href="/users/{ada.resource_id}"' in page


@pytest.mark.req("R17")
def test_a_held_departure_is_approved_by_an_officer(
    app: Flask, panel: Panel, crowd: list[User]
) -> None:
    leave(crowd[:20])
    held = MassDeparture.get()
    page = panel.see(HOME)
    assert "Entra: a mass departure is held 20 people left at once" in page
    auditor = Panel(app, Role.OPERATOR, name="An operator")
    assert "An officer decides." in auditor.see(f"/departures/{held.id}")
    assert auditor.post(f"/departures/{held.id}/approve").status_code == 403
    page = panel.see(f"/departures/{held.id}")
    assert "20 people left within an hour." in page
    assert "The keys of 20 people are revoked for good" in page
    panel.post(f"/departures/{held.id}/approve")
    assert MassDeparture.get_by_id(held.id).decision == "approved"
    assert "mass departure" not in panel.see(HOME).partition("Approved:")[0]
    assert panel.get(f"/departures/{held.id}").status_code == 409


@pytest.mark.req("R17")
def test_a_held_departure_is_taken_back_bit_by_bit(
    app: Flask, panel: Panel, services: Services, crowd: list[User]
) -> None:
    leave(crowd[:20])
    held = MassDeparture.get()
    answer = panel.post(f"/departures/{held.id}/reject")
    assert answer.location.startswith("/tasks/")
    assert "Taking a mass departure back" in panel.see(answer.location)
    while tasks.work(services):
        pass
    assert User.select().where(User.active, User.deleted_at.is_null()).count() == 30
    states = {key.state for key in SecurityKey.select()}
    assert states == {KeyState.ACTIVE}
    assert MassDeparture.get_by_id(held.id).decision == "rejected"


@pytest.mark.req("R17")
def test_taking_back_that_is_stopped_leaves_the_rest_held_and_open(
    panel: Panel, services: Services, crowd: list[User]
) -> None:
    leave(crowd[:20])
    held = MassDeparture.get()
    answer = panel.post(f"/departures/{held.id}/reject")
    panel.post(f"{answer.location}/cancel")
    assert MassDeparture.get_by_id(held.id).decision is None
    assert "20 people left at once" in panel.see(HOME)


@pytest.mark.req("R17")
def test_a_decision_asks_for_the_key_again(app: Flask, crowd: list[User]) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    leave(crowd[:20])
    officer = Panel(app, Role.OFFICER, stepped_up=False)
    number = MassDeparture.get().id
    for verb in ("approve", "reject"):
        answer = officer.post(f"/departures/{number}/{verb}")
        assert answer.location == f"/step-up?next=/departures/{number}"
    assert MassDeparture.get_by_id(number).decision is None
    assert officer.get("/departures/999").status_code == 404


def test_counting_stops_at_a_hundred(panel: Panel, services: Services) -> None:
    ada = people.person()
    key = people.pending_key(ada)
    rows = [
        {
            "resource_id": str(uuid.uuid4()), "user": ada, "kind": "contactless_card",
            "name": f"k{number}", "state": KeyState.NEEDS_RESET, "method": "user",
            "user_handle": b"h", "created_at": 1,
        }
        for number in range(130)
    ]  # fmt: skip
    SecurityKey.insert_many(rows).execute()
    assert key.state == KeyState.PENDING
    assert attention.now().resets == attention.MOST
    assert "100+ cards need a reset" in panel.see(HOME)


def test_the_page_costs_the_same_however_much_there_is(panel: Panel, services: Services) -> None:
    panel.get(HOME)
    with counted() as before:
        panel.get(HOME)
    for number in range(25):
        ada = people.person(f"u{number}")
        people.active_key(ada)
        mail(services, ada, Template.KEY_ADDED)
        people.station(services, f"Desk {number}")
        with transaction():
            connection = tokens.create_connection(f"Directory {number}", CLI)
            tokens.create(connection, 5, CLI)
            alerts.note(alerts.Kind.KEY_LOCKED, str(number), "Card", "/keys")
            MassDeparture.create(connection=connection, started_at=1)
    Connection.update(last_seen_at=1).execute()
    OutboxMail.update(last_error="away", created_at=now_ms() - 11 * MINUTE).execute()
    with counted() as after:
        assert panel.get(HOME).status_code == 200
    # One more or less: a session is touched, the settings are looked at, now and then.
    assert len(after) <= len(before) + 2 <= 26


def test_it_needs_a_session(app: Flask) -> None:
    for url in (HOME, "/mails", "/departures/1", "/settings"):
        assert app.test_client().get(url).location == f"/sign-in?next={url}"
