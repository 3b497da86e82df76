# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A name that somebody else holds: 409, nothing told, and what directories do after a hand-over."""

from __future__ import annotations

import pytest
from flask import Flask

from provisioning.audit import CLI
from provisioning.models import AuditEvent, Conflict, User
from provisioning.storage.db import transaction
from provisioning.storage.recorder import EXTENSION
from provisioning.upstream import conflicts
from tests.fakes import people
from tests.scim.pushing import USER, Directory, connect

ADA = {"schemas": [USER], "userName": "ada", "externalId": "entra-1", "active": True}
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def noted(app: Flask) -> list[tuple[str, str, int]]:
    app.extensions[EXTENSION].flush()
    rows = Conflict.select().order_by(Conflict.id)
    return [(row.attribute, row.value, row.seen) for row in rows]


def handed_over(directory: Directory) -> None:
    with transaction():
        line = conflicts.page(directory.connection)[0][0]
        conflicts.hand_over(line, CLI)


@pytest.mark.req("S6")
def test_a_name_held_elsewhere_is_refused_and_tells_nothing_of_its_holder(
    app: Flask, directory: Directory
) -> None:
    holder = people.person("ADA", displayName="Augusta King", title="Countess")
    rows = AuditEvent.select().count()
    answer = directory("POST", "/Users", ADA)
    assert answer.status_code == 409
    assert answer.get_json(force=True)["scimType"] == "uniqueness"
    for word in ("Augusta", "King", "Countess", "ADA", holder.resource_id):
        assert word not in answer.text
    assert noted(app) == [("userName", "ada", 1)]
    assert AuditEvent.select().count() == rows
    # The same to the letter as for a name that another directory holds.
    other = connect(app, "Other")
    other.user("bob")
    theirs = directory("POST", "/Users", {**ADA, "userName": "bob"})
    assert theirs.text.replace("bob", "ada") == answer.text


def test_renaming_to_a_held_name_is_a_conflict_too(app: Flask, directory: Directory) -> None:
    people.person("grace")
    user = directory.user("ada")
    put = directory("PUT", f"/Users/{user['id']}", {"schemas": [USER], "userName": "grace"})
    renamed = {"op": "replace", "path": "userName", "value": "Grace"}
    patch = directory.patch(f"/Users/{user['id']}", renamed)
    assert (put.status_code, patch.status_code) == (409, 409)
    assert noted(app) == [("userName", "Grace", 2)]


def test_one_refused_operation_of_a_bulk_is_a_conflict(app: Flask, directory: Directory) -> None:
    people.person("ada")
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": name, "data": {**ADA, "userName": name}}
        for name in ("ada", "bob")
    ]
    operations[1]["data"] = {"schemas": [USER], "userName": "bob"}
    answer = directory("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    outcomes = [each["status"] for each in answer.get_json(force=True)["Operations"]]
    assert outcomes == ["409", "201"]
    assert noted(app) == [("userName", "ada", 1)]


def test_what_it_made_itself_is_a_conflict_that_says_so(app: Flask, directory: Directory) -> None:
    directory.user("ada", externalId="1")
    directory.group("Staff", externalId="1")
    assert directory("POST", "/Users", {**ADA, "userName": "bob", "externalId": "1"}).status_code
    directory("POST", "/Groups", {"displayName": "Staff"})
    directory("POST", "/Groups", {"displayName": "Crew", "externalId": "1"})
    assert noted(app) == [
        ("externalId", "1", 1),
        ("displayName", "Staff", 1),
        ("externalId", "1", 1),
    ]
    held = {line.held for line in conflicts.page(directory.connection)[0]}
    assert held == {conflicts.Held.OWN}


def test_entra_finds_who_was_handed_over_and_patches(app: Flask, directory: Directory) -> None:
    ada = people.person("ada")
    look_up = '/Users?filter=userName eq "ada"'
    assert directory("GET", look_up).get_json(force=True)["totalResults"] == 0
    assert directory("POST", "/Users", ADA).status_code == 409
    noted(app)
    handed_over(directory)
    found = directory("GET", look_up).get_json(force=True)["Resources"]
    assert [each["id"] for each in found] == [ada.resource_id]
    answer = directory.patch(
        f"/Users/{ada.resource_id}",
        {"op": "Add", "path": "externalId", "value": "entra-1"},
        {"op": "Replace", "path": "active", "value": "False"},
    )
    assert answer.status_code == 200
    ada = User.get_by_id(ada.id)
    assert (ada.external_id, ada.active) == ("entra-1", False)
    assert noted(app) == []


def test_okta_finds_who_was_handed_over_and_puts(app: Flask, directory: Directory) -> None:
    ada = people.person("ada")
    assert directory("POST", "/Users", ADA).status_code == 409
    noted(app)
    handed_over(directory)
    page = directory("GET", '/Users?filter=userName eq "ada"&startIndex=1&count=100')
    found = page.get_json(force=True)["Resources"][0]
    answer = directory("PUT", f"/Users/{found['id']}", {**found, **ADA, "displayName": "Ada King"})
    assert answer.status_code == 200
    ada = User.get_by_id(ada.id)
    assert (ada.external_id, ada.display_name) == ("entra-1", "Ada King")
