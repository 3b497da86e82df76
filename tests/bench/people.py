# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""People as a directory sends them: the attributes that the large ones provision by default."""

from __future__ import annotations

from collections.abc import Mapping

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

_GIVEN = ("Ada", "Alan", "Barbara", "Edsger", "Frances", "Grace", "John", "Katherine", "Niklaus")
_FAMILY = ("Allen", "Backus", "Dijkstra", "Hopper", "Johnson", "Liskov", "Lovelace", "Turing")
_DEPARTMENTS = ("Cardiology", "Finance", "Logistics", "Radiology", "Surgery")


def document(number: int) -> dict[str, object]:
    """Return the attributes of one person: 0.6 kB of JSON, another one for each number."""
    given, family = _GIVEN[number % len(_GIVEN)], _FAMILY[number % len(_FAMILY)]
    name = user_name(number)
    return {
        "userName": name,
        "externalId": external_id(number),
        "name": {"givenName": given, "familyName": family, "formatted": f"{given} {family}"},
        "displayName": f"{given} {family}",
        "title": "Nurse",
        "userType": "Employee",
        "preferredLanguage": "en",
        "active": True,
        "emails": [{"value": name, "type": "work", "primary": True}],
        "phoneNumbers": [{"value": f"+1 555 {number:07}", "type": "work"}],
        ENTERPRISE: {
            "employeeNumber": str(number),
            "department": _DEPARTMENTS[number % len(_DEPARTMENTS)],
        },
    }


def body(number: int) -> Mapping[str, object]:
    """Return the same as the body of a POST."""
    return {"schemas": [USER, ENTERPRISE], **document(number)}


def user_name(number: int) -> str:
    """Return the userName of a person."""
    return f"Person.{number:07}@example.com"


def external_id(number: int) -> str:
    """Return the externalId of a person."""
    return f"9f2c51ab-{number:012x}"
