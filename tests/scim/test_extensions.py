# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Extensions as data: an admin's document becomes attributes like the built-in ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from provisioning.cli import main
from provisioning.commands import schemas
from provisioning.models import AuditEvent, CustomSchema, UnknownAttribute
from provisioning.services import Services
from provisioning.storage.db import database
from scim import extensions
from scim.extensions import MAX_BYTES, read
from scim.resource_types import GROUP, USER
from tests.scim.pushing import GROUP as CORE_GROUP
from tests.scim.pushing import USER as CORE_USER
from tests.scim.pushing import Directory, connect
from tests.scim.test_cursors import found, walk
from tests.scim.test_listing import SEARCH, ask
from tests.scim.test_routes import refused

URN = "urn:example:hospital:2.0:User"
TEAM = "urn:example:hospital:2.0:Team"

DOCUMENT: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
    "id": URN,
    "name": "Hospital",
    "description": "What the hospital knows about its people.",
    "attributes": [
        {"name": "ward", "type": "string", "description": "Where they work."},
        {"name": "badge", "type": "integer", "mutability": "immutable"},
        {"name": "since", "type": "dateTime"},
        {"name": "onCall", "type": "boolean"},
        {"name": "share", "type": "decimal"},
        {"name": "code", "type": "string", "caseExact": True, "returned": "request"},
        {"name": "skills", "type": "string", "multiValued": True},
        {"name": "rank", "type": "string", "mutability": "readOnly"},
        {
            "name": "licences",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [
                {"name": "value", "type": "string", "caseExact": True},
                {"name": "type", "type": "string", "canonicalValues": ["nurse", "doctor"]},
                {"name": "primary", "type": "boolean"},
            ],
        },
        {
            "name": "desk",
            "type": "complex",
            "subAttributes": [
                {"name": "room", "type": "string"},
                {"name": "floor"},
                {"name": "lock", "returned": "never"},
            ],
        },
    ],
}


@pytest.fixture(autouse=True)
def pristine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tables belong to the process: the next test finds the built-in ones."""
    # The database is open, and the vault of the tests lies elsewhere.
    monkeypatch.setattr(schemas, "open_installation", lambda data: None)
    yield
    for type_ in (USER, GROUP):
        type_.adopt([], frozenset())
    extensions._Seen.version, extensions._Seen.place = (), None


def shell(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["schema", *arguments, "--data", str(data)])


def write(data: Path, document: object) -> str:
    path = data / "schema.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


@pytest.fixture
def added(services: Services, directory: Directory) -> Directory:
    """The hospital's schema, added at the shell while the server runs."""
    add(services, DOCUMENT)
    return directory


def add(services: Services, document: object) -> None:
    data = services.settings.data
    result = shell(data, "add", write(data, document))
    assert result.exit_code == 0, result.output
    extensions.look(now=True)


def ada(directory: Directory, name: str = "ada", **more: object) -> dict[str, Any]:
    own = {"ward": "A1", "badge": 7, "onCall": True, "licences": [{"value": "N1", "type": "nurse"}]}
    return directory.user(name, **{URN: {**own, **more}})


@pytest.mark.req("S16")
def test_it_is_served_like_the_others(added: Directory) -> None:
    served = added("GET", f"/Schemas/{URN.upper()}").get_json(force=True)
    assert served["id"] == URN
    assert [each["name"] for each in served["attributes"]] == [
        each["name"] for each in DOCUMENT["attributes"]
    ]
    assert served["attributes"][1]["mutability"] == "immutable"
    assert added("GET", "/Schemas").get_json(force=True)["totalResults"] == 9
    types = added("GET", "/ResourceTypes").get_json(force=True)["Resources"]
    mine = {each["name"]: each.get("schemaExtensions", []) for each in types}
    assert mine["User"][-1] == {"schema": URN, "required": False}
    assert mine["Group"] == []


@pytest.mark.req("S16")
def test_values_are_kept_and_shown_with_the_urn(added: Directory) -> None:
    user = ada(added, desk={"ROOM": "12", "lock": "4711"}, since="2026-01-02T03:04:05Z", share=0.5)
    assert user["schemas"] == [CORE_USER, URN]
    assert user[URN] == {
        "ward": "A1",
        "badge": 7,
        "since": "2026-01-02T03:04:05Z",
        "onCall": True,
        "share": 0.5,
        "licences": [{"value": "N1", "type": "nurse"}],
        "desk": {"room": "12"},
    }
    assert added("GET", f"/Users/{user['id']}").get_json(force=True) == user
    assert added.user("bob")["schemas"] == [CORE_USER]
    assert not UnknownAttribute.select().exists()


@pytest.mark.req("S16")
def test_names_compare_without_case_and_what_no_schema_knows_is_counted(added: Directory) -> None:
    user = added.user("ada", **{URN.upper(): {"WARD": "B", "colour": "red", "rank": "x"}})
    assert user[URN] == {"ward": "B"}
    assert [row.name for row in UnknownAttribute.select()] == [f"{URN}:colour"]


@pytest.mark.req("S16")
@pytest.mark.parametrize(
    "value",
    [
        {"badge": "seven"},
        {"badge": 1.5},
        {"onCall": "perhaps"},
        {"since": "yesterday"},
        {"share": "half"},
        {"ward": ["a", "b"]},
        {"skills": [{"value": "x"}]},
        {"licences": [3]},
        {"desk": "12"},
        "A1",
    ],
)
def test_a_value_of_the_wrong_type_is_refused(added: Directory, value: object) -> None:
    body = {"schemas": [CORE_USER], "userName": "ada", URN: value}
    refused(added("POST", "/Users", body), 400, "invalidValue")


@pytest.mark.req("S16")
@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        (f'{URN}:ward eq "a1"', ["ada"]),
        (f'{URN.lower()}:WARD eq "A1"', ["ada"]),
        (f'{URN}:ward sw "a" or {URN}:ward ew "2"', ["ada", "bob"]),
        (f"{URN}:badge ge 8", ["bob"]),
        (f"{URN}:onCall eq true", ["ada"]),
        (f"not ({URN}:onCall eq true)", ["bob", "cy"]),
        (f'{URN}:code eq "X"', []),
        (f'{URN}:code eq "x"', ["ada"]),
        (f"{URN}:share lt 0.6", ["ada"]),
        (f'{URN}:since gt "2026-01-01T00:00:00Z"', ["bob"]),
        (f'{URN}:skills eq "FIRST AID"', ["ada"]),
        (f'{URN}:skills[value sw "first"]', ["ada"]),
        (f'{URN}:licences[type eq "Nurse" and value eq "N1"]', ["ada"]),
        (f'{URN}:licences.value eq "n1"', []),
        (f'{URN}:desk.room eq "12"', ["bob"]),
        (f"{URN}:ward pr", ["ada", "bob"]),
        (f'userName eq "ada" and {URN}:badge eq 7', ["ada"]),
    ],
)
def test_filters(added: Directory, filter_: str, names: list[str]) -> None:
    ada(added, code="x", share=0.5, skills=["First aid", "MRI"])
    ada(added, "bob", ward="B2", badge=8, onCall=False, licences=[], desk={"room": "12"},
        since="2026-02-01T00:00:00Z", share=0.7)  # fmt: skip
    added.user("cy")
    assert added.find(filter_) == names


NAMESAKES: dict[str, Any] = {
    "id": URN,
    "name": "Namesakes",
    "attributes": [
        *({"name": name} for name in ("id", "userName", "displayName", "active", "meta")),
        *({"name": name} for name in ("groups", "password", "schemas", "securityKeys")),
        {**DOCUMENT["attributes"][8], "name": "emails"},
    ],
}
TEAMS: dict[str, Any] = {
    "id": TEAM,
    "name": "Teams",
    "attributes": [{**DOCUMENT["attributes"][8], "name": "members"}, {"name": "displayName"}],
}


@pytest.fixture
def namesakes(services: Services, directory: Directory) -> Directory:
    """Schemas whose attributes have the names of the core's own."""
    data = services.settings.data
    assert shell(data, "add", write(data, NAMESAKES)).exit_code == 0
    assert shell(data, "add", write(data, TEAMS), "--for", "Group").exit_code == 0
    extensions.look(now=True)
    return directory


@pytest.mark.req("S16")
def test_a_namesake_of_a_core_attribute_is_kept_and_patched(namesakes: Directory) -> None:
    own = {each["name"]: "x" for each in NAMESAKES["attributes"][:-1]}
    user = namesakes.user("ann", displayName="Ann", **{URN: own})
    assert user[URN] == own
    for name in own:
        change = {"op": "replace", "path": f"{URN}:{name}", "value": "y"}
        user = namesakes.patch(f"/Users/{user['id']}", change).get_json(force=True)
        assert user[URN][name] == "y"
    assert (user["userName"], user["displayName"], user["active"]) == ("ann", "Ann", True)
    assert user["schemas"] == [CORE_USER, URN]


@pytest.mark.req("S16")
@pytest.mark.parametrize("name", ["id", "userName", "displayName", "active", "meta", "groups",
                                  "password", "schemas", "securityKeys"])  # fmt: skip
def test_a_namesake_of_a_core_attribute_is_found_by_its_own_value(
    namesakes: Directory, name: str
) -> None:
    namesakes.user("ann", **{URN: {name: "zed"}})
    namesakes.user("bob", displayName="Zed", **{URN: {name: "other"}})
    namesakes.group("zed", namesakes.user("zed")["id"])
    assert namesakes.find(f'{URN}:{name} eq "ZED"') == ["ann"]
    assert namesakes.find(f'{URN}:{name} sw "z"') == ["ann"]
    assert namesakes.find(f"{URN}:{name} pr") == ["ann", "bob"]
    assert namesakes.find(f'not ({URN}:{name} eq "zed")') == ["bob", "zed"]


@pytest.mark.req("S16")
def test_an_extensions_members_are_not_the_groups(namesakes: Directory) -> None:
    ann, bob = (namesakes.user(name)["id"] for name in ("ann", "bob"))
    one, two = {"value": "N1", "type": "nurse"}, {"value": "N1", "type": "doctor"}
    group = namesakes.group("staff", ann, **{TEAM: {"members": [one]}})
    path = f"/Groups/{group['id']}"

    def after(**operation: object) -> tuple[list[str], object]:
        assert namesakes.patch(path, operation).status_code == 204
        shown = namesakes("GET", path).get_json(force=True)
        own = shown.get(TEAM, {}).get("members")
        return [each["value"] for each in shown["members"]], own

    members = f"{TEAM}:members"
    assert after(op="add", path=members, value=[two]) == ([ann], [one, two])
    assert namesakes.find(f'{members}[type eq "nurse"]', "/Groups") == ["staff"]
    assert namesakes.find(f'{members}.value eq "{ann}"', "/Groups") == []
    assert after(op="remove", path=members, value=[two]) == ([ann], [one])
    assert after(op="remove", path=members) == ([ann], None)
    assert after(op="add", path="members", value=[{"value": bob}]) == ([ann, bob], None)


@pytest.mark.req("S16")
@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        (f'schemas eq "{TEAM}"', ["with"]),
        (f'schemas[value eq "{TEAM.upper()}"]', ["with"]),
        (f'not (schemas eq "{TEAM}")', ["without"]),
        (f'schemas ne "{TEAM}"', ["without"]),
        (f'schemas eq "{TEAM}" and displayName sw "w"', ["with"]),
        (f'schemas eq "{CORE_GROUP}"', ["with", "without"]),
        ("schemas pr", ["with", "without"]),
        (f'schemas eq "{URN}"', []),
    ],
)
def test_groups_are_found_by_the_schemas_they_list(
    namesakes: Directory, filter_: str, names: list[str]
) -> None:
    namesakes.group("with", **{TEAM: {"displayName": "x"}})
    namesakes.group("without")
    assert namesakes.find(filter_, "/Groups") == names


@pytest.mark.req("S16")
@pytest.mark.parametrize(
    "filter_",
    [f'{URN}:nope eq "x"', f"{URN}:onCall gt true", f'{URN}:badge co "7"', f'{URN}:desk eq "x"'],
)
def test_filters_that_cannot_be(added: Directory, filter_: str) -> None:
    answer = added("POST", "/Users/.search", {"schemas": [SEARCH], "filter": filter_})
    refused(answer, 400, "invalidFilter")


@pytest.mark.req("S16")
def test_sorting_by_index_and_by_cursor(added: Directory) -> None:
    ids = [ada(added, name, badge=badge)["id"] for name, badge in (("a", 3), ("b", 1), ("c", 2))]
    last = added.user("d")["id"]
    wanted = [ids[1], ids[2], ids[0], last]
    assert found([ask(added, "/Users", sortBy=f"{URN}:badge")]) == wanted
    assert found(walk(added, "/Users", count=1, sortBy=f"{URN}:badge")) == wanted
    downwards = {"sortBy": f"{URN}:badge", "sortOrder": "descending"}
    assert found(walk(added, "/Users", count=3, **downwards)) == wanted[::-1]


@pytest.mark.req("S16")
@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ({"op": "replace", "path": f"{URN}:ward", "value": "C"}, {"ward": "C"}),
        ({"op": "add", "value": {f"{URN}:ward": "C"}}, {"ward": "C"}),
        ({"op": "add", "value": {URN: {"ward": "C"}}}, {"ward": "C"}),
        ({"op": "replace", "path": URN, "value": {"ward": "C"}}, {"ward": "C"}),
        ({"op": "remove", "path": f"{URN}:ward"}, {"ward": None}),
        ({"op": "add", "path": f"{URN}:skills", "value": ["MRI", "CT"]}, {"skills": ["MRI", "CT"]}),
        ({"op": "add", "path": f"{URN}:desk.floor", "value": "2"}, {"desk": {"floor": "2"}}),
        ({"op": "add", "path": f"{URN}:badge", "value": 7}, {}),
        (
            {"op": "replace", "path": f'{URN}:licences[type eq "nurse"].value', "value": "N2"},
            {"licences": [{"value": "N2", "type": "nurse"}]},
        ),
        (
            {"op": "add", "path": f"{URN}:licences", "value": [{"value": "D1", "primary": "True"}]},
            {"licences": [{"value": "N1", "type": "nurse"}, {"value": "D1", "primary": True}]},
        ),
        ({"op": "remove", "path": f'{URN}:licences[value eq "N1"]'}, {"licences": None}),
    ],
)
def test_patch(added: Directory, operation: dict[str, object], after: dict[str, object]) -> None:
    user = ada(added)
    answer = added.patch(f"/Users/{user['id']}", operation)
    assert answer.status_code == 200, answer.text
    wanted = {**user[URN], **after}
    assert answer.get_json(force=True)[URN] == {n: v for n, v in wanted.items() if v is not None}


@pytest.mark.req("S4")
@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "value": {URN: {"ward": "C", "rank": "x"}}},
        {"op": "add", "path": URN, "value": {"RANK": "x", "ward": "C"}},
        {"op": "replace", "value": {f"{URN}:rank": "x", f"{URN}:ward": "C"}},
    ],
)
def test_what_is_read_only_may_stand_beside_what_changes(
    added: Directory, operation: dict[str, object]
) -> None:
    path = f"/Users/{ada(added)['id']}"
    shown = added.patch(path, operation).get_json(force=True)[URN]
    assert (shown["ward"], "rank" in shown) == ("C", False)
    alone = {"op": "replace", "path": f"{URN}:rank", "value": "x"}
    refused(added.patch(path, alone), 400, "mutability")
    strict = connect(added.app, "Strict", profile="strict")
    theirs = f"/Users/{strict.user('bob')['id']}"
    refused(strict.patch(theirs, operation), 400, "mutability")


@pytest.mark.req("S16")
def test_a_list_of_plain_values_is_patched_value_by_value(added: Directory) -> None:
    path = f"/Users/{ada(added, skills=['MRI', 'CT', 'X'])['id']}"
    for operation, left in (
        ({"op": "remove", "path": f'{URN}:skills[value eq "mri"]'}, ["CT", "X"]),
        ({"op": "remove", "path": f"{URN}:skills", "value": ["x"]}, ["CT"]),
        ({"op": "add", "path": f"{URN}:skills", "value": "CT"}, ["CT"]),
        ({"op": "replace", "path": f'{URN}:skills[value eq "CT"]', "value": "PET"}, ["PET"]),
    ):
        answer = added.patch(path, operation)
        assert answer.status_code == 200, answer.text
        assert answer.get_json(force=True)[URN]["skills"] == left
    plain = added.user("plain", **{URN: {"ward": "A"}})
    last = added.patch(f"/Users/{plain['id']}", {"op": "remove", "path": URN}).get_json(force=True)
    assert last["schemas"] == [CORE_USER]
    assert URN not in last


@pytest.mark.req("S16")
def test_a_listed_removal_takes_what_is_named_in_every_part(
    services: Services, directory: Directory
) -> None:
    wards = {
        "name": "wards",
        "type": "complex",
        "multiValued": True,
        "subAttributes": [
            {"name": "level", "type": "integer"},
            {"name": "share", "type": "decimal"},
            {"name": "since", "type": "dateTime"},
            {"name": "on", "type": "boolean"},
            {"name": "notes", "multiValued": True},
        ],
    }
    add(services, {**DOCUMENT, "attributes": [wards]})
    stored = [
        {"level": 2, "share": 0.5, "on": True},
        {"level": 2, "share": 0.25, "on": True},
        {"level": 9, "since": "2026-01-01T00:00:00Z", "on": True},
        {"level": 9, "since": "2026-01-02T00:00:00Z", "on": True},
    ]
    path = f"/Users/{directory.user('ada', **{URN: {'wards': stored}})['id']}"
    for named, left in (
        ({"level": 3, "on": True}, stored),
        ({"level": 2, "share": 0.5, "on": True}, stored[1:]),
        ({"level": 2.0, "on": "true", "notes": []}, stored[2:]),
        ({"since": "2026-01-01T01:00:00+01:00", "share": None}, stored[3:]),
    ):
        operation = {"op": "remove", "path": f"{URN}:wards", "value": [named]}
        answer = directory.patch(path, operation)
        assert answer.status_code == 200, answer.text
        assert answer.get_json(force=True)[URN]["wards"] == left
    for vague in ({"level": "x"}, {"since": "soon"}, {"on": True, "notes": ["a"]}, {"level": None}):
        operation = {"op": "remove", "path": f"{URN}:wards", "value": [vague]}
        refused(directory.patch(path, operation), 400, "invalidValue")


@pytest.mark.req("P15")
def test_an_element_is_made_from_a_filter_by_a_date(
    services: Services, directory: Directory
) -> None:
    subs = [{"name": "value"}, {"name": "since", "type": "dateTime"}]
    wards = {"name": "wards", "type": "complex", "multiValued": True, "subAttributes": subs}
    add(services, {**DOCUMENT, "attributes": [wards]})
    path = f"/Users/{directory.user('ada')['id']}"
    for since, value in (
        ("2026-01-01T00:00:00.1234567+01:00", "d"),
        ("2025-12-31T23:00:00.1234567Z", "e"),
    ):
        where = f'{URN}:wards[since eq "{since}"].value'
        answer = directory.patch(path, {"op": "add", "path": where, "value": value})
        assert answer.status_code == 200, answer.text
        made = {"value": value, "since": "2026-01-01T00:00:00.1234567+01:00"}
        assert answer.get_json(force=True)[URN] == {"wards": [made]}


@pytest.mark.req("S4")
def test_what_is_immutable_keeps_its_first_value(added: Directory) -> None:
    user = ada(added)
    path = f"/Users/{user['id']}"
    for operation in (
        {"op": "replace", "path": f"{URN}:badge", "value": 8},
        {"op": "remove", "path": f"{URN}:badge"},
        {"op": "remove", "path": URN},
    ):
        refused(added.patch(path, operation), 400, "mutability")
    put = {"schemas": [CORE_USER], "userName": "ada", URN: {"badge": 8}}
    refused(added("PUT", path, put), 400, "mutability")
    assert added("GET", path).get_json(force=True) == user
    put[URN] = {"ward": "Z"}  # left out is not asked to go
    assert added("PUT", path, put).get_json(force=True)[URN] == {"ward": "Z", "badge": 7}
    late = added.user("late")
    answer = added.patch(f"/Users/{late['id']}", {"op": "add", "value": {URN: {"badge": 1}}})
    assert answer.get_json(force=True)[URN] == {"badge": 1}


@pytest.mark.req("S4")
def test_parts_keep_what_is_said_of_them(services: Services, directory: Directory) -> None:
    badge = {
        "name": "badge",
        "type": "complex",
        "subAttributes": [
            {"name": "number", "mutability": "immutable"},
            {"name": "office", "required": True},
            {"name": "note"},
        ],
    }
    add(services, {**DOCUMENT, "attributes": [badge]})
    for lacking in ({"number": "1"}, {"office": None, "note": "x"}):
        answer = directory("POST", "/Users", {"schemas": [CORE_USER], "userName": "b",
                                              URN: {"badge": lacking}})  # fmt: skip
        refused(answer, 400, "invalidValue")
    plain = directory.user("plain")
    half = {"op": "add", "path": f"{URN}:badge.note", "value": "x"}
    refused(directory.patch(f"/Users/{plain['id']}", half), 400, "invalidValue")
    ada = directory.user("ada", **{URN: {"badge": {"number": "1", "office": "A"}}})
    path = f"/Users/{ada['id']}"
    for operation in (
        {"op": "replace", "path": f"{URN}:badge.number", "value": "2"},
        {"op": "replace", "path": f"{URN}:badge", "value": {"number": None}},
        {"op": "remove", "path": f"{URN}:badge.number"},
        {"op": "remove", "path": f"{URN}:badge"},
        {"op": "remove", "path": URN},
        {"op": "remove", "path": f"{URN}:badge.office"},
        {"op": "replace", "path": f"{URN}:badge", "value": {"office": None}},
    ):
        refused(directory.patch(path, operation), 400, "mutability")
    moved = {"op": "replace", "path": f"{URN}:badge", "value": {"office": "B", "number": "1"}}
    answer = directory.patch(path, moved)
    assert answer.get_json(force=True)[URN]["badge"] == {"number": "1", "office": "B"}
    body = {"schemas": [CORE_USER], "userName": "ada"}
    other = directory("PUT", path, {**body, URN: {"badge": {"number": "2", "office": "C"}}})
    refused(other, 400, "mutability")
    left = directory("PUT", path, {**body, URN: {"badge": {"office": "C"}}})
    assert left.get_json(force=True)[URN]["badge"] == {"number": "1", "office": "C"}


@pytest.mark.req("S4")
def test_what_is_read_only_is_passed_over_or_refused(added: Directory) -> None:
    user = ada(added, rank="general")
    assert "rank" not in user[URN]
    answer = added.patch(f"/Users/{user['id']}", {"op": "add", "path": f"{URN}:rank", "value": "x"})
    refused(answer, 400, "mutability")


@pytest.mark.req("S5")
def test_projections(added: Directory) -> None:
    user = ada(added, code="x")
    path = f"/Users/{user['id']}"
    assert "code" not in user[URN]
    for shown in (added("GET", path), added.patch(path, {"op": "add", "value": {"title": "x"}})):
        assert "code" not in shown.get_json(force=True)[URN]
    assert "code" not in ask(added, "/Users")["Resources"][0][URN]
    get = added("GET", f"{path}?attributes={URN}:code").get_json(force=True)
    assert (get[URN], get["schemas"]) == ({"code": "x"}, [CORE_USER, URN])
    get = added("GET", f"{path}?attributes={URN}:licences.type").get_json(force=True)
    assert get[URN] == {"licences": [{"type": "nurse"}]}
    get = added("GET", f"{path}?excludedAttributes={URN}").get_json(force=True)
    assert URN not in get
    assert get["schemas"] == [CORE_USER]
    get = added("GET", f"{path}?excludedAttributes={URN}:ward").get_json(force=True)
    assert "ward" not in get[URN]


@pytest.mark.req("S16")
def test_groups_have_extensions_of_their_own(services: Services, added: Directory) -> None:
    team = {"id": TEAM, "name": "Team", "attributes": [{"name": "costBand"}]}
    path = write(services.settings.data, team)
    assert shell(services.settings.data, "add", path, "--for", "Group").exit_code == 0
    extensions.look(now=True)
    ann = added.user("ann")
    group = added.group("staff", ann["id"], **{TEAM: {"costBand": "A"}})
    other = added.group("board")
    assert group["schemas"] == [CORE_GROUP, TEAM]
    assert added.find(f'{TEAM}:costBand eq "a"', "/Groups") == ["staff"]
    assert added.find(f"not ({TEAM}:costBand pr)", "/Groups") == ["board"]
    assert found([ask(added, "/Groups", sortBy=f"{TEAM}:costBand")]) == [group["id"], other["id"]]
    answer = added.patch(
        f"/Groups/{other['id']}", {"op": "add", "path": f"{TEAM}:costBand", "value": "B"}
    )
    assert answer.status_code == 204
    assert added.find(f'{TEAM}:costBand gt "a"', "/Groups") == ["board"]
    both = f'{TEAM}:costBand pr and members.value eq "{ann["id"]}"'
    answer = added("POST", "/Groups/.search", {"schemas": [SEARCH], "filter": both})
    refused(answer, 400, "invalidFilter")
    # One type's attribute is false for the others (RFC 7644 §3.4.2.1).
    assert added.find(f"{TEAM}:costBand pr", "") == ["staff", "board"]


@pytest.mark.req("S16")
def test_a_required_extension_is_asked_of_every_post_and_put(
    services: Services, directory: Directory
) -> None:
    old = directory.user("old")
    data = services.settings.data
    attributes = [{"name": "ward", "required": True}, {"name": "badge", "type": "integer"}]
    path = write(data, {**DOCUMENT, "attributes": attributes})
    assert shell(data, "add", path, "--required").exit_code == 0
    extensions.look(now=True)
    plain = {"schemas": [CORE_USER], "userName": "new"}
    refused(directory("POST", "/Users", plain), 400, "invalidValue")
    refused(directory("POST", "/Users", {**plain, URN: {"badge": 1}}), 400, "invalidValue")
    assert directory("POST", "/Users", {**plain, URN: {"ward": "A"}}).status_code == 201
    refused(directory("PUT", f"/Users/{old['id']}", plain), 400, "invalidValue")
    made = directory("POST", "/Users", {**plain, "userName": "own", URN: {"ward": "A", "badge": 1}})
    own = f"/Users/{made.get_json(force=True)['id']}"
    for operation in (
        {"op": "remove", "path": URN},
        {"op": "remove", "path": f"{URN}:ward"},
        {"op": "replace", "path": URN, "value": None},
        {"op": "replace", "value": {URN: {"ward": None}}},
    ):
        refused(directory.patch(own, operation), 400, "mutability")
    assert directory.patch(own, {"op": "remove", "path": f"{URN}:badge"}).status_code == 200
    # Nor does a PATCH bring half of an extension to whoever had none.
    half = {"op": "add", "path": f"{URN}:badge", "value": 1}
    refused(directory.patch(f"/Users/{old['id']}", half), 400, "invalidValue")
    # Whoever was there before can still be let go.
    leave = {"op": "replace", "path": "active", "value": False}
    assert directory.patch(f"/Users/{old['id']}", leave).status_code == 200
    types = directory("GET", "/ResourceTypes/User").get_json(force=True)
    assert types["schemaExtensions"][-1] == {"schema": URN, "required": True}


def test_another_process_learns_of_it_without_a_query_for_each_request(
    services: Services, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = services.settings.data
    directory.user("warm")
    asked: list[int] = []

    def version() -> tuple[tuple[int, int], ...]:
        asked.append(1)
        return ()

    with monkeypatch.context() as patch:
        patch.setattr(extensions.custom_schemas, "version", version)
        for clock, wanted in ((-0.5, 0), (0.5, 1)):
            extensions._Seen.next_look = 100.0
            patch.setattr(extensions.time, "monotonic", lambda clock=clock: 100.0 + clock)
            for _ in range(5):
                directory("GET", "/Users")
            assert len(asked) == wanted
    assert shell(data, "add", write(data, DOCUMENT)).exit_code == 0
    database.connect(reuse_if_open=True)
    extensions._Seen.next_look = 0.0
    assert directory("GET", f"/Schemas/{URN}").status_code == 200


def test_the_shell_adds_lists_and_removes(services: Services, added: Directory) -> None:
    data = services.settings.data
    assert f"{URN}  User  optional  ward, badge" in shell(data, "list").output
    again = shell(data, "add", write(data, {**DOCUMENT, "id": URN.upper()}))
    assert (again.exit_code, "already" in again.output) == (1, True)
    user = ada(added)
    used = shell(data, "remove", URN)
    assert used.exit_code == 1
    assert f"1 of the Users hold values of {URN}" in used.output
    added("DELETE", f"/Users/{user['id']}")
    assert shell(data, "remove", URN.upper()).exit_code == 0
    assert "No schemas of your own" in shell(data, "list").output
    assert shell(data, "remove", URN).exit_code == 1
    extensions.look(now=True)
    refused(added("GET", f"/Schemas/{URN}"), 404)
    assert added("GET", "/Users?filter=userName pr").status_code == 200
    assert not CustomSchema.select().exists()
    told = AuditEvent.select().where(AuditEvent.event.startswith("schema."))
    events = [row.event for row in told.order_by(AuditEvent.id)]
    assert events == ["schema.added", "schema.removed"]


def test_a_document_that_is_no_longer_taken_stops_no_directory(
    services: Services, added: Directory
) -> None:
    CustomSchema.update(document="{}", created_at=1, required=True).execute()
    extensions.look(now=True)
    assert added.user("ada")["schemas"] == [CORE_USER]
    refused(added("GET", f"/Schemas/{URN}"), 404)


BAD: list[tuple[object, str]] = [
    ("{", "not JSON"),
    ("[]", "not a JSON object"),
    ('{"id": "urn:a:b", "id": "urn:a:c"}', "same name twice"),
    ({**DOCUMENT, "schemas": ["urn:x:y"]}, "schemas is not"),
    ({**DOCUMENT, "id": "hospital"}, "not a URN"),
    ({**DOCUMENT, "id": ""}, "needs an id"),
    ({**DOCUMENT, "id": CORE_USER}, "standard's"),
    ({**DOCUMENT, "id": "urn:ietf:params:scim:schemas:core:2.0:Robot"}, "standard's"),
    ({**DOCUMENT, "name": 3}, "needs a name"),
    ({**DOCUMENT, "description": 3}, "description"),
    ({**DOCUMENT, "attributes": []}, "1 to 200"),
    ({**DOCUMENT, "attributes": [{"name": f"a{n}"} for n in range(201)]}, "1 to 200"),
    ({**DOCUMENT, "attributes": "ward"}, "1 to 200"),
]

BAD_ATTRIBUTES: list[tuple[object, str]] = [
    ("ward", "holds objects"),
    ({}, "needs a name"),
    ({"name": "9lives"}, "no attribute name"),
    ({"name": "a.b"}, "no attribute name"),
    ({"name": "$ref"}, "no attribute name"),
    ({"name": "a", "type": "text"}, "type of a is one of string, boolean"),
    ({"name": "a", "type": 3}, "type of a is one of"),
    ({"name": "a", "type": "complex"}, "have subAttributes"),
    (
        {
            "name": "a",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [{"name": "b", "mutability": "immutable"}],
        },
        "a has an immutable part",
    ),
    ({"name": "a", "subAttributes": [{"name": "b"}]}, "have subAttributes"),
    (
        {"name": "a", "type": "complex", "subAttributes": [{"name": "b", "type": "complex"}]},
        "a.b is complex within",
    ),
    (
        {"name": "a", "type": "complex", "subAttributes": [{"name": "b"}, {"name": "B"}]},
        "a.b stands there twice",
    ),
    ({"name": "a", "multiValued": "yes"}, "multivalued of a is true or false"),
    ({"name": "a", "uniqueness": "server"}, "nothing here could keep it unique"),
    ({"name": "a", "mutability": "writeOnly"}, "no secrets"),
    ({"name": "a", "returned": "sometimes"}, "returned of a is one of"),
    ({"name": "a", "canonicalValues": "x"}, "canonicalValues of a"),
    ({"name": "a", "colour": "red"}, "a has colour"),
]


@pytest.mark.parametrize(("document", "sentence"), BAD)
def test_a_bad_document_is_refused_by_name(
    services: Services, document: object, sentence: str
) -> None:
    data = services.settings.data
    result = shell(data, "add", write(data, document))
    assert (result.exit_code, sentence in result.output) == (1, True), result.output
    assert not CustomSchema.select().exists()


@pytest.mark.parametrize("character", [*"()+,=@;!*'/~% \"[]?#&|^`<>{}\\é"])
def test_a_urn_that_a_query_could_not_name_is_refused(character: str) -> None:
    urn = f"urn:example:hos{character}pital:2.0:User"
    with pytest.raises(extensions.InvalidValue, match="letters, digits and"):
        read(json.dumps({**DOCUMENT, "id": urn}).encode())


@pytest.mark.req("S16")
def test_a_urn_with_every_mark_that_is_taken_can_be_named(
    services: Services, directory: Directory
) -> None:
    urn = "urn:Exa-mple:h.o_s$p-1::2.0:User"
    data = services.settings.data
    assert shell(data, "add", write(data, {**DOCUMENT, "id": urn})).exit_code == 0
    extensions.look(now=True)
    user = directory.user("ada", **{urn: {"ward": "A"}})
    path = f"{urn}:ward"
    assert directory.find(f'{path} eq "a"') == ["ada"]
    assert found([ask(directory, "/Users", sortBy=path)]) == [user["id"]]
    change = {"op": "replace", "path": path, "value": "B"}
    assert directory.patch(f"/Users/{user['id']}", change).status_code == 200
    shown = directory("GET", f"/Users/{user['id']}?attributes=userName,{path}")
    assert shown.get_json(force=True)[urn] == {"ward": "B"}
    assert directory("GET", f"/Schemas/{urn}").status_code == 200


@pytest.mark.parametrize(("attribute", "sentence"), BAD_ATTRIBUTES)
def test_a_bad_attribute_is_refused_by_name(attribute: object, sentence: str) -> None:
    with pytest.raises(extensions.InvalidValue, match=sentence.replace(".", r"\.")):
        read(json.dumps({**DOCUMENT, "attributes": [attribute]}).encode())


def test_a_document_that_is_too_large_is_refused() -> None:
    with pytest.raises(extensions.InvalidValue, match="256 KiB"):
        read(b" " * (MAX_BYTES + 1))


def test_a_file_that_is_not_there_is_a_wrong_call(services: Services) -> None:
    assert shell(services.settings.data, "add", "nowhere.json").exit_code == 2
