# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""scim-sanity, a prober of live servers, against the app. Strict: a warning counts."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from flask import Flask
from scim_sanity.http_client import SCIMClient, SCIMResponse
from scim_sanity.probe import runner

from provisioning.upstream.connections import PatchReply
from tests.scim.pushing import connect

# What it finds wrong and we mean, with the words that decide.
OURS = {
    # It adds a member "fake-member-id". RFC 7643 §2.3.7: a service provider MAY enforce referential
    # integrity; a group here never holds somebody whom nobody knows.
    "PATCH /Groups/{id} add member": "Expected 200, got 400",
}


@pytest.mark.req("P21")
@pytest.mark.req("P13")
@pytest.mark.req("P1")
def test_scim_sanity_finds_nothing_wrong(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = connect(app, "Sanity")
    directory.connection.patch_reply = PatchReply.BODY  # where Entra wants 204 (P13)
    directory.connection.save()

    class InProcess(SCIMClient):  # type: ignore[misc]
        """Its own client, with the app behind it instead of a socket."""

        def _request(
            self,
            method: str,
            path: str,
            payload: dict[str, Any] | None = None,
            extra_headers: dict[str, str] | None = None,
        ) -> SCIMResponse:
            answer = app.test_client().open(
                f"/scim/v2{path}",
                method=method,
                headers=self._build_headers(extra_headers, method=method),
                data=None if payload is None else json.dumps(payload).encode(),
            )
            return SCIMResponse(answer.status_code, dict(answer.headers), answer.text)

    monkeypatch.setattr(runner, "SCIMClient", InProcess)
    report = runner.run_probe_api("http://localhost:5005/scim/v2", directory.token, strict=True)
    wrong = {
        each["name"]: each["message"]
        for each in report["results"]
        if each["status"] not in ("pass", "skip")
    }
    assert wrong == OURS
    done = Counter(each["status"] for each in report["results"])
    assert done["pass"] > 20, done
