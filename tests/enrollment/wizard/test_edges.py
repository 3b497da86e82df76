# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The wizard's edges: whatever comes between its first step and its Confirm, nobody loses work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from provisioning import directory, groups
from provisioning.app import create_app
from provisioning.audit import CLI, Actor
from provisioning.clock import DAY, now_ms
from provisioning.desks import jobs
from provisioning.desks.jobs import Op
from provisioning.issuing import drafts
from provisioning.lifecycle import JobState, KeyState, Reason
from provisioning.models import (
    Activation,
    AuditEvent,
    Connection,
    Job,
    OutboxMail,
    SecurityKey,
    Session,
    Station,
    User,
    WizardDraft,
)
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.desk import KNOWS_ALL, Desk
from tests.fakes.panel import ADA, CARD, Panel, tap, text_of
from tests.fakes.people import document, person

ENTRA = Actor("connection", "1", "Entra ID")
BY_USER = {**CARD, "method": "user", "key_name": "Card of Ada"}
STEPS = ("user-information", "groups", "security-key", "review")


def assign(panel: Panel, user: User) -> str:
    """A wizard for somebody who is there, at its first step."""
    return panel.get(f"/users/{user.resource_id}/assign").location.rsplit("/", 1)[0]


def from_directory() -> User:
    entra = Connection.create(name="Entra ID")
    with transaction():
        return directory.create_user(document(), connection=entra, actor=ENTRA)


class TestADraftSurvives:
    def test_a_reload(self, panel: Panel) -> None:
        draft = panel.to_key_step()
        for _ in range(2):
            assert 'value="Engineer"' in panel.get(f"{draft}/user-information").text

    def test_another_tab(self, panel: Panel) -> None:
        draft = panel.to_key_step()
        assert "One wizard is unfinished" in panel.see("/users")
        assert draft in panel.get("/users").text

    def test_a_server_restart(self, panel: Panel, services: Services) -> None:
        draft = panel.to_key_step()
        restarted = create_app(services).test_client()
        cookie = panel.client.get_cookie("__Host-kw_panel")
        assert cookie is not None
        restarted.set_cookie("__Host-kw_panel", cookie.value)
        assert 'value="Engineer"' in restarted.get(f"{draft}/user-information").text

    def test_a_session_that_ended_while_somebody_typed(self, panel: Panel) -> None:
        draft = panel.to_key_step()
        Session.update(ended_at=1).execute()
        typed = {**ADA, "title": 'Countess "of" <Lovelace>'}
        late = panel.step(draft, "user-information", **typed)
        assert late.location == f"/sign-in?next={draft}/user-information"
        with transaction():
            _session, secret = access.open_session(access.SessionKind.PANEL, account=panel.account)
        panel.client.set_cookie("__Host-kw_panel", secret)
        assert (
            "Countess &#34;of&#34; &lt;Lovelace&gt;" in panel.get(f"{draft}/user-information").text
        )
        assert "Countess" in panel.draft(draft).data

    def test_a_form_from_elsewhere_is_not_kept(self, panel: Panel, app: Flask) -> None:
        draft = panel.to_key_step()
        Session.update(ended_at=1).execute()
        app.config["WTF_CSRF_ENABLED"] = True
        assert panel.step(draft, "user-information", **{**ADA, "title": "X"}).status_code == 400
        with transaction():
            _session, secret = access.open_session(access.SessionKind.PANEL, account=panel.account)
        panel.client.set_cookie("__Host-kw_panel", secret)
        assert 'value="Engineer"' in panel.get(f"{draft}/user-information").text


class Tab:
    """One of an admin's tabs, on one step of a wizard."""

    def __init__(self, panel: Panel, draft: str, step: str) -> None:
        self.panel, self.draft, self.step = panel, draft, step
        self.sees(panel.get(f"{draft}/{step}").text)

    def sees(self, page: str) -> None:
        """It shows a page now, and sends along what that carries."""
        self.names = dict(re.findall(r'name="(tab|tab_before)" value="([^"]*)"', page))

    def types(self, **fields: object) -> TestResponse:
        """What is typed goes to the server by itself."""
        url = f"{self.draft}/save?step={self.step}"
        return self.panel.post(url, {**fields, **self.names})

    def sends(self, go: str = "next", **fields: object) -> TestResponse:
        answer = self.panel.step(self.draft, self.step, go=go, **fields, **self.names)
        if answer.status_code == 412:
            self.sees(answer.text)
        return answer


class TestTwoTabsOfOneAdmin:
    def test_the_later_one_is_shown_both_and_decides(self, panel: Panel) -> None:
        draft = panel.new_user()
        first, second = (Tab(panel, draft, "user-information") for _ in range(2))
        assert first.sends(**ADA).status_code == 302
        late = second.sends(**{**ADA, "title": "Countess", "phone": ""})
        assert late.status_code == 412
        assert "Another tab of yours saved this step" in text_of(late)
        assert "There it says: Phone +44 20 1 Title Engineer Below" in text_of(late)
        assert 'value="Countess"' in late.text
        assert "hx-post" not in late.text.partition("wizard-form")[0]  # nothing saves by itself
        assert "Engineer" in panel.draft(draft).data
        assert "Countess" not in panel.draft(draft).data
        assert second.sends(**{**ADA, "title": "Countess"}).status_code == 302
        assert "Countess" in panel.draft(draft).data

    def test_what_is_saved_while_typing_is_not_written_over_either(self, panel: Panel) -> None:
        draft = panel.new_user()
        first, second = (Tab(panel, draft, "user-information") for _ in range(2))
        assert "Saved" in first.types(**ADA).text
        late = second.types(**{**ADA, "title": "Countess"})
        assert "Another tab of yours has other answers here" in late.text
        assert "Countess" not in panel.draft(draft).data
        assert second.sends(**{**ADA, "title": "Countess"}).status_code == 412
        assert "Saved" in first.types(**{**ADA, "title": "Lady"}).text

    def test_one_tab_never_gets_into_its_own_way(self, panel: Panel) -> None:
        draft = panel.new_user()
        only = Tab(panel, draft, "user-information")
        for title in ("E", "En", "Eng"):
            assert "Saved" in only.types(**{**ADA, "title": title}).text
        assert only.sends(**ADA).status_code == 302
        assert only.sends(**{**ADA, "title": "Back once"}).status_code == 302  # Back, then Next
        again = Tab(panel, draft, "user-information")
        assert again.sends(**{**ADA, "title": "Back twice"}).status_code == 302

    def test_the_same_answers_are_no_clash(self, panel: Panel) -> None:
        draft = panel.new_user()
        first, second = (Tab(panel, draft, "user-information") for _ in range(2))
        assert first.sends(**ADA).status_code == 302
        assert second.sends(**ADA).status_code == 302

    def test_groups(self, panel: Panel) -> None:
        with transaction():
            nurses, pharmacy = (
                groups.create_group({"displayName": name}, connection=None, actor=CLI)
                for name in ("Nurses", "Pharmacy")
            )
        draft = panel.new_user()
        first, second = (Tab(panel, draft, "groups") for _ in range(2))
        assert first.sends(groups=[nurses.resource_id]).status_code == 302
        late = second.sends(groups=[pharmacy.resource_id])
        assert late.status_code == 412
        assert "There it says: Groups Nurses Below" in text_of(late)
        assert "Chosen 1 Pharmacy" in text_of(late)

    def test_the_key(self, panel: Panel) -> None:
        draft = panel.to_key_step()
        first, second = (Tab(panel, draft, "security-key") for _ in range(2))
        assert first.sends(**BY_USER).status_code == 302
        late = second.sends(**{**BY_USER, "kind": "usb_key"})
        assert late.status_code == 412
        assert "There it says: Security Key Device Contactless Card Below" in text_of(late)
        assert "contactless_card" in panel.draft(draft).data

    def test_a_form_that_came_after_its_session(self, panel: Panel) -> None:
        draft = panel.new_user()
        first, second = (Tab(panel, draft, "user-information") for _ in range(2))
        first.sends(**ADA)
        Session.update(ended_at=1).execute()
        second.sends(**{**ADA, "title": "Countess"})
        with transaction():
            _session, secret = access.open_session(access.SessionKind.PANEL, account=panel.account)
        panel.client.set_cookie("__Host-kw_panel", secret)
        page = panel.get(f"{draft}/user-information").text
        assert "Another tab of yours saved this step" in page
        assert 'value="Countess"' in page
        assert "Countess" not in panel.draft(draft).data


class TestCancel:
    @pytest.mark.parametrize("step", STEPS)
    def test_at_every_step_nothing_is_left(self, panel: Panel, step: str) -> None:
        draft = panel.to_key_step()
        panel.step(draft, "security-key", **BY_USER)
        assert f'action="{draft}/cancel"' in panel.get(f"{draft}/{step}").text
        assert panel.post(f"{draft}/cancel").location.endswith("/users")
        assert not User.select().exists()
        assert not SecurityKey.select().exists()
        assert not OutboxMail.select().exists()
        assert panel.draft(draft).data.count("Lovelace") == 0

    def test_in_the_middle_of_a_tap_stops_the_station(
        self, panel: Panel, desk: Desk, services: Services
    ) -> None:
        draft = panel.to_key_step()
        panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
        ticket = desk.ticket()
        desk.tell(ticket, "card", **KNOWS_ALL)
        desk.tell(ticket, "pin_setting")
        panel.post(f"{draft}/cancel")
        assert desk.tell(ticket, "pin_set").json["go"] is False
        assert Job.get().sealed_pin is None
        assert SecurityKey.get().state == KeyState.REVOKED
        assert "choose “Reset this card”" in panel.see("/users")


class TestTwoAdmins:
    def test_both_are_told_that_they_are_not_alone(self, panel: Panel, app: Flask) -> None:
        ada = person()
        other = Panel(app, Role.OPERATOR, name="Katherine Johnson")
        mine, theirs = assign(panel, ada), assign(other, ada)
        assert "Katherine Johnson is assigning a key to this person, too." in panel.see(
            f"{mine}/security-key"
        )
        assert "Grace Hopper is assigning a key to this person, too." in other.see(
            f"{theirs}/security-key"
        )

    def test_the_second_to_confirm_is_shown_what_the_first_did_and_loses_nothing(
        self, panel: Panel, app: Flask
    ) -> None:
        ada = person()
        other = Panel(app, Role.OPERATOR, name="Katherine Johnson")
        mine, theirs = assign(panel, ada), assign(other, ada)
        panel.step(mine, "security-key", **BY_USER)
        other.step(theirs, "security-key", **{**BY_USER, "key_name": "Spare card"})
        assert panel.step(mine, "review", go="confirm", known="0").status_code == 200

        answer = other.step(theirs, "review", go="confirm", known="0")
        assert answer.location.endswith("/review")
        page = other.get(f"{theirs}/review").get_data(as_text=True)
        assert "others changed this person" in page
        assert "“Card of Ada” assigned" in page
        assert "Spare card" in page  # what was typed is still there
        assert SecurityKey.select().count() == 1
        known = re.search(r'name="known" value="(\d+)"', page)
        assert known
        assert other.step(theirs, "review", go="confirm", known=known[1]).status_code == 200
        assert {key.name for key in SecurityKey.select()} == {"Card of Ada", "Spare card"}

    def test_the_same_key_name_leads_back_to_its_field(self, panel: Panel, app: Flask) -> None:
        ada = person()
        other = Panel(app, Role.OPERATOR, name="Katherine Johnson")
        mine, theirs = assign(panel, ada), assign(other, ada)
        panel.step(mine, "security-key", **BY_USER)
        other.step(theirs, "security-key", **BY_USER)
        panel.step(mine, "review", go="confirm")
        assert other.step(theirs, "review", go="confirm", known="99999").location.endswith(
            "/security-key"
        )
        assert "already has a key named" in other.see(f"{theirs}/security-key")

    def test_two_who_add_the_same_person(self, panel: Panel, app: Flask) -> None:
        other = Panel(app, Role.OPERATOR, name="Katherine Johnson")
        mine, theirs = panel.to_key_step(), other.to_key_step(title="Countess")
        panel.step(mine, "security-key", **BY_USER)
        other.step(theirs, "security-key", **BY_USER)
        assert panel.step(mine, "review", go="confirm").status_code == 200
        answer = other.step(theirs, "review", go="confirm")
        assert answer.location.endswith("/user-information")
        page = other.get(answer.location).get_data(as_text=True)
        assert "taken" in page
        assert 'value="Countess"' in page


class TestTheDirectory:
    def test_deletes_the_person_while_the_wizard_is_open(
        self, panel: Panel, desk: Desk, services: Services
    ) -> None:
        ada = from_directory()
        draft = assign(panel, ada)
        panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
        tap(desk, services)
        panel.step(draft, "security-key", station=desk.id, **CARD)
        with transaction():
            directory.delete_user(ada, ENTRA)
        page = panel.see(f"{draft}/review")
        assert "Entra ID deleted Ada Lovelace." in page
        answer = panel.step(draft, "review", go="confirm", known="99999")
        assert answer.status_code == 302
        assert SecurityKey.get().state in (KeyState.DRAFT, KeyState.REVOKED)
        assert not OutboxMail.select().exists()
        cancelled = panel.post(f"{draft}/cancel", follow_redirects=True)
        assert cancelled.status_code == 200
        assert "choose “Reset this card”" in text_of(cancelled)

    def test_suspends_the_person_while_the_wizard_is_open(self, panel: Panel) -> None:
        ada = from_directory()
        draft = assign(panel, ada)
        panel.step(draft, "security-key", **BY_USER)
        with transaction():
            directory.deactivate(User.get(), Reason.LEFT, ENTRA)
        assert "Ada Lovelace is suspended." in panel.see(f"{draft}/review")
        assert "/security-key" in panel.step(draft, "review", go="confirm", known="99999").location
        assert "is suspended or gone" in panel.see(f"{draft}/security-key")
        assert not Activation.select().exists()

    def test_changes_the_address_that_the_link_would_go_to(self, panel: Panel) -> None:
        ada = from_directory()
        draft = assign(panel, ada)
        panel.step(draft, "security-key", **BY_USER)
        page = panel.get(f"{draft}/review").get_data(as_text=True)
        known = re.search(r'name="known" value="(\d+)"', page)
        assert known
        with transaction():
            directory.replace_user(
                User.get(),
                {**document(), "emails": [{"value": "new@example.org", "primary": True}]},
                actor=ENTRA,
            )
        answer = panel.step(draft, "review", go="confirm", known=known[1])
        assert answer.location.endswith("/review")
        assert not Activation.select().exists()
        page = panel.see(answer.location)
        assert "Changed: email Entra ID" in page
        assert "Link to new@example.org" in page


class TestTheStation:
    def test_goes_offline_in_mid_tap_and_the_card_goes_on_at_another_one(
        self, panel: Panel, desk: Desk, services: Services
    ) -> None:
        draft = panel.to_key_step()
        panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
        ticket = desk.ticket()
        pin = desk.pin_of(ticket)
        desk.tell(ticket, "card", **KNOWS_ALL)
        desk.tell(ticket, "pin_setting")
        Job.update(ticket_expires_at=now_ms() - 10 * 60_000).execute()  # not a word since
        Station.update(last_seen_at=now_ms() - 10 * 60_000).execute()
        page = panel.see(f"{draft}/security-key")
        assert "The station stopped answering." in page
        assert "Try again" in page
        assert Job.get().sealed_pin is not None
        assert 'value="Engineer"' in panel.get(f"{draft}/user-information").text

        second = Desk.paired(panel.client, services)
        second.poll()
        panel.step(draft, "security-key", go="assign", station=second.id, **CARD)
        again = second.ticket()
        assert second.pin_of(again) == pin  # the card may carry it
        assert again["resume"]["pin_maybe_set"] is True


class TestBackAfterConfirm:
    @pytest.mark.parametrize("step", STEPS)
    def test_every_step_leads_to_the_user(self, panel: Panel, step: str) -> None:
        draft = panel.to_key_step()
        panel.step(draft, "security-key", **BY_USER)
        panel.step(draft, "review", go="confirm")
        user = User.get()
        for answer in (
            panel.get(f"{draft}/{step}"),
            panel.step(draft, step, **ADA),
            panel.step(draft, step, go="confirm"),
        ):
            assert answer.location.endswith(f"/users/{user.resource_id}")
        assert "This was confirmed already." in panel.see(answer.location)
        assert User.select().count() == 1
        assert SecurityKey.select().count() == 1

    def test_cancel_after_confirm_takes_nothing_back(self, panel: Panel) -> None:
        draft = panel.to_key_step()
        panel.step(draft, "security-key", **BY_USER)
        panel.step(draft, "review", go="confirm")
        panel.post(f"{draft}/cancel")
        assert User.get().active
        assert SecurityKey.get().state == KeyState.PENDING


class TestNobodyComesBack:
    def old(self, days: int) -> None:
        WizardDraft.update(updated_at=now_ms() - days * DAY).execute()

    def test_an_abandoned_wizard_gives_its_card_back_and_forgets_what_was_typed(
        self, panel: Panel, desk: Desk, services: Services
    ) -> None:
        draft = panel.to_key_step()
        panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
        tap(desk, services)
        self.old(13)
        with transaction():
            assert drafts.forget_abandoned() == 0
        self.old(15)
        with transaction():
            assert drafts.forget_abandoned() == 1
        assert SecurityKey.get().state == KeyState.REVOKED
        assert jobs.of_key(SecurityKey.get(), Op.ENROL).sealed_pin is None  # type: ignore[union-attr]
        assert "Lovelace" not in panel.draft(draft).data
        assert "has ended" in panel.see(f"{draft}/review")
        row = AuditEvent.select().order_by(AuditEvent.id.desc()).get()
        assert row.actor_kind == "system"

    def test_an_open_tap_of_an_abandoned_wizard_is_stopped(self, panel: Panel, desk: Desk) -> None:
        draft = panel.to_key_step()
        panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
        self.old(15)
        with transaction():
            drafts.forget_abandoned()
        assert Job.get().state == JobState.CANCELLED

    def test_wizards_that_are_over_or_blank_leave_no_row(self, panel: Panel) -> None:
        panel.new_user()
        finished = panel.to_key_step()
        panel.post(f"{finished}/cancel")
        self.old(2)
        with transaction():
            drafts.forget_abandoned()
        assert [row.state for row in WizardDraft.select()] == ["cancelled"]
        self.old(31)
        with transaction():
            drafts.forget_abandoned()
        assert not WizardDraft.select().exists()

    def test_the_worker_looks_after_them(self) -> None:
        source = (Path(__file__).parents[3] / "provisioning/commands/worker.py").read_text()
        assert "drafts.forget_abandoned" in source


HOSTILE = [
    ("user_name", "", "A user name is needed."),
    ("user_name", "x" * 10_000, "Field cannot be longer than 256 characters."),
    ("user_name", "ada\u200b", "on one line"),
    ("user_name", "\u202eada", "on one line"),
    ("given_name", "Ada\nBcc: all@example.org", "on one line"),
    ("display_name", "x" * 257, "Field cannot be longer than 256 characters."),
    ("email", "ada@example.org\r\nBcc: all@example.org", "on one line"),
    ("email", "<evil@example.org> ada@example.org", "ddress"),
    ("email", "a@example.org, b@example.org", "ddress"),
    ("email", "ada", "It needs one @"),
    ("phone", "1" * 65, "Field cannot be longer than 64 characters."),
    ("employee_number", "x" * 65, "Field cannot be longer than 64 characters."),
]


class TestBadInput:
    @pytest.mark.parametrize(("field", "value", "sentence"), HOSTILE)
    def test_what_is_wrong_stands_beside_its_field_and_the_rest_is_kept(
        self, panel: Panel, field: str, value: str, sentence: str
    ) -> None:
        draft = panel.new_user()
        answer = panel.step(draft, "user-information", **{**ADA, field: value})
        assert answer.location.endswith("/user-information")
        page = panel.get(answer.location)
        assert sentence in text_of(page)
        assert 'aria-invalid="true"' in page.text
        assert 'value="Engineer"' in page.text
        assert "/user-information" in panel.get(f"{draft}/review").location
        assert panel.step(draft, "review", go="confirm").status_code == 302
        assert not User.select().exists()

    @pytest.mark.parametrize("name", ["<script>alert(1)</script>", "Ada 🦉", "=1+1", "O'Neil & co"])
    def test_strange_names_are_names_and_are_shown_as_text(self, panel: Panel, name: str) -> None:
        draft = panel.to_key_step(display_name=name)
        panel.step(draft, "security-key", **{**BY_USER, "key_name": name})
        for page in (
            panel.get(f"{draft}/review"),
            panel.step(draft, "review", go="confirm"),
            panel.get(f"/users/{User.get().resource_id}"),
            panel.get("/users"),
            panel.get("/keys"),
            panel.get("/activity"),
        ):
            assert page.status_code == 200
            assert "<script>alert" not in page.text
        assert User.get().display_name == name

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("", "needs a name"),
            ("   ", "needs a name"),
            ("x" * 65, "Field cannot be longer than 64 characters."),
            ("Card\u202eof Ada", "on one line"),
        ],
    )
    def test_a_keys_name_is_checked_beside_its_field(
        self, panel: Panel, name: str, sentence: str
    ) -> None:
        draft = panel.to_key_step()
        panel.step(draft, "security-key", **{**BY_USER, "key_name": name})
        assert sentence in panel.see(f"{draft}/security-key")
        assert "/security-key" in panel.step(draft, "review", go="confirm").location

    @pytest.mark.parametrize(
        "fields",
        [
            {"kind": "<script>", "method": "user", "assign_key": "y", "key_name": "x"},
            {"kind": "usb_key", "method": "nobody", "assign_key": "y", "key_name": "x"},
            {"kind": "contactless_card", "method": "admin", "station": "gone", "assign_key": "y"},
            {"go": "<script>"},
        ],
    )
    def test_answers_that_no_page_offers_break_nothing(
        self, panel: Panel, fields: dict[str, str]
    ) -> None:
        draft = panel.to_key_step()
        assert panel.step(draft, "security-key", **fields).status_code == 302
        assert panel.get(f"{draft}/security-key").status_code == 200
        panel.step(draft, "security-key", **{**fields, "go": "assign"})
        assert panel.get(f"{draft}/security-key").status_code == 200
        assert not Job.select().exists()

    def test_groups_that_are_none_are_left_out(self, panel: Panel) -> None:
        draft = panel.to_key_step()
        panel.step(draft, "groups", groups=["<script>", "x" * 10_000, "nothing"])
        assert panel.get(f"{draft}/groups").status_code == 200
        panel.step(draft, "security-key", **BY_USER)
        assert panel.step(draft, "review", go="confirm").location.endswith("/groups")
        assert "One of the chosen groups is gone." in panel.see(f"{draft}/groups")
        assert not User.select().exists()
