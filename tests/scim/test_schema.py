# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The attribute tables and how names are resolved in them."""

from __future__ import annotations

import pytest
from scim2_models import EnterpriseUser, Group, User

from scim.resource_types import (
    ALL,
    CORE_USER,
    ENTERPRISE_SCHEMA,
    ENTERPRISE_USER,
    GROUP_SCHEMA,
    SCHEMAS,
    USER,
    USER_SCHEMA,
)
from scim.schema import Attribute, Mutability, Schema, Type


@pytest.mark.req("S2")
@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("userName", "userName"),
        ("USERNAME", "userName"),
        ("Name.GivenName", "name.givenName"),
        (f"{CORE_USER}:userName", "userName"),
        (f"{CORE_USER.upper()}:NAME.familyname", "name.familyName"),
        (f"{ENTERPRISE_USER}:manager.$ref", f"{ENTERPRISE_USER}:manager.$ref"),
        ("meta.lastModified", "meta.lastModified"),
        ("schemas", "schemas"),
    ],
)
def test_a_name_is_resolved_in_any_case(text: str, path: str) -> None:
    assert str(USER.resolve(text)) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nope",
        "userName.x",
        "name.nope",
        "name.givenName.x",
        "department",
        ":userName",
        f"{ENTERPRISE_USER}:userName",
        f"{ENTERPRISE_USER}:",
        "urn:x:userName",
        ENTERPRISE_USER,
    ],
)
def test_what_no_table_has_is_not_resolved(text: str) -> None:
    assert USER.resolve(text) is None


def _every(attributes: tuple[Attribute, ...]) -> list[Attribute]:
    return [one for a in attributes for one in (a, *_every(a.sub_attributes))]


@pytest.mark.req("S3")
@pytest.mark.req("S16")
def test_the_tables_are_sound() -> None:
    for schema in SCHEMAS:
        for attribute in schema.attributes:
            assert attribute.is_complex == bool(attribute.sub_attributes), attribute
            assert not any(sub.is_complex for sub in attribute.sub_attributes), attribute
            names = [sub.name.lower() for sub in attribute.sub_attributes]
            assert len(names) == len(set(names))
            assert all(one.description.endswith(".") for one in _every((attribute,)))
    assert len({schema.urn.lower() for schema in SCHEMAS}) == len(SCHEMAS)
    for type_ in ALL:
        assert {type_.schema, *type_.extensions} <= set(SCHEMAS)


@pytest.mark.req("S1")
@pytest.mark.req("S7")
@pytest.mark.parametrize(
    ("schema", "model"),
    [
        (USER_SCHEMA, User),
        (GROUP_SCHEMA, Group),
        (ENTERPRISE_SCHEMA, EnterpriseUser),
    ],
)
def test_the_standard_attributes_are_all_there(schema: Schema, model: type) -> None:
    theirs = model.to_schema()  # type: ignore[attr-defined]
    ours = {attribute.name: attribute for attribute in schema.attributes}
    assert set(ours) == {attribute.name for attribute in theirs.attributes}
    for attribute in theirs.attributes:
        mine = ours[attribute.name]
        assert str(mine.type) == attribute.type.value, mine
        assert mine.multi_valued == attribute.multi_valued, mine
        assert {sub.name for sub in attribute.sub_attributes or []} <= {
            sub.name for sub in mine.sub_attributes
        }, mine


def test_only_names_that_identify_compare_exactly() -> None:
    exact = {
        one.name
        for one in _every(USER_SCHEMA.attributes + USER.common)
        if one.case_exact and one.type is Type.STRING
    }
    assert exact == {"id", "externalId", "password", "value", "resourceType", "version"}


def test_keys_and_groups_are_the_servers_to_write() -> None:
    read_only = {str(path) for path in USER.paths() if path.attribute.read_only}
    assert {"groups", "id", "meta"} < read_only
    assert any("securityKeys" in name for name in read_only)
    password = USER.resolve("password")
    assert password is not None
    assert password.attribute.mutability is Mutability.WRITE_ONLY
