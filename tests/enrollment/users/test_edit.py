# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Changing people in the panel: details, groups, and the story of one person."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from enrollment.users import document as user_document
from provisioning import audit, clock, directory, groups, nesting
from provisioning.audit import CLI, Actor, Event
from provisioning.issuing import activations, assignment
from provisioning.models import (
    Activation,
    AuditEvent,
    Connection,
    Group,
    Member,
    OutboxMail,
    Session,
    User,
)
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.panel import ADA, Panel, text_of
from tests.fakes.people import active_key, document, pending_key, person, station, tapped

ENTRA = Actor("connection", "1", "Entra ID")
HOSTILE = [
    "<script>alert(1)</script>",
    "\u202eecilA",  # right to left override
    "Ali\u200bce",  # zero width space
    "Alice\nBcc: everybody@example.org",
]


def edit(user: User) -> str:
    return f"/users/{user.resource_id}/edit"


def form(user: User, **changes: object) -> dict[str, object]:
    fields = user_document.fields_of(directory.document_of(user))
    return {**fields, "version": str(user.version), **changes}


def group(name: str, connection: Connection | None = None) -> Group:
    with transaction():
        return groups.create_group({"displayName": name}, connection=connection, actor=CLI)


class TestTheDocument:
    def test_what_the_form_does_not_ask_for_stays(self) -> None:
        before = {
            **document(),
            "nickName": "Countess",
            "emails": [
                {"value": "home@example.org", "type": "home"},
                {"value": "ada@example.org", "type": "work", "primary": True},
            ],
            "name": {"givenName": "Ada", "familyName": "King", "honorificPrefix": "Lady"},
            user_document.ENTERPRISE: {"department": "Analysis", "costCenter": "7"},
        }
        fields = user_document.fields_of(before)
        assert user_document.apply(before, fields) == before
        after = user_document.apply(
            before, {**fields, "email": "new@example.org", "department": "", "family_name": "L"}
        )
        assert after["nickName"] == "Countess"
        assert after["emails"] == [
            {"value": "home@example.org", "type": "home"},
            {"value": "new@example.org", "type": "work", "primary": True},
        ]
        assert after["name"] == {"givenName": "Ada", "familyName": "L", "honorificPrefix": "Lady"}
        assert after[user_document.ENTERPRISE] == {"costCenter": "7"}

    @given(
        st.dictionaries(st.sampled_from(sorted({*ADA} - {"email"})), st.text(max_size=20)),
        st.sampled_from(["", "ada@example.org", "new@example.org"]),
    )
    def test_applying_twice_changes_nothing_more(
        self, fields: dict[str, str], address: str
    ) -> None:
        fields = {**fields, "email": address}
        once = user_document.apply(document(), fields)
        assert user_document.apply(once, fields) == once


class TestDetails:
    def test_every_field_of_the_wizard_can_be_changed(self, panel: Panel) -> None:
        ada = person()
        page = panel.get(edit(ada)).text
        assert all(f'name="{field}"' in page for field in ADA)
        answer = panel.post(edit(ada), form(ada, **{**ADA, "title": "Countess"}))
        assert answer.location.endswith(f"/users/{ada.resource_id}")
        shown = panel.see(answer.location)
        assert "Countess" in shown
        assert "+44 20 1" in shown
        assert "1815" in shown
        row = AuditEvent.get(AuditEvent.event == Event.USER_CHANGED)
        assert row.actor_name == "Grace Hopper"

    def test_a_directorys_person_is_read_only_with_the_directory_named(self, panel: Panel) -> None:
        entra = Connection.create(name="Entra ID")
        with transaction():
            ada = directory.create_user(document(), connection=entra, actor=ENTRA)
        page = panel.see(f"/users/{ada.resource_id}")
        assert "From Entra ID: change it there." in page
        assert f'href="{edit(ada)}"' not in panel.get(f"/users/{ada.resource_id}").text
        for answer in (panel.get(edit(ada)), panel.post(edit(ada), form(ada, title="X"))):
            assert answer.status_code == 409
            assert "Entra ID owns this person" in text_of(answer)
            assert "Ask an owner" not in text_of(answer)  # who could not change it either

    def test_an_auditor_only_looks(self, app: Flask) -> None:
        app.config["WTF_CSRF_ENABLED"] = False
        ada = person()
        panel = Panel(app, Role.AUDITOR)
        assert edit(ada) not in panel.get(f"/users/{ada.resource_id}").text
        assert panel.post(edit(ada), form(ada, title="X")).status_code == 403

    def test_somebody_else_saved_both_are_shown_and_neither_is_lost(self, panel: Panel) -> None:
        ada = person()
        mine = form(ada, title="Countess", phone="1")
        with transaction():
            directory.replace_user(
                User.get(), {**directory.document_of(ada), "title": "Engineer"}, actor=CLI
            )
        answer = panel.post(edit(ada), mine)
        assert answer.status_code == 412
        page = answer.get_data(as_text=True)
        assert "Somebody else changed this person" in page
        assert "Engineer" in page
        assert 'value="Countess"' in page
        assert directory.document_of(User.get())["title"] == "Engineer"
        version = re.search(r'name="version"[^>]*value="(\d+)"', page)
        assert version
        panel.post(edit(ada), {**mine, "version": version[1]})
        assert directory.document_of(User.get())["title"] == "Countess"

    def test_another_address_kills_the_open_link_and_says_so(
        self, panel: Panel, services: Services
    ) -> None:
        ada = person()
        key = pending_key(ada)
        with transaction():
            activations.issue(key, services, CLI)
        panel.post(edit(ada), form(User.get(), email="new@example.org"))
        assert "it no longer works" in panel.see(f"/users/{ada.resource_id}")
        assert Activation.get().state == "cancelled"

    @pytest.mark.req("T12")
    def test_another_address_cancels_the_pin_mail_and_says_so(
        self, panel: Panel, services: Services
    ) -> None:
        ada = person()
        job = tapped(services, pending_key(ada), station(services))
        with transaction():
            assignment.complete(job, services, CLI)
        panel.post(edit(ada), form(User.get(), email="new@example.org"))
        page = panel.see(f"/users/{ada.resource_id}")
        assert "A PIN mail had not left for the old address: it is cancelled." in page
        assert "The PIN mail was cancelled before it was sent." in page
        assert "Reset card" in page

    @pytest.mark.req("T12")
    def test_the_old_address_is_told_of_another_one(self, panel: Panel) -> None:
        ada = person()
        pending_key(ada)
        panel.post(edit(ada), form(User.get(), email="new@example.org"))
        told = OutboxMail.get(OutboxMail.template == "address_changed")
        assert told.recipient == "ada@example.org"

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"user_name": ""}, "A user name is needed."),
            ({"user_name": "GRACE"}, "GRACE is taken."),
            ({"user_name": "x" * 257}, "Field cannot be longer than 256 characters."),
            ({"email": "nobody"}, "It needs one @"),
            ({"email": "a@example.org\nBcc: b@example.org"}, "on one line"),
            ({"email": "a@example.org, b@example.org"}, "ddress"),
            ({"title": "x" * 10_000}, "Field cannot be longer than"),
            ({"given_name": "", "family_name": "", "display_name": ""}, "Give a first name"),
            ({"given_name": "Ali\nce"}, "on one line"),
        ],
    )
    def test_what_is_wrong_stands_beside_its_field_and_changes_nothing(
        self, panel: Panel, change: dict[str, str], sentence: str
    ) -> None:
        ada = person()
        person("grace")
        answer = panel.post(edit(ada), form(ada, phone="+1", **change))
        assert answer.status_code == 200
        assert sentence in text_of(answer)
        assert 'aria-invalid="true"' in answer.text
        assert 'value="+1"' in answer.text
        assert User.get_by_id(ada.id).version == ada.version

    @pytest.mark.parametrize("field", ["given_name", "user_name", "title", "phone"])
    @pytest.mark.parametrize("hostile", HOSTILE)
    def test_hostile_text_is_refused_or_shown_as_text(
        self, panel: Panel, field: str, hostile: str
    ) -> None:
        ada = person()
        answer = panel.post(edit(ada), form(ada, **{field: hostile}), follow_redirects=True)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        stored = User.get().document
        assert "Bcc:" not in stored
        assert "\\u0000" not in stored
        assert not any(sign in stored for sign in "\u202e\u200b")

    def test_what_no_keyboard_types_is_refused_everywhere(self, panel: Panel) -> None:
        ada = person()
        for answer in (
            panel.post(edit(ada), form(ada, user_name="Alice\x00")),
            panel.get("/users?q=%00"),
            panel.get("/users/%00"),
            panel.get("/keys?q=a%00b"),
            panel.get("/groups?q=%00"),
            panel.get("/activity?q=%00"),
            panel.post(f"/users/{ada.resource_id}/groups", {"groups": ["\x00"], "go": "save"}),
        ):
            assert answer.status_code == 400
        assert User.get().user_name == "ada"

    def test_emoji_are_a_name_like_any_other(self, panel: Panel) -> None:
        ada = person()
        panel.post(edit(ada), form(ada, display_name="Ada 🦉"))
        assert "Ada 🦉" in panel.see(f"/users/{ada.resource_id}")

    def test_without_its_token_nothing_is_saved(self, panel: Panel, app: Flask) -> None:
        ada = person()
        app.config["WTF_CSRF_ENABLED"] = True
        assert panel.post(edit(ada), form(ada, title="X")).status_code == 400
        assert User.get().version == ada.version

    def test_a_session_that_ends_in_mid_form_loses_nothing(self, panel: Panel) -> None:
        ada = person()
        Session.update(last_seen_at=1).execute()
        answer = panel.post(edit(ada), form(ada, title="Countess"))
        assert answer.location == f"/sign-in?next={edit(ada)}"
        Session.update(last_seen_at=2**45).execute()
        assert 'value="Countess"' in panel.get(edit(ada)).text

    def test_a_taken_user_name_is_said_while_typing(self, panel: Panel) -> None:
        ada = person()
        person("grace")
        here = f"/users/{ada.resource_id}/user-name"
        assert "taken" in panel.get(f"{here}?user_name=Grace").text
        assert "taken" not in panel.get(f"{here}?user_name=ADA").text


class TestGroups:
    def test_local_groups_are_ticked_and_unticked(self, panel: Panel) -> None:
        ada, nurses, porters = person(), group("Nurses"), group("Porters")
        here = f"/users/{ada.resource_id}/groups"
        panel.post(here, {"groups": [nurses.resource_id], "go": "save"})
        assert [each.display for each in nesting.groups_of(ada)] == ["Nurses"]
        page = panel.get(here).text
        assert re.search(rf'name="before" value="{nurses.resource_id}"', page)
        panel.post(
            here,
            {"before": [nurses.resource_id], "groups": [porters.resource_id], "go": "save"},
        )
        assert [each.display for each in nesting.groups_of(ada)] == ["Porters"]

    def test_what_somebody_else_added_meanwhile_stays(self, panel: Panel) -> None:
        ada, nurses, porters = person(), group("Nurses"), group("Porters")
        with transaction():
            groups.add_members(porters, [ada.resource_id], actor=CLI)  # after the page was opened
        panel.post(
            f"/users/{ada.resource_id}/groups", {"groups": [nurses.resource_id], "go": "save"}
        )
        assert {each.display for each in nesting.groups_of(ada)} == {"Nurses", "Porters"}

    def test_a_directorys_group_cannot_be_touched(self, panel: Panel) -> None:
        ada = person()
        doctors = group("Doctors", Connection.create(name="Entra ID"))
        here = f"/users/{ada.resource_id}/groups"
        page = text_of(panel.post(here, {"groups": [doctors.resource_id], "go": "save"}))
        assert "owned by a directory" in page
        assert not nesting.groups_of(ada)
        panel.post(here, {"before": [doctors.resource_id], "go": "save"})
        assert "Owned by Entra ID" in panel.see(here)

    def test_a_group_that_is_gone_changes_nothing(self, panel: Panel) -> None:
        ada, nurses = person(), group("Nurses")
        answer = panel.post(
            f"/users/{ada.resource_id}/groups",
            {"groups": [nurses.resource_id, "nothing"], "go": "save"},
        )
        assert "There is no group nothing." in text_of(answer)
        assert not nesting.groups_of(ada)

    def test_the_picker_searches_and_keeps_what_is_ticked(self, panel: Panel) -> None:
        ada, nurses = person(), group("Nurses")
        group("Porters")
        answer = panel.post(
            f"/users/{ada.resource_id}/groups/pick",
            {"groups": [nurses.resource_id], "search": "por"},
        )
        assert "Porters" in answer.text
        assert re.search(rf'value="{nurses.resource_id}"[^>]*checked', answer.text)


class TestTheTimeline:
    def story(self, panel: Panel) -> User:
        entra = Connection.create(name="Entra ID")
        with transaction():
            ada = directory.create_user(document(), connection=entra, actor=ENTRA)
        key = active_key(ada)
        with transaction():
            audit.record(CLI, Event.JOB_TAPPED, user=ada, key=key, op="enrol")
            audit.record(CLI, Event.MAIL_SENT, user=ada, key=key, template="pin")
            me = Actor("user", ada.resource_id, "Ada Lovelace")
            audit.record(me, Event.USER_SIGNED_IN, user=ada, key=key, name=key.name)
        return ada

    def test_it_tells_everything_in_one_order_each_line_with_its_number(self, panel: Panel) -> None:
        ada = self.story(panel)
        page = panel.see(f"/users/{ada.resource_id}/timeline")
        told = [
            "Signed in with “Card of Ada”",
            "PIN mail delivered to the mail server",
            "Card tapped",
            "“Card of Ada” activated",
            "“Card of Ada” assigned",
            "Added",
        ]
        places = [page.find(sentence) for sentence in told]
        assert -1 not in places, list(zip(told, places, strict=True))
        assert places == sorted(places)
        for row in AuditEvent.select().where(
            AuditEvent.user == ada, AuditEvent.event.in_([Event.USER_CREATED, Event.MAIL_SENT])
        ):
            assert f"#{row.id}" in page
            log = panel.see(f"/activity?person={ada.resource_id}&after={row.id + 1}")
            assert f"Event {row.event}" in log

    @pytest.mark.parametrize(
        ("part", "there", "absent"),
        [
            ("directory", "Added", "Card tapped"),
            ("keys", "Card tapped", "Signed in with"),
            ("mail", "PIN mail", "Card tapped"),
            ("sign-ins", "Signed in with", "Card tapped"),
        ],
    )
    def test_parts_of_it_can_be_looked_at_alone(
        self, panel: Panel, part: str, there: str, absent: str
    ) -> None:
        ada = self.story(panel)
        page = panel.see(f"/users/{ada.resource_id}/timeline?show={part}")
        assert there in page
        assert absent not in page

    def test_it_comes_in_pages(self, panel: Panel) -> None:
        ada = person()
        with transaction():
            for _ in range(60):
                audit.record(CLI, Event.USER_SIGNED_OUT, user=ada)
        here = f"/users/{ada.resource_id}/timeline"
        first = panel.get(here).text
        following = re.search(r'href="([^"]*timeline\?after=\d+[^"]*)"', first)
        assert following
        second = panel.get(following[1].replace("&amp;", "&")).text
        numbers = [set(re.findall(r">#(\d+)<", page)) for page in (first, second)]
        assert len(numbers[0]) == 50
        assert len(numbers[1]) == 11
        assert not numbers[0] & numbers[1]

    def test_what_a_directory_changed_is_named(self, panel: Panel) -> None:
        ada = self.story(panel)
        with transaction():
            directory.replace_user(
                User.get(), {**document(), "title": "Countess", "nickName": "A"}, actor=ENTRA
            )
        page = panel.see(f"/users/{ada.resource_id}/timeline?show=directory")
        assert "Changed: nickName, title" in page

    def test_groups_are_told_by_the_memberships_and_never_twice(self, panel: Panel) -> None:
        entra = Connection.create(name="Entra ID")
        nurses = group("Nurses", entra)
        with transaction():
            ada = directory.create_user(document(), connection=entra, actor=ENTRA)
            groups.add_members(nurses, [ada.resource_id], actor=ENTRA)
            for _ in range(60):
                audit.record(CLI, Event.USER_SIGNED_OUT, user=ada)
        pharmacy = group("Pharmacy")
        with transaction():
            groups.add_members(pharmacy, [ada.resource_id], actor=CLI)
        here = f"/users/{ada.resource_id}/timeline"
        following = re.search(r'href="([^"]*timeline\?after=\d+[^"]*)"', panel.get(here).text)
        assert following
        pages = [panel.see(here), panel.see(following[1].replace("&amp;", "&"))]
        told = [(p.count("Joined “Pharmacy”"), p.count("Joined “Nurses”")) for p in pages]
        # All within a few ms: on which page a line stands does not matter, that it is once does.
        assert [sum(counts) for counts in zip(*told, strict=True)] == [1, 1]
        alone = panel.see(f"{here}?show=directory")
        assert "Joined “Nurses”" in alone
        assert "from Entra ID" in alone
        assert "Pharmacy" not in alone

    def test_groups_that_came_together_are_one_line(self, panel: Panel) -> None:
        ada = person()
        names = [f"Ward {number}" for number in range(1, 8)]
        with transaction():
            for name in names:
                made = groups.create_group({"displayName": name}, connection=None, actor=CLI)
                groups.add_members(made, [ada.resource_id], actor=CLI)
        Member.update(created_at=clock.now_ms() // clock.SECOND * clock.SECOND).execute()
        page = panel.see(f"/users/{ada.resource_id}/timeline")
        assert "Joined 7 groups: “Ward 1”, “Ward 2”, “Ward 3”, “Ward 4”, “Ward 5” …" in page
        with transaction():
            groups.remove_members(made, [ada.resource_id], actor=CLI)
        assert "Joined 6 groups" in panel.see(f"/users/{ada.resource_id}/timeline")


def test_nobody_has_a_superiors_mail_go_elsewhere(app: Flask, panel: Panel) -> None:
    user = person()
    panel.account.user = user
    panel.account.save()
    operator = Panel(app, Role.OPERATOR, name="Operator")
    elsewhere = form(user, email="mine@example.org")
    page = text_of(operator.post(edit(user), elsewhere))
    assert "This person has the role owner, which is above yours." in page
    assert User.get_by_id(user.id).email == "ada@example.org"
    assert operator.post(edit(user), form(user, title="Countess")).status_code == 303
    assert panel.post(edit(user), {**elsewhere, "version": "2"}).status_code == 303
    assert User.get_by_id(user.id).email == "mine@example.org"
