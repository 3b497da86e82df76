# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""ServiceProviderConfig, ResourceTypes and Schemas: only what works."""

from __future__ import annotations

from typing import Any

import pytest
from scim2_models import ResourceType, Schema, ServiceProviderConfig

from scim.resource_types import ALL, SCHEMAS, USER
from scim.service_schemas import SERVICE_SCHEMAS
from tests.scim.pushing import Directory
from tests.scim.test_routes import refused


def get(directory: Directory, path: str) -> dict[str, Any]:
    answer = directory("GET", path)
    assert answer.status_code == 200
    return dict(answer.get_json(force=True))


@pytest.mark.req("S17")
def test_the_configuration_advertises_what_works(directory: Directory) -> None:
    config = get(directory, "/ServiceProviderConfig")
    ServiceProviderConfig.model_validate(config)
    supported = {
        name: part["supported"]
        for name, part in config.items()
        if isinstance(part, dict) and "supported" in part
    }
    assert supported == {
        "patch": True,
        "bulk": True,
        "filter": True,
        "changePassword": False,
        "sort": True,
        "etag": True,
    }
    assert config["filter"]["maxResults"] == 200
    assert config["bulk"]["maxOperations"] == 100
    assert config["bulk"]["maxPayloadSize"] == 32 * 1024 * 1024
    assert directory("POST", "/Bulk", {}).status_code == 400
    assert config["authenticationSchemes"][0]["type"] == "oauthbearertoken"
    assert config["meta"]["location"].endswith("/scim/v2/ServiceProviderConfig")


@pytest.mark.req("S1")
@pytest.mark.req("P20")
def test_every_schema_is_served_whole_and_without_nulls(directory: Directory) -> None:
    listed = get(directory, "/Schemas")
    assert listed["totalResults"] == len(SCHEMAS) + len(SERVICE_SCHEMAS)
    assert b"null" not in directory("GET", "/Schemas").data
    for schema in listed["Resources"]:
        Schema.model_validate(schema)
        for attribute in schema["attributes"]:
            assert {
                "name",
                "type",
                "multiValued",
                "description",
                "required",
                "mutability",
                "returned",
                "uniqueness",
            } <= set(attribute)
        assert get(directory, f"/Schemas/{schema['id']}") == schema
        assert get(directory, f"/Schemas/{schema['id'].upper()}") == schema
        assert schema["meta"]["location"].endswith(f"/Schemas/{schema['id']}")


@pytest.mark.req("S1")
def test_every_resource_type_is_served_and_answers(directory: Directory) -> None:
    listed = get(directory, "/ResourceTypes")
    assert [each["name"] for each in listed["Resources"]] == [type_.name for type_ in ALL]
    schemas = {each["id"] for each in get(directory, "/Schemas")["Resources"]}
    for each in listed["Resources"]:
        ResourceType.model_validate(each)
        assert get(directory, f"/ResourceTypes/{each['id'].lower()}") == each
        assert get(directory, each["endpoint"])["totalResults"] == 0
        extensions = [part["schema"] for part in each.get("schemaExtensions", [])]
        assert {each["schema"], *extensions} <= schemas
        if each["name"] == "User":
            assert extensions == [schema.urn for schema in USER.extensions]


@pytest.mark.req("P20")
def test_paging_is_passed_over_and_a_filter_is_refused(directory: Directory) -> None:
    for path in ("/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/Schemas"):
        plain = get(directory, path)
        assert get(directory, f"{path}?startIndex=2&count=0&sortBy=id") == plain
        refused(directory("GET", f"{path}?filter=id%20pr"), 403)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = directory(method, path, {})
            refused(answer, 405)
            assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.req("S1")
def test_the_service_describes_itself_by_schemas_that_it_serves(directory: Directory) -> None:
    served = {each["id"]: each for each in get(directory, "/Schemas")["Resources"]}
    described = [
        get(directory, "/ServiceProviderConfig"),
        *get(directory, "/ResourceTypes")["Resources"],
        *served.values(),
    ]
    for resource in described:
        (urn,) = resource["schemas"]
        assert_described(resource, served[urn]["attributes"])


def assert_described(value: dict[str, Any], attributes: list[dict[str, Any]]) -> None:
    """What is there has an attribute of its shape, and what is required is there."""
    known = {attribute["name"]: attribute for attribute in attributes}
    assert set(value) - {"schemas", "meta"} <= set(known)
    assert {name for name, each in known.items() if each["required"]} <= set(value)
    for name, part in value.items():
        if name not in known:
            continue
        assert isinstance(part, list) is known[name]["multiValued"], name
        for element in part if isinstance(part, list) else [part]:
            if isinstance(element, dict):
                # Parts of attributes are described as attributes are.
                own = attributes if name == "subAttributes" else known[name]["subAttributes"]
                assert_described(element, own)
