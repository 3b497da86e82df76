# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What an admin does to a key: without a reader, and at one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from provisioning import audit, groups, keys
from provisioning.audit import CLI, Event
from provisioning.desks import jobs
from provisioning.desks.jobs import Op
from provisioning.issuing import group_policies, terms
from provisioning.issuing.policy import Policy
from provisioning.lifecycle import JobState, KeyKind, KeyState, Reason
from provisioning.models import (
    Activation,
    AuditEvent,
    Credential,
    Job,
    OutboxMail,
    SecurityKey,
    User,
)
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from provisioning.storage.migrate import migrate
from provisioning.vault import Vault
from tests.fakes.desk import KNOWS_ALL, Desk, b64url
from tests.fakes.panel import CARD, Panel, tap, text_of
from tests.fakes.people import active_key, pending_key, person


@pytest.fixture
def delivery() -> str:
    return "mail"


@pytest.fixture
def services(data: Path, vault: Vault, delivery: str) -> Iterator[Services]:
    settings = load(
        data,
        base_url="http://localhost:5005",
        organisation="Example Hospital",
        demo=True,
        attestation="none",
        pin_delivery=delivery,
    )
    migrate(open_database(settings.database_url))
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


def now(key: SecurityKey) -> SecurityKey:
    return SecurityKey.get_by_id(key.id)


def test_suspend_and_resume(panel: Panel) -> None:
    key = active_key(person())
    panel.post(f"/keys/{key.resource_id}/suspend")
    assert (now(key).state, now(key).reason) == (KeyState.SUSPENDED, Reason.ON_HOLD)
    panel.post(f"/keys/{key.resource_id}/resume")
    assert (now(key).state, now(key).reason) == (KeyState.ACTIVE, None)


def test_a_key_that_never_worked_is_not_said_to_work_again(panel: Panel) -> None:
    waiting = pending_key(person())
    with transaction():
        keys.suspend(now(waiting), Reason.ON_HOLD, CLI)
    answer = panel.post(f"/keys/{waiting.resource_id}/resume", follow_redirects=True)
    assert "waits for its activation again." in text_of(answer)
    assert "“Card of Ada” works again." not in text_of(answer)


def test_a_lost_key_stops_at_once(panel: Panel) -> None:
    key = active_key(person())
    page = text_of(panel.post(f"/keys/{key.resource_id}/lost", follow_redirects=True))
    assert "Assign a replacement" in page
    assert "reported lost" in page
    assert now(key).state == KeyState.SUSPENDED


@pytest.mark.req("R20")
@pytest.mark.parametrize("verb", ["suspend", "lost"])
def test_a_key_that_is_stopped_while_its_card_is_written_stops_the_station(
    panel: Panel, desk: Desk, verb: str
) -> None:
    key = pending_key(person())
    panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id})
    ticket = desk.ticket()
    desk.tell(ticket, "card", **KNOWS_ALL)
    desk.tell(ticket, "pin_setting")
    page = text_of(panel.post(f"/keys/{key.resource_id}/{verb}", follow_redirects=True))
    assert "is stopped. Its card may carry a PIN already: reset it." in page
    answer = desk.tell(ticket, "pin_set")
    assert (answer.json["go"], answer.json["reason"]) == (False, "cancelled")
    assert now(key).state == KeyState.NEEDS_RESET


def test_no_key_of_somebody_suspended_is_offered_to_be_resumed(panel: Panel) -> None:
    user = person()
    key = active_key(user)
    page, resume = f"/users/{user.resource_id}", f"/keys/{key.resource_id}/resume"
    panel.post(f"/keys/{key.resource_id}/suspend")
    assert resume in panel.get(page).text
    panel.post(f"{page}/suspend")
    assert resume not in panel.get(page).text
    assert "It can be resumed once Ada Lovelace is active again." in panel.see(page)
    refused = panel.post(resume, follow_redirects=True)
    assert refused.request.path == page
    assert "Ada Lovelace is suspended: reactivate first." in text_of(refused)
    assert now(key).state == KeyState.SUSPENDED


def test_revoking_says_what_happens_and_is_for_ever(panel: Panel) -> None:
    user = person()
    key, spare = active_key(user), active_key(user, "Spare")
    page = panel.see(f"/users/{user.resource_id}")
    assert "Ada Lovelace keeps one other working key." in page
    panel.post(f"/keys/{key.resource_id}/revoke")
    assert now(key).state == KeyState.REVOKED
    assert now(spare).state == KeyState.ACTIVE
    assert "is left without a working key" in panel.see(f"/users/{user.resource_id}")
    panel.post(f"/keys/{key.resource_id}/resume")
    assert now(key).state == KeyState.REVOKED


def test_revoking_asks_for_the_admins_key_first(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    user = person()
    key = active_key(user)
    panel = Panel(app, Role.OFFICER, stepped_up=False)
    answer = panel.post(f"/keys/{key.resource_id}/revoke")
    assert answer.location == f"/step-up?next=/users/{user.resource_id}"
    assert now(key).state == KeyState.ACTIVE
    panel.step_up()
    panel.post(f"/keys/{key.resource_id}/revoke")
    assert now(key).state == KeyState.REVOKED


def test_revoking_a_waiting_key_kills_its_link_and_job(panel: Panel, desk: Desk) -> None:
    key = pending_key(person())
    panel.post(f"/keys/{key.resource_id}/resend")
    panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id})
    panel.post(f"/keys/{key.resource_id}/revoke")
    assert now(key).state == KeyState.REVOKED
    assert Activation.get().state == "cancelled"
    assert Job.get().state == JobState.CANCELLED


@pytest.mark.parametrize("verb", ["resume", "revoke"])
def test_what_only_an_officer_may(app: Flask, verb: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    key = active_key(person())
    operator = Panel(app, Role.OPERATOR)
    assert operator.post(f"/keys/{key.resource_id}/{verb}").status_code == 403


def test_a_new_name_is_unique_among_the_persons_keys(panel: Panel) -> None:
    user = person()
    key = active_key(user)
    active_key(user, "Spare")
    url = f"/keys/{key.resource_id}/rename"
    refused = panel.post(url, {"name": "SPARE"})
    assert refused.status_code == 200
    assert "already has a key named SPARE" in refused.text
    assert panel.post(url, {"name": "  Blue   card "}).status_code == 302
    assert now(key).name == "Blue card"


def test_the_holder_changes_the_pin_at_a_reader(panel: Panel, desk: Desk) -> None:
    key = active_key(person())
    begun = panel.post(f"/keys/{key.resource_id}/change-pin", {"station": desk.id})
    page = begun.location
    ticket = desk.ticket()
    assert ticket["op"] == Op.CHANGE_PIN
    desk.tell(ticket, "waiting")
    assert "Tap the card on Desk NFC" in panel.see(page)
    known = b64url(bytes(Credential.get(Credential.key == key).credential_id))
    assert desk.tell(ticket, "card", **{**KNOWS_ALL, "known": [known]}).json == {"go": True}
    assert "Type the present PIN" in panel.see(page)
    desk.tell(ticket, "done")
    assert "The PIN is changed" in panel.see(page)
    assert AuditEvent.select().where(AuditEvent.event == Event.PIN_CHANGED).exists()


def test_another_card_is_refused_at_a_pin_change(panel: Panel, desk: Desk) -> None:
    key = active_key(person())
    page = panel.post(f"/keys/{key.resource_id}/change-pin", {"station": desk.id}).location
    ticket = desk.ticket()
    desk.tell(ticket, "waiting")
    assert desk.tell(ticket, "card", **KNOWS_ALL).json["go"] is False
    assert "holds no key for this organisation" in panel.see(page)
    assert panel.post(f"{page}/again").status_code == 302
    assert Job.get().state == JobState.QUEUED
    panel.post(f"{page}/cancel")
    assert Job.get().state == JobState.CANCELLED


def test_a_card_that_needs_it_is_reset_at_a_reader(panel: Panel, desk: Desk) -> None:
    key = pending_key(person())
    with transaction():
        keys.need_reset(key, CLI, "the tap was cancelled")
    assert "Reset card" in panel.see(f"/users/{key.user.resource_id}")
    url = f"/keys/{key.resource_id}/reset"
    assert "The PIN and the sign-ins of every site on this card are wiped" in panel.see(url)
    page = panel.post(url, {"station": desk.id}).location
    wipe(desk)
    assert now(key).state == KeyState.PENDING
    assert "Give “Card of Ada” its card here" in panel.see(page), "it goes on with the enrolment"


def wipe(desk: Desk, **card: object) -> None:
    """The station's side of a reset, from ticket to done."""
    ticket = desk.ticket()
    assert ticket["op"] == Op.RESET
    desk.tell(ticket, "waiting")
    assert desk.tell(ticket, "card", **{**KNOWS_ALL, **card}).json == {"go": True}
    assert desk.tell(ticket, "wiping").json == {"go": True}
    assert desk.tell(ticket, "done").json == {"go": True}


def shows(key: SecurityKey) -> list[str]:
    return [b64url(bytes(Credential.get(Credential.key == key).credential_id))]


def test_a_forgotten_pin_means_a_wiped_card_that_is_enrolled_again(
    panel: Panel, desk: Desk, services: Services
) -> None:
    user = person()
    key, _spare = active_key(user), active_key(user, "Spare")
    url = f"/keys/{key.resource_id}/reset"
    asked = panel.see(url)
    assert "The PIN and the sign-ins of every site on this card are wiped" in asked
    assert "Ada Lovelace keeps one other working key." in asked
    before = shows(key)
    page = panel.post(url, {"station": desk.id}).location
    wipe(desk, known=before, client_pin=True)
    pin, _card = tap(desk, services)
    assert now(key).state == KeyState.ACTIVE
    assert shows(key) != before
    assert OutboxMail.get(OutboxMail.template == "pin").user == user
    assert "The card is assigned" in panel.see(page)
    assert pin not in panel.get(page).text


def test_from_the_wipe_on_the_key_does_not_count(panel: Panel, desk: Desk) -> None:
    key = active_key(person())
    panel.post(f"/keys/{key.resource_id}/reset", {"station": desk.id})
    ticket = desk.ticket()
    desk.tell(ticket, "card", **{**KNOWS_ALL, "known": shows(key)})
    assert now(key).state == KeyState.ACTIVE
    desk.tell(ticket, "wiping")
    assert now(key).state == KeyState.NEEDS_RESET
    desk.tell(ticket, "fault", fault="card_removed")
    assert now(key).state == KeyState.NEEDS_RESET
    with transaction():
        jobs.requeue(Job.get(), CLI)
    resumed = desk.ticket()
    assert resumed["resume"]["pin_maybe_set"] is True, "the station compares the UID"
    assert desk.tell(resumed, "card", **KNOWS_ALL).json == {"go": True}, "it shows no key any more"


def test_only_the_keys_own_card_is_wiped(panel: Panel, desk: Desk) -> None:
    key = active_key(person())
    panel.post(f"/keys/{key.resource_id}/reset", {"station": desk.id})
    ticket = desk.ticket()
    assert desk.tell(ticket, "card", **KNOWS_ALL).json["reason"] == "no_credential"
    assert now(key).state == KeyState.ACTIVE


@pytest.mark.parametrize("before", ["active", "suspended", "revoked"])
def test_a_returned_card_is_wiped_and_its_key_revoked(
    panel: Panel, desk: Desk, before: str
) -> None:
    key = active_key(person())
    with transaction():
        if before == "suspended":
            keys.suspend(key, Reason.LOST, CLI)
        elif before == "revoked":
            keys.revoke(key, Reason.LEFT, CLI)
    assert "Return card to stock" in panel.see(f"/users/{key.user.resource_id}")
    url = f"/keys/{key.resource_id}/return"
    assert "is revoked for ever; its history stays" in panel.see(url)
    page = panel.post(url, {"station": desk.id}).location
    wipe(desk, known=shows(key))
    assert "The card is empty again" in panel.see(page)
    reason = Reason.LEFT if before == "revoked" else Reason.RETURNED
    assert (now(key).state, now(key).reason) == (KeyState.REVOKED, reason)
    assert AuditEvent.select().where(AuditEvent.event == Event.CARD_WIPED).count() == 1
    assert not Job.select().where(Job.op == Op.ENROL).exists()


def test_a_card_with_an_unknown_pin_is_reset_and_goes_on(
    panel: Panel, desk: Desk, services: Services
) -> None:
    key = pending_key(person())
    page = panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id}).location
    ticket = desk.ticket()
    desk.tell(ticket, "card", **{**KNOWS_ALL, "client_pin": True})
    desk.tell(ticket, "fault", fault="pin_present")
    shown = panel.get(page).text
    assert f"/keys/{key.resource_id}/blank" in shown
    assert "Use the card&#39;s own PIN" in shown
    panel.post(f"/keys/{key.resource_id}/blank", {"station": desk.id})
    wipe(desk, client_pin=True)
    assert now(key).state == KeyState.PENDING
    tap(desk, services)
    assert now(key).state == KeyState.ACTIVE


def test_a_card_whose_pin_its_holder_knows_keeps_it(panel: Panel, desk: Desk) -> None:
    key = pending_key(person())
    page = panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id}).location
    ticket = desk.ticket()
    desk.tell(ticket, "card", **{**KNOWS_ALL, "client_pin": True})
    desk.tell(ticket, "fault", fault="pin_present")
    panel.post(f"{page}/own-pin")
    ticket = desk.ticket()
    assert ticket["pin"]["mode"] == "own"
    assert Job.get(Job.state == JobState.RUNNING).sealed_pin is None


def test_somebody_elses_card_is_never_wiped_as_a_blank_one(panel: Panel, desk: Desk) -> None:
    other = active_key(person("bob"), "Card of Bob")
    key = pending_key(person())
    panel.post(f"/keys/{key.resource_id}/blank", {"station": desk.id})
    answer = desk.tell(desk.ticket(), "card", **{**KNOWS_ALL, "known": shows(other)})
    assert answer.json["reason"] == "card_taken"


@pytest.mark.parametrize("verb", ["reset", "blank"])
def test_a_suspended_persons_card_is_not_enrolled_again(
    panel: Panel, desk: Desk, verb: str
) -> None:
    user = person()
    key = pending_key(user)
    with transaction():
        if verb == "reset":
            keys.need_reset(key, CLI, "asked for")
    User.update(active=False).where(User.id == user.id).execute()
    answer = panel.post(f"/keys/{key.resource_id}/{verb}", {"station": desk.id})
    assert answer.status_code == 409
    assert "suspended" in text_of(answer)


def test_a_pin_that_could_reach_nobody_is_not_made(panel: Panel, desk: Desk) -> None:
    key = pending_key(person(emails=[]))
    answer = panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id})
    assert "no e-mail address that a PIN could be sent to" in text_of(answer)
    assert not Job.select().exists()


@pytest.mark.parametrize("verb", ["reset", "return"])
def test_what_wipes_a_card_asks_for_the_admins_key_first(app: Flask, desk: Desk, verb: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    key = active_key(person())
    panel = Panel(app, Role.OPERATOR, stepped_up=False)
    answer = panel.post(f"/keys/{key.resource_id}/{verb}", {"station": desk.id})
    assert answer.location.startswith("/step-up")
    assert not Job.select().exists()


def test_a_waiting_key_gets_its_card_here_instead_of_by_link(
    panel: Panel, desk: Desk, services: Services
) -> None:
    key = pending_key(person())
    page = panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id}).location
    pin, _card = tap(desk, services)
    assert "The card is assigned" in panel.see(page)
    assert now(key).state == KeyState.ACTIVE
    assert OutboxMail.get().template == "pin"
    assert pin not in panel.get(page).text
    shown = panel.see(f"/users/{key.user.resource_id}")
    assert "PIN mail is waiting to be sent" in shown


@pytest.mark.req("R25")
@pytest.mark.parametrize("verb", ["assign", "reset"])
def test_nobody_writes_a_card_of_their_own(app: Flask, desk: Desk, verb: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    user = person()
    key = pending_key(user)
    panel = Panel(app, user=user)
    answer = panel.post(f"/keys/{key.resource_id}/{verb}", {"station": desk.id})
    assert answer.status_code == 403
    assert not Job.select().exists()


def test_nobody_has_a_colleagues_broken_off_order_go_on_for_themselves(
    app: Flask, panel: Panel, desk: Desk
) -> None:
    user = person()
    key = pending_key(user)
    page = panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id}).location
    desk.tell(desk.ticket(), "fault", fault="no_card")
    mine = Panel(app, Role.OPERATOR, user=user, name="Ada")
    assert mine.post(f"{page}/again").status_code == 403
    late = Panel(app, Role.OPERATOR, stepped_up=False, name="Late")
    assert late.post(f"{page}/again").location.startswith("/step-up")
    assert Job.get().state == JobState.INTERRUPTED
    assert panel.post(f"{page}/again").location == page
    assert Job.get().state == JobState.QUEUED


def test_nobody_resumes_a_key_of_their_own(app: Flask, panel: Panel) -> None:
    user = person()
    key = active_key(user)
    mine = Panel(app, Role.OFFICER, user=user, name="Ada")
    mine.post(f"/keys/{key.resource_id}/suspend")
    assert mine.post(f"/keys/{key.resource_id}/resume").status_code == 403
    assert now(key).state == KeyState.SUSPENDED
    panel.post(f"/keys/{key.resource_id}/resume")
    assert now(key).state == KeyState.ACTIVE


def test_without_a_reader_the_page_says_so(panel: Panel) -> None:
    key = active_key(person())
    assert "No reader is paired yet." in panel.see(f"/keys/{key.resource_id}/change-pin")


def test_a_reader_must_be_chosen(panel: Panel, desk: Desk) -> None:
    key = active_key(person())
    answer = panel.post(f"/keys/{key.resource_id}/change-pin", {"station": "nowhere"})
    assert answer.status_code == 200
    assert "Choose a reader." in answer.text


def test_one_keys_job_is_not_anothers(panel: Panel, desk: Desk) -> None:
    first, second = active_key(person()), active_key(person("bob"))
    page = panel.post(f"/keys/{first.resource_id}/change-pin", {"station": desk.id}).location
    other = page.replace(first.resource_id, second.resource_id)
    assert panel.get(other).status_code == 404
    assert panel.post(f"{other}/cancel").status_code == 404


@pytest.mark.req("R19")
@pytest.mark.parametrize("delivery", ["reveal_once"])
def test_a_pin_is_shown_once_where_the_policy_says_so(
    panel: Panel, desk: Desk, services: Services
) -> None:
    draft = panel.to_key_step(email="")
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    pin, _card = tap(desk, services)
    panel.step(draft, "security-key", station=desk.id, **CARD)
    done = panel.step(draft, "review", go="confirm").text
    assert "Show the PIN once" in done
    assert pin not in done
    url = f"/keys/{SecurityKey.get().resource_id}/pin"
    assert pin in panel.post(url).text
    assert panel.post(url).status_code == 409
    assert Job.get().sealed_pin is None
    assert pin not in json.dumps([row.detail for row in AuditEvent.select()])


def test_a_mailed_pin_cannot_be_shown(panel: Panel, desk: Desk, services: Services) -> None:
    key = pending_key(person())
    panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id})
    tap(desk, services)
    assert panel.post(f"/keys/{key.resource_id}/pin").status_code == 409


def test_the_list_of_keys_counts_filters_and_searches(panel: Panel) -> None:
    user = person()
    active_key(user)
    pending_key(person("bob", displayName="Bob Ng"), "Card of Bob")
    with transaction():
        keys.draft(KeyKind.USB_KEY, "Never given", "user", user=None, actor=CLI)
    page = panel.see("/keys")
    assert "All 2 Active 1 Waiting 1" in page
    assert "Never given" not in page
    assert "Card of Ada" not in panel.see("/keys?state=pending")
    assert "Card of Bob" not in panel.see("/keys?q=lovelace")
    assert "Card of Ada" in panel.see("/keys?q=lovelace&model=Test card")
    assert "No key matches" in panel.see("/keys?q=nobody")
    assert "All 2" in panel.see("/keys?state=nonsense&after=x")


def test_a_lost_card_is_replaced_by_one_tap(panel: Panel, desk: Desk, services: Services) -> None:
    user = person()
    old = active_key(user)
    panel.post(f"/keys/{old.resource_id}/lost")
    page = panel.get(f"/users/{user.resource_id}").text
    begin = f"/users/{user.resource_id}/assign?replaces={old.resource_id}"
    assert begin in page.replace("&amp;", "&")
    draft = panel.get(begin).location.rsplit("/", 1)[0]
    assert "Replace “Card of Ada”" in panel.see(f"{draft}/security-key")
    answers = {**CARD, "key_name": "New card"}
    panel.step(draft, "security-key", go="assign", station=desk.id, **answers)
    tap(desk, services)
    panel.step(draft, "security-key", station=desk.id, **answers)
    assert "revoked for ever in the same moment" in panel.see(f"{draft}/review")
    assert now(old).state == KeyState.SUSPENDED
    panel.step(draft, "review", go="confirm")
    new = SecurityKey.get(SecurityKey.name == "New card")
    assert (new.state, new.replaces) == (KeyState.ACTIVE, old)
    assert (now(old).state, now(old).reason) == (KeyState.REVOKED, Reason.SUPERSEDED)
    told = OutboxMail.get(OutboxMail.template == "key_revoked")
    assert told.key == old


def test_a_replacement_by_link_leaves_the_old_key_until_it_works(panel: Panel) -> None:
    user = person()
    old = active_key(user)
    begin = f"/users/{user.resource_id}/assign?replaces={old.resource_id}"
    draft = panel.get(begin).location.rsplit("/", 1)[0]
    panel.step(draft, "security-key", **{**CARD, "key_name": "New card", "method": "user"})
    assert "stays as it is until the new one works" in panel.see(f"{draft}/review")
    panel.step(draft, "review", go="confirm")
    assert now(old).state == KeyState.ACTIVE
    assert "is revoked as soon as this one works" in panel.see(f"/users/{user.resource_id}")


def test_somebody_elses_key_is_not_replaced(panel: Panel) -> None:
    other = active_key(person("bob"), "Card of Bob")
    mine = person()
    url = f"/users/{mine.resource_id}/assign?replaces={other.resource_id}"
    assert panel.get(url).status_code == 404


def test_a_second_card_is_suggested_a_name_of_its_own(panel: Panel) -> None:
    user = person()
    active_key(user, "Card of Ada Lovelace")
    draft = panel.get(f"/users/{user.resource_id}/assign").location.rsplit("/", 1)[0]
    assert 'value="Card of Ada Lovelace 2"' in panel.get(f"{draft}/security-key").text


def test_a_key_is_lent_and_given_more_time(panel: Panel) -> None:
    key = active_key(person())
    url = f"/keys/{key.resource_id}/ends"
    assert "Now: for good" in panel.see(url)
    day = datetime.now(UTC).date() + timedelta(days=3)
    assert panel.post(url, {"ends_on": day.isoformat()}).status_code == 302
    assert now(key).ends_at == terms.end_of(day)
    assert "Ends by itself on" in panel.see(f"/users/{key.user.resource_id}")
    later = day + timedelta(days=3)
    panel.post(url, {"ends_on": later.isoformat()})
    assert now(key).ends_at == terms.end_of(later)
    panel.post(url, {"ends_on": ""})
    assert now(key).ends_at is None


@pytest.mark.req("R25")
def test_an_operator_gives_a_key_more_time_and_takes_none_away(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    key = active_key(person())
    url = f"/keys/{key.resource_id}/ends"
    operator = Panel(app, Role.OPERATOR)
    today = datetime.now(UTC).date()
    first, later = today + timedelta(days=3), today + timedelta(days=6)
    assert "is set by an officer" in operator.see(url)
    assert "needs the role officer" in text_of(operator.post(url, {"ends_on": first.isoformat()}))
    assert now(key).ends_at is None
    SecurityKey.update(ends_at=terms.end_of(first)).execute()
    assert operator.post(url, {"ends_on": later.isoformat()}).status_code == 302
    assert "needs the role officer" in text_of(operator.post(url, {"ends_on": first.isoformat()}))
    assert now(key).ends_at == terms.end_of(later)
    assert operator.post(url, {"ends_on": ""}).status_code == 302
    assert now(key).ends_at is None


def test_an_operator_lends_a_key_that_waits(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    key = pending_key(person())
    url = f"/keys/{key.resource_id}/ends"
    operator = Panel(app, Role.OPERATOR, stepped_up=False)
    assert "is set by an officer" not in operator.see(url)
    day = datetime.now(UTC).date()
    assert operator.post(url, {"ends_on": day.isoformat()}).status_code == 302
    assert now(key).ends_at == terms.end_of(day)


def test_taking_time_away_asks_for_the_admins_key_and_keeps_the_day(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    key = active_key(person())
    url = f"/keys/{key.resource_id}/ends"
    officer = Panel(app, Role.OFFICER, stepped_up=False)
    day = (datetime.now(UTC).date() + timedelta(days=3)).isoformat()
    assert officer.post(url, {"ends_on": day}).location == f"/step-up?next={url}"
    assert now(key).ends_at is None
    officer.step_up()
    assert f'value="{day}"' in officer.get(url).text
    assert officer.post(url, {"ends_on": day}).status_code == 302
    assert now(key).ends_at is not None


@pytest.mark.req("R25")
@pytest.mark.parametrize("verb", ["revoke", "ends"])
def test_nobody_ends_a_key_of_a_higher_role_for_ever(app: Flask, verb: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    boss = person()
    key = active_key(boss)
    Panel(app, Role.OWNER, user=boss, name="Boss")
    officer = Panel(app, Role.OFFICER)
    day = datetime.now(UTC).date().isoformat()
    answer = officer.post(f"/keys/{key.resource_id}/{verb}", {"ends_on": day})
    assert "has the role owner, which is above yours" in text_of(answer)
    assert (now(key).state, now(key).ends_at) == (KeyState.ACTIVE, None)


@pytest.mark.parametrize(
    ("day", "sentence"),
    [
        ("2020-01-01", "This day is over"),
        ("2999-01-01", "within a year"),
        ("9999-12-31", "within a year"),
        ("soon", "valid date"),
    ],
)
def test_a_day_that_cannot_be_is_told_beside_the_field(
    panel: Panel, day: str, sentence: str
) -> None:
    key = active_key(person())
    answer = panel.post(f"/keys/{key.resource_id}/ends", {"ends_on": day})
    assert answer.status_code == 200
    assert sentence in text_of(answer)
    assert now(key).ends_at is None


def test_the_wizard_lends_a_card(panel: Panel, desk: Desk, services: Services) -> None:
    draft = panel.to_key_step()
    over = {**CARD, "ends_on": "2020-01-01", "station": desk.id}
    panel.step(draft, "security-key", go="assign", **over)
    assert "This day is over" in panel.see(f"{draft}/security-key")
    assert not Job.select().exists()
    day = datetime.now(UTC).date() + timedelta(days=1)
    answers = {**CARD, "ends_on": day.isoformat(), "station": desk.id}
    panel.step(draft, "security-key", go="assign", **answers)
    tap(desk, services)
    assert f'value="{day.isoformat()}"' in panel.get(f"{draft}/security-key").text
    panel.step(draft, "security-key", **answers)
    assert "Works until" in panel.see(f"{draft}/review")
    panel.step(draft, "review", go="confirm")
    assert SecurityKey.get().ends_at == terms.end_of(day)


def test_who_may_not_assign_a_card_does_not_reset_it_either(
    app: Flask, desk: Desk, services: Services
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    user = person()
    key = active_key(user)
    with transaction():
        group = groups.create_group({"displayName": "Clinic"}, connection=None, actor=CLI)
        groups.add_members(group, [user.resource_id], actor=CLI)
        group_policies.save(group, Policy(role=Role.OFFICER), version=0, actor=CLI)
    operator = Panel(app, Role.OPERATOR)
    refused = operator.post(f"/keys/{key.resource_id}/reset", {"station": desk.id})
    assert "below officer" in text_of(refused)
    assert not Job.select().exists()
