# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Sentences that hold for several vendors."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from .shape import Trouble

USER_NAME = _l("Unique here, without regard to case; people are told apart by it.")
MAIL = _l("Activation links and PINs are sent to the primary address, else work, else the first.")
ACTIVE = _l("False ends sign-ins and links and suspends every key, in the same moment.")
EXTERNAL_ID = _l("The directory's own name for a person; it never changes there.")
ENTERPRISE_WHY = _l("Shown on the person's page.")

UNAUTHORIZED = Trouble(
    _l("401, “invalid credentials” or the like"),
    _l(
        "The token is another one, was revoked or has expired. Make a new one in the overview and "
        "paste it whole, without blanks around it."
    ),
)
CONFLICT = Trouble(
    _l("409, “uniqueness”"),
    _l(
        "Somebody else holds the user name here. It is listed under Conflicts; hand the person "
        "over there, and the next attempt finds them."
    ),
)
FORBIDDEN = Trouble(
    _l("403"),
    _l("The connection's rights do not let it write that: change Rights in the settings."),
)
OTHER_HOST = Trouble(
    _l("400 to everything"),
    _l(
        "The request names another host than the base URL does, through a proxy or an alias, say. "
        "Paste the base URL as it stands above."
    ),
)
NO_MAIL = Trouble(
    _l("People arrive and cannot be sent a link"),
    _l("No e-mail address is mapped, or it is one that no mail server could be trusted with."),
)
