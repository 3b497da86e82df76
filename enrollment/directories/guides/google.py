# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Google Workspace. Source: third parties; no recorded requests of it were found."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from . import common
from .shape import ENTERPRISE, Guide, Mapping

GUIDE = Guide(
    slug="google",
    name="Google Workspace",
    profile="tolerant",
    steps=(
        _l(
            "Google's automatic provisioning belongs to a SAML app of Google's own list. Others "
            "report that a product has to be approved by Google before it is on that list; this "
            "one is not."
        ),
        _l(
            "Until then connect a directory in between that Google's people are in (Entra ID, "
            "Okta, JumpCloud), or bring them by Import CSV."
        ),
        _l(
            "Where your admin console offers a custom app with Autoprovisioning, paste address "
            "and token there."
        ),
    ),
    url_field="Endpoint URL",
    token_field="Access token",  # noqa: S106 - a field's name
    mappings=(
        Mapping("Primary email", "userName", common.USER_NAME),
        Mapping("Primary email", 'emails[type eq "work"].value', common.MAIL),
        Mapping("First name", "name.givenName"),
        Mapping("Last name", "name.familyName"),
        Mapping("Employee ID", f"{ENTERPRISE}:employeeNumber", common.ENTERPRISE_WHY),
        Mapping("Department", f"{ENTERPRISE}:department", common.ENTERPRISE_WHY),
        Mapping("Title", "title"),
    ),
    arrives=(
        _l("One thing is known: it begins with GET /Users?count=1."),
        _l("The rest is taken as RFC 7644 has it, by the tolerant profile."),
    ),
    tests=(_l("The Test page asks that one question."),),
    troubles=(common.UNAUTHORIZED, common.CONFLICT, common.OTHER_HOST),
    thin=_l(
        "No recorded request of Google's was found, and it was not tried: names of fields and "
        "attributes are those of its console as others describe it."
    ),
)
