# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Client dialects: each leniency is a named flag, allowed by a profile, counted when used.

A dialect runs before the strict core: it turns what clients send into what RFC 7643 and RFC 7644
say, and the core accepts nothing else. Vendor behaviour is named where the flag is declared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any

from .errors import InvalidSyntax
from .resource_types import ENTERPRISE_USER
from .schema import Attribute, AttributePath, ResourceType, Type

_MISSPELT_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0user"


@unique
class Quirk(StrEnum):
    """One leniency each. The text after the name says who needs it."""

    OPERATION_CASE = "operation_case"  # Entra: "Add", "Replace", "Remove"
    BOOLEAN_STRINGS = "boolean_strings"  # Entra: "False"; OneLogin: "true"
    EMPTY_STRINGS = "empty_strings"  # Entra: "" clears an attribute
    LISTED_REMOVALS = "listed_removals"  # Entra, JumpCloud: remove "members" with a value
    BARE_VALUES = "bare_values"  # Entra: manager "id"; others: emails ["a@b"]
    WRAPPED_VALUES = "wrapped_values"  # Entra: manager [{…}], title [{"value": …}]
    UNWRAPPED_LISTS = "unwrapped_lists"  # OneLogin: emails {…}
    FLAT_ENTERPRISE = "flat_enterprise"  # Entra: "department" beside "userName"
    MANAGER_ID = "manager_id"  # OneLogin: "managerId"
    QUALIFIED_KEYS = "qualified_keys"  # Entra: {"urn:…:User:employeeNumber": …} in a body
    MISSPELT_URN = "misspelt_urn"  # Entra's published sample: "…:enterprise:2.0User"
    UNKNOWN_SCHEMAS = "unknown_schemas"  # Entra: "http://schemas.microsoft.com/…/Group"
    MISSING_SCHEMAS = "missing_schemas"  # hand-made clients; OneLogin leaves out extensions
    UNKNOWN_SCHEMA_PATHS = "unknown_schema_paths"  # Entra, Okta: custom attributes in PATCH
    READ_ONLY_IN_VALUE = "read_only_in_value"  # Okta: `id` beside what a PATCH changes
    UPSERT_ON_REPLACE = "upsert_on_replace"  # Entra: replace emails[type eq "work"] when none
    MANY_PRIMARIES = "many_primaries"  # several elements marked primary: the first stays
    REPEATED_POSTS = "repeated_posts"  # HR connectors (Entra's bulkUpload), where a connection may


@dataclass(frozen=True)
class Profile:
    """What one connection's directory may get wrong."""

    name: str
    quirks: frozenset[Quirk]


_ENTRA = frozenset(
    {
        Quirk.OPERATION_CASE,
        Quirk.BOOLEAN_STRINGS,
        Quirk.EMPTY_STRINGS,
        Quirk.LISTED_REMOVALS,
        Quirk.BARE_VALUES,
        Quirk.WRAPPED_VALUES,
        Quirk.FLAT_ENTERPRISE,
        Quirk.QUALIFIED_KEYS,
        Quirk.MISSPELT_URN,
        Quirk.UNKNOWN_SCHEMAS,
        Quirk.UNKNOWN_SCHEMA_PATHS,
        Quirk.UPSERT_ON_REPLACE,
        Quirk.MANY_PRIMARIES,
        Quirk.REPEATED_POSTS,
    }
)
_OKTA = frozenset(
    {
        Quirk.READ_ONLY_IN_VALUE,
        Quirk.UNKNOWN_SCHEMAS,
        Quirk.UNKNOWN_SCHEMA_PATHS,
        Quirk.BOOLEAN_STRINGS,
        Quirk.MISSING_SCHEMAS,
        Quirk.BARE_VALUES,
        Quirk.REPEATED_POSTS,
    }
)
_ONELOGIN = frozenset(
    {
        Quirk.BOOLEAN_STRINGS,
        Quirk.UNWRAPPED_LISTS,
        Quirk.MANAGER_ID,
        Quirk.MISSING_SCHEMAS,
        Quirk.UNKNOWN_SCHEMAS,
        Quirk.EMPTY_STRINGS,
        Quirk.FLAT_ENTERPRISE,
        Quirk.OPERATION_CASE,
        Quirk.BARE_VALUES,
        Quirk.REPEATED_POSTS,
    }
)

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("tolerant", frozenset(Quirk)),
        Profile("strict", frozenset()),
        Profile("entra", _ENTRA),
        Profile("okta", _OKTA),
        Profile("onelogin", _ONELOGIN),
    )
}


def _counts() -> defaultdict[Any, int]:
    return defaultdict(int)  # one for each request, in a tenth of a Counter's time


@dataclass
class Dialect:
    """One request's reading of a profile: what it may use, what it used, what nothing knows."""

    profile: Profile
    used: defaultdict[Quirk, int] = field(default_factory=_counts)
    unknown: defaultdict[str, int] = field(default_factory=_counts)

    def allows(self, quirk: Quirk) -> bool:
        """Say whether the profile has the flag, and count its use if so."""
        if quirk not in self.profile.quirks:
            return False
        self.used[quirk] += 1
        return True

    def note_unknown(self, name: str) -> None:
        """Count an attribute that a directory sends and no schema knows (R9)."""
        self.unknown[name[:128]] += 1

    def urn(self, urn: str) -> str:
        """Return a schema URN as it should have been spelled."""
        if urn.lower() == _MISSPELT_ENTERPRISE and self.allows(Quirk.MISSPELT_URN):
            return ENTERPRISE_USER
        return urn

    def name(self, type_: ResourceType, name: str) -> str:
        """Return the qualified name that a client means by a PATCH path or a body's key."""
        if ":" not in name and type_.resolve(name) is not None:
            return name
        if name.lower().startswith(_MISSPELT_ENTERPRISE) and self.allows(Quirk.MISSPELT_URN):
            return ENTERPRISE_USER + name[len(_MISSPELT_ENTERPRISE) :]
        if ":" in name:
            return name
        if name.lower() == "managerid" and type_.extension(ENTERPRISE_USER) is not None:
            if self.allows(Quirk.MANAGER_ID):
                return f"{ENTERPRISE_USER}:manager"
        elif type_.resolve(f"{ENTERPRISE_USER}:{name}") is not None and self.allows(
            Quirk.FLAT_ENTERPRISE
        ):
            return f"{ENTERPRISE_USER}:{name}"
        return name

    def body(self, type_: ResourceType, body: Mapping[str, object]) -> dict[str, object]:
        """Return a resource's body with every key where its schema has it.

        Raises InvalidSyntax for a qualified key where the profile has none: left out as unknown,
        it would empty what it names. So does an attribute that comes twice, as in `json_body`.
        """
        if type_.keys.issuperset(body):
            return dict(body)
        moved: dict[str, object] = {}
        flat: dict[AttributePath, object] = {}
        qualified: set[AttributePath] = set()
        for key, value in body.items():
            name = self.name(type_, key)
            path = type_.resolve(name) if ":" in name else None
            if path is None or path.sub is not None:
                moved[name] = value
                continue
            if name == key:
                if not self.allows(Quirk.QUALIFIED_KEYS):
                    raise InvalidSyntax(f"{key} is a path: in a body stands the name alone.")
                qualified.add(path)
            if path.extension is None:
                moved[path.attribute.name] = value
            else:
                flat[path] = value
        if len(set(map(str.lower, moved))) + len(flat) != len(body):
            raise InvalidSyntax("The body has the same attribute twice.")
        for path, value in flat.items():
            if not _put(moved, path, value) and path in qualified:
                raise InvalidSyntax(f"The body has {path} twice.")
        return moved

    def value(self, attribute: Attribute, value: object, *, element: bool = False) -> object:
        """Return an attribute's value in the shape that its schema asks for."""
        if attribute.multi_valued and not element:
            return value if type(value) is list else self._list(value)
        if not isinstance(value, (str, list)):
            return value  # no dialect has another form of an object, a truth or a number
        if value == "":
            return None if self.allows(Quirk.EMPTY_STRINGS) else value
        if isinstance(value, list) and len(value) == 1 and self.allows(Quirk.WRAPPED_VALUES):
            value = value[0]
            if isinstance(value, dict) and not attribute.is_complex and "value" in value:
                value = value["value"]
        if attribute.is_complex:
            if isinstance(value, str) and attribute.sub("value") and self.allows(Quirk.BARE_VALUES):
                return {"value": value}
        elif (
            attribute.type is Type.BOOLEAN
            and isinstance(value, str)
            and value.lower() in ("true", "false")
            and self.allows(Quirk.BOOLEAN_STRINGS)
        ):
            return value.lower() == "true"
        return value

    def _list(self, value: object) -> object:
        if isinstance(value, dict) and self.allows(Quirk.UNWRAPPED_LISTS):
            return [value]
        if value == "" and self.allows(Quirk.EMPTY_STRINGS):
            return None
        if isinstance(value, str) and self.allows(Quirk.BARE_VALUES):
            return [value]
        return value


def _put(moved: dict[str, object], path: AttributePath, value: object) -> bool:
    """Put a flat attribute under its extension, unless the extension itself has it."""
    urn = path.extension or ""
    place = next((key for key in moved if key.lower() == urn.lower()), urn)
    given = moved.get(place)
    known = given if isinstance(given, Mapping) else {}
    if any(name.lower() == path.attribute.name.lower() for name in known):
        return False
    moved[place] = {**known, path.attribute.name: value}
    return True
