# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Many requests at once: which of them share a commit, and that nobody is told too early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import pytest

import scim.routes
from provisioning import audit
from provisioning.models import User
from provisioning.storage.db import database, transaction
from provisioning.storage.shared_commit import NotCommitted
from provisioning.upstream import tally
from tests.scim.pushing import GROUP, PATCH_OP, USER, Directory

THREADS = 8
PEOPLE = 40


@pytest.mark.req("R27")
def test_a_crowd_of_requests_is_answered_as_one_after_the_other(directory: Directory) -> None:
    """Each person is posted twice, put into a group, and let go; nothing gets lost or doubled."""
    group = directory.group("Ward 3")["id"]

    def push(number: int) -> list[int]:
        name = f"person{number // 2}@example.com"
        made = directory("POST", "/Users", {"schemas": [USER], "userName": name})
        statuses = [made.status_code]
        if made.status_code == 201:
            path = f"/Users/{made.get_json(force=True)['id']}"
            member = {"op": "add", "path": "members", "value": [{"value": path[7:]}]}
            leave = {"op": "replace", "path": "active", "value": False}
            statuses.append(directory.patch(f"/Groups/{group}", member).status_code)
            statuses.append(directory.patch(path, leave).status_code)
            told = directory("GET", path).get_json(force=True)
            assert told["active"] is False
            assert [each["display"] for each in told["groups"]] == ["Ward 3"]
        database.close()
        return statuses

    with ThreadPoolExecutor(THREADS) as threads:
        statuses = Counter(
            status for each in threads.map(push, range(PEOPLE * 2)) for status in each
        )
    assert statuses == {201: PEOPLE, 409: PEOPLE, 204: PEOPLE, 200: PEOPLE}
    members = directory("GET", f"/Groups/{group}").get_json(force=True)["members"]
    assert len({member["value"] for member in members}) == len(members) == PEOPLE
    assert tally.living(User, directory.connection.id) == PEOPLE
    assert audit.verify().whole


@pytest.mark.sqlite
@pytest.mark.req("R27")
def test_who_was_not_committed_is_told_to_come_again(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def undone(**_: bool) -> Iterator[None]:
        yield
        raise NotCommitted("a shared commit failed")

    monkeypatch.setattr(scim.routes, "transaction", undone)
    answer = directory("POST", "/Users", {"schemas": [USER], "userName": "ada@example.com"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.req("R27")
def test_what_may_take_its_time_shares_no_commit(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared: list[bool] = []

    def spied(*, share_commit: bool = False) -> AbstractContextManager[None]:
        shared.append(share_commit)
        return transaction(share_commit=share_commit)

    monkeypatch.setattr(scim.routes, "transaction", spied)
    user = directory.user("ada@example.com")["id"]
    group = directory.group("Ward 3")["id"]
    user_body = {"schemas": [USER], "userName": "ada@example.com"}
    directory("PUT", f"/Users/{user}", user_body)
    member = {"op": "add", "path": "members", "value": [{"value": user}]}
    directory.patch(f"/Groups/{group}", member)
    many = {**member, "value": [{"value": user}] * 2_000}
    directory.patch(f"/Groups/{group}", many)
    directory("PUT", f"/Groups/{group}", {"schemas": [GROUP], "displayName": "Ward 3"})
    directory("DELETE", f"/Groups/{group}")
    directory("POST", "/Bulk", {"schemas": [PATCH_OP], "Operations": []})
    directory("DELETE", f"/Users/{user}")
    user_made, group_made, put, patched, patched_at_length, *whole_group, bulk, deleted = shared
    assert all([user_made, put, patched, deleted])
    assert not any([group_made, patched_at_length, *whole_group, bulk])
