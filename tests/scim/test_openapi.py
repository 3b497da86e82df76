# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The OpenAPI document says what the routes do, and the routes do what it says."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

import scim
from provisioning.models import RequestTrace
from provisioning.storage.recorder import EXTENSION
from scim import bulk, errors, listing, resource_types, routes
from scim.schema import Attribute, Schema
from tests.scim.pushing import Directory

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DOCUMENT: dict[str, Any] = yaml.safe_load(
    (Path(scim.__file__).parent / "openapi.yaml").read_text(encoding="utf-8")
)
OPERATIONS = [
    (path, method.upper(), operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
]
ID = "00000000-0000-0000-0000-000000000000"


def templates() -> Iterator[str]:
    """Yield the addresses that the routes know, read from the code that tells them apart."""
    tree = ast.parse(inspect.getsource(routes._view))
    for case in ast.walk(tree):
        if isinstance(case, ast.match_case):
            assert isinstance(case.pattern, ast.MatchSequence), "a case that this test cannot read"
            tables = {
                part.comparators[0].id
                for part in (ast.walk(case.guard) if case.guard is not None else ())
                if isinstance(part, ast.Compare) and isinstance(part.comparators[0], ast.Name)
            }
            first: list[str] = [""]
            for table in tables:
                first = sorted(vars(routes)[table])
            for name in first:
                yield "/" + "/".join(_parts(case.pattern, name))
    yield from (path.removeprefix(routes.PREFIX) for path in routes._OPEN)


def _parts(pattern: ast.MatchSequence, name: str) -> Iterator[str]:
    for place, part in enumerate(pattern.patterns):
        if isinstance(part, ast.MatchValue):
            assert isinstance(part.value, ast.Constant)
            yield str(part.value.value)
        else:
            yield name if place == 0 else "{}"


def offered(directory: Directory, template: str) -> set[str]:
    """The methods that an address takes; 501 is a no."""
    path = template.replace("{}", ID)
    answers = {method: directory(method, path, b"") for method in METHODS}
    return {method for method, each in answers.items() if each.status_code not in (405, 501)}


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_and_method_is_in_the_document_and_no_other(directory: Directory) -> None:
    done = {template: offered(directory, template) for template in templates()}
    told: dict[str, set[str]] = {}
    for path, method, operation in OPERATIONS:
        template = "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
        told.setdefault(template, set())
        if "501" not in operation["responses"]:
            told[template].add(method)
    assert told == done
    assert len(done) > 15


@pytest.mark.parametrize(
    ("path", "method", "operation"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS]
)
def test_an_operation_is_answered_as_the_document_says(
    directory: Directory, client: FlaskClient, path: str, method: str, operation: dict[str, Any]
) -> None:
    place = "/".join(ID if part.startswith("{") else part for part in path.split("/"))
    body: object = {} if "requestBody" in operation else None
    answer = directory(method, place, body)
    assert str(answer.status_code) in operation["responses"], answer.text
    stranger = client.open("/scim/v2" + place, method=method)
    expected = 200 if operation.get("security") == [] else 401
    assert stranger.status_code == expected
    assert str(expected) in operation["responses"]


def test_it_is_served_to_anybody_and_taken_down_for_nobody(app: Flask, client: FlaskClient) -> None:
    answer = client.get("/scim/v2/openapi.yaml")
    assert (answer.status_code, answer.content_type) == (200, "application/yaml")
    assert yaml.safe_load(answer.data) == DOCUMENT
    assert client.head("/scim/v2/openapi.yaml").data == b""
    assert client.post("/scim/v2/openapi.yaml").status_code == 405
    assert client.get("/scim/v2/openapi.yaml", headers={"Host": "other.org"}).status_code == 400
    app.extensions[EXTENSION].flush()
    assert RequestTrace.select().count() == 0


def _names(attributes: tuple[Attribute, ...]) -> dict[str, object]:
    return {each.name: _names(each.sub_attributes) for each in attributes}


def _told(schema: dict[str, Any]) -> dict[str, object]:
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    inner = schema.get("items", schema)
    if "$ref" in inner:
        return _told(inner)
    return {name: _told(part) for name, part in inner.get("properties", {}).items()}


@pytest.mark.parametrize(
    "type_", resource_types.ALL, ids=[type_.name for type_ in resource_types.ALL]
)
def test_a_types_attributes_are_those_of_its_schemas(
    type_: resource_types.ResourceType,
) -> None:
    told = _told({"$ref": f"#/components/schemas/{type_.name}"})
    for common in ("schemas", "id", "externalId", "meta"):
        told.pop(common, None)

    def attributes_of(schema: Schema) -> dict[str, object]:
        return _names(schema.attributes)

    wanted = attributes_of(type_.schema)
    wanted.update({each.urn: attributes_of(each) for each in type_.extensions})
    assert told == wanted


def test_figures_and_words_are_those_of_the_code() -> None:
    text = str(DOCUMENT)
    operations = DOCUMENT["components"]["schemas"]["BulkRequest"]["properties"]["Operations"]
    assert operations["maxItems"] == bulk.MAX_OPERATIONS
    assert f"At most {listing.MAX_COUNT};" in text
    assert f"{bulk.MAX_PAYLOAD // 1024**2} MiB" in text
    words = {
        kind.scim_type
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ProtocolError)
    } | {scim_type for _kind, _status, scim_type in errors._CORE}
    assert {word for word in words if word and word not in text} == set()
