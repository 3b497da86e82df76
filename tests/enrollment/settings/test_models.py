# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The attestation policy in the panel: what people hold, and what a change would shut out."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from provisioning import live_settings
from provisioning.ceremonies.attestation import SIMULATOR_AAGUID, Policy
from provisioning.ceremonies.refusals import Refusal
from provisioning.models import Credential, LiveSetting, SecurityKey, User
from provisioning.pages import model_census
from provisioning.pages.model_census import Why
from provisioning.services import EXTENSION, Services
from provisioning.settings import Settings
from reader.simulator.attestation import root_pem
from tests.enrollment.settings.test_settings import save, version_on
from tests.fakes.panel import Panel, text_of
from tests.fakes.people import person

OTHER = "fa2b99dc-9e39-4257-8f92-4a30d23c4118"  # YubiKey 5 NFC


@pytest.fixture
def pinned(app: Flask, services: Services, tmp_path: Path) -> Services:
    """A folder of roots that names one model; nothing is required yet."""
    (tmp_path / "simulator.pem").write_bytes(root_pem())
    names = {SIMULATOR_AAGUID: {"name": "Software card", "roots": ["simulator.pem"]}}
    (tmp_path / "models.json").write_text(json.dumps(names))
    settings = Settings.model_validate(
        {**services.settings.model_dump(), "attestation_roots": tmp_path, "attestation": "none"}
    )
    made = app.extensions[EXTENSION] = replace(services, settings=settings)
    return made


@pytest.fixture
def ada(services: Services) -> User:
    return person()


def key(user: User, aaguid: str, fmt: str = "packed", state: str = "active") -> SecurityKey:
    made = SecurityKey.create(
        resource_id=str(uuid.uuid4()), user=user, kind="contactless_card", name=aaguid[:4],
        state=state, method="admin", user_handle=os.urandom(64), aaguid=aaguid,
    )  # fmt: skip
    Credential.create(
        key=made, rp_id="localhost", credential_id=os.urandom(16), public_key=b"k", aaguid=aaguid,
        attestation_format=fmt, attestation_object=b"o",
    )  # fmt: skip
    return made


def test_the_page_counts_what_people_hold(pinned: Services, panel: Panel, ada: User) -> None:
    for _ in range(3):
        key(ada, OTHER)
    key(ada, OTHER, "none")
    key(ada, SIMULATOR_AAGUID)
    key(ada, SIMULATOR_AAGUID, state="revoked")
    assert [(one.name, one.proved, one.count) for one in model_census.held()] == [
        ("YubiKey 5 NFC", True, 3),
        ("Software card (demonstration)", True, 1),
        ("YubiKey 5 NFC", False, 1),
    ]
    page = panel.see("/settings/models")
    assert "YubiKey 5 NFC" in page
    assert "model not proved" in page


@pytest.mark.req("R14")
def test_what_a_policy_would_shut_out_is_told_by_reason(services: Services, ada: User) -> None:
    key(ada, OTHER)
    key(ada, OTHER, "none")
    key(ada, SIMULATOR_AAGUID)

    def refused(policy: Policy) -> list[tuple[str, bool, Why]]:
        return sorted((one.aaguid, one.proved, why) for one, why in model_census.refused(policy))

    assert refused(Policy(required=False)) == []
    assert refused(Policy(required=True)) == [
        (SIMULATOR_AAGUID, True, Why.NO_ROOT),
        (OTHER, False, Why.UNPROVED),
        (OTHER, True, Why.NO_ROOT),
    ]
    rooted = {OTHER: (), SIMULATOR_AAGUID: ()}
    only = Policy(required=True, roots=rooted, allowed_models=frozenset({OTHER}))
    assert refused(only) == [
        (SIMULATOR_AAGUID, True, Why.NOT_ALLOWED),
        (OTHER, False, Why.UNPROVED),
    ]
    withdrawn = Policy(required=False, withdrawn={OTHER: Refusal.MODEL_WITHDRAWN})
    assert {why for *_rest, why in refused(withdrawn)} == {Why.WITHDRAWN}


@pytest.mark.req("R14")
def test_saving_first_shows_what_would_break_and_saves_when_agreed(
    app: Flask, pinned: Services, panel: Panel, ada: User
) -> None:
    for _ in range(2):
        key(ada, OTHER)
    version = version_on(panel.get("/settings/models").text)
    wanted = {"attestation": "required", "version": version}
    asked = panel.post("/settings/models", wanted)
    page = text_of(asked)
    assert "These models could not be registered any more." in page
    assert "2 keys: YubiKey 5 NFC (no root vouches for this model)" in page
    assert not LiveSetting.select().exists()
    assert panel.post("/settings/models", {**wanted, "agreed": "yes"}).status_code == 303
    assert live_settings.refresh(app, now=True).settings.attestation == "required"
    assert "Not any more" in panel.see("/settings/models")


def test_what_is_refused_already_does_not_ask_again(
    pinned: Services, panel: Panel, ada: User
) -> None:
    key(ada, OTHER)
    version = version_on(panel.get("/settings/models").text)
    wanted = {"attestation": "required", "version": version, "agreed": "yes"}
    panel.post("/settings/models", wanted)
    page = save(
        panel, "/settings/models",
        attestation="required", some="y", allowed_models=SIMULATOR_AAGUID,
    )  # fmt: skip
    assert "Saved." in page


def test_a_list_of_no_model_is_not_every_model(pinned: Services, panel: Panel) -> None:
    assert "Tick at least one model" in save(panel, "/settings/models", some="y")
    assert "Saved." in save(panel, "/settings/models", some="y", allowed_models=SIMULATOR_AAGUID)
    ticked = {"attestation": "required", "some": "y", "allowed_models": SIMULATOR_AAGUID}
    save(panel, "/settings/models", **ticked)
    assert "1 model is allowed" in panel.see("/settings")
    save(panel, "/settings/models", attestation="required")
    assert "1 model with a root" in panel.see("/settings")


@pytest.mark.parametrize("model", [OTHER, "x", "<script>", "a" * 10_000])
def test_only_models_with_a_root_can_be_ticked(pinned: Services, panel: Panel, model: str) -> None:
    answer = panel.post(
        "/settings/models", {"attestation": "none", "some": "y", "allowed_models": model}
    )
    assert answer.status_code == 200
    assert 'id="allowed_models-error"' in answer.text
    assert not LiveSetting.select().exists()


def test_without_roots_nothing_can_be_required(panel: Panel) -> None:
    page = panel.get("/settings/models").text
    assert "set KEYWRIGHT_ATTESTATION_ROOTS first" in page
    assert "attestation_roots" in save(panel, "/settings/models", attestation="required")


def test_a_folder_that_cannot_be_read_is_said_and_nothing_falls_over(
    pinned: Services, panel: Panel
) -> None:
    folder = pinned.settings.attestation_roots
    assert folder is not None
    (folder / "models.json").write_text("{")
    assert "The folder of roots cannot be read." in panel.see("/settings/models")
    assert panel.get("/settings").status_code == 200
