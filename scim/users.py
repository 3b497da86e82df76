# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What SCIM may do to users. The caller holds the transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provisioning import directory
from provisioning.mails import notices
from provisioning.models import User

from . import patch as patching
from . import rows
from .caller import Caller, check_version
from .errors import Immutable
from .operations import URN, Op, Operation, parse_operations
from .quirks import Quirk
from .resource_types import USER
from .rows import Row
from .values import Json, check_patched, check_schemas, clean, clean_document, keep_immutable, tidy

Body = Mapping[str, object]


def create(caller: Caller, body: Body) -> Row:
    """Make a user. Raises Taken (a retry after an unknown result makes no twin), InvalidValue."""
    document = tidy(clean_document(USER, body, caller.dialect), "userName")
    document.setdefault("active", True)
    user = directory.create_user(document, connection=caller.connection, actor=caller.actor)
    return rows.of_user(user)


def replace(caller: Caller, resource_id: str, body: Body, if_match: str | None) -> Row:
    """Replace what the client may write; what it leaves out is cleared (RFC 7644 §3.5.1)."""
    user = _open(caller, resource_id, if_match)
    check_id(body, resource_id)
    document = clean_document(USER, body, caller.dialect)
    if USER.immutable:
        keep_immutable(USER, directory.document_of(user), document)
    return _store(caller, user, document, whole=True)


def patch(caller: Caller, resource_id: str, body: Body, if_match: str | None) -> Row:
    """Apply a PatchOp message, all of it or nothing."""
    user = _open(caller, resource_id, if_match)
    return _apply(caller, user, parse_operations(USER, body, resource_id, caller.dialect))


def held(caller: Caller, body: Body) -> str | None:
    """Return the id of who is there already under a body's externalId, if a Bulk POST may merge.

    Among the connection's own people, and never by userName: nobody is adopted by a name.
    """
    quirks = caller.dialect.profile.quirks
    if not caller.connection.merges_bulk or Quirk.REPEATED_POSTS not in quirks:
        return None
    for name, value in body.items():
        path = USER.resolve(name)
        if path is not None and path == USER.resolve("externalId"):
            external_id = clean(path.attribute, value, caller.dialect)
            return rows.holder(caller.connection, str(external_id)) if external_id else None
    return None


def merge(caller: Caller, resource_id: str, body: Body, if_match: str | None) -> Row:
    """Let what is sent replace what is held, as a PATCH would; what is left out stays.

    What a POST passes over (`id`, what is read-only) is passed over here, too.
    """
    caller.dialect.allows(Quirk.REPEATED_POSTS)
    user = _open(caller, resource_id, if_match)
    sent = caller.dialect.body(USER, body)
    check_schemas(USER, sent, caller.dialect)
    sent = {name: value for name, value in sent.items() if name.lower() != "id"}
    message = {"schemas": [URN], "Operations": [{"op": Op.REPLACE.value, "value": sent}]}
    operations = parse_operations(USER, message, resource_id, caller.dialect)
    return _apply(caller, user, [each for each in operations if not each.target.read_only])


def delete(caller: Caller, resource_id: str, if_match: str | None) -> None:
    """Run the cascade and leave a tombstone."""
    directory.delete_user(_open(caller, resource_id, if_match), caller.actor)


def check_id(body: Body, resource_id: str) -> None:
    """Raise Immutable when a body has another id than its address (R9)."""
    for name, value in body.items():
        if name.lower() == "id" and value is not None and value != resource_id:
            raise Immutable("id is read-only.")


def _open(caller: Caller, resource_id: str, if_match: str | None) -> User:
    user = directory.get_user(resource_id, caller.connection)
    check_version(if_match, user.version)
    return user


def _apply(caller: Caller, user: User, operations: Sequence[Operation]) -> Row:
    document = directory.document_of(user)
    patched = patching.apply(document, operations, caller.dialect)
    check_patched(USER, document, patched.document)
    return _store(caller, user, patched.document, before=document)


def _store(
    caller: Caller,
    user: User,
    document: Json,
    *,
    whole: bool = False,
    before: Json | None = None,
) -> Row:
    # Left out or null never reactivates anybody, nor does it end anybody's access (R8).
    document.setdefault("active", user.active)
    old = user.email
    directory.replace_user(
        user, tidy(document, "userName"), actor=caller.actor, whole=whole, before=before
    )
    notices.address_changed(user, old, caller.door.services)
    return rows.of_user(user)
