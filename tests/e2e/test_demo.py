# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright demo`, as a script and a newcomer meet it: they know the ready file and no more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client

from tests.e2e.browser import Person
from tests.e2e.installed import Installed
from tests.e2e.product import answers, free_port

pytestmark = pytest.mark.e2e

TOLD = {"panel_url", "sign_in_url", "scim_base_url", "scim_token", "mailbox_url", "pid"}
ADA = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "userName": "ada@example.org",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"value": "ada@example.org", "type": "work", "primary": True}],
    "active": True,
}

Told = dict[str, Any]


def test_a_script_and_a_newcomer_find_their_way_from_the_ready_file_alone(
    installed: Installed, folder: Path, person: Callable[[], Person]
) -> None:
    with demo(installed, folder) as told:
        assert told.keys() >= TOLD
        assert all(
            str(told[name]).startswith("http://localhost:") for name in told if "url" in name
        )
        # A script pushes a person and lists everybody.
        with directory(told) as scim:
            made = scim.post("/Users", json=ADA)
            assert made.status_code == 201
            assert [user["id"] for user in everybody(scim)] == [made.json()["id"]]
        assert mailbox(told) == []

        # A newcomer follows the link and has a card assigned; the demo's own desk lays one on.
        newcomer = person()
        newcomer.opens(told["sign_in_url"])
        newcomer.presses("Open the panel")
        newcomer.follows("Users")
        newcomer.follows("Ada Lovelace")
        newcomer.follows("Assign security key")
        newcomer.presses("Assign Contactless Card")
        newcomer.presses("Use the software card")
        newcomer.sees("The card is assigned")
        newcomer.presses("Next")
        newcomer.presses("Confirm")
        newcomer.sees("The key is assigned to Ada Lovelace")

        # The script reads the mail.
        wait_until(lambda: len(mailbox(told)) == 1)
        letter = mailbox(told)[0]
        assert letter["recipient"] == "ada@example.org"
        assert "PIN" in letter["subject"]
        first = told
    assert not still_answers(first)

    # A second start goes on with the same people and mail, with a token and a link of its own.
    with demo(installed, folder) as told:
        assert told["scim_token"] != first["scim_token"]
        assert told["sign_in_url"] != first["sign_in_url"]
        with directory(told) as scim:
            assert [user["userName"] for user in everybody(scim)] == ["ada@example.org"]
        assert len(mailbox(told)) == 1
        with directory({**told, "scim_token": first["scim_token"]}) as scim:
            assert scim.get("/Users").status_code == 401


@contextmanager
def demo(installed: Installed, folder: Path) -> Iterator[Told]:
    """Start the demo, wait for its ready file, and end it by the id that stands there."""
    ready = folder / "ready.json"
    options = ["--data", folder / "demo", "--port", str(free_port()), "--ready-file", ready]
    with (folder / "demo.log").open("ab") as log:
        process = subprocess.Popen(
            [installed.program("keywright"), "demo", *options],
            cwd="/",
            env=installed.environment,
            stdout=log,
            stderr=log,
        )
    log_text = (folder / "demo.log").read_text
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None)
        assert ready.exists(), log_text()
        assert ready.stat().st_mode & 0o077 == 0, "it holds a token"
        told = json.loads(ready.read_text())
        yield told
        os.kill(told["pid"], signal.SIGTERM)
        assert process.wait(60) == 0, log_text()
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log_text(), log_text()
    assert not ready.exists(), "a script would take an ended demo for a ready one"


def directory(told: Told) -> Client:
    """An HTTP client with the demo's token."""
    return Client(
        base_url=told["scim_base_url"], headers={"Authorization": f"Bearer {told['scim_token']}"}
    )


def everybody(scim: Client) -> list[Told]:
    """All users."""
    listed = scim.get("/Users").json()
    assert listed["totalResults"] == len(listed["Resources"])
    return list(listed["Resources"])


def mailbox(told: Told) -> list[Told]:
    """The demo's mailbox, as JSON because it is asked for."""
    with Client(headers={"Accept": "application/json"}) as client:
        return list(client.get(told["mailbox_url"]).raise_for_status().json())


def still_answers(told: Told) -> bool:
    """Whether anything of an ended demo still answers."""
    return answers(told["panel_url"]) or answers(told["mailbox_url"])


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
