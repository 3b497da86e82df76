# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Group policies in the panel: edited with what follows, shown in the wizard, held everywhere."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from provisioning import groups, keys, nesting
from provisioning.audit import CLI, Event
from provisioning.issuing import assignment, group_policies
from provisioning.issuing.policy import ANY, Method, Policy
from provisioning.lifecycle import KeyKind, KeyState
from provisioning.models import (
    Activation,
    Approval,
    AuditEvent,
    Connection,
    Group,
    GroupPolicy,
    OutboxMail,
    SecurityKey,
    Session,
    User,
)
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import PinDelivery
from provisioning.storage.db import transaction
from tests.fakes.desk import Desk
from tests.fakes.panel import ADA, CARD, Panel, tap, text_of
from tests.fakes.people import pending_key, person

FORM = {
    "kinds": ["contactless_card"],
    "methods": "admin",
    "pin_length": "8",
    "pin_delivery": "mail",
    "role": "officer",
    "second_approver": "y",
    "version": "0",
}


def group(name: str, policy: Policy | None = None, connection: Connection | None = None) -> Group:
    with transaction():
        made = groups.create_group({"displayName": name}, connection=connection, actor=CLI)
        if policy is not None:
            group_policies.save(made, policy, version=0, actor=CLI)
    return made


def member(of: Group, *people: User) -> None:
    with transaction():
        groups.add_members(of, [user.resource_id for user in people], actor=CLI)


def url(of: Group) -> str:
    return f"/groups/{of.resource_id}/policy"


def in_groups(panel: Panel, *chosen: Group) -> str:
    draft = panel.to_key_step()
    panel.step(draft, "groups", groups=[each.resource_id for each in chosen])
    return draft


class TestEditing:
    def test_it_says_what_follows_and_for_how_many_before_it_is_saved(self, panel: Panel) -> None:
        nurses = group("Nurses")
        ada = person()
        member(nurses, ada, person("grace"))
        pending_key(ada)
        page = text_of(panel.post(url(nurses), FORM))
        assert "What follows" in page
        assert "Kinds of key: Contactless Card. Until now: any." in page
        assert "This holds for 2 people" in page
        assert "One key that waits for its activation does not fit" in page
        assert not GroupPolicy.select().exists()

        assert panel.post(url(nurses), {**FORM, "go": "save"}).status_code == 302
        policy, _row = group_policies.of_group(nurses)
        assert policy == Policy(
            kinds=frozenset({KeyKind.CONTACTLESS_CARD}),
            methods=frozenset({Method.ADMIN}),
            pin_length=8,
            role=Role.OFFICER,
            second_approver=True,
        )
        assert AuditEvent.select().where(AuditEvent.event == Event.POLICY_CHANGED).count() == 1
        shown = panel.see(f"/groups/{nurses.resource_id}")
        assert "another officer has to agree" in shown
        assert "at least 8 characters" in shown

    def test_without_a_rule_of_its_own_a_pin_is_as_long_as_everywhere(self, panel: Panel) -> None:
        nurses = group("Nurses")
        assert "at least 6 characters, as everywhere here" in panel.see(
            f"/groups/{nurses.resource_id}"
        )
        page = text_of(panel.post(url(nurses), FORM))
        assert "Until now: at least 6 characters, as everywhere here." in page

    def test_the_answers_can_be_changed_again_before_saving(self, panel: Panel) -> None:
        nurses = group("Nurses")
        page = panel.post(url(nurses), {**FORM, "go": "edit"}).get_data(as_text=True)
        assert re.search(r'name="pin_length"[^>]*value="8"', page)
        assert re.search(r'name="second_approver"[^>]*checked|checked[^>]*name="second_appr', page)

    def test_a_directorys_group_has_a_policy_of_ours(self, panel: Panel) -> None:
        doctors = group("Doctors", connection=Connection.create(name="Entra ID"))
        assert "Edit policy" in panel.see(f"/groups/{doctors.resource_id}")
        assert panel.post(url(doctors), {**FORM, "go": "save"}).status_code == 302
        assert GroupPolicy.select().exists()

    def test_somebody_else_saved_both_are_shown_and_neither_is_lost(self, panel: Panel) -> None:
        nurses = group("Nurses", Policy(pin_length=12))
        answer = panel.post(url(nurses), {**FORM, "go": "save"})
        assert answer.status_code == 412
        page = answer.get_data(as_text=True)
        assert "Somebody else saved this policy" in page
        assert "at least 12 characters" in page  # what was saved
        assert re.search(r'name="pin_length"[^>]*value="8"', page)  # what was typed
        assert group_policies.of_group(nurses)[0].pin_length == 12
        version = re.search(r'name="version"[^>]*value="(\d+)"', page)
        assert version
        panel.post(url(nurses), {**FORM, "version": version[1], "go": "save"})
        assert group_policies.of_group(nurses)[0].pin_length == 8

    def test_it_asks_for_the_admins_key(self, app: Flask) -> None:
        app.config["WTF_CSRF_ENABLED"] = False
        nurses = group("Nurses")
        panel = Panel(app, Role.OFFICER, stepped_up=False)
        assert "/step-up" in panel.get(url(nurses)).location
        kept = panel.post(url(nurses), {**FORM, "go": "save"})
        assert "/step-up" in kept.location
        assert not GroupPolicy.select().exists()

        panel.step_up()
        assert re.search(r'name="pin_length"[^>]*value="8"', panel.get(url(nurses)).text)

    @pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
    def test_who_assigns_cards_does_not_set_their_rules(self, app: Flask, role: Role) -> None:
        app.config["WTF_CSRF_ENABLED"] = False
        nurses = group("Nurses")
        panel = Panel(app, role)
        assert "Edit policy" not in panel.see(f"/groups/{nurses.resource_id}")
        assert panel.get(url(nurses)).status_code == 403
        assert panel.post(url(nurses), {**FORM, "go": "save"}).status_code == 403

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"kinds": []}, "Choose at least one kind of key."),
            ({"kinds": ["<script>alert(1)</script>"]}, "valid choice"),
            ({"pin_length": "3"}, "Number must be between 4 and 16."),
            ({"pin_length": "999999999999999999999"}, "Number must be between 4 and 16."),
            ({"pin_length": "eight"}, "Not a valid integer value."),
            ({"methods": "nobody"}, "Not a valid choice."),
            ({"pin_delivery": "by pigeon"}, "Not a valid choice."),
            ({"role": "auditor"}, "Not a valid choice."),
        ],
    )
    def test_what_makes_no_sense_is_said_beside_its_field(
        self, panel: Panel, change: dict[str, object], sentence: str
    ) -> None:
        nurses = group("Nurses")
        answer = panel.post(url(nurses), {**FORM, **change, "go": "save"})
        assert answer.status_code == 200
        assert sentence in text_of(answer)
        assert "<script>alert" not in answer.get_data(as_text=True)
        assert not GroupPolicy.select().exists()

    def test_without_its_token_nothing_is_saved(self, panel: Panel, app: Flask) -> None:
        nurses = group("Nurses")
        app.config["WTF_CSRF_ENABLED"] = True
        assert panel.post(url(nurses), {**FORM, "go": "save"}).status_code == 400
        assert not GroupPolicy.select().exists()


class TestTheWizard:
    def test_the_groups_step_shows_what_follows_for_this_person(self, panel: Panel) -> None:
        cards = group("Nurses", Policy(kinds=frozenset({KeyKind.CONTACTLESS_CARD})))
        longer = group("Directors", Policy(pin_length=10, second_approver=True))
        draft = in_groups(panel, cards, longer)
        page = panel.see(f"{draft}/groups")
        assert "What follows for this person" in page
        assert "Contactless Card because of Nurses" in page
        assert "at least 10 characters because of Directors" in page
        assert "With several groups the strictest rule wins." in page
        picked = panel.post(f"{draft}/pick", {"groups": [cards.resource_id]})
        assert "because of Nurses" in text_of(picked)
        assert "Directors" not in text_of(picked).partition("What follows")[2]

    def test_the_key_step_hides_what_is_not_allowed_and_says_why(self, panel: Panel) -> None:
        only = Policy(kinds=frozenset({KeyKind.CONTACTLESS_CARD}), methods=frozenset({Method.USER}))
        draft = in_groups(panel, group("Nurses", only))
        page = panel.get(f"{draft}/security-key").get_data(as_text=True)
        assert 'value="contactless_card"' in page
        assert 'value="passkey"' not in page
        assert re.search(r'value="admin"[^>]*disabled', page)
        assert re.search(r'value="user"[^>]*checked', page)
        words = panel.see(f"{draft}/security-key")
        assert "USB security key is not offered because of Nurses." in words
        assert "Not possible because of Nurses." in words

    def test_an_answer_that_is_not_offered_is_refused_beside_its_field(self, panel: Panel) -> None:
        draft = in_groups(panel, group("Nurses", Policy(methods=frozenset({Method.ADMIN}))))
        panel.step(draft, "security-key", **{**CARD, "method": "user"})
        assert "Not possible because of Nurses." in panel.see(f"{draft}/security-key")
        assert "/security-key" in panel.step(draft, "review", go="confirm").location
        assert not User.select().exists()

    def test_groups_that_contradict_each_other_are_named_as_such(self, panel: Panel) -> None:
        draft = in_groups(
            panel,
            group("Nurses", Policy(methods=frozenset({Method.ADMIN}))),
            group("Students", Policy(methods=frozenset({Method.USER}))),
        )
        assert "contradict each other" in panel.see(f"{draft}/security-key")

    def test_an_operator_is_told_that_this_needs_an_owner(self, app: Flask) -> None:
        app.config["WTF_CSRF_ENABLED"] = False
        directors = group("Directors", Policy(role=Role.OWNER))
        panel = Panel(app, Role.OPERATOR)
        draft = in_groups(panel, directors)
        page = panel.see(f"{draft}/security-key")
        assert "Because of Directors a key is assigned by owners only." in page
        panel.step(draft, "security-key", **{**CARD, "method": "user"})
        assert "/security-key" in panel.step(draft, "review", go="confirm").location

    def test_a_policy_that_comes_between_the_tap_and_confirm_counts(
        self, panel: Panel, desk: Desk, services: Services
    ) -> None:
        nurses = group("Nurses")
        draft = in_groups(panel, nurses)
        panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
        tap(desk, services)
        panel.step(draft, "security-key", station=desk.id, **CARD)
        with transaction():
            group_policies.save(
                nurses, Policy(pin_delivery=PinDelivery.USER_SETS), version=0, actor=CLI
            )
        answer = panel.step(draft, "review", go="confirm")
        assert answer.location.endswith("/security-key")
        assert "a PIN that nobody else ever knew" in panel.see(answer.location)
        assert not User.select().exists()

    def test_the_pin_mode_follows_from_the_groups_at_the_tap(
        self, panel: Panel, desk: Desk, services: Services
    ) -> None:
        nurses = group("Nurses", Policy(pin_length=11))
        draft = in_groups(panel, nurses)
        panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
        pin, _card = tap(desk, services)
        assert len(pin) == 11
        panel.step(draft, "security-key", station=desk.id, **CARD)
        assert panel.step(draft, "review", go="confirm").status_code == 200
        assert SecurityKey.get().state == KeyState.ACTIVE


@pytest.mark.req("R25")
class TestTheSecondPerson:
    def asked(self, panel: Panel, desk: Desk, services: Services) -> Approval:
        draft = in_groups(panel, group("Directors", Policy(second_approver=True)))
        panel.step(draft, "security-key", go="assign", station=desk.id, **CARD)
        tap(desk, services)
        panel.step(draft, "security-key", station=desk.id, **CARD)
        assert "Another officer has to agree" in panel.see(f"{draft}/review")
        done = text_of(panel.step(draft, "review", go="confirm"))
        assert "waits until another officer agrees" in done
        return Approval.get()

    def test_a_key_waits_is_listed_and_works_when_another_officer_agrees(
        self, app: Flask, panel: Panel, desk: Desk, services: Services
    ) -> None:
        assert "Nothing waits" in panel.see("/approvals")
        approval = self.asked(panel, desk, services)
        assert "Your own request" in panel.see("/approvals")
        user = User.get()
        page = panel.see(f"/users/{user.resource_id}")
        assert "Waits until another officer agrees; Grace Hopper asked." in page
        assert "Assign Contactless Card" not in page

        other = Panel(app, Role.OFFICER, name="Katherine Johnson")
        listed = other.see("/approvals")
        assert "Ada Lovelace" in listed
        assert "Approve" in listed
        other.post(f"/approvals/{approval.resource_id}/approve")
        assert SecurityKey.get().state == KeyState.ACTIVE
        assert OutboxMail.get().template == "pin"
        assert "Nothing waits" in other.see("/approvals")
        assert "which Grace Hopper had asked for" in other.see(f"/users/{user.resource_id}")

    def test_the_same_person_approving_gets_403(
        self, panel: Panel, desk: Desk, services: Services
    ) -> None:
        approval = self.asked(panel, desk, services)
        for verb in ("approve", "decline"):
            assert panel.post(f"/approvals/{approval.resource_id}/{verb}").status_code == 403
        assert SecurityKey.get().state == KeyState.PENDING

    def test_an_operator_and_an_auditor_look_but_do_not_decide(
        self, app: Flask, panel: Panel, desk: Desk, services: Services
    ) -> None:
        approval = self.asked(panel, desk, services)
        for role in (Role.OPERATOR, Role.AUDITOR):
            other = Panel(app, role, name=role)
            assert "An officer decides" in other.see("/approvals")
            assert other.post(f"/approvals/{approval.resource_id}/approve").status_code == 403

    def test_it_asks_for_the_officers_key(
        self, app: Flask, panel: Panel, desk: Desk, services: Services
    ) -> None:
        approval = self.asked(panel, desk, services)
        other = Panel(app, Role.OFFICER, stepped_up=False, name="Katherine Johnson")
        assert "/step-up" in other.post(f"/approvals/{approval.resource_id}/approve").location
        assert SecurityKey.get().state == KeyState.PENDING

    def test_declining_revokes_and_says_what_is_on_the_card(
        self, app: Flask, panel: Panel, desk: Desk, services: Services
    ) -> None:
        approval = self.asked(panel, desk, services)
        other = Panel(app, Role.OFFICER, name="Katherine Johnson")
        other.post(f"/approvals/{approval.resource_id}/decline")
        assert SecurityKey.get().state == KeyState.REVOKED
        assert "Reset the card before it is used again" in other.see("/approvals")
        assert other.post(f"/approvals/{approval.resource_id}/approve").status_code == 409

    def test_a_key_assigned_before_the_policy_can_be_asked_for_on_the_user_page(
        self, app: Flask, panel: Panel
    ) -> None:
        ada = person()
        key = pending_key(ada)
        member(group("Directors", Policy(second_approver=True)), ada)
        here = f"/users/{ada.resource_id}"
        assert "Ask for approval" in panel.see(here)
        assert "Send a registration link" not in panel.see(here)
        assert panel.post(f"/keys/{key.resource_id}/resend").status_code == 403
        panel.post(f"/approvals/ask/{key.resource_id}")
        assert "Waits until another officer agrees" in panel.see(here)
        other = Panel(app, Role.OFFICER, name="Katherine Johnson")
        other.post(f"/approvals/{Approval.get().resource_id}/approve")
        assert Activation.get().state == "live"


class TestTheLink:
    def test_a_link_that_the_policy_has_overtaken_says_so(
        self, panel: Panel, app: Flask, desk: Desk, services: Services
    ) -> None:
        ada = person()
        with transaction():
            key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "user", user=ada, actor=CLI)
            sent = assignment.confirm_by_user(key, ada, services, CLI)
        assert sent is not None
        browser = app.test_client()
        browser.post("/activate/start", data={"token": sent[1].partition("#")[2]})
        member(group("Nurses", Policy(methods=frozenset({Method.ADMIN}))), ada)
        answer = browser.post("/activate/station", data={"station": desk.id})
        assert answer.status_code == 303
        page = text_of(browser.get(answer.location))
        assert "want keys to be activated by an admin" in page
        assert SecurityKey.get().state == KeyState.PENDING


def test_the_user_page_shows_what_follows_and_why(panel: Panel) -> None:
    ada = person()
    member(group("Nurses", Policy(kinds=frozenset({KeyKind.CONTACTLESS_CARD}))), ada)
    page = panel.see(f"/users/{ada.resource_id}")
    assert "Contactless Card because of Nurses" in page


# --- who comes under a policy ---------------------------------------------------------------------


STRICT = Policy(role=Role.OFFICER, second_approver=True)


@pytest.fixture
def operator(app: Flask, panel: Panel) -> Panel:
    return Panel(app, Role.OPERATOR, name="Mallory")


def changes(of: Group, user: User) -> dict[str, tuple[str, dict[str, object]]]:
    """The ways to change who is in a group: address and form."""
    here, person_page = f"/groups/{of.resource_id}", f"/users/{user.resource_id}/groups"
    return {
        "take out": (f"{here}/members/{user.resource_id}/remove", {}),
        "delete": (f"{here}/delete", {}),
        "add": (f"{here}/members/add", {"go": "add", "members": [user.resource_id]}),
        "untick": (person_page, {"go": "save", "before": [of.resource_id]}),
        "tick": (person_page, {"go": "save", "groups": [of.resource_id]}),
    }


def is_in(of: Group, user: User) -> bool:
    return of.resource_id in [ref.resource_id for ref in nesting.groups_of(user)]


@pytest.mark.req("R25")
@pytest.mark.parametrize("way", ["take out", "delete", "add", "untick", "tick"])
@pytest.mark.parametrize("nested", [False, True])
def test_an_operator_takes_nobody_out_of_a_policy_and_puts_nobody_under_it(
    panel: Panel, operator: Panel, way: str, nested: bool
) -> None:
    ada = person()
    inner = group("Inner", None if nested else STRICT)
    if nested:
        outer = group("Outer", STRICT)
        with transaction():
            groups.add_members(outer, [inner.resource_id], actor=CLI)
    inside = way not in ("add", "tick")
    if inside:
        member(inner, ada)
    url, form = changes(inner, ada)[way]
    answer = operator.post(url, form)
    named = "Outer" if nested else "Inner"
    sentence = f"Members of Inner are under the policy of {named}: an officer changes who they are."
    assert sentence in text_of(answer)
    assert is_in(inner, ada) is inside
    panel.post(url, form)
    assert is_in(inner, ada) is not inside


@pytest.mark.parametrize("way", ["take out", "delete", "add", "untick", "tick"])
def test_changing_who_comes_under_a_policy_asks_for_the_admins_key(
    app: Flask, panel: Panel, way: str
) -> None:
    ada = person()
    nurses = group("Nurses", STRICT)
    inside = way not in ("add", "tick")
    if inside:
        member(nurses, ada)
    tired = Panel(app, Role.OFFICER, stepped_up=False, name="Alan Turing")
    url, form = changes(nurses, ada)[way]
    assert tired.post(url, form).location.startswith("/step-up?next=")
    assert is_in(nurses, ada) is inside


def test_ticks_wait_while_the_admins_key_is_asked_for(app: Flask, panel: Panel) -> None:
    ada = person()
    nurses = group("Nurses", STRICT)
    tired = Panel(app, Role.OFFICER, stepped_up=False, name="Alan Turing")
    url, form = changes(nurses, ada)["add"]
    assert tired.get(url).location.startswith("/step-up?next=")
    assert tired.post(url, form).location == f"/step-up?next={url}"
    tired.step_up()
    assert re.search(f'value="{ada.resource_id}"[^>]* checked', tired.get(url).text)
    url, form = changes(nurses, ada)["tick"]
    Session.update(stepped_up_at=None).execute()
    assert tired.post(url, form).location == f"/step-up?next={url}"
    tired.step_up()
    assert re.search(f'value="{nurses.resource_id}"[^>]* checked', tired.get(url).text)


def test_an_operator_sees_what_an_officer_changes(operator: Panel) -> None:
    ada = person()
    nurses, porters = group("Nurses", STRICT), group("Porters", ANY)
    member(nurses, ada)
    member(porters, ada)
    here = f"/groups/{nurses.resource_id}"
    words = operator.see(here)
    assert "an officer changes who they are" in words
    assert "Rename" in words
    for offered in ("Add members", "Take out", "Delete"):
        assert offered not in words
        assert offered in operator.see(f"/groups/{porters.resource_id}")
    page = operator.get(f"/users/{ada.resource_id}/groups").text
    assert re.search(rf'name="groups" value="{nurses.resource_id}"[^>]* disabled>', page)
    assert f'name="before" value="{nurses.resource_id}"' not in page
    assert "It has a policy: an officer changes who is in it." in page
    operator.post(
        f"/users/{ada.resource_id}/groups", {"go": "save", "before": [porters.resource_id]}
    )
    assert (is_in(nurses, ada), is_in(porters, ada)) == (True, False)


def test_an_operator_makes_somebody_new_in_a_group_with_a_policy(operator: Panel) -> None:
    nurses = group("Nurses", Policy(pin_length=8))
    draft = operator.new_user()
    operator.step(draft, "user-information", **ADA)
    operator.step(draft, "groups", groups=[nurses.resource_id])
    operator.step(draft, "security-key", assign_key="")
    operator.step(draft, "review", go="confirm")
    assert is_in(nurses, User.get())
