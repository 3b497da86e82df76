# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The guides: one template, a vendor each, nothing in them that the product does not know."""

from __future__ import annotations

import json
import re

import pytest
from flask import Flask

from enrollment.directories.guides import GUIDES, Guide
from enrollment.directories.guides.shape import Mapping
from provisioning.models import Token
from provisioning.panel.access import Role
from provisioning.upstream.connections import Profile
from scim.resource_types import GROUP, USER
from scim.schema import ResourceType
from tests.fakes.panel import Panel
from tests.scim.pushing import Directory, connect


@pytest.fixture
def entra(app: Flask) -> Directory:
    return connect(app, "Entra ID")


def address(directory: Directory, slug: str = "") -> str:
    return f"/directories/{directory.connection.id}/guide" + (f"/{slug}" if slug else "")


def unknown(type_: ResourceType, mappings: tuple[Mapping, ...]) -> list[str]:
    """The attributes of a table that this product does not have."""
    names = [name for mapping in mappings for name in mapping.ours.split(", ")]
    return [name for name in names if type_.resolve(re.sub(r"\[.*?\]", "", name)) is None]


def test_there_is_a_guide_for_each_directory() -> None:
    assert [guide.name for guide in GUIDES] == [
        "Microsoft Entra ID",
        "Okta",
        "OneLogin",
        "JumpCloud",
        "Ping Identity",
        "SailPoint",
        "Google Workspace",
    ]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.slug)
def test_a_guide_maps_to_attributes_that_there_are(guide: Guide) -> None:
    assert unknown(USER, guide.mappings) == []
    assert unknown(GROUP, guide.group_mappings) == []
    mapped = {mapping.ours for mapping in guide.mappings}
    assert "userName" in mapped
    assert any(name.startswith("emails") for name in mapped)
    assert guide.profile in list(Profile)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.slug)
def test_a_guide_has_the_address_filled_in_and_says_which_token(
    panel: Panel, entra: Directory, guide: Guide
) -> None:
    page = panel.see(address(entra, guide.slug))
    assert f"Connect {guide.name}" in page
    assert "http://localhost:5005/scim/v2" in page
    assert f"Into the field “{guide.url_field}”" in page
    assert f"kw_{Token.get().public_id}_" in page
    assert entra.token not in page
    assert str(guide.troubles[0].mend) in page
    assert ("Not all of this is certain." in page) == bool(guide.thin)


def test_what_is_thin_is_said() -> None:
    certain = {guide.slug for guide in GUIDES if not guide.thin}
    assert certain == {"entra", "okta"}


@pytest.mark.parametrize(
    ("name", "profile", "wanted"),
    [
        ("Contoso", "okta", "Connect Okta"),
        ("our onelogin", "tolerant", "Connect OneLogin"),
        ("Google", "tolerant", "Connect Google Workspace"),
        ("Microsoft", "tolerant", "Connect Microsoft Entra ID"),
        ("Contoso", "strict", "Connect Microsoft Entra ID"),
    ],
)
def test_the_guide_that_fits_is_shown_first(
    panel: Panel, app: Flask, name: str, profile: str, wanted: str
) -> None:
    assert wanted in panel.see(address(connect(app, name, profile=profile)))


def test_a_profile_that_does_not_fit_is_said(panel: Panel, app: Flask) -> None:
    okta = connect(app, "Okta", profile="okta")
    assert "The profile does not fit." not in panel.see(address(okta, "okta"))
    page = panel.get(address(okta, "entra")).text
    assert "The profile does not fit." in page
    assert f'<a href="/directories/{okta.connection.id}/settings">Go there</a>' in page


def test_without_a_token_it_says_where_one_is_made(panel: Panel, entra: Directory) -> None:
    Token.update(expires_at=1).execute()
    assert "There is no token that works. Make one" in panel.see(address(entra, "okta"))


def test_a_vendor_without_a_guide_is_not_found(panel: Panel, entra: Directory) -> None:
    assert panel.get(address(entra, "workday")).status_code == 404


def test_an_auditor_reads_guides(app: Flask, entra: Directory) -> None:
    assert "Connect Okta" in Panel(app, Role.AUDITOR).see(address(entra, "okta"))


def test_onelogins_template_makes_a_person(app: Flask) -> None:
    """Filled in as OneLogin does, with its dialect, it is a body that is taken whole."""
    guide = next(each for each in GUIDES if each.template)
    body = json.loads(
        guide.template.replace("{$parameters.scimusername}", "ada")
        .replace("{$user.email}", "ada@example.org")
        .replace("{$user.department}", "Analysis")
        .replace("{$user.title}", "Engineer")
        .replace("{$user.display_name}", "Ada Lovelace")
        .replace("{$user.firstname}", "Ada")
        .replace("{$user.lastname}", "Lovelace")
    )
    onelogin = connect(app, "OneLogin", profile="onelogin")
    answer = onelogin("POST", "/Users", body)
    assert answer.status_code == 201
    made = answer.get_json(force=True)
    assert {name: made[name] for name in body} == body
