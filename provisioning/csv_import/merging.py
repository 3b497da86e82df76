# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A person's document with the cells of a line in it, and what that changes for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass(frozen=True)
class Change:
    """One attribute's change, as people are shown it."""

    attribute: str
    before: str
    after: str


def merged(
    before: Mapping[str, object], told: Mapping[str, str], active: bool | None
) -> dict[str, object]:
    """Return the document with what the line says in it; what it is silent about stays."""
    made: dict[str, Any] = dict(before)
    for name in ("userName", "displayName", "title", "externalId", "preferredLanguage"):
        if told.get(name):
            made[name] = told[name]
    parts = {name: told[name] for name in ("givenName", "familyName") if told.get(name)}
    if parts:
        known = made.get("name")
        whole = {**(known if isinstance(known, Mapping) else {}), **parts}
        whole.pop("formatted", None)  # it would tell the old one
        if not told.get("displayName") and made.get("displayName") in (None, _joined(known)):
            made["displayName"] = _joined(whole)
        made["name"] = whole
    work = {name: told[name] for name in ("department", "employeeNumber") if told.get(name)}
    if work:
        known = made.get(ENTERPRISE)
        made[ENTERPRISE] = {**(known if isinstance(known, Mapping) else {}), **work}
    if told.get("email"):
        made["emails"] = _with_first(made.get("emails"), told["email"], primary=True)
    if told.get("phone"):
        made["phoneNumbers"] = _with_first(made.get("phoneNumbers"), told["phone"])
    if active is not None:
        made["active"] = active
    return made


def _joined(name: object) -> str | None:
    if not isinstance(name, Mapping):
        return None
    return " ".join(str(name[part]) for part in ("givenName", "familyName") if name.get(part))


def _with_first(known: object, value: str, **more: object) -> list[dict[str, object]]:
    """Return the list with its main element's value changed; its others stay."""
    elements = (
        [dict(one) for one in known if isinstance(one, Mapping)] if isinstance(known, list) else []
    )
    for test in (lambda one: one.get("primary") is True, lambda one: one.get("type") == "work"):
        main = next((one for one in elements if test(one)), None)
        if main is not None:
            main["value"] = value
            return elements
    return [{"value": value, "type": "work", **more}, *elements]


def changes_of(before: Mapping[str, object], after: Mapping[str, object]) -> list[Change]:
    """Return what differs, attribute by attribute."""
    old, new = _flat(before), _flat(after)
    return [Change(name, old[name], new[name]) for name in new if old[name] != new[name]]


def _flat(document: Mapping[str, object]) -> dict[str, str]:
    """Return what an import can change of a document, as people read it."""
    name, work = _inner(document, "name"), _inner(document, ENTERPRISE)
    words = {
        "userName": document.get("userName"),
        "email": _main(document.get("emails")),
        "givenName": name.get("givenName"),
        "familyName": name.get("familyName"),
        "displayName": document.get("displayName"),
        "phone": _main(document.get("phoneNumbers")),
        "title": document.get("title"),
        "department": work.get("department"),
        "employeeNumber": work.get("employeeNumber"),
        "externalId": document.get("externalId"),
        "preferredLanguage": document.get("preferredLanguage"),
        "active": "false" if document.get("active") is False else "true",
    }
    return {key: str(value) if value else "" for key, value in words.items()}


def _inner(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def _main(elements: object) -> object:
    found = (
        [one for one in elements if isinstance(one, Mapping)] if isinstance(elements, list) else []
    )
    best = next((one for one in found if one.get("primary") is True), None)
    best = best or next((one for one in found if one.get("type") == "work"), None)
    return (best or next(iter(found), {})).get("value")
