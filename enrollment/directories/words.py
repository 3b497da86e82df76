# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a connection's words mean: rights, profiles, replies, and each leniency in one sentence."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from provisioning.upstream.connections import PatchReply, Profile, Scope

_SCOPES = {
    Scope.WRITE: _l("Write users and groups"),
    Scope.USERS: _l("Write users only"),
    Scope.READ: _l("Read only"),
}
_PROFILES = {
    Profile.TOLERANT: _l("Tolerant (any known directory)"),
    Profile.STRICT: _l("Strict (RFC 7643 and 7644, nothing else)"),
    Profile.ENTRA: _l("Microsoft Entra ID"),
    Profile.OKTA: _l("Okta"),
    Profile.ONELOGIN: _l("OneLogin"),
}
_REPLIES = {
    PatchReply.USUAL: _l("200 for users, 204 for groups"),
    PatchReply.BODY: _l("Always 200, with the result"),
    PatchReply.EMPTY: _l("Always 204"),
}
# One sentence for each leniency of the SCIM door; a test holds the two together.
_QUIRKS = {
    "operation_case": _l("PATCH operations in capitals (“Add”, “Replace”), which Entra ID sends."),
    "boolean_strings": _l("True and false in quotation marks, which Entra ID and OneLogin send."),
    "empty_strings": _l("An empty text clears an attribute, as Entra ID does for the manager."),
    "listed_removals": _l(
        "Members are removed by naming them in the value instead of the path (Entra ID, "
        "JumpCloud). Read to the letter that would empty the whole group."
    ),
    "bare_values": _l("A plain text where an object is asked for: the manager’s id, an address."),
    "wrapped_values": _l("A single value in a list, where no list is asked for."),
    "unwrapped_lists": _l("One object where a list is asked for: OneLogin’s emails."),
    "flat_enterprise": _l(
        "Attributes of the enterprise extension beside the core ones: “department” next to "
        "“userName”."
    ),
    "manager_id": _l("“managerId” for the manager, from OneLogin’s template."),
    "qualified_keys": _l("Attribute names with their schema in front, inside a body."),
    "misspelt_urn": _l("The enterprise schema as a sample of Microsoft’s once misspelt it."),
    "unknown_schemas": _l("Schemas in the list that this product does not have; they are ignored."),
    "missing_schemas": _l("No list of schemas, or one that leaves an extension out."),
    "unknown_schema_paths": _l(
        "PATCH of an attribute that no schema knows: counted below, and not stored."
    ),
    "read_only_in_value": _l("The id among what a PATCH changes, from Okta; it stays as it is."),
    "upsert_on_replace": _l(
        "Replacing an element that is not there yet, such as the work e-mail: it is added."
    ),
    "many_primaries": _l("Several elements marked as primary: the first one stays it."),
    "repeated_posts": _l(
        "A Bulk POST of somebody who is there, from HR connectors: it changes them, as the "
        "settings allow."
    ),
}


def scope_words(scope: str) -> str:
    """Return what a scope lets a directory do."""
    return str(_SCOPES[Scope(scope)])


def profile_words(profile: str) -> str:
    """Return a profile's name."""
    return str(_PROFILES[Profile(profile)])


def scopes() -> list[tuple[str, str]]:
    """Return the scopes for a form."""
    return [(scope.value, str(words)) for scope, words in _SCOPES.items()]


def profiles() -> list[tuple[str, str]]:
    """Return the profiles for a form."""
    return [(profile.value, str(words)) for profile, words in _PROFILES.items()]


def replies() -> list[tuple[str, str]]:
    """Return the ways to answer a PATCH for a form."""
    return [(reply.value, str(words)) for reply, words in _REPLIES.items()]


def quirk_words(name: str) -> str:
    """Return what a leniency is; one that a later version wrote has its name only."""
    return str(_QUIRKS.get(name, _("A leniency that this version does not know.")))
