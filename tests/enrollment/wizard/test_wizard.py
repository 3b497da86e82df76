# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The New User wizard: the twelve steps, and everything that can come between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from provisioning import audit, directory, groups, nesting
from provisioning.audit import CLI, Event
from provisioning.desks import jobs
from provisioning.desks.jobs import Op
from provisioning.lifecycle import JobState, KeyState, UserStatus
from provisioning.models import (
    Activation,
    AuditEvent,
    Connection,
    Job,
    OutboxMail,
    SecurityKey,
    Session,
    User,
    WizardDraft,
)
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from provisioning.storage.migrate import migrate
from provisioning.vault import Vault
from tests.fakes.desk import KNOWS_ALL, Desk
from tests.fakes.panel import ADA, CARD, Panel, tap, text_of
from tests.fakes.people import person


@pytest.fixture
def services(data: Path, vault: Vault) -> Iterator[Services]:
    settings = load(
        data,
        base_url="http://localhost:5005",
        organisation="Example Hospital",
        demo=True,
        attestation="none",
    )
    migrate(open_database(settings.database_url))
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


def only_user() -> User:
    (user,) = User.select()
    return user


def test_from_new_user_to_a_working_card(panel: Panel, desk: Desk, services: Services) -> None:
    with transaction():
        nurses = groups.create_group({"displayName": "Nurses"}, connection=None, actor=CLI)
    draft = panel.new_user()
    assert panel.step(draft, "user-information", **ADA).location.endswith("/groups")
    assert panel.step(draft, "groups", groups=nurses.resource_id).location.endswith("security-key")
    page = panel.see(f"{draft}/security-key")
    assert "Assign Contactless Card" in page
    assert "Activate now as an admin" in page

    answer = panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    assert answer.location.endswith("/security-key")
    assert "Asking Desk NFC" in panel.see(f"{draft}/security-key")
    pin, _card = tap(desk, services)
    assert "The card is assigned" in panel.see(f"{draft}/security-key")
    assert not User.select().exists()  # nothing is real before Confirm
    assert not OutboxMail.select().exists()

    assert panel.step(draft, "security-key", station=desk.id, **CARD).location.endswith("/review")
    review = panel.see(f"{draft}/review")
    assert "ada@example.org" in review
    assert "Nurses" in review
    done = panel.step(draft, "review", go="confirm")
    assert "Ada Lovelace is added" in text_of(done)

    user = only_user()
    (key,) = user.keys
    assert user.status == UserStatus.ACTIVE
    assert key.state == KeyState.ACTIVE
    assert key.name == "Card of Ada Lovelace"
    assert [group.display for group in nesting.groups_of(user)] == ["Nurses"]
    mail = OutboxMail.get(OutboxMail.template == "pin")
    assert mail.recipient == "ada@example.org"
    assert pin not in done.get_data(as_text=True)
    assert Job.get().sealed_pin is None
    story = panel.see(f"/users/{user.resource_id}/timeline")
    assert re.search(r"Card tapped [\w ]+ · Desk NFC", story)  # before the person was there
    assert "Card tapped" in panel.see("/activity?q=lovelace")


def test_the_document_has_the_shape_of_the_rfc(panel: Panel) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", kind="contactless_card", key_name="", method="admin")
    assert panel.step(draft, "review", go="confirm").status_code == 200
    assert directory.document_of(only_user()) == {
        "userName": "ada",
        "active": True,
        "displayName": "Ada Lovelace",
        "title": "Engineer",
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"value": "ada@example.org", "type": "work", "primary": True}],
        "phoneNumbers": [{"value": "+44 20 1", "type": "work"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "department": "Analysis",
            "employeeNumber": "1815",
        },
    }


def test_no_key_is_the_default_and_the_review_says_none(panel: Panel) -> None:
    draft = panel.to_key_step()
    page = panel.get(f"{draft}/security-key").get_data(as_text=True)
    toggle = re.search(r"<input[^>]*name=\"assign_key\"[^>]*>", page)
    assert toggle
    assert "checked" not in toggle[0]
    panel.step(draft, "security-key", **{**CARD, "assign_key": ""})
    assert "Security key none" in panel.see(f"{draft}/review")
    panel.step(draft, "review", go="confirm")
    assert only_user().status == UserStatus.NEW
    assert not SecurityKey.select().exists()


def test_activate_by_user_mails_a_link_and_shows_it_once(panel: Panel) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", **{**CARD, "method": "user"})
    assert "Link to ada@example.org" in panel.see(f"{draft}/review")
    done = panel.step(draft, "review", go="confirm")
    link = re.search(r"http://localhost:5005/activate#[\w-]{43}", done.get_data(as_text=True))
    assert link
    assert OutboxMail.get().template == "activation_link"
    assert Activation.get().state == "live"
    assert only_user().status == UserStatus.PENDING
    # The link is nowhere else: not in the database, not in the draft, not on the user's page.
    token = link[0].partition("#")[2]
    assert token not in panel.get(f"/users/{only_user().resource_id}").get_data(as_text=True)
    assert token not in "".join(row.detail for row in AuditEvent.select())
    assert token not in panel.draft(draft).data


def test_usb_keys_and_passkeys_need_no_reader(panel: Panel, desk: Desk) -> None:
    draft = panel.to_key_step()
    told = {**CARD, "kind": "usb_key", "station": desk.id}
    assert panel.step(draft, "security-key", **told).location.endswith("/security-key")
    assert "Use the key in this browser first" in panel.see(f"{draft}/security-key")
    panel.step(draft, "security-key", go="assign", **told)
    assert not Job.select().exists()


def test_a_suggested_name_follows_device_and_person(panel: Panel) -> None:
    draft = panel.to_key_step()
    assert 'value="Card of Ada Lovelace"' in panel.get(f"{draft}/security-key").text
    saved = panel.post(f"{draft}/save?step=security-key", {**CARD, "kind": "passkey"})
    assert 'value="Passkey of Ada Lovelace"' in saved.text
    assert '<p class="saved"' in saved.text
    panel.step(draft, "user-information", **{**ADA, "given_name": "Augusta"})
    assert 'value="Passkey of Augusta Lovelace"' in panel.get(f"{draft}/security-key").text
    own = {**CARD, "key_name": "Blue card", "method": "user"}
    panel.step(draft, "security-key", **own)
    panel.step(draft, "user-information", **ADA)
    assert 'value="Blue card"' in panel.get(f"{draft}/security-key").text


def test_a_key_needs_a_name_of_its_own(panel: Panel) -> None:
    user = person()
    answer = panel.get(f"/users/{user.resource_id}/assign")
    draft = answer.location.rsplit("/", 1)[0]
    by_user = {**CARD, "method": "user"}
    assert panel.step(draft, "security-key", **{**by_user, "key_name": " "}).location.endswith(
        "key"
    )
    assert "A key needs a name" in panel.see(f"{draft}/security-key")
    panel.step(draft, "security-key", **by_user)
    panel.step(draft, "review", go="confirm")
    again = panel.get(f"/users/{user.resource_id}/assign").location.rsplit("/", 1)[0]
    assert panel.step(again, "security-key", **by_user).location.endswith("/security-key")
    assert "already has a key named" in panel.see(f"{again}/security-key")


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(panel: Panel) -> None:
    person("ada")
    draft = panel.new_user()
    typed = {**ADA, "email": "not an address", "title": "Countess"}
    assert panel.step(draft, "user-information", **typed).location.endswith("/user-information")
    page = panel.get(f"{draft}/user-information").get_data(as_text=True)
    assert 'id="email-error"' in page
    assert 'id="user_name-error"' in page
    assert "ada is taken" in page
    assert 'value="not an address"' in page
    assert 'value="Countess"' in page


@pytest.mark.parametrize(
    "typed", ["ada", "ADA", " ada ", "ａｄａ"], ids=["same", "case", "space", "full-width"]
)
@pytest.mark.req("R7")
def test_a_taken_user_name_is_said_while_typing(panel: Panel, typed: str) -> None:
    person("ada")
    draft = panel.new_user()
    answer = panel.get(f"{draft}/user-name", query_string={"user_name": typed})
    assert "is taken" in answer.text
    assert panel.get(f"{draft}/user-name", query_string={"user_name": "bob"}).text.strip() == ""


def test_previous_keeps_what_was_typed_right_or_wrong(panel: Panel) -> None:
    draft = panel.to_key_step()
    answer = panel.step(draft, "security-key", go="previous", **{**CARD, "key_name": "x" * 99})
    assert answer.location.endswith("/groups")
    assert "x" * 99 in panel.get(f"{draft}/security-key").get_data(as_text=True)


def test_what_is_typed_is_saved_by_itself(panel: Panel) -> None:
    draft = panel.new_user()
    half = {**ADA, "email": "ada@", "user_name": ""}
    saved = panel.post(f"{draft}/save?step=user-information", half)
    # By the clock: "1 second ago" would stand there for as long as nobody types.
    assert re.search(r"Saved at \d\d:\d\d UTC", text_of(saved))
    page = panel.get(f"{draft}/user-information").get_data(as_text=True)
    assert 'value="ada@"' in page
    assert "field-error" not in page  # nobody asked for Next yet


def test_a_save_that_a_submit_overtook_changes_nothing(panel: Panel) -> None:
    draft = panel.new_user()
    panel.post(f"{draft}/user-information", {**ADA, "title": "Countess", "go": "next"})
    late = panel.post(f"{draft}/save?step=user-information&turn=0", {**ADA, "title": "Cou"})
    assert late.status_code == 204
    assert "Countess" in panel.get(f"{draft}/user-information").text
    kept = panel.post(f"{draft}/save?step=user-information&turn=1", {**ADA, "title": "Lady"})
    assert "Saved" in kept.text


def test_a_lost_session_loses_nothing(panel: Panel, app: Flask) -> None:
    draft = panel.to_key_step()
    Session.update(ended_at=1).execute()
    answer = panel.get(f"{draft}/user-information")
    assert answer.status_code == 302
    assert "/sign-in?next=" in answer.location
    with transaction():
        _session, secret = access.open_session(access.SessionKind.PANEL, account=panel.account)
    panel.client.set_cookie("__Host-kw_panel", secret)
    assert 'value="Countess"' not in panel.get(f"{draft}/user-information").text
    assert 'value="Engineer"' in panel.get(f"{draft}/user-information").text


def test_saving_by_itself_says_when_it_stops_and_touches_nothing(panel: Panel) -> None:
    draft = panel.to_key_step()
    Session.update(ended_at=1).execute()
    here = {"HX-Request": "true", "HX-Current-URL": f"http://localhost{draft}/user-information"}
    answer = panel.post(f"{draft}/save?step=user-information", {**ADA, "title": "X"}, headers=here)
    assert answer.status_code == 200
    assert "HX-Redirect" not in answer.headers
    assert "This is not saved." in answer.text
    assert f"/sign-in?next={draft}/user-information" in answer.text
    assert "/save?step=user-information" in answer.text  # it goes on after a sign-in
    assert "Engineer" in panel.draft(draft).data


def test_a_draft_is_its_authors_only(panel: Panel, app: Flask) -> None:
    draft = panel.to_key_step()
    other = Panel(app, name="Somebody else")
    assert other.get(f"{draft}/user-information").status_code == 404
    assert other.step(draft, "review", go="confirm").status_code == 404


def test_an_auditor_cannot_begin(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    auditor = Panel(app, Role.AUDITOR)
    assert auditor.get("/users/new").status_code == 403
    assert "New User" not in auditor.see("/users")


def test_the_wizard_asks_for_the_key_again_and_goes_on_by_itself(app: Flask, desk: Desk) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    panel = Panel(app, Role.OPERATOR, stepped_up=False)
    draft = panel.to_key_step()
    answer = panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    assert answer.location.startswith("/step-up?next=")
    assert not Job.select().exists()
    panel.step_up()
    assert "Asking Desk NFC" in panel.see(f"{draft}/security-key")
    assert Job.get().state == JobState.QUEUED


def test_next_opens_only_by_a_card_or_by_the_user(panel: Panel, desk: Desk) -> None:
    draft = panel.to_key_step()
    told = {**CARD, "station": desk.id}
    assert panel.step(draft, "security-key", **told).location.endswith("/security-key")
    assert "Assign the card first" in panel.see(f"{draft}/security-key")
    assert panel.get(f"{draft}/review").location.endswith("/security-key")
    assert panel.step(draft, "review", go="confirm").location.endswith("/security-key")
    assert not User.select().exists()


def test_the_live_panel_changes_only_when_something_happens(panel: Panel, desk: Desk) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    ticket = desk.ticket()
    desk.tell(ticket, "waiting")
    page = panel.get(f"{draft}/security-key").get_data(as_text=True)
    poll = re.search(r'hx-get="([^"]*card\?seen=[^"]*)"', page)
    assert poll
    assert panel.get(poll[1]).status_code == 204
    desk.tell(ticket, "card", **{**KNOWS_ALL, "client_pin": True})
    moved = panel.get(poll[1])
    assert moved.status_code == 200
    assert "Has a PIN already" in moved.text
    assert 'id="wizard-next"' in moved.text
    assert "disabled" in moved.text


def test_a_fault_has_its_sentence_and_try_again_goes_on(
    panel: Panel, desk: Desk, services: Services
) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    ticket = desk.ticket()
    desk.tell(ticket, "waiting")
    desk.tell(ticket, "fault", fault="card_removed", step="prepared", detail="")
    page = panel.see(f"{draft}/security-key")
    assert "taken away too early" in page
    assert "Try again" in page
    assert "Activate by user instead" in page
    assert panel.post(f"{draft}/card/again").status_code == 302
    tap(desk, services)
    assert "The card is assigned" in panel.see(f"{draft}/security-key")


@pytest.mark.req("R20")
def test_cancel_says_what_is_on_the_card(panel: Panel, desk: Desk) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    ticket = desk.ticket()
    for event, body in (("waiting", {}), ("card", KNOWS_ALL), ("pin_setting", {})):
        desk.tell(ticket, event, **body)
    page = text_of(panel.post(f"{draft}/cancel", follow_redirects=True))
    assert "Nobody was added" in page
    assert "may have a PIN now that nobody knows" in page
    (job,) = Job.select()
    assert job.state == JobState.CANCELLED
    assert job.sealed_pin is None
    assert SecurityKey.get().state == KeyState.REVOKED
    assert panel.draft(draft).state == "cancelled"
    assert "Ada" not in panel.draft(draft).data


def test_what_cancel_means_comes_along_with_the_live_panel(
    panel: Panel, desk: Desk, services: Services
) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    page = panel.get(f"{draft}/security-key").text
    poll = re.search(r'hx-get="([^"]*card\?seen=[^"]*)"', page)
    assert poll
    assert "Nobody is added and no mail is sent." in page
    assert "opens nothing here" not in page
    tap(desk, services)
    moved = panel.get(poll[1]).text
    assert 'id="wizard-leaving" hx-swap-oob="outerHTML"' in moved
    assert "Nobody is added and no mail is sent." in moved
    assert "The card keeps a key that opens nothing here" in moved
    assert "When it is assigned again, choose “Reset this card”." in moved


def test_cancel_for_somebody_known_names_what_helps_and_leads_there(
    panel: Panel, desk: Desk, services: Services
) -> None:
    user = person("bob")
    draft = panel.get(f"/users/{user.resource_id}/assign").location.rsplit("/", 1)[0]
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    tap(desk, services)
    page = panel.see(f"{draft}/security-key")
    assert f"{user.display_name} gets no key and no mail is sent." in page
    assert "Nobody is added" not in page
    after = panel.post(f"{draft}/cancel", follow_redirects=True)
    assert "Cancelled. No key was assigned and nothing was sent." in text_of(after)
    assert "“Return card to stock” on the page of" in text_of(after)
    link = re.search(r'<a href="(/keys/[^"]*/return)">Return card to stock</a>', after.text)
    assert link
    assert "Wipe and return" in panel.see(link[1])


def test_a_switch_to_activate_by_user_gives_the_card_back(
    panel: Panel, desk: Desk, services: Services
) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    tap(desk, services)
    page = text_of(panel.post(f"{draft}/card/by-user", follow_redirects=True))
    assert "opens nothing here" in page
    panel.step(draft, "security-key", **{**CARD, "method": "user"})
    panel.step(draft, "review", go="confirm")
    states = sorted(key.state for key in SecurityKey.select())
    assert states == [KeyState.PENDING, KeyState.REVOKED]
    assert OutboxMail.get().template == "activation_link"


def test_confirm_happens_once(panel: Panel) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", **{**CARD, "method": "user"})
    assert panel.step(draft, "review", go="confirm").status_code == 200
    again = panel.step(draft, "review", go="confirm")
    assert again.location.endswith(f"/users/{only_user().resource_id}")
    assert panel.get(f"{draft}/groups").location.endswith(only_user().resource_id)
    assert Activation.select().count() == 1
    assert User.select().count() == 1


def test_a_name_taken_meanwhile_leads_back_to_its_field(
    panel: Panel, desk: Desk, services: Services
) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    tap(desk, services)
    panel.step(draft, "security-key", station=desk.id, **CARD)
    person("ada")
    # Past the page's own look: the core decides.
    answer = panel.step(draft, "review", go="confirm")
    assert answer.location.endswith("/user-information")
    assert "ada is taken" in panel.see(f"{draft}/user-information")
    panel.step(draft, "user-information", **{**ADA, "user_name": "ada2"})
    assert "is added" in text_of(panel.step(draft, "review", go="confirm"))
    assert SecurityKey.get().state == KeyState.ACTIVE  # the tapped card was not lost


def test_a_race_at_confirm_changes_nothing_and_says_why(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", **{**CARD, "method": "user"})
    person("ada")
    monkeypatch.setattr("enrollment.forms.user_name_fault", lambda *_given: "")
    answer = panel.step(draft, "review", go="confirm")
    assert answer.location.endswith("/user-information")
    assert "The user name ada is taken." in panel.see(f"{draft}/user-information")
    assert panel.draft(draft).state == "open"
    assert User.select().count() == 1
    assert not SecurityKey.select().where(SecurityKey.state != KeyState.REVOKED).exists()


def test_the_day_on_which_a_key_ends_is_said_to_be_of_utc(panel: Panel) -> None:
    draft = panel.to_key_step()
    assert "Days end at midnight UTC." in panel.see(f"{draft}/security-key")


def test_a_person_without_an_address_cannot_be_sent_a_link(panel: Panel, desk: Desk) -> None:
    draft = panel.to_key_step(email="")
    page = panel.see(f"{draft}/security-key")
    assert "no e-mail address that a link could go to" in page
    # Nor a PIN: that is said before a card is asked for, beside the way to the address.
    assert "The PIN is mailed to the person: give an e-mail address first. Edit" in page
    assert 'value="assign"' not in panel.get(f"{draft}/security-key").text
    answer = panel.step(draft, "security-key", **{**CARD, "method": "user"})
    assert answer.location.endswith("/security-key")
    answer = panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    assert not Job.select().exists()
    assert "The PIN is mailed to the person" in panel.see(f"{draft}/security-key")


def test_a_person_without_an_address_is_edited_before_a_card_is_assigned(
    panel: Panel, desk: Desk
) -> None:
    ada = person("ada", emails=[])
    page = panel.get(f"/users/{ada.resource_id}/assign", follow_redirects=True).text
    assert f'href="/users/{ada.resource_id}/edit"' in page
    assert 'value="assign"' not in page


def test_groups_of_a_directory_cannot_be_chosen(panel: Panel) -> None:
    with transaction():
        entra = Connection.create(name="Entra ID")
        owned = groups.create_group({"displayName": "Doctors"}, connection=entra, actor=CLI)
    draft = panel.new_user()
    panel.step(draft, "user-information", **ADA)
    page = panel.get(f"{draft}/groups").get_data(as_text=True)
    assert re.search(rf'<input[^>]*value="{owned.resource_id}"[^>]*disabled', page)
    panel.step(draft, "groups", groups=owned.resource_id)
    panel.step(draft, "security-key", **{**CARD, "assign_key": ""})
    assert panel.step(draft, "review", go="confirm").location.endswith("/groups")
    assert "owned by a directory" in panel.see(f"{draft}/groups")
    assert not User.select().exists()


def test_the_group_picker_searches_and_keeps_what_is_ticked(panel: Panel) -> None:
    with transaction():
        made = [
            groups.create_group({"displayName": name}, connection=None, actor=CLI)
            for name in ("Nurses", "Night shift", "Porters")
        ]
    draft = panel.new_user()
    picked = panel.post(f"{draft}/pick", {"groups": made[2].resource_id, "search": "ni"})
    assert "Night shift" in picked.text
    assert "Porters" in picked.text
    assert "Nurses" not in picked.text


def test_the_same_wizard_serves_an_existing_user(
    panel: Panel, desk: Desk, services: Services
) -> None:
    user = person()
    answer = panel.get(f"/users/{user.resource_id}/assign")
    draft = answer.location.rsplit("/", 1)[0]
    page = panel.get(f"{draft}/security-key").text
    assert "Assign security key to Ada Lovelace" in page
    assert re.search(
        r'<input[^>]*name="assign_key"[^>]*checked|checked[^>]*name="assign_key"', page
    )
    assert panel.get(f"{draft}/user-information").status_code == 404
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    tap(desk, services)
    panel.step(draft, "security-key", station=desk.id, **CARD)
    assert "assigned to Ada Lovelace" in text_of(panel.step(draft, "review", go="confirm"))
    assert User.get_by_id(user.id).status == UserStatus.ACTIVE


@pytest.mark.req("R25")
def test_nobody_activates_a_key_for_themselves(app: Flask, desk: Desk) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    user = person()
    panel = Panel(app, Role.OFFICER, user=user)
    draft = panel.get(f"/users/{user.resource_id}/assign").location.rsplit("/", 1)[0]
    answer = panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    assert answer.status_code == 403
    assert not Job.select().exists()


@pytest.mark.req("R25")
def test_nobody_activates_a_key_for_a_higher_role(app: Flask, desk: Desk) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    user = person()
    Panel(app, Role.OWNER, user=user, name="Chief")
    panel = Panel(app, Role.OPERATOR)
    draft = panel.get(f"/users/{user.resource_id}/assign").location.rsplit("/", 1)[0]
    answer = panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    assert answer.status_code == 403
    # By link it may, but the link is not shown: it would be the same power.
    panel.step(draft, "security-key", **{**CARD, "method": "user"})
    assert "/activate#" not in panel.step(draft, "review", go="confirm").text


def test_a_suspended_person_gets_no_key(panel: Panel) -> None:
    user = person()
    panel.post(f"/users/{user.resource_id}/suspend")
    assert panel.get(f"/users/{user.resource_id}/assign").status_code == 409


def test_the_reader_used_last_stands_first(panel: Panel, desk: Desk, services: Services) -> None:
    second = Desk.paired(desk.client, services, "Another desk")
    draft = panel.to_key_step()
    page = panel.get(f"{draft}/security-key").text
    assert page.index("Another desk") < page.index("Desk NFC")  # by name at first
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    panel.post(f"{draft}/card/cancel")
    page = panel.get(f"{panel.to_key_step(user_name='bob')}/security-key").text
    assert page.index("Desk NFC") < page.index("Another desk")
    assert second.id in page


def test_a_chosen_readers_state_is_live(panel: Panel, desk: Desk) -> None:
    draft = panel.to_key_step()
    url = f"{draft}/station?station={desk.id}"
    assert "Ready, no card" in panel.get(url).text
    desk.poll(state="no_reader")
    assert "No reader plugged in" in panel.get(url).text


def test_a_card_tapped_but_never_confirmed_is_no_users(
    panel: Panel, desk: Desk, services: Services
) -> None:
    draft = panel.to_key_step()
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    tap(desk, services)
    key = SecurityKey.get()
    assert key.state == KeyState.DRAFT
    assert key.user is None
    job = jobs.of_key(key, Op.ENROL)
    assert job is not None
    assert job.sealed_pin is not None  # sealed until Confirm releases it
    assert not AuditEvent.select().where(AuditEvent.event == Event.PIN_RELEASED).exists()


def test_two_tabs_share_one_draft(panel: Panel) -> None:
    draft = panel.to_key_step()
    panel.post(f"{draft}/save?step=user-information", {**ADA, "title": "Countess"})
    assert 'value="Countess"' in panel.get(f"{draft}/user-information").text
    assert WizardDraft.select().count() == 1


def stopped_at_a_known_pin(panel: Panel, desk: Desk) -> str:
    """The wizard after a card that has a PIN was tapped; its address."""
    draft = panel.to_key_step()
    panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
    ticket = desk.ticket()
    desk.tell(ticket, "card", **{**KNOWS_ALL, "client_pin": True})
    desk.tell(ticket, "fault", fault="pin_present")
    return draft


def test_a_card_with_an_unknown_pin_is_reset_inside_the_wizard(
    panel: Panel, desk: Desk, services: Services
) -> None:
    draft = stopped_at_a_known_pin(panel, desk)
    asked = panel.see(f"{draft}/card/reset")
    assert "The PIN and the sign-ins of every site on this card are wiped" in asked
    assert panel.post(f"{draft}/card/reset", {"station": desk.id}).status_code == 302
    ticket = desk.ticket()
    assert (ticket["op"], ticket["user"]) == ("reset", "Ada Lovelace")
    desk.tell(ticket, "card", **{**KNOWS_ALL, "client_pin": True})
    assert "Confirm the reset at Desk NFC" in panel.see(f"{draft}/security-key")
    desk.tell(ticket, "wiping")
    desk.tell(ticket, "done")
    tap(desk, services)
    panel.step(draft, "security-key", station=desk.id, **CARD)
    panel.step(draft, "review", go="confirm")
    assert SecurityKey.get().state == KeyState.ACTIVE


def test_a_card_keeps_the_pin_that_its_holder_knows_inside_the_wizard(
    panel: Panel, desk: Desk
) -> None:
    draft = stopped_at_a_known_pin(panel, desk)
    assert panel.post(f"{draft}/card/own-pin").status_code == 302
    ticket = desk.ticket()
    assert (ticket["pin"]["mode"], ticket["user"]) == ("own", "Ada Lovelace")


def test_a_cancelled_wizard_takes_its_reset_back(panel: Panel, desk: Desk) -> None:
    draft = stopped_at_a_known_pin(panel, desk)
    panel.post(f"{draft}/card/reset", {"station": desk.id})
    panel.post(f"{draft}/cancel")
    assert {job.state for job in Job.select()} == {JobState.CANCELLED}
    assert desk.poll().status_code == 204


def test_a_reset_needs_a_card_that_stopped(panel: Panel, desk: Desk) -> None:
    draft = panel.to_key_step()
    assert panel.get(f"{draft}/card/reset").status_code == 409
