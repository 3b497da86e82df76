# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Many people at once: ticked or all that match, said in numbers first, done as long work."""

from __future__ import annotations

import pytest
from flask import Flask

from provisioning import groups, tasks
from provisioning.audit import CLI
from provisioning.issuing import activations, group_policies
from provisioning.issuing.policy import Method, Policy
from provisioning.lifecycle import KeyState
from provisioning.models import Activation, Approval, AuditEvent, SecurityKey, Task, User
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.tasks import TaskState
from tests.fakes.panel import Panel, text_of
from tests.fakes.people import active_key, pending_key, person


def ticked(*people: User, **more: object) -> dict[str, object]:
    return {"user": [one.resource_id for one in people], "whom": "ticked", **more}


def go(panel: Panel, services: Services, form: dict[str, object]) -> dict[str, tuple[str, str]]:
    """Begin the work and do it; what became of each, by name."""
    answer = panel.post("/users/many/go", form)
    assert answer.status_code == 303, text_of(answer)
    assert "/tasks/" in answer.location
    while tasks.work(services):
        pass
    task = Task.get()
    assert task.state == TaskState.DONE
    page = panel.see(answer.location)
    assert "100 %" in page
    return {label: (outcome, detail) for label, outcome, detail in tasks.results(task)}


def test_the_list_lets_people_be_ticked(panel: Panel) -> None:
    ada = person()
    page = panel.get("/users?q=ada").text
    assert f'name="user" value="{ada.resource_id}"' in page
    assert 'aria-label="Select Ada Lovelace"' in page
    assert 'type="hidden" name="q" value="ada"' in page
    assert "All that match" in page


def test_an_auditor_ticks_nobody(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    ada = person()
    panel = Panel(app, Role.AUDITOR)
    assert "All that match" not in panel.get("/users").text
    for url in ("/users/many", "/users/many/go"):
        assert panel.post(url, ticked(ada, verb="suspend")).status_code == 403
    assert User.get().active


FORM = {"verb": "assign", "kind": "contactless_card"}


class TestAssigning:
    def test_what_follows_is_said_in_numbers_first(self, panel: Panel) -> None:
        ada, grace = person("ada"), person("grace", emails=[])
        active_key(ada)
        page = text_of(panel.post("/users/many", ticked(ada, grace, verb="assign")))
        assert "2 people are chosen." in page
        assert "One of them has a key already and is left out." in page
        assert "One has no address that a link could go to" in page
        assert "Everybody else gets a key that waits" in page
        page = text_of(panel.post("/users/many", ticked(person("alan"), verb="assign")))
        assert "Each gets a key that waits" in page
        assert not Task.select().exists()

    def test_each_gets_a_key_and_a_link_and_who_has_one_is_left_out(
        self, panel: Panel, services: Services
    ) -> None:
        ada, alan = person("ada"), person("alan", displayName="Alan Turing")
        grace = person("grace", displayName="Grace Hopper", emails=[])
        active_key(ada)
        found = go(panel, services, ticked(ada, alan, grace, **FORM))
        assert found["Ada Lovelace"] == ("skipped", "Has a key already.")
        assert found["Alan Turing"] == ("done", "Link to alan@example.org.")
        assert found["Grace Hopper"][0] == "failed"
        assert "no e-mail address" in found["Grace Hopper"][1]
        page = panel.get(f"/tasks/{Task.get().resource_id}")
        assert "3 of 3 people" in text_of(page)
        told = "1 person done · 1 person left out: there was nothing to do · not possible for 1 "
        assert told in text_of(page)
        assert f'<a href="/users/{grace.resource_id}">Grace Hopper</a>' in page.text
        (key,) = alan.keys
        assert key.state == KeyState.PENDING
        assert key.name == "Card of Alan Turing"
        assert not list(grace.keys)  # a row that failed leaves nothing behind
        line = AuditEvent.get(AuditEvent.event == "key.assigned", AuditEvent.user == alan)
        assert line.actor_name == "Grace Hopper"  # the admin who asked

    def test_who_has_one_gets_another_if_that_is_wanted(
        self, panel: Panel, services: Services
    ) -> None:
        ada = person()
        active_key(ada, "Card of Ada Lovelace")
        go(panel, services, ticked(ada, again="y", **FORM))
        assert {key.name for key in ada.keys} == {"Card of Ada Lovelace", "Card of Ada Lovelace 2"}

    def test_policies_hold_for_each_person(self, panel: Panel, services: Services) -> None:
        ada, alan = person("ada"), person("alan", displayName="Alan Turing")
        for name, policy, member in (
            ("Nurses", Policy(methods=frozenset({Method.ADMIN})), ada),
            ("Directors", Policy(second_approver=True), alan),
        ):
            with transaction():
                group = groups.create_group({"displayName": name}, connection=None, actor=CLI)
                group_policies.save(group, policy, version=0, actor=CLI)
                groups.add_members(group, [member.resource_id], actor=CLI)
        found = go(panel, services, ticked(ada, alan, **FORM))
        assert found["Ada Lovelace"][0] == "failed"
        assert "activated by an admin" in found["Ada Lovelace"][1]
        assert found["Alan Turing"] == ("done", "Waits for another officer.")
        assert Approval.get().requested_by == panel.account
        assert not Activation.select().exists()

    def test_an_unknown_kind_of_key_is_said_beside_the_field(self, panel: Panel) -> None:
        ada = person()
        answer = panel.post("/users/many/go", ticked(ada, verb="assign", kind="<script>"))
        assert answer.status_code == 200
        assert "Not a valid choice." in answer.text
        assert not Task.select().exists()


class TestSuspending:
    def test_all_that_match_are_suspended_and_nobody_else(
        self, panel: Panel, services: Services
    ) -> None:
        for number in range(60):
            person(f"nurse{number}", displayName=f"Nurse {number:02}")
        ada = person("ada")
        page = text_of(panel.post("/users/many", {"whom": "all", "q": "nurse", "verb": "suspend"}))
        assert "60 people are chosen." in page
        go(panel, services, {"whom": "all", "q": "nurse", "verb": "suspend"})
        assert User.select().where(~User.active).count() == 60
        assert User.get_by_id(ada.id).active
        assert "All that match “nurse”" in panel.see("/tasks")
        assert Task.get().title == ""  # whoever looks reads it in a language of their own
        page = text_of(panel.get("/tasks", headers={"Accept-Language": "de"}))
        assert "All that match" not in page

    def test_who_was_ticked_and_how_they_were_filtered_is_told_in_words(
        self, panel: Panel, services: Services
    ) -> None:
        ada = person("ada")
        go(panel, services, ticked(ada, verb="suspend"))
        assert "Chosen in the list" in panel.see("/tasks")
        go(panel, services, {"whom": "all", "status": "suspended", "verb": "suspend"})
        assert "All that match Suspended" in panel.see("/tasks")

    def test_keys_stop_and_who_is_suspended_already_is_left_out(
        self, panel: Panel, services: Services
    ) -> None:
        ada, alan = person("ada"), person("alan", displayName="Alan Turing", active=False)
        key = active_key(ada)
        page = text_of(panel.post("/users/many", ticked(ada, alan, verb="suspend")))
        assert "One key stops working at once." in page
        assert "One of the chosen is suspended already." in page
        found = go(panel, services, ticked(ada, alan, verb="suspend"))
        assert found["Alan Turing"] == ("skipped", "Suspended already.")
        assert SecurityKey.get_by_id(key.id).state == KeyState.SUSPENDED

    def test_nobody_shuts_a_superior_out(
        self, app: Flask, panel: Panel, services: Services
    ) -> None:
        ada, alan = person("ada"), person("alan", displayName="Alan Turing")
        panel.account.user = ada
        panel.account.save()
        operator = Panel(app, Role.OPERATOR, name="Operator")
        found = go(operator, services, ticked(ada, alan, verb="suspend"))
        told = "This person has the role owner, which is above yours."
        assert found["Ada Lovelace"] == ("failed", told)
        assert found["Alan Turing"] == ("done", "")
        assert User.get_by_id(ada.id).active


class TestResending:
    def test_who_waits_gets_a_new_link(self, panel: Panel, services: Services) -> None:
        ada, alan = person("ada"), person("alan", displayName="Alan Turing")
        with transaction():
            activations.issue(pending_key(ada), services, CLI)
        found = go(panel, services, ticked(ada, alan, verb="resend"))
        assert found["Ada Lovelace"] == ("done", "1 to ada@example.org.")
        assert found["Alan Turing"] == ("skipped", "Waits for no activation.")
        states = [link.state for link in Activation.select().order_by(Activation.id)]
        assert states == ["superseded", "live"]


@pytest.mark.parametrize(
    "form",
    [
        {"verb": "suspend"},
        {"verb": "suspend", "user": ["nobody", "<script>"]},
        {"verb": "burn", "whom": "all"},
        {"whom": "all"},
    ],
)
def test_a_choice_that_means_nobody_or_nothing_does_nothing(
    panel: Panel, form: dict[str, object]
) -> None:
    person()
    for url in ("/users/many", "/users/many/go"):
        answer = panel.post(url, form)
        assert answer.status_code == 303
        assert "Tick somebody first" in panel.see(answer.location)
    assert not Task.select().exists()


def test_the_admins_key_is_asked_for_and_the_choice_is_kept(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    ada, panel = person(), Panel(app, Role.OPERATOR, stepped_up=False)
    answer = panel.post("/users/many/go", ticked(ada, verb="assign", kind="usb_key"))
    assert "/step-up" in answer.location
    assert not Task.select().exists()
    panel.step_up()
    page = panel.get("/users/many").text
    assert f'name="user" value="{ada.resource_id}"' in page
    assert '<option selected value="usb_key">' in page


def test_without_its_token_nothing_begins(panel: Panel, app: Flask) -> None:
    ada = person()
    app.config["WTF_CSRF_ENABLED"] = True
    assert panel.post("/users/many/go", ticked(ada, verb="suspend")).status_code == 400
    assert not Task.select().exists()
