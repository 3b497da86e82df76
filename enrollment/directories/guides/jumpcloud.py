# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""JumpCloud. Source: jumpcloud.com and a customer's guide; its bodies are inferred."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from . import common
from .shape import ENTERPRISE, Guide, Mapping, Trouble

GUIDE = Guide(
    slug="jumpcloud",
    name="JumpCloud",
    profile="tolerant",
    steps=(
        _l("Under SSO Applications make a custom application, and open Identity Management."),
        _l("Choose SCIM API and version 2.0, and paste address and token."),
        _l("Press Test Connection, then Activate, and choose whether groups are sent."),
        _l("Bind the user groups that are to come to the application."),
    ),
    url_field="Base URL",
    token_field="Token Key",  # noqa: S106 - a field's name
    mappings=(
        Mapping("email", "userName", common.USER_NAME),
        Mapping("email", "emails", common.MAIL),
        Mapping("firstname", "name.givenName"),
        Mapping("lastname", "name.familyName"),
        Mapping("displayname", "displayName"),
        Mapping("jobTitle", "title"),
        Mapping("department", f"{ENTERPRISE}:department", common.ENTERPRISE_WHY),
        Mapping("employeeIdentifier", f"{ENTERPRISE}:employeeNumber", common.ENTERPRISE_WHY),
        Mapping("–", "active", common.ACTIVE),
    ),
    group_mappings=(Mapping("User groups", "displayName, members"),),
    arrives=(
        _l("The test makes a user and a group and deletes both again; the log here tells of it."),
        _l("Members are removed by naming them in the value; nobody else loses the group."),
    ),
    tests=(
        _l("Test Connection needs the right to write users and groups."),
        _l("Bind one group and look for POST, then PATCH, under Requests here."),
    ),
    troubles=(
        common.UNAUTHORIZED,
        common.CONFLICT,
        Trouble(
            _l("The test fails with 403"),
            _l("It makes and deletes a user and a group: give the connection both rights."),
        ),
        common.OTHER_HOST,
    ),
    thin=_l(
        "JumpCloud publishes no recorded requests: attributes and bodies are inferred from its "
        "documentation. The overview lists every attribute that is not understood."
    ),
)
