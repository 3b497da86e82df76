# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Okta. Source: Okta's developer documentation and its SCIM FAQ."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from . import common
from .shape import ENTERPRISE, Guide, Mapping, Trouble

GUIDE = Guide(
    slug="okta",
    name="Okta",
    profile="okta",
    steps=(
        _l(
            "In the admin console open Applications, Create App Integration, and make an app by "
            "the wizard; under General, set Provisioning to SCIM."
        ),
        _l(
            "Under Provisioning, Integration, paste the address, name userName as the unique "
            "identifier, and tick Push New Users, Push Profile Updates and Push Groups."
        ),
        _l("Set Authentication Mode to HTTP Header and paste the token."),
        _l("Under To App tick Create, Update and Deactivate, then assign people and groups."),
    ),
    url_field="SCIM connector base URL",
    token_field="Authorization (Bearer)",  # noqa: S106 - a field's name
    mappings=(
        Mapping("userName (user.login)", "userName", common.USER_NAME),
        Mapping("givenName", "name.givenName"),
        Mapping("familyName", "name.familyName"),
        Mapping("displayName", "displayName"),
        Mapping("email", 'emails[type eq "work"].value', common.MAIL),
        Mapping("primaryPhone", "phoneNumbers[primary eq true].value"),
        Mapping("title", "title"),
        Mapping("department", f"{ENTERPRISE}:department", common.ENTERPRISE_WHY),
        Mapping("employeeNumber", f"{ENTERPRISE}:employeeNumber", common.ENTERPRISE_WHY),
        Mapping("–", "externalId", _l("Okta sends its own user id by itself.")),
        Mapping("–", "active", common.ACTIVE),
    ),
    group_mappings=(
        Mapping("Push Groups", "displayName, members", _l("Chosen group by group, under its tab.")),
    ),
    arrives=(
        _l("Before it makes a person it asks for userName eq, then sends POST."),
        _l("An app made by the wizard sends the whole person by PUT at every change."),
        _l("Apps of Okta's catalogue send PATCH for active, and for more of late: both work."),
        _l("Imports come in pages: startIndex and count=100."),
        _l("Okta never deletes a person: who is unassigned or leaves is set to active false."),
        _l("A group that is renamed is sent with its id; a push can replace all members at once."),
    ),
    tests=(
        _l("Test API Credentials (or Test Connector Configuration) asks for users."),
        _l("Assign one person and look for GET, then POST, under Requests here."),
        _l("Unassign that person: the page here shows Suspended."),
    ),
    troubles=(
        common.UNAUTHORIZED,
        common.CONFLICT,
        common.OTHER_HOST,
        common.FORBIDDEN,
        Trouble(
            _l("The address is not taken"),
            _l("Okta takes no underscore in the base URL, and wants https."),
        ),
        Trouble(
            _l("“Error while trying to push”, without a request here"),
            _l("Okta waits 60 seconds; a proxy or firewall in between does not let it through."),
        ),
    ),
)
