# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A Bulk POST of somebody who is there already, as HR connectors send them (Entra's bulkUpload)."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from provisioning import audit
from provisioning.models import QuirkUse, SecurityKey, User
from provisioning.storage.recorder import EXTENSION
from scim.resource_types import ENTERPRISE_USER
from tests.fakes import people
from tests.scim.pushing import USER, Directory, connect
from tests.scim.test_bulk import at, patch, post, send, statuses
from tests.scim.test_routes import refused
from tests.scim.test_terms import choose

ADA: dict[str, Any] = {
    "externalId": "701984",
    "userName": "ada@example.org",
    "name": {"givenName": "Ada", "familyName": "Lovelace", "middleName": None},
    "emails": [{"value": "ada@example.org", "type": "work", "primary": True}],
    "title": "Engineer",
    "active": True,
    "password": "not for us",
    ENTERPRISE_USER: {"department": "Engines", "manager": {"value": "89607", "displayName": "B"}},
}


@pytest.fixture
def connector(directory: Directory) -> Directory:
    """An HR connector whose Bulk may change who is there."""
    choose(directory, merges_bulk=True)
    return directory


def ada(directory: Directory) -> dict[str, Any]:
    (outcome,) = send(directory, post("a", **ADA))
    assert outcome["status"] == "201"
    return at(directory, outcome)


@pytest.mark.req("P17")
def test_another_manager_is_not_reached_at_the_former_ones_address(connector: Directory) -> None:
    user = ada(connector)
    reference = {"op": "add", "path": f"{ENTERPRISE_USER}:manager.$ref", "value": "../Users/1"}
    connector.patch(f"/Users/{user['id']}", reference)
    (outcome,) = send(connector, post("x", **{**ADA, ENTERPRISE_USER: {"manager": {"value": "2"}}}))
    assert at(connector, outcome)[ENTERPRISE_USER]["manager"] == {"value": "2"}


@pytest.mark.req("R8")
@pytest.mark.req("P17")
def test_a_leaver_who_is_sent_again_is_let_go(connector: Directory) -> None:
    user = ada(connector)
    key = people.active_key(User.get())
    (outcome,) = send(connector, post("x", **{**ADA, "active": "False"}))
    assert (outcome["method"], outcome["status"], outcome["bulkId"]) == ("POST", "200", "x")
    assert outcome["location"] == user["meta"]["location"]
    shown = at(connector, outcome)
    assert (shown["id"], shown["active"]) == (user["id"], False)
    assert outcome["version"] == shown["meta"]["version"] != user["meta"]["version"]
    assert SecurityKey.get_by_id(key.id).state == "suspended"
    assert User.get().left_at is not None


def test_a_leaver_who_is_named_by_the_external_id_alone_is_let_go(connector: Directory) -> None:
    user = ada(connector)
    data = {"schemas": [USER], "externalId": "701984", "active": False}
    (outcome,) = send(connector, {"method": "POST", "path": "/Users", "bulkId": "x", "data": data})
    left = at(connector, outcome)
    assert outcome["status"] == "200"
    assert left == {**user, "active": False, "meta": left["meta"]}


@pytest.mark.req("R10")
def test_who_is_sent_unchanged_is_not_changed(connector: Directory) -> None:
    user = ada(connector)
    rows = audit.head().rows
    (outcome,) = send(connector, post("x", **ADA))
    assert (outcome["status"], outcome["version"]) == ("200", user["meta"]["version"])
    assert at(connector, outcome) == user
    assert audit.head().rows == rows


def test_what_is_sent_replaces_what_is_held_and_the_rest_stays(connector: Directory) -> None:
    user = ada(connector)
    (outcome,) = send(
        connector,
        post(
            "x",
            externalId="701984",
            userName="ada.byron@example.org",
            id="another",
            meta={"version": "x"},
            groups=[{"value": "admins"}],
            name={"familyName": "Byron"},
            emails=[{"value": "byron@example.org", "type": "home"}],
            title=None,
            shoeSize=38,
            **{ENTERPRISE_USER: {"costCenter": "7"}},
        ),
    )
    shown = at(connector, outcome)
    assert (outcome["status"], shown["id"]) == ("200", user["id"])
    assert shown["userName"] == "ada.byron@example.org"
    assert shown["name"] == {"givenName": "Ada", "familyName": "Byron"}
    assert shown["emails"] == [{"value": "byron@example.org", "type": "home"}]
    assert "title" not in shown
    assert "groups" not in shown
    assert shown[ENTERPRISE_USER] == {
        "department": "Engines",
        "manager": {"value": "89607"},
        "costCenter": "7",
    }


@pytest.mark.req("R8")
@pytest.mark.parametrize("active", [{}, {"active": None}])
def test_who_left_does_not_come_back_unless_it_is_said(
    connector: Directory, active: dict[str, Any]
) -> None:
    ada(connector)
    rest = {name: value for name, value in ADA.items() if name != "active"}
    send(connector, post("x", **{**ADA, "active": False}))
    (outcome,) = send(connector, post("y", **{**rest, "title": "Countess", **active}))
    shown = at(connector, outcome)
    assert (shown["title"], shown["active"]) == ("Countess", False)
    (outcome,) = send(connector, post("z", **ADA))
    assert at(connector, outcome)["active"] is True


@pytest.mark.req("S13")
@pytest.mark.req("R1")
def test_another_directorys_person_with_the_same_external_id_is_untouched(
    app: Flask, connector: Directory
) -> None:
    other = connect(app, "Other")
    theirs = other.user("theirs@example.org", externalId="701984", title="Captain")
    (made,) = send(connector, post("a", **ADA))
    (outcome,) = send(connector, post("b", **{**ADA, "active": False}))
    assert (made["status"], outcome["status"]) == ("201", "200")
    assert other("GET", f"/Users/{theirs['id']}").get_json(force=True) == theirs
    # Nor does the other one's Bulk change anybody: the setting is each directory's own.
    (refusal,) = send(other, post("a", userName="theirs@example.org", externalId="701984"))
    assert refusal["status"] == "409"


def test_nobody_is_matched_by_the_user_name_alone(app: Flask, connector: Directory) -> None:
    connector.user("bob")
    connector.user("cyd", externalId="1")
    connect(app, "Other").user("eve", externalId="3")
    outcomes = send(
        connector,
        post("a", userName="bob", active=False),
        post("b", userName="bob", externalId="2", active=False),
        post("c", userName="cyd", externalId="2", active=False),
        post("d", userName="eve", externalId="3", active=False),
        post("e", userName="cyd", externalId="", active=False),
    )
    assert statuses(outcomes) == ["409"] * 5
    assert User.select().where(User.active).count() == 3


def test_a_name_that_somebody_else_holds_is_refused_as_a_whole(
    app: Flask, connector: Directory
) -> None:
    user = ada(connector)
    connect(app, "Other").user("eve")
    outcomes = send(connector, post("a", **{**ADA, "userName": "EVE", "title": "x"}))
    assert (outcomes[0]["status"], outcomes[0]["response"]["scimType"]) == ("409", "uniqueness")
    assert connector("GET", f"/Users/{user['id']}").get_json(force=True) == user


def test_a_version_guards_who_is_there(connector: Directory) -> None:
    ada(connector)
    stale = {**post("a", **{**ADA, "title": "x"}), "version": 'W/"7"'}
    assert statuses(send(connector, stale)) == ["412"]
    assert connector.find('title eq "Engineer"') == ["ada@example.org"]


@pytest.mark.req("P17")
def test_nobody_is_changed_unless_a_setting_says_so(directory: Directory) -> None:
    user = ada(directory)
    (outcome,) = send(directory, post("x", **{**ADA, "active": False}))
    assert (outcome["status"], outcome["response"]["scimType"]) == ("409", "uniqueness")
    assert directory("GET", f"/Users/{user['id']}").get_json(force=True) == user


def test_a_single_post_is_a_conflict_all_the_same(connector: Directory) -> None:
    user = ada(connector)
    body = {"schemas": [USER], **ADA, "active": False}
    refused(connector("POST", "/Users", body), 409, "uniqueness")
    assert connector("GET", f"/Users/{user['id']}").get_json(force=True) == user


def test_the_strict_profile_changes_nobody(connector: Directory) -> None:
    connector.connection.merges_bulk = True
    connector.connection.profile = "strict"  # past the settings, which refuse the two together
    connector.connection.save()
    person = {"externalId": "1", "userName": "ada"}
    assert statuses(send(connector, post("a", **person))) == ["201"]
    assert statuses(send(connector, post("a", active=False, **person))) == ["409"]


@pytest.mark.parametrize("profile", ["tolerant", "entra", "okta", "onelogin"])
def test_every_other_profile_does_where_the_setting_says_so(
    connector: Directory, profile: str
) -> None:
    choose(connector, profile=profile)
    person = {"externalId": "1", "userName": "ada"}
    assert statuses(send(connector, post("a", **person))) == ["201"]
    assert statuses(send(connector, post("a", active=False, **person))) == ["200"]


def test_groups_that_are_there_stay_as_they_are(connector: Directory) -> None:
    connector.group("Staff", externalId="7")
    assert statuses(send(connector, post("g", displayName="Staff", externalId="7"))) == ["409"]


def test_who_was_deleted_is_made_anew(connector: Directory) -> None:
    user = ada(connector)
    outcomes = send(
        connector, {"method": "DELETE", "path": f"/Users/{user['id']}"}, post("a", **ADA)
    )
    assert statuses(outcomes) == ["204", "201"]
    assert at(connector, outcomes[1])["id"] != user["id"]


def test_who_comes_twice_in_a_request_is_one_person(connector: Directory) -> None:
    outcomes = send(connector, post("a", **ADA), post("b", **{**ADA, "active": False}))
    assert statuses(outcomes) == ["201", "200"]
    assert outcomes[0]["location"] == outcomes[1]["location"]
    assert User.get().active is False


@pytest.mark.req("S13")
@pytest.mark.req("P17")
def test_a_bulk_id_names_who_is_there(connector: Directory) -> None:
    user = ada(connector)
    outcomes = send(
        connector,
        post("g", displayName="Staff", members=[{"value": "bulkId:a"}]),
        post("n", userName="new", **{ENTERPRISE_USER: {"manager": {"value": "bulkId:a"}}}),
        post("a", **{**ADA, "title": "Countess"}),
        patch("/Users/bulkId:a", {"op": "add", "path": "nickName", "value": "A"}),
    )
    assert statuses(outcomes) == ["201", "201", "200", "200"]
    group, new, _, shown = (at(connector, each) for each in outcomes)
    assert [each["value"] for each in group["members"]] == [user["id"]]
    assert new[ENTERPRISE_USER]["manager"]["value"] == user["id"]
    assert (shown["title"], shown["nickName"]) == ("Countess", "A")


@pytest.mark.req("P17")
def test_who_is_there_and_who_is_new_may_name_each_other(connector: Directory) -> None:
    user = ada(connector)
    outcomes = send(
        connector,
        post("a", **{**ADA, ENTERPRISE_USER: {"manager": {"value": "bulkId:n"}}}),
        post("n", userName="new", **{ENTERPRISE_USER: {"manager": {"value": "bulkId:a"}}}),
    )
    assert statuses(outcomes) == ["200", "201"]
    shown, new = (at(connector, each) for each in outcomes)
    assert shown[ENTERPRISE_USER] == {"department": "Engines", "manager": {"value": new["id"]}}
    assert new[ENTERPRISE_USER]["manager"]["value"] == user["id"]


@pytest.mark.req("R10")
def test_who_is_there_is_never_undone_with_a_circle(connector: Directory) -> None:
    user = ada(connector)
    connector.user("bob")

    def managed(bulk_id: str) -> dict[str, Any]:
        return {ENTERPRISE_USER: {"manager": {"value": f"bulkId:{bulk_id}"}}}

    outcomes = send(
        connector,
        post("a", **{**ADA, **managed("n"), "title": "Countess"}),
        post("n", userName="new", **managed("b")),
        post("b", userName="bob", **managed("n")),
    )
    assert statuses(outcomes) == ["409", "409", "409"]
    assert connector("GET", f"/Users/{user['id']}").get_json(force=True) == user
    # Who is made and changed in one request is no half of a circle, either.
    twice = {"externalId": "9", "userName": "cyd"}
    outcomes = send(connector, post("c", **twice), post("d", **twice, **managed("d")))
    assert statuses(outcomes) == ["201", "409"]
    assert connector.find('userName eq "cyd"') == ["cyd"]
    outcomes = send(
        connector,
        post("e", externalId="8", userName="dee"),
        post("n", userName="new", **managed("b")),
        post("b", userName="bob", **managed("n")),
        post("f", externalId="8", userName="dee", **managed("n")),
    )
    assert statuses(outcomes) == ["201", "409", "409", "409"]
    assert connector.find('userName eq "dee"') == ["dee"]


def test_the_directorys_page_can_tell_that_it_is_used(app: Flask, connector: Directory) -> None:
    ada(connector)
    app.extensions[EXTENSION].flush()
    assert not QuirkUse.select().where(QuirkUse.name == "repeated_posts").exists()
    send(connector, post("a", **ADA), post("b", userName="bob", externalId="2"))
    app.extensions[EXTENSION].flush()
    assert QuirkUse.get(QuirkUse.name == "repeated_posts").seen == 1
