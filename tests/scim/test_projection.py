# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`attributes` and `excludedAttributes`."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.errors import InvalidValue
from scim.projection import projection
from scim.resource_types import CORE_USER, ENTERPRISE_USER, KEYWRIGHT_USER, USER

ANN: dict[str, Any] = {
    "schemas": [CORE_USER, ENTERPRISE_USER, KEYWRIGHT_USER],
    "id": "ann-1",
    "userName": "ann",
    "name": {"givenName": "Ann", "familyName": "Lee"},
    "emails": [{"value": "a@b.example", "type": "work"}, {"value": "c@d.example"}],
    "groups": [{"value": "g", "display": "Staff"}],
    ENTERPRISE_USER: {"department": "W", "manager": {"value": "m"}},
    KEYWRIGHT_USER: {"securityKeys": [{"value": "k", "state": "active"}]},
    "meta": {"resourceType": "User"},
}
ALWAYS = {"schemas": [CORE_USER], "id": "ann-1"}
BOTH = {"schemas": [CORE_USER, ENTERPRISE_USER], "id": "ann-1"}


@pytest.mark.req("P2")
@pytest.mark.req("S5")
@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["userName"], {**ALWAYS, "userName": "ann"}),
        (["USERNAME", " meta "], {**ALWAYS, "userName": "ann", "meta": ANN["meta"]}),
        (["id"], ALWAYS),
        (["nope"], ALWAYS),
        (["name.givenName"], {**ALWAYS, "name": {"givenName": "Ann"}}),
        (["emails.TYPE"], {**ALWAYS, "emails": [{"type": "work"}]}),
        (["emails.type", "emails"], {**ALWAYS, "emails": ANN["emails"]}),
        ([f"{CORE_USER}:userName"], {**ALWAYS, "userName": "ann"}),
        ([f"{ENTERPRISE_USER}:department"], {**BOTH, ENTERPRISE_USER: {"department": "W"}}),
        ([ENTERPRISE_USER.upper()], {**BOTH, ENTERPRISE_USER: ANN[ENTERPRISE_USER]}),
        (
            [f"{ENTERPRISE_USER}:manager.value"],
            {**BOTH, ENTERPRISE_USER: {"manager": {"value": "m"}}},
        ),
    ],
)
def test_only_what_is_asked_for_and_what_is_always_returned(
    names: list[str], shown: dict[str, Any]
) -> None:
    assert projection(USER, names).apply(ANN) == shown


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ANN.items() if name not in names}


@pytest.mark.req("P2")
@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["groups", "NOPE"], without("groups")),
        (["id", "schemas"], ANN),
        (["name.familyName"], {**ANN, "name": {"givenName": "Ann"}}),
        (["name.familyName", "name.givenName"], without("name")),
        (["emails.value"], {**ANN, "emails": [{"type": "work"}]}),
        ([ENTERPRISE_USER], {**without(ENTERPRISE_USER), "schemas": [CORE_USER, KEYWRIGHT_USER]}),
        ([f"{ENTERPRISE_USER}:manager"], {**ANN, ENTERPRISE_USER: {"department": "W"}}),
    ],
)
def test_everything_but_what_is_left_out(names: list[str], shown: dict[str, Any]) -> None:
    assert projection(USER, excluded=names).apply(ANN) == shown


def test_the_two_exclude_each_other() -> None:
    with pytest.raises(InvalidValue):
        projection(USER, ["id"], ["groups"])


@pytest.mark.req("P2")
def test_what_is_not_wanted_is_known_before_it_is_loaded() -> None:
    assert projection(USER).is_whole
    assert projection(USER).wants("groups")
    assert not projection(USER, excluded=["Groups"]).wants("groups")
    assert projection(USER, excluded=["groups.display"]).wants("groups")
    assert not projection(USER, ["userName"]).wants("groups")
    assert projection(USER, ["groups.value"]).wants("groups")
    assert projection(USER, [KEYWRIGHT_USER]).wants("securityKeys", KEYWRIGHT_USER)
    assert not projection(USER, excluded=[KEYWRIGHT_USER]).wants("securityKeys", KEYWRIGHT_USER)
