# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""scim2-client and scim2-cli against a running product, as their users would use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import PatchOp, SCIMException, SearchRequest

from tests.e2e.installed import Installed
from tests.e2e.test_demo import Told, demo

pytestmark = [pytest.mark.e2e, pytest.mark.req("S1"), pytest.mark.req("P24")]

ADA = "ada@example.org"


@pytest.fixture
def told(installed: Installed, folder: Path) -> Iterator[Told]:
    """What a demo that runs has written down for scripts."""
    with demo(installed, folder) as written:
        yield written


def test_the_client_library_discovers_and_uses_the_service(told: Told) -> None:
    headers = {"Authorization": f"Bearer {told['scim_token']}"}
    with Client(base_url=told["scim_base_url"], headers=headers) as http:
        scim = SyncSCIMClient(http)
        scim.discover()
        user_type, group_type = scim.get_resource_model("User"), scim.get_resource_model("Group")
        assert user_type is not None
        assert group_type is not None

        ada = scim.create(user_type(user_name=ADA, display_name="Ada", active=True))
        assert scim.query(user_type, ada.id).user_name == ADA
        found = scim.query(user_type, SearchRequest(filter=f'userName eq "{ADA}"'))
        assert [each.id for each in found.resources] == [ada.id]

        ada.title = "Countess"
        assert scim.replace(ada).title == "Countess"
        change = PatchOp[user_type](
            operations=[
                {"op": "replace", "path": "displayName", "value": "Ada Lovelace"},
                {"op": "add", "path": "emails", "value": [{"value": ADA, "type": "work"}]},
                {"op": "remove", "path": "title"},
            ]
        )
        scim.modify(user_type, ada.id, change)
        ada = scim.query(user_type, ada.id)
        assert (ada.display_name, ada.title, ada.emails[0].value) == ("Ada Lovelace", None, ADA)

        staff = scim.create(group_type(display_name="Staff", members=[{"value": ada.id}]))
        assert scim.query(user_type, ada.id).groups[0].value == staff.id
        names = [each.id for each in scim.search(SearchRequest(filter="meta pr")).resources]
        assert set(names) == {ada.id, staff.id}

        scim.delete(group_type, staff.id)
        scim.delete(user_type, ada.id)
        with pytest.raises(SCIMException, match="no User"):
            scim.query(user_type, ada.id)


def test_the_command_line_client_creates_queries_changes_and_deletes(told: Told) -> None:
    scim = Shell(told)
    ada = scim("create", "user", "--user-name", ADA, "--display-name", "Ada",
               "--emails", json.dumps([{"value": ADA, "primary": True}]))  # fmt: skip
    found = scim("query", "user", "--filter", f'userName eq "{ADA}"')
    assert [each["id"] for each in found["Resources"]] == [ada["id"]]
    assert scim("query", "user", ada["id"])["emails"] == [{"value": ADA, "primary": True}]

    changed = scim("modify", "user", ada["id"], "replace", "displayName", "Ada Lovelace",
                   "replace", "active", "false")  # fmt: skip
    assert (changed["displayName"], changed["active"]) == ("Ada Lovelace", False)
    replaced = scim("replace", "user", "--id", ada["id"], "--user-name", ADA, "--title", "Countess")
    assert replaced["title"] == "Countess"
    assert "displayName" not in replaced
    assert replaced["active"] is False, "left out is not true"

    staff = scim("create", "group", "--display-name", "Staff",
                 "--members", json.dumps([{"value": ada["id"]}]))  # fmt: skip
    assert [each["value"] for each in staff["members"]] == [ada["id"]]
    everything = scim("search", "--filter", 'displayName eq "staff" or title pr')
    assert {each["id"] for each in everything["Resources"]} == {ada["id"], staff["id"]}

    assert scim("delete", "user", ada["id"]) is None
    assert "members" not in scim("query", "group", staff["id"])
    assert scim.refused("query", "user", ada["id"])["status"] == "404"


class Shell:
    """`scim2` with the address and the token in its environment, as its documentation says."""

    def __init__(self, told: Told) -> None:
        self._environment = {
            **os.environ,
            "SCIM_CLI_URL": told["scim_base_url"],
            "SCIM_CLI_HEADERS": f"Authorization: Bearer {told['scim_token']}",
        }

    def __call__(self, *words: str) -> Any:
        done = self._run(words)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, *words: str) -> Any:
        """Run a command that must fail, and return the error that it prints."""
        done = self._run(words)
        assert done.returncode != 0, done.stdout
        return json.loads(done.stdout)

    def _run(self, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("scim2")
        return subprocess.run(
            [program, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
