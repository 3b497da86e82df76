# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""scim2-tester against the app. It checks no filter, order, page or tag: other tests do."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import check_server
from scim2_tester.utils import Status

from provisioning import audit
from provisioning.storage.db import transaction
from provisioning.upstream import tokens

# What it finds and we mean:
OURS = (
    # an extension without a writable attribute: it writes an empty one and wants it back
    "User check_add_attribute: PATCH modify() returned unexpected value for "
    "'urn:ietf:params:scim:schemas:extension:keywright:2.0:User'",
    "User check_replace_attribute: PATCH modify() returned unexpected value for "
    "'urn:ietf:params:scim:schemas:extension:keywright:2.0:User'",
    # removing `active` neither ends nor begins anybody's access (R8)
    "User check_remove_attribute: PATCH modify() did not remove attribute 'active'",
    # members come back with the `display` that only the server knows (RFC 7643 §8.4)
    "Group check_add_attribute: Attribute 'members' was not added",
    "Group check_replace_attribute: Attribute 'members' was not replaced",
)

FINE = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE, Status.SKIPPED}


@pytest.mark.req("S1")
@pytest.mark.req("S4")
@pytest.mark.req("P2")
@pytest.mark.req("P12")
@pytest.mark.req("P20")
def test_scim2_tester_finds_nothing_wrong(app: Flask) -> None:
    with transaction():
        connection = tokens.create_connection("tester", audit.CLI)
        _, token = tokens.create(connection, 30, audit.CLI)
    client = WSGISCIMClient(
        app,
        base_url="http://localhost:5005/scim/v2",
        headers={"Authorization": f"Bearer {token}"},
    )
    # SecurityKey is read-only, which the tester does not know of: it tries to create some.
    results: list[Any] = check_server(client, resource_types=["User", "Group"])
    wrong = [
        f"{each.resource_type} {each.title}: {each.reason}"
        for each in results
        if each.status not in FINE
    ]
    assert [each for each in wrong if not each.startswith(OURS)] == []
    done = [each for each in results if each.status in FINE - {Status.SKIPPED}]
    assert len(done) > 100
