# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Conflicts in the panel: who holds what, hand over, dismiss, take back."""

from __future__ import annotations

import pytest
from flask import Flask

from provisioning import directory
from provisioning.audit import CLI
from provisioning.models import AuditEvent, Conflict, Connection, User
from provisioning.panel.access import Role
from provisioning.storage.db import transaction
from provisioning.storage.recorder import EXTENSION
from tests.fakes import people
from tests.fakes.panel import Panel, text_of
from tests.scim.pushing import GROUP, USER, Directory, connect


@pytest.fixture
def entra(app: Flask) -> Directory:
    return connect(app, "Entra ID")


def wants(app: Flask, directory: Directory, name: str = "ada") -> str:
    """The directory is refused; the address of its conflicts."""
    answer = directory("POST", "/Users", {"schemas": [USER], "userName": name})
    assert answer.status_code == 409
    app.extensions[EXTENSION].flush()
    return f"/directories/{directory.connection.id}/conflicts"


def test_a_conflict_says_who_holds_the_name_and_what_follows(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    assert "No conflicts" in panel.see(f"/directories/{entra.connection.id}/conflicts")
    ada = people.person("ada")
    people.active_key(ada)
    page = panel.see(wants(app, entra))
    assert "ada userName" in page
    assert "Held by somebody who was made here by hand." in page
    assert "Hand Ada Lovelace over to Entra ID?" in page
    assert "When it says that Ada Lovelace has left, one working key stops at once." in page
    assert "Conflicts 1" in panel.see(f"/directories/{entra.connection.id}")
    assert "1 conflict" in panel.see("/directories")


def test_what_a_directory_posts_again_is_told_what_to_change(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    entra.user("ada")
    page = panel.see(wants(app, entra))
    assert "This directory made the holder itself and did not recognise it." in page
    merges = "switch “A Bulk POST of somebody who is there changes them” on under Settings."
    assert merges in page
    with transaction():
        Connection.update(merges_bulk=True).execute()
    assert merges not in panel.see(f"/directories/{entra.connection.id}/conflicts")


def test_a_group_that_is_posted_again_is_not_taken_for_a_person(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    entra.group("Staff")
    answer = entra("POST", "/Groups", {"schemas": [GROUP], "displayName": "Staff"})
    assert answer.status_code == 409
    app.extensions[EXTENSION].flush()
    page = panel.see(f"/directories/{entra.connection.id}/conflicts")
    assert "This directory made a group of this name itself." in page
    assert "switch “Each group name only once” off under Settings." in page
    assert "holder" not in page


def test_a_group_whose_identifier_comes_again_is_told_by_what_it_was_matched(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    entra.group("Staff", externalId="7")
    body = {"schemas": [GROUP], "displayName": "Crew", "externalId": "7"}
    assert entra("POST", "/Groups", body).status_code == 409
    app.extensions[EXTENSION].flush()
    page = panel.see(f"/directories/{entra.connection.id}/conflicts")
    assert "attribute by which it matches" in page
    assert "A Bulk POST" not in page


def test_a_person_is_handed_over(panel: Panel, app: Flask, entra: Directory) -> None:
    ada = people.person("ada")
    page = wants(app, entra)
    conflict = Conflict.get()
    answer = panel.post(f"{page}/{conflict.id}/hand-over", follow_redirects=True)
    assert "Ada Lovelace belongs to Entra ID now." in text_of(answer)
    assert User.get_by_id(ada.id).connection == entra.connection
    again = panel.post(f"{page}/{conflict.id}/hand-over")
    assert again.status_code == 404
    assert "Handed over to Entra ID" in panel.see(f"/users/{ada.resource_id}")


def test_what_another_directory_loses_is_said(panel: Panel, app: Flask, entra: Directory) -> None:
    okta = connect(app, "Okta")
    ada = okta.user("ada")
    okta.group("Staff", ada["id"])
    page = panel.see(wants(app, entra))
    assert "Held by somebody whom Okta sends." in page
    assert "Okta loses this person, and its group loses a member." in page


def test_what_nobody_holds_any_more_is_not_handed_over(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    ada = people.person("ada")
    page = wants(app, entra)
    url = f"{page}/{Conflict.get().id}/hand-over"
    with transaction():
        directory.delete_user(ada, CLI)
    assert "Free now" in panel.see(page)
    assert "Nobody else holds this name" in text_of(panel.post(url, follow_redirects=True))


def test_a_conflict_is_dismissed_and_shown_again(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    people.person("ada")
    page = wants(app, entra)
    url = f"{page}/{Conflict.get().id}"
    assert "Dismissed." in text_of(panel.post(f"{url}/dismiss", follow_redirects=True))
    assert "No conflicts" in panel.see(page)
    assert "ada userName" in panel.see(f"{page}?only=dismissed")
    panel.post(f"{url}/reopen")
    assert "ada userName" in panel.see(page)
    assert "Nothing was dismissed" in panel.see(f"{page}?only=dismissed")
    assert AuditEvent.select().where(AuditEvent.event.startswith("conflict.")).count() == 2


def test_only_an_owner_who_stepped_up_hands_over(app: Flask, entra: Directory) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    ada = people.person("ada")
    page = wants(app, entra)
    url = f"{page}/{Conflict.get().id}"
    assert Panel(app, Role.OFFICER).post(f"{url}/hand-over").status_code == 403
    assert Panel(app, Role.AUDITOR).post(f"{url}/dismiss").status_code == 403
    assert "Hand over" not in Panel(app, Role.AUDITOR).see(page)
    tired = Panel(app, stepped_up=False).post(f"{url}/hand-over")
    assert tired.location.startswith("/step-up?next=/directories/")
    assert User.get_by_id(ada.id).connection is None


def test_a_conflict_is_found_under_its_own_directory_only(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    people.person("ada")
    wants(app, entra)
    okta = connect(app, "Okta")
    url = f"/directories/{okta.connection.id}/conflicts/{Conflict.get().id}"
    for verb in ("hand-over", "dismiss", "reopen"):
        assert panel.post(f"{url}/{verb}").status_code == 404


def test_all_are_handed_over_as_long_work(panel: Panel, app: Flask, entra: Directory) -> None:
    people.person("ada")
    page = wants(app, entra)
    assert "Hand over all" not in panel.see(page)
    people.person("bob")
    wants(app, entra, "bob")
    assert "Hand over all 2" in panel.see(page)
    answer = panel.post(f"{page}/hand-over", follow_redirects=True)
    assert answer.request.path.startswith("/tasks/")
    assert "Hand-over to a directory" in text_of(answer)
    assert f'href="{page}"' in answer.text


def test_handing_all_over_asks_for_the_owners_key(app: Flask, entra: Directory) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    people.person("ada")
    page = wants(app, entra)
    assert Panel(app, Role.OFFICER).post(f"{page}/hand-over").status_code == 403
    tired = Panel(app, stepped_up=False)
    assert tired.post(f"{page}/hand-over").location.startswith("/step-up?next=/directories/")
