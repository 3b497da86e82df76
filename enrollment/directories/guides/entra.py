# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Microsoft Entra ID. Source: Microsoft's provisioning documentation and public issue threads."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from . import common
from .shape import ENTERPRISE, Guide, Mapping, Trouble

GUIDE = Guide(
    slug="entra",
    name="Microsoft Entra ID",
    profile="entra",
    steps=(
        _l(
            "In the Entra admin centre open Enterprise applications, New application, Create your "
            "own application, and choose the one that is not in the gallery."
        ),
        _l("Open Provisioning, set the mode to Automatic, and paste address and token."),
        _l("Press Test Connection, then save; the mappings appear after that."),
        _l("Assign the people and groups that are to come, and start provisioning."),
    ),
    url_field="Tenant URL",
    token_field="Secret Token",  # noqa: S106 - a field's name
    mappings=(
        Mapping("userPrincipalName", "userName", common.USER_NAME),
        Mapping(
            'Switch([IsSoftDeleted], , "False", "True", "True", "False")', "active", common.ACTIVE
        ),
        Mapping(
            "objectId",
            "externalId",
            _l("Better than the preset mailNickname, which changes with a person's name."),
        ),
        Mapping("displayName", "displayName"),
        Mapping("givenName", "name.givenName"),
        Mapping("surname", "name.familyName"),
        Mapping("mail", 'emails[type eq "work"].value', common.MAIL),
        Mapping("telephoneNumber", 'phoneNumbers[type eq "work"].value'),
        Mapping("jobTitle", "title"),
        Mapping("department", f"{ENTERPRISE}:department", common.ENTERPRISE_WHY),
        Mapping("employeeId", f"{ENTERPRISE}:employeeNumber", common.ENTERPRISE_WHY),
        Mapping("manager", f"{ENTERPRISE}:manager"),
    ),
    group_mappings=(
        Mapping("displayName", "displayName", _l("Each name once: a second one gets 409.")),
        Mapping("objectId", "externalId"),
        Mapping("members", "members"),
    ),
    arrives=(
        _l("Before it makes a person it looks for the matching attribute with eq."),
        _l("Changes come as PATCH with Add, Replace and Remove, and “False” as a text."),
        _l("Groups are made empty; members then follow, often one in each request."),
        _l("A cycle takes about 40 minutes; the first one takes as long as there are people."),
        _l("Groups in groups are not sent below the first level."),
        _l(
            "Somebody who leaves is set to active false; the DELETE comes when Entra ID deletes "
            "the account for good."
        ),
    ),
    tests=(
        _l("Test Connection looks for a random GUID and is content with an empty list."),
        _l("Provision on demand sends one person at once and shows each step."),
        _l("Compare its provisioning log with Requests here: both name time and status."),
    ),
    troubles=(
        common.UNAUTHORIZED,
        common.CONFLICT,
        common.OTHER_HOST,
        common.NO_MAIL,
        Trouble(
            _l("Nothing comes any more, and no error is seen here"),
            _l(
                "Entra ID stops for a while after many failures (quarantine). Look at the "
                "provisioning page there, mend, and restart."
            ),
        ),
        Trouble(
            _l("An HR connector's bulkUpload gets 409 for everybody who is there"),
            _l(
                "It sends people anew instead of changing them, leavers too. Let a Bulk POST "
                "change them in the settings; what is left out stays as it is."
            ),
        ),
        Trouble(
            _l("A name with special characters is never found"),
            _l("Entra ID cannot filter on some of them: match by objectId and externalId."),
        ),
    ),
)
