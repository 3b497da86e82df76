# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which language a person reads: their own choice, what the directory says, else the default.

`preferredLanguage` has the form of an Accept-Language header, `locale` that of a language tag
(RFC 7643 §4.1.1). A language that nothing is translated into is as good as none.
"""

from __future__ import annotations

import json

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from ..errors import InvalidValue
from ..models import PanelAccount, Preference, User
from ..settings import LANGUAGES, Settings

_LONGEST = 200  # characters that are looked at of what a directory wrote


def of_user(user: User, settings: Settings) -> str:
    """Return the locale for a mail to this person, `de-AT` say: dates follow the country."""
    document = json.loads(user.document)
    chosen = chosen_by(user)
    told = (chosen, document.get("preferredLanguage"), document.get("locale"))
    return next((one for one in map(_translated, told) if one), settings.language)


def of_account(account: PanelAccount, settings: Settings) -> str:
    """Return the language of mails to an admin."""
    return account.language if account.language in LANGUAGES else settings.language


def time_zone(user: User) -> str | None:
    """Return what the directory says, an IANA name if it keeps to RFC 7643 §4.1.1."""
    zone = json.loads(user.document).get("timezone")
    return zone if isinstance(zone, str) else None


def chosen_by(user: User) -> str | None:
    """Return what the person has chosen on their own page, or None."""
    row = Preference.get_or_none(Preference.user == user)
    return row.language if row is not None else None


def choose(user: User, language: str) -> None:
    """Note a person's choice; empty takes it back. Raises InvalidValue."""
    _check(language)
    Preference.delete().where(Preference.user == user).execute()
    if language:
        Preference.create(user=user, language=language)


def choose_for_account(account: PanelAccount, language: str) -> None:
    """Note an admin's choice; empty takes it back. Raises InvalidValue."""
    _check(language)
    account.language = language or None
    account.save()


def _check(language: str) -> None:
    if language and language not in LANGUAGES:
        raise InvalidValue("There is no such language.", "language")


def _translated(told: object) -> str:
    if not isinstance(told, str):
        return ""
    asked = parse_accept_header(told[:_LONGEST].replace("_", "-"), LanguageAccept)
    for tag in asked.values():
        if tag.partition("-")[0].lower() in LANGUAGES:
            return tag
    return ""
