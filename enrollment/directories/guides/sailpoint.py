# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""SailPoint. Source: documentation.sailpoint.com."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from . import common
from .shape import ENTERPRISE, Guide, Mapping, Trouble

GUIDE = Guide(
    slug="sailpoint",
    name="SailPoint",
    profile="tolerant",
    steps=(
        _l("Make a source of the kind SCIM 2.0 (in IdentityIQ an application of that kind)."),
        _l("Paste the address and, as API token, the token."),
        _l("Press Test Connection: it reads the discovery addresses."),
        _l("Discover the schema, aggregate accounts, then allow provisioning."),
    ),
    url_field="Host URL",
    token_field="API Token",  # noqa: S106 - a field's name
    mappings=(
        Mapping("userName", "userName", common.USER_NAME),
        Mapping("emails.work.primary.value", "emails", common.MAIL),
        Mapping("name.givenName", "name.givenName"),
        Mapping("name.familyName", "name.familyName"),
        Mapping("displayName", "displayName"),
        Mapping("title", "title"),
        Mapping("department", f"{ENTERPRISE}:department", common.ENTERPRISE_WHY),
        Mapping("active", "active", common.ACTIVE),
        Mapping("groups", "groups", _l("Read-only here: memberships are written at the groups.")),
    ),
    arrives=(
        _l("It demands all five discovery addresses, and learns the attributes from them."),
        _l("Aggregation reads every person and group that this connection made, page by page."),
        _l("It slows down when it is answered with 429 and Retry-After, as beyond the set rate."),
    ),
    tests=(
        _l("Test Connection; then Discover Schema lists the attributes of the guide's table."),
        _l("An aggregation of accounts counts as many as Users in the overview."),
    ),
    troubles=(
        common.UNAUTHORIZED,
        common.CONFLICT,
        common.FORBIDDEN,
        Trouble(
            _l("Only OAuth is offered"),
            _l(
                "This product issues bearer tokens and has no token address for client "
                "credentials. Choose API token, or the custom authentication of your version."
            ),
        ),
        Trouble(
            _l("The aggregation is empty"),
            _l(
                "A connection sees what it made or was handed over, not the people of other "
                "directories and of the panel."
            ),
        ),
    ),
    thin=_l("Not tried against a SailPoint tenant; its documentation speaks of OAuth first."),
)
