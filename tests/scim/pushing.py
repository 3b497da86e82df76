# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A directory's side: what pushes users and groups through the real app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from provisioning import audit
from provisioning.models import Connection
from provisioning.storage.db import transaction
from provisioning.upstream import tokens

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


@dataclass
class Directory:
    """A client of one connection; call it with method, path and body."""

    app: Flask
    connection: Connection
    token: str

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        given = {
            "Authorization": f"Bearer {self.token}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        data: dict[str, Any] = {}
        if isinstance(body, bytes):
            data = {"data": body, "content_type": "application/scim+json"}
        elif body is not None:
            data = {"json": body}
        return self.app.test_client().open(f"/scim/v2{path}", method=method, headers=given, **data)

    def user(self, user_name: str, **attributes: object) -> dict[str, Any]:
        """Create a user and return the answer's body."""
        answer = self("POST", "/Users", {"schemas": [USER], "userName": user_name, **attributes})
        assert answer.status_code == 201, answer.text
        return dict(answer.get_json(force=True))

    def group(self, display_name: str, *members: str, **attributes: object) -> dict[str, Any]:
        """Create a group and return the answer's body."""
        body = {
            "schemas": [GROUP],
            "displayName": display_name,
            "members": [{"value": member} for member in members],
            **attributes,
        }
        answer = self("POST", "/Groups", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.get_json(force=True))

    def patch(self, path: str, *operations: dict[str, object], **headers: str) -> TestResponse:
        """Send a PATCH of operations."""
        return self(
            "PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)}, **headers
        )

    def find(self, filter_: str, path: str = "/Users") -> list[str]:
        """Return the names that a filter finds, in order."""
        answer = self("POST", f"{path}/.search", {"filter": filter_, "count": 200})
        assert answer.status_code == 200, answer.text
        found = answer.get_json(force=True)
        assert found["totalResults"] == len(found["Resources"])
        return [each.get("userName") or each.get("displayName") for each in found["Resources"]]


def connect(
    app: Flask, name: str = "Contoso", scope: str = "write", profile: str = "tolerant"
) -> Directory:
    """Make a connection with a token."""
    with transaction():
        connection = tokens.create_connection(name, audit.CLI, scope)
        connection.profile = profile
        connection.save()
        _, text = tokens.create(connection, 30, audit.CLI)
    return Directory(app, connection, text)
