# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The attribute tables: User, Group, EnterpriseUser (RFC 7643 §4, §8.7) and SecurityKey.

Data only, hence the length. A new attribute or extension is a new row here.
"""

from __future__ import annotations

from .schema import (
    Attribute,
    Mutability,
    ResourceType,
    Returned,
    Schema,
    Type,
    Uniqueness,
)

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
# Entra accepts custom attributes only under `urn:ietf:params:scim:schemas:extension:`.
KEYWRIGHT_USER = "urn:ietf:params:scim:schemas:extension:keywright:2.0:User"
KEYWRIGHT_SECURITY_KEY = "urn:ietf:params:scim:schemas:extension:keywright:2.0:SecurityKey"

_READ_ONLY = Mutability.READ_ONLY


def _date(name: str, description: str) -> Attribute:
    return Attribute(name, description, Type.DATE_TIME, mutability=_READ_ONLY)


def _shown(name: str, description: str, *canonical: str) -> Attribute:
    """A text that only the server writes and that compares exactly: an id or a state word."""
    return Attribute(
        name, description, case_exact=True, mutability=_READ_ONLY, canonical_values=canonical
    )


def _reference(description: str, *types: str, mutability: Mutability = _READ_ONLY) -> Attribute:
    return Attribute(
        "$ref",
        description,
        Type.REFERENCE,
        case_exact=True,
        mutability=mutability,
        reference_types=types,
    )


_PRIMARY = Attribute(
    "primary", "Whether this is the preferred value; true at most once.", Type.BOOLEAN
)


def _plural(name: str, description: str, value: Attribute, *types: str) -> Attribute:
    """A multi-valued attribute with the usual sub-attributes of RFC 7643 §2.4."""
    return Attribute(
        name,
        description,
        Type.COMPLEX,
        multi_valued=True,
        sub_attributes=(
            value,
            Attribute("display", "A name for people to read."),
            Attribute("type", "What the value is for.", canonical_values=types),
            _PRIMARY,
        ),
    )


# Rows that the protocol treats apart. Ask with `is`: an extension's attribute may have the name.
URNS = Attribute(
    "schemas",
    "URNs of the schemas whose attributes are present.",
    Type.REFERENCE,
    multi_valued=True,
    required=True,
    returned=Returned.ALWAYS,
    reference_types=("uri",),
)
PASSWORD = Attribute(
    "password",
    "Accepted and dropped: the service has no passwords.",
    case_exact=True,
    mutability=Mutability.WRITE_ONLY,
    returned=Returned.NEVER,
)
MEMBERS = Attribute(
    "members",
    "Who is in the group.",
    Type.COMPLEX,
    multi_valued=True,
    sub_attributes=(
        Attribute(
            "value",
            "Identifier of the member.",
            case_exact=True,
            mutability=Mutability.IMMUTABLE,
        ),
        _reference("Address of the member.", "User", "Group", mutability=Mutability.IMMUTABLE),
        Attribute(
            "type",
            "What the member is.",
            mutability=Mutability.IMMUTABLE,
            canonical_values=("User", "Group"),
        ),
        Attribute("display", "Name of the member.", mutability=_READ_ONLY),
    ),
)

COMMON = (
    URNS,
    Attribute(
        "id",
        "The server's identifier, never used again.",
        required=True,
        case_exact=True,
        mutability=_READ_ONLY,
        returned=Returned.ALWAYS,
        uniqueness=Uniqueness.SERVER,
    ),
    Attribute("externalId", "The directory's own identifier.", case_exact=True),
    Attribute(
        "meta",
        "What the server knows about the resource.",
        Type.COMPLEX,
        mutability=_READ_ONLY,
        sub_attributes=(
            _shown("resourceType", "Name of the resource type."),
            _date("created", "When it was made."),
            _date("lastModified", "When it last changed."),
            Attribute(
                "location",
                "Its address.",
                Type.REFERENCE,
                case_exact=True,
                mutability=_READ_ONLY,
                reference_types=("uri",),
            ),
            _shown("version", "Its entity tag."),
        ),
    ),
)

USER_SCHEMA = Schema(
    CORE_USER,
    "User",
    "A person's account.",
    (
        Attribute(
            "userName",
            "The name that identifies the person to the service.",
            required=True,
            uniqueness=Uniqueness.SERVER,
        ),
        Attribute(
            "name",
            "The parts of the person's name.",
            Type.COMPLEX,
            sub_attributes=(
                Attribute("formatted", "The whole name, ready to be shown."),
                Attribute("familyName", "The family name, or last name."),
                Attribute("givenName", "The given name, or first name."),
                Attribute("middleName", "The middle names."),
                Attribute("honorificPrefix", "A title, such as Ms."),
                Attribute("honorificSuffix", "A suffix, such as III."),
            ),
        ),
        Attribute("displayName", "The name to show for the person."),
        Attribute("nickName", "What the person is called in everyday life."),
        Attribute(
            "profileUrl",
            "Address of a page about the person.",
            Type.REFERENCE,
            case_exact=True,
            reference_types=("external",),
        ),
        Attribute("title", "The person's title, such as Vice President."),
        Attribute("userType", "How the person belongs to the organisation, such as Contractor."),
        Attribute("preferredLanguage", "Preferred languages, as in HTTP Accept-Language."),
        Attribute("locale", "Region for dates, numbers and currency, such as en-US."),
        Attribute("timezone", "Time zone in IANA form, such as Europe/Paris."),
        Attribute(
            "active",
            "Whether the person may use the service. Setting it to false ends "
            "every session and suspends every security key.",
            Type.BOOLEAN,
        ),
        PASSWORD,
        _plural(
            "emails",
            "E-mail addresses.",
            Attribute("value", "An e-mail address."),
            "work",
            "home",
            "other",
        ),
        _plural(
            "phoneNumbers",
            "Telephone numbers.",
            Attribute("value", "A telephone number."),
            "work",
            "home",
            "mobile",
            "fax",
            "pager",
            "other",
        ),
        _plural(
            "ims",
            "Instant messaging addresses.",
            Attribute("value", "An address."),
            "aim",
            "gtalk",
            "icq",
            "xmpp",
            "msn",
            "skype",
            "qq",
            "yahoo",
        ),
        _plural(
            "photos",
            "Addresses of pictures of the person.",
            Attribute(
                "value",
                "Address of a picture.",
                Type.REFERENCE,
                case_exact=True,
                reference_types=("external",),
            ),
            "photo",
            "thumbnail",
        ),
        Attribute(
            "addresses",
            "Postal addresses.",
            Type.COMPLEX,
            multi_valued=True,
            sub_attributes=(
                Attribute("formatted", "The whole address, ready to be shown."),
                Attribute("streetAddress", "Street, house number, post box."),
                Attribute("locality", "City or place."),
                Attribute("region", "State or region."),
                Attribute("postalCode", "Postal code."),
                Attribute("country", "Country, ISO 3166-1 alpha-2."),
                Attribute(
                    "type", "What the address is for.", canonical_values=("work", "home", "other")
                ),
                _PRIMARY,
            ),
        ),
        Attribute(
            "groups",
            "Groups the person is in, directly or through other groups.",
            Type.COMPLEX,
            multi_valued=True,
            mutability=_READ_ONLY,
            sub_attributes=(
                _shown("value", "Identifier of the group."),
                _reference("Address of the group.", "Group"),
                Attribute("display", "Name of the group.", mutability=_READ_ONLY),
                Attribute(
                    "type",
                    "How the person is in the group.",
                    mutability=_READ_ONLY,
                    canonical_values=("direct", "indirect"),
                ),
            ),
        ),
        _plural(
            "entitlements",
            "What the person is entitled to. Grants nothing here.",
            Attribute("value", "An entitlement."),
        ),
        _plural(
            "roles",
            "The person's roles in the organisation. Grants nothing here.",
            Attribute("value", "A role."),
        ),
        _plural(
            "x509Certificates",
            "Certificates of the person.",
            Attribute("value", "A DER certificate in base64.", Type.BINARY, case_exact=True),
        ),
    ),
)

ENTERPRISE_SCHEMA = Schema(
    ENTERPRISE_USER,
    "EnterpriseUser",
    "What an organisation knows about the people who work for it.",
    (
        Attribute("employeeNumber", "Number the organisation gave the person."),
        Attribute("costCenter", "Cost centre."),
        Attribute("organization", "Organisation."),
        Attribute("division", "Division."),
        Attribute("department", "Department."),
        Attribute(
            "manager",
            "The person's manager.",
            Type.COMPLEX,
            sub_attributes=(
                Attribute("value", "Identifier of the manager.", case_exact=True),
                _reference("Address of the manager.", "User", mutability=Mutability.READ_WRITE),
                Attribute("displayName", "Name of the manager.", mutability=_READ_ONLY),
            ),
        ),
    ),
)

_KEY_KIND = _shown("kind", "What kind of key it is.", "contactless_card", "usb_key", "passkey")
_KEY_STATE = _shown(
    "state",
    "Where the key stands; only an active one signs in.",
    "pending",
    "active",
    "suspended",
    "needs_reset",
    "revoked",
)
_KEY_REASON = _shown("reason", "Why it is suspended or revoked.")
_KEY_MODEL = _shown("model", "Model as proved by attestation.")
_KEY_ACTIVATED = _date("activatedAt", "When it became active.")
_KEY_LAST_USED = _date("lastUsedAt", "When it was last used.")

KEYWRIGHT_USER_SCHEMA = Schema(
    KEYWRIGHT_USER,
    "KeywrightUser",
    "The security keys in a person's hand.",
    (
        Attribute(
            "securityKeys",
            "The person's security keys. Never a secret, never a PIN.",
            Type.COMPLEX,
            multi_valued=True,
            mutability=_READ_ONLY,
            sub_attributes=(
                _shown("value", "Identifier of the key."),
                _reference("Address of the key.", "SecurityKey"),
                Attribute("display", "Name of the key.", mutability=_READ_ONLY),
                _KEY_KIND,
                _KEY_STATE,
                _KEY_REASON,
                _KEY_MODEL,
                _KEY_ACTIVATED,
                _KEY_LAST_USED,
            ),
        ),
    ),
)

SECURITY_KEY_SCHEMA = Schema(
    KEYWRIGHT_SECURITY_KEY,
    "SecurityKey",
    "A security key that a person holds. Read-only.",
    (
        Attribute("displayName", "Name of the key.", mutability=_READ_ONLY),
        Attribute(
            "user",
            "The person who holds it.",
            Type.COMPLEX,
            mutability=_READ_ONLY,
            sub_attributes=(
                _shown("value", "Identifier of the person."),
                _reference("Address of the person.", "User"),
                Attribute("display", "Name of the person.", mutability=_READ_ONLY),
            ),
        ),
        _KEY_KIND,
        _KEY_STATE,
        _KEY_REASON,
        _KEY_MODEL,
        _shown("aaguid", "AAGUID of the model."),
        _KEY_ACTIVATED,
        _date("confirmedAt", "When it was first used with a PIN that its holder set."),
        _date("suspendedAt", "When it was suspended."),
        _date("revokedAt", "When it was revoked."),
        _KEY_LAST_USED,
    ),
)

GROUP_SCHEMA = Schema(
    CORE_GROUP,
    "Group",
    "A group of people and of other groups.",
    (
        Attribute("displayName", "Name of the group.", required=True),
        MEMBERS,
    ),
)

USER = ResourceType(
    "User", "/Users", "People.", USER_SCHEMA, (ENTERPRISE_SCHEMA, KEYWRIGHT_USER_SCHEMA), COMMON
)
GROUP = ResourceType("Group", "/Groups", "Groups of people.", GROUP_SCHEMA, (), COMMON)
SECURITY_KEY = ResourceType(
    "SecurityKey", "/SecurityKeys", "Security keys, read-only.", SECURITY_KEY_SCHEMA, (), COMMON
)

ALL: tuple[ResourceType, ...] = (USER, GROUP, SECURITY_KEY)

SCHEMAS: tuple[Schema, ...] = (
    USER_SCHEMA,
    GROUP_SCHEMA,
    ENTERPRISE_SCHEMA,
    KEYWRIGHT_USER_SCHEMA,
    SECURITY_KEY_SCHEMA,
)
