# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Ping Identity (PingOne). Source: docs.pingidentity.com."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from . import common
from .shape import ENTERPRISE, Guide, Mapping, Trouble

GUIDE = Guide(
    slug="ping",
    name="Ping Identity",
    profile="tolerant",
    steps=(
        _l("In PingOne open Integrations, Provisioning, and add a connection: SCIM Outbound."),
        _l(
            "Paste the address, leave /Users and /Groups as they are, choose OAuth 2 Bearer Token "
            "and paste the token."
        ),
        _l("Choose userName as identifier and userName Eq for the look-up."),
        _l("Set the action on removal to Disable, then make a rule that says who is sent."),
    ),
    url_field="SCIM Base URL",
    token_field="Oauth Access Token",  # noqa: S106 - a field's name
    mappings=(
        Mapping("Username", "userName", common.USER_NAME),
        Mapping("Email Address", "emails.value", common.MAIL),
        Mapping("Given Name", "name.givenName"),
        Mapping("Family Name", "name.familyName"),
        Mapping("Formatted", "displayName"),
        Mapping("Title", "title"),
        Mapping("Department", f"{ENTERPRISE}:department", common.ENTERPRISE_WHY),
        Mapping("User ID", "externalId", common.EXTERNAL_ID),
        Mapping("Enabled", "active", common.ACTIVE),
    ),
    arrives=(
        _l("It looks for a person by userName eq, or by emails eq."),
        _l("Changes come as PUT, or as PATCH where that is switched on; both work."),
        _l("With the action Delete somebody who leaves comes as DELETE: the cascade is the same."),
    ),
    tests=(
        _l("Test Connection asks for users."),
        _l("Synchronise one person and look for GET, then POST, under Requests here."),
    ),
    troubles=(
        common.UNAUTHORIZED,
        common.CONFLICT,
        common.OTHER_HOST,
        Trouble(
            _l("Basic or client credentials are configured"),
            _l("This product knows bearer tokens only: choose OAuth 2 Bearer Token."),
        ),
    ),
    thin=_l("Names of fields differ between PingOne and PingFederate, and between versions."),
)
