# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How many messages to PostgreSQL each thing costs that a directory does often."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning import keys
from provisioning.audit import CLI
from provisioning.models import SecurityKey, User
from provisioning.storage.db import transaction
from provisioning.upstream import tokens
from tests.fakes import people
from tests.fakes.queries import journeys
from tests.scim.pushing import PATCH_OP, Directory

pytestmark = pytest.mark.postgresql

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
GONE = {"op": "replace", "path": "active", "value": False}


def test_a_person_is_made_in_two(directory: Directory) -> None:
    directory.user("before")  # and what a process asks once
    with journeys() as said:
        assert directory("POST", "/Users", {"userName": "ada"}).status_code == 201
    begin, end = said
    assert begin == ["BEGIN", *["SELECT"] * 3, "INSERT"]  # the lock, the log's head, the token
    assert end[-1] == "COMMIT"


@pytest.mark.parametrize(("by", "most"), [("id", 1), ("name", 2)])
def test_whom_the_process_knows_reads_a_person_in(directory: Directory, by: str, most: int) -> None:
    made = directory.user("ada")
    address = f"/Users/{made['id']}" if by == "id" else '/Users?filter=userName eq "ada"'
    directory("GET", address)  # and what a process asks once a second
    with journeys() as said:
        assert directory("GET", address).status_code == 200
    assert len(said) == most
    assert len(said[0]) == 2, "the token, and whom they ask for"
    tokens._verified.clear()
    with journeys() as said:
        assert directory("GET", address).status_code == 200
    assert len(said) == most + 1


def test_a_departure_and_all_that_it_ends_takes_seven(directory: Directory) -> None:
    made = directory.user("ada")
    with transaction():
        key = people.pending_key(User.get(User.resource_id == made["id"]))
        keys.register(key, people.registration(), "localhost", CLI)
    with transaction():
        keys.activate(SecurityKey.get(SecurityKey.id == key.id), CLI)
    with journeys() as said:
        assert directory.patch(f"/Users/{made['id']}", GONE).status_code == 200
    assert len(said) == 7
    assert said[-1][-1] == "COMMIT"


def test_a_member_is_added_and_removed_in_four(directory: Directory) -> None:
    ann, bob = directory.user("ann")["id"], directory.user("bob")["id"]
    group = directory.group("Ward", ann)["id"]

    def change(operation: dict[str, Any]) -> int:
        body = {"schemas": [PATCH_OP], "Operations": [operation]}
        with journeys() as said:
            assert directory("PATCH", f"/Groups/{group}", body).status_code == 204
        return len(said)

    assert change({"op": "add", "path": "members", "value": [{"value": bob}]}) == 4
    assert change({"op": "remove", "path": f'members[value eq "{bob}"]'}) == 4


def test_an_operation_of_a_bulk_request_takes_one(directory: Directory) -> None:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": f"b{n}", "data": {"userName": f"u{n}"}}
        for n in range(10)
    ]
    body = {"schemas": [BULK], "Operations": operations}
    with journeys() as said:
        assert directory("POST", "/Bulk", body).status_code == 200
    assert sum("INSERT" in message for message in said[:-1]) == 10
    assert all("INSERT" in message for message in said if "SAVEPOINT" in message)
