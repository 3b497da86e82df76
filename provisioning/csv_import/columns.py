# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a column of an imported file can hold, and which heading probably means what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum, unique

from ..errors import InvalidValue
from ..naming import fold


@unique
class Content(StrEnum):
    """What the lines of a file are about."""

    PEOPLE = "people"
    GROUPS = "groups"


# Attribute by attribute, the headings that HR systems, spreadsheets and our own export use;
# written as `_key` leaves them.
PEOPLE: dict[str, tuple[str, ...]] = {
    "userName": (
        "username", "login", "loginname", "user", "userid", "upn", "userprincipalname",
        "samaccountname", "account", "benutzername", "benutzer", "anmeldename", "kennung",
    ),
    "email": (
        "email", "mail", "emailaddress", "mailaddress", "workemail", "primaryemail",
        "emailadresse", "mailadresse",
    ),
    "givenName": ("givenname", "firstname", "forename", "first", "vorname", "rufname"),
    "familyName": (
        "familyname", "lastname", "surname", "last", "sn", "nachname", "familienname", "zuname",
    ),
    "displayName": ("displayname", "name", "fullname", "anzeigename", "vollername"),
    "phone": ("phone", "phonenumber", "telephone", "telephonenumber", "mobile", "tel",
              "telefon", "telefonnummer", "rufnummer"),
    "title": ("title", "jobtitle", "position", "role", "titel", "funktion", "stelle"),
    "department": ("department", "dept", "team", "unit", "abteilung", "bereich"),
    "employeeNumber": (
        "employeenumber", "employeeid", "staffid", "staffnumber", "personnelnumber",
        "personalnummer", "mitarbeiternummer", "persnr",
    ),
    "externalId": ("externalid", "sourceid", "hrid", "guid", "objectid"),
    "preferredLanguage": ("preferredlanguage", "language", "locale", "sprache"),
    "active": ("active", "enabled", "isactive", "employed", "aktiv"),
    "groups": ("groups", "group", "memberof", "gruppen", "gruppe"),
}  # fmt: skip
GROUPS: dict[str, tuple[str, ...]] = {
    "group": ("group", "groupname", "displayname", "name", "gruppe", "gruppenname", "team"),
    "member": ("member", "membername", *PEOPLE["userName"], "mitglied"),
}

_GROUP_WORDS = frozenset({"group", "groupname", "gruppe", "gruppenname", "team"})

REQUIRED = {Content.PEOPLE: "userName", Content.GROUPS: "group"}


def attributes(content: Content) -> tuple[str, ...]:
    """Return what a column can hold."""
    return tuple(PEOPLE if content is Content.PEOPLE else GROUPS)


def guess(header: Sequence[str]) -> tuple[Content, dict[str, int]]:
    """Return what the file is probably about, and each attribute's column.

    With a column of groups and no more about people than a name it is one of memberships.
    """
    people, groups = _guess(PEOPLE, header), _guess(GROUPS, header)
    named = "group" in groups and _key(header[groups["group"]]) in _GROUP_WORDS
    nobody = "group" in groups and "userName" not in people and "email" not in people
    if (named or nobody) and not set(people) - {"userName", "groups", "displayName"}:
        return Content.GROUPS, groups
    return Content.PEOPLE, people


def guess_for(content: Content, header: Sequence[str]) -> dict[str, int]:
    """Return each attribute's column for a file whose content is known."""
    return _guess(PEOPLE if content is Content.PEOPLE else GROUPS, header)


def check(content: Content, columns: Mapping[str, int], width: int) -> dict[str, int]:
    """Return the columns as chosen; raises InvalidValue for a missing, double or foreign one."""
    known = attributes(content)
    chosen = {name: place for name, place in columns.items() if name in known}
    if any(not 0 <= place < width for place in chosen.values()):
        raise InvalidValue("There is no such column.", "columns")
    required = REQUIRED[content]
    if required not in chosen:
        raise InvalidValue(f"Choose the column that holds {required}.", "columns")
    return chosen


def _guess(known: Mapping[str, tuple[str, ...]], header: Sequence[str]) -> dict[str, int]:
    keys = [_key(cell) for cell in header]
    found: dict[str, int] = {}
    for attribute, spellings in known.items():
        for spelling in spellings:
            if spelling in keys and keys.index(spelling) not in found.values():
                found[attribute] = keys.index(spelling)
                break
    return found


def _key(heading: str) -> str:
    """Return a heading without case, spaces and signs: "E-Mail address" is "emailaddress"."""
    return re.sub(r"[\W_]", "", fold(heading))
