# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""OneLogin. Source: developers.onelogin.com and issue threads; its bodies are partly inferred."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from . import common
from .shape import ENTERPRISE, Guide, Mapping, Trouble

TEMPLATE = """{
  "schemas": [
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
  ],
  "userName": "{$parameters.scimusername}",
  "displayName": "{$user.display_name}",
  "name": {
    "givenName": "{$user.firstname}",
    "familyName": "{$user.lastname}"
  },
  "emails": [{"value": "{$user.email}", "type": "work", "primary": true}],
  "title": "{$user.title}",
  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
    "department": "{$user.department}"
  }
}"""

GUIDE = Guide(
    slug="onelogin",
    name="OneLogin",
    profile="onelogin",
    steps=(
        _l(
            "Under Applications, Add App, choose the SCIM Provisioner with SAML (SCIM v2 "
            "Enterprise)."
        ),
        _l("Under Configuration paste address, token and the template below."),
        _l("Enable the API connection, then Provisioning, and what needs an admin's approval."),
        _l("Give people the app, by a role or one by one."),
    ),
    url_field="SCIM Base URL",
    token_field="SCIM Bearer Token",  # noqa: S106 - a field's name
    mappings=(
        Mapping("{$parameters.scimusername}", "userName", common.USER_NAME),
        Mapping("{$user.firstname}", "name.givenName"),
        Mapping("{$user.lastname}", "name.familyName"),
        Mapping("{$user.display_name}", "displayName"),
        Mapping("{$user.email}", "emails", common.MAIL),
        Mapping("{$user.title}", "title"),
        Mapping("{$user.department}", f"{ENTERPRISE}:department", common.ENTERPRISE_WHY),
        Mapping("–", "active", common.ACTIVE),
    ),
    group_mappings=(Mapping("Groups (a parameter with rules)", "displayName, members"),),
    arrives=(
        _l("Bodies have the shape of the template; active may be a text, id may be null."),
        _l("An extension of the template may be missing in the list of schemas."),
        _l("Groups are changed by PATCH."),
        _l("It asks for application/json and gets it."),
    ),
    tests=(
        _l("Enabling the API connection asks for users."),
        _l("Give one person the app and look for POST under Requests here."),
    ),
    troubles=(
        common.UNAUTHORIZED,
        common.CONFLICT,
        common.OTHER_HOST,
        common.NO_MAIL,
        Trouble(
            _l("“managerId” stands in the template"),
            _l(
                "It is understood as the manager of the enterprise extension; its id is one of "
                "this product's."
            ),
        ),
    ),
    template=TEMPLATE,
    template_field="SCIM JSON Template",
    thin=_l(
        "OneLogin publishes no recorded requests: what arrives is partly inferred from its "
        "templates and from other people's reports."
    ),
)
