# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A person's form and their RFC 7643 document, each made from the other. Pure.

What the form does not ask for stays in the document as it is: a second address, a manager.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning import directory

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_NAMES = {"given_name": "givenName", "family_name": "familyName"}
_WORK = {"department": "department", "employee_number": "employeeNumber"}


def apply(document: Mapping[str, object], fields: Mapping[str, str]) -> dict[str, object]:
    """Return the document with the form's fields in it; an empty field takes its value out."""
    told = {name: value.strip() for name, value in fields.items()}
    made: dict[str, Any] = {**document, "userName": told.get("user_name", "")}
    name = _with(_part(document, "name"), told, _NAMES)
    if name != _part(document, "name"):
        name.pop("formatted", None)  # it would tell the old name
    joined = " ".join(name[part] for part in _NAMES.values() if name.get(part))
    made["displayName"] = told.get("display_name") or joined
    made["title"] = told.get("title")
    made["name"] = name
    made["emails"] = _address(document, told.get("email", ""))
    made["phoneNumbers"] = _phone(document, told.get("phone", ""))
    made[ENTERPRISE] = _with(_part(document, ENTERPRISE), told, _WORK)
    for attribute in ("displayName", "title", "name", "emails", "phoneNumbers", ENTERPRISE):
        if not made[attribute]:
            del made[attribute]
    return made


def fields_of(document: Mapping[str, object]) -> dict[str, str]:
    """Return the form's fields as the document has them."""
    name, work = _part(document, "name"), _part(document, ENTERPRISE)
    return {
        "user_name": text(document, "userName"),
        "email": directory.mail_address(document) or "",
        "given_name": text(name, "givenName"),
        "family_name": text(name, "familyName"),
        "display_name": text(document, "displayName"),
        "phone": first(document, "phoneNumbers"),
        "title": text(document, "title"),
        "department": text(work, "department"),
        "employee_number": text(work, "employeeNumber"),
    }


def text(document: Mapping[str, object], name: str) -> str:
    """Return a text attribute, or nothing."""
    value = document.get(name)
    return value if isinstance(value, str) else ""


def first(document: Mapping[str, object], name: str) -> str:
    """Return the first value of a multi-valued attribute, or nothing."""
    return next((str(e["value"]) for e in _elements(document, name) if e.get("value")), "")


def _with(
    part: Mapping[str, Any], told: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, Any]:
    made = {**part, **{names[field]: told.get(field, "") for field in names}}
    return {name: value for name, value in made.items() if value}


def _address(document: Mapping[str, object], address: str) -> list[dict[str, Any]]:
    """Return the addresses with this one in the place of the one that mail goes to now."""
    there = _elements(document, "emails")
    now = directory.mail_address(document)
    place = next((i for i, e in enumerate(there) if now and str(e.get("value")) == now), None)
    if place is None:
        new = [{"value": address, "type": "work", "primary": True}] if address else []
        return [*new, *({**e, "primary": False} if new and e.get("primary") else e for e in there)]
    if not address:
        return [e for i, e in enumerate(there) if i != place]
    return [{**e, "value": address} if i == place else e for i, e in enumerate(there)]


def _phone(document: Mapping[str, object], number: str) -> list[dict[str, Any]]:
    there = _elements(document, "phoneNumbers")
    if not there:
        return [{"value": number, "type": "work"}] if number else []
    return [{**there[0], "value": number}, *there[1:]] if number else there[1:]


def _part(document: Mapping[str, object], name: str) -> dict[str, Any]:
    value = document.get(name)
    return dict(value) if isinstance(value, Mapping) else {}


def _elements(document: Mapping[str, object], name: str) -> list[dict[str, Any]]:
    value = document.get(name)
    there = value if isinstance(value, list) else []
    return [dict(element) for element in there if isinstance(element, Mapping)]
