# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What an import says about a line, for the panel, the command line and the CSV alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import gettext as _

from ..pages.error_words import told
from .plan import Verb, Why


def verb(value: str) -> str:
    """Return the word for what a line does."""
    words = {
        Verb.CREATE: _("Create"),
        Verb.CHANGE: _("Change"),
        Verb.UNCHANGED: _("Unchanged"),
        Verb.CONFLICT: _("Left out"),
    }
    return str(words[Verb(value)])


def attribute(name: str) -> str:
    """Return what an attribute is called."""
    words = {
        "userName": _("User name"),
        "email": _("Email"),
        "givenName": _("First name"),
        "familyName": _("Last name"),
        "displayName": _("Display name"),
        "phone": _("Phone"),
        "title": _("Title"),
        "department": _("Department"),
        "employeeNumber": _("Employee number"),
        "externalId": _("Id in the source"),
        "preferredLanguage": _("Language"),
        "active": _("Active (yes or no)"),
        "groups": _("Groups"),
        "group": _("Group"),
        "member": _("Member (user name)"),
    }
    return str(words.get(name, name))


def reason(detail: Mapping[str, Any]) -> str:
    """Return why a line is left out; "" for one that is not."""
    if "why" not in detail:
        return ""
    return str(_REASONS[Why(detail["why"])](detail))


def changes(detail: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return each change as (what, before, after), in words."""
    return [
        (attribute(name), _value(name, before), _value(name, after))
        for name, before, after in detail.get("changes", [])
    ]


def one_line(detail: Mapping[str, Any]) -> str:
    """Return reason or changes on one line, for a CSV."""
    told = [
        f"{name}: {before} → {after}" if before else f"{name}: {after}"
        for name, before, after in changes(detail)
    ]
    return reason(detail) or "; ".join(told)


def _value(name: str, value: str) -> str:
    if name != "active" or not value:
        return value
    return str(_("yes")) if value == "true" else str(_("no"))


_REASONS: dict[Why, Callable[[Mapping[str, Any]], str]] = {
    Why.MISSING: lambda d: _("%(field)s is empty.", field=attribute(d["field"])),
    Why.TOO_LONG: lambda d: _(
        "%(field)s has more than %(longest)s characters.",
        field=attribute(d["field"]),
        longest=d["longest"],
    ),
    Why.UNSEEN: lambda d: _(
        "%(field)s holds a line break or a character that cannot be seen.",
        field=attribute(d["field"]),
    ),
    Why.EMAIL: lambda d: told(d["said"]),
    Why.ACTIVE: lambda d: _("“%(value)s” is neither yes nor no.", value=d["value"]),
    Why.OWNED: lambda d: _(
        "This person comes from %(source)s and is changed there alone.", source=d["source"]
    ),
    Why.ABOVE: lambda d: told(d["said"]),
    Why.GROUP_OWNED: lambda d: _(
        "The group %(group)s comes from %(source)s and is changed there alone.",
        group=d["group"],
        source=d["source"],
    ),
    Why.DUPLICATE: lambda d: _("Line %(line)s is about the same.", line=d["line"]),
    Why.TWO_PEOPLE: lambda d: _("User name and id in the source belong to two different people."),
    Why.NO_MEMBER: lambda d: _("There is no user %(member)s.", member=d["member"]),
    Why.TOO_MANY_CELLS: lambda d: _("The line has more cells than there are headings."),
}
