# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Users: the verbs that doors call, and the cascade.

Functions take values and rows, raise domain errors and never commit: the caller holds
`db.transaction()`. A user's document is its RFC 7643 JSON without id, meta, groups, schemas and
password; the look-up columns and `UserValue` rows are derived from it here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from peewee import IntegrityError

from . import audit, groups, holdings, keys
from .audit import Actor, Event
from .clock import now_ms
from .desks import jobs, stations
from .errors import InvalidValue, NotFound, Taken
from .event_streams import events
from .ids import new_id
from .issuing import activations, approvals
from .lifecycle import LinkState, Reason
from .mails import outbox
from .mails.addresses import check_address
from .models import Challenge, Connection, User, UserValue
from .naming import fold, look_up_key
from .panel import leavers
from .storage.db import Gathered
from .storage.statements import Statements, insert, models, new, parameter, rows_of, update
from .upstream import guard, tally

Document = Mapping[str, object]

MAX_NAME = 256
MAX_DOCUMENT = 1024 * 1024  # bytes; a page holds two hundred
# Long, or nobody looks for people by them: a filter of these reads the documents, as it does of
# what has no values, and each new person is spared an index's page.
UNSEARCHED = frozenset({"photos", "x509Certificates", "phoneNumbers"})


def deactivate(user: User, reason: Reason, actor: Actor, *, also: Sequence[str] = ()) -> None:
    """The cascade: everything that lets this person in is dead when the transaction commits.

    Called by every path: SCIM PATCH, PUT, DELETE and Bulk, the panel and the command line.
    Idempotent. What cannot be undone (revocation, erasure) waits for the grace time, see
    `finish_leavers` (R16). `also`: columns that the caller has set, written by the way.
    """
    leaves = user.active  # who is away already does not leave once more
    if leaves:
        events.note(events.Kind.DEACTIVATED, user)
        user.left_at = now_ms()
        user.departure = None  # back from one that is undecided, and gone by itself
    user.active = False
    rare = holdings.rare_of(user)
    # How many of each is asked for at the end: nothing here waits to hear it.
    sessions = leavers.shut_out(user, actor, account=rare.account)
    links = activations.end_for_leaver(user)
    challenges = _END_CHALLENGES.change((), (user.id,)) if rare.challenge else 0
    running = jobs.cancel_for_user(user, actor) if rare.job else 0
    mails = outbox.end_for_leaver(user)
    suspended = keys.suspend_all(user, reason, actor)
    dropped = keys.drop_drafts(user, actor) if rare.draft else 0
    user.status = keys.status_of(user)
    guard.watch(user, actor, leaves=leaves)
    update(user, "active", "left_at", "departure", "status", *also, refusable=False)
    audit.record(
        actor,
        Event.USER_DEACTIVATED,
        user=user,
        reason=reason,
        sessions=sessions(),
        links=links(),
        challenges=challenges,
        jobs=running,
        mails=mails(),
        keys=suspended + dropped,
    )


def suspend(user: User, actor: Actor) -> None:
    """Say of a person as a directory would that they are not active, and run the cascade."""
    user.renew()
    if not replace_user(user, {**document_of(user), "active": False}, actor=actor):
        deactivate(user, Reason.LEFT, actor)


def resume(user: User, actor: Actor) -> None:
    """Say of a person as a directory would that they are active. Raises NotFound."""
    user.renew()
    if user.deleted_at is not None:
        raise NotFound(f"There is no user {user.resource_id}.")
    changed = replace_user(user, {**document_of(user), "active": True}, actor=actor)
    if not changed and not user.active:
        reactivate(user, actor)


def reactivate(user: User, actor: Actor) -> None:
    """Let a person be active again. No key resumes by itself: an officer does that (R16)."""
    user.active = True
    user.left_at = None
    user.status = keys.status_of(user)
    user.save()
    events.note(events.Kind.ACTIVATED, user)
    audit.record(actor, Event.USER_REACTIVATED, user=user)


def finish_leavers(grace_ms: int) -> int:
    """Revoke the keys of those who left longer ago than the grace time; return how many users."""
    finished = 0
    for source in (None, *Connection.select()):
        due = User.select().where(
            User.connection.is_null() if source is None else User.connection == source,
            User.left_at.is_null(False),
            User.left_at < now_ms() - grace_ms,
            User.departure.is_null(),  # a mass departure waits for a person's decision (R17)
        )
        for user in due.limit(100):
            keys.revoke_all(user, Reason.LEFT, audit.SYSTEM)
            stations.revoke_of(user, audit.SYSTEM)
            user.left_at = user.groups_left = None
            user.save()
            finished += 1
    return finished


def create_user(document: Document, *, connection: Connection | None, actor: Actor) -> User:
    """Make a user. Raises InvalidValue with the field, and Taken (userName, externalId).

    Taken comes from the indexes (S6) and ends the caller's transaction, or its savepoint: a look
    before would cost each new user two statements and still lose a race.
    """
    user = new(User, resource_id=new_id())
    user.connection = connection
    _derive(user, document)
    user.active = document.get("active") is not False
    if not user.active:
        user.status = keys.status_of(user)
    try:
        insert(user)
    except IntegrityError as error:
        raise _taken(user, error) from error
    for row in _values(user, document):
        _VALUES.add(row)
    tally.add(User, user.connection_id, 1)
    events.note(events.Kind.CREATED, user, after=document)
    audit.record(actor, Event.USER_CREATED, user=user, user_name=user.user_name, active=user.active)
    return user


def replace_user(
    user: User,
    document: Document,
    *,
    actor: Actor,
    whole: bool = False,
    before: Document | None = None,
) -> bool:
    """Store a new document. False and nothing touched when it equals the old one.

    `active` going to false runs the cascade; an e-mail that changes kills open links, mails with
    secrets that have not left, and what a second person said before it (T12).
    `whole`: who asks gave all of it, and not only what changes. `before`: what `document_of`
    returned, where it is at hand.
    """
    before = document_of(user) if before is None else before
    if before == document:
        return False
    changed = sorted(n for n in {*before, *document} if before.get(n) != document.get(n))
    was_active = user.active
    if _NAMING.isdisjoint(changed):
        other = ["document"]
        user.document = _text_of(document)
    else:
        old = {name: getattr(user, name) for name in _DERIVED}
        _derive(user, document)
        other = [name for name in _DERIVED if getattr(user, name) != old[name]]
    user.version += 1
    user.updated_at = now_ms()
    active = document.get("active") is not False
    # Only what changed: a column that is named has its indexes written anew.
    columns = ("version", "updated_at", *other)
    late = was_active and not active and other == ["document"]  # nothing that may be taken
    if not late:
        try:
            update(user, *columns)
        except IntegrityError as error:
            raise _taken(user, error) from error
    if any(_elements(before, name) or _elements(document, name) for name in changed):
        _change_values(user, before, document)
    kind = events.Kind.REPLACED if whole else events.Kind.CHANGED
    events.note(kind, user, before, document)
    if changed != ["active"]:
        audit.record(actor, Event.USER_CHANGED, user=user, attributes=changed)
    if "display_name" in other:
        groups.show_renamed(user)
    if "email_key" in other:
        activations.end_for_user(user, LinkState.CANCELLED)
        outbox.end_secrets(user, actor)
        approvals.ask_again(user, actor)
    if was_active and not active:
        deactivate(user, Reason.LEFT, actor, also=columns if late else ())
    elif active and not was_active:
        reactivate(user, actor)
    return True


def delete_user(user: User, actor: Actor) -> None:
    """Run the cascade and leave a tombstone: 404 outside, the name free, the history kept."""
    deactivate(user, Reason.LEFT, actor)
    user.deleted_at = user.updated_at = now_ms()
    user.version += 1
    left = groups.leave_all(user)
    # Not final yet: whoever rejects a mass departure wants these back as well (R17).
    user.groups_left = orjson.dumps(left).decode() if left and user.left_at else None
    update(user, "deleted_at", "updated_at", "version", "groups_left", refusable=False)
    tally.add(User, user.connection_id, -1)
    events.note(events.Kind.DELETED, user)
    audit.record(actor, Event.USER_DELETED, user=user, user_name=user.user_name)


def get_user(resource_id: str, connection: Connection | None = None) -> User:
    """Return a living user; with a connection only what that connection provisioned."""
    owner = (connection.id,) if connection is not None else ()
    found = models(User, _LIVING.rows((bool(owner),), (resource_id, *owner)))
    if not found:
        raise NotFound(f"There is no user {resource_id}.")
    if connection is not None:
        found[0].connection = connection
    return found[0]


def document_of(user: User) -> dict[str, object]:
    """Return the stored document as a fresh dict."""
    document: dict[str, object] = orjson.loads(user.document)
    return document


def is_taken(user_name: str, besides: User | None = None) -> bool:
    """Say whether a living user holds this userName, or one that people cannot tell apart."""
    holders = _HOLDERS.rows((), (fold(user_name),))
    return any(besides is None or pk != besides.id for (pk,) in holders)


def _derive(user: User, document: Document) -> None:
    user_name = _text(document, "userName").strip()
    if not user_name:
        raise InvalidValue("A user name is required.", "userName")
    user.user_name = user_name
    user.user_name_key = look_up_key(user_name, "userName", MAX_NAME)
    user.external_id = _text(document, "externalId") or None
    look_up_key(user.external_id or "", "externalId")
    user.display_name = shown_name(document)
    user.display_name_key = look_up_key(user.display_name, "displayName")
    user.email = mail_address(document)
    user.email_key = fold(user.email) if user.email else None
    user.document = _text_of(document)


def _text_of(document: Document) -> str:
    text = orjson.dumps(document)
    if len(text) > MAX_DOCUMENT:
        raise InvalidValue(f"A user has at most {MAX_DOCUMENT // 1024} KiB.")
    return text.decode()


def shown_name(document: Document) -> str:
    """Return displayName, else name.formatted, else given and family name, else userName."""
    name = document.get("name")
    parts = name if isinstance(name, dict) else {}
    joined = " ".join(str(parts[p]) for p in ("givenName", "familyName") if parts.get(p))
    return (
        _text(document, "displayName")
        or str(parts.get("formatted") or "")
        or joined
        or _text(document, "userName")
    )


def mail_address(document: Document) -> str | None:
    """Return the address that mail goes to: primary, else work, else the first one.

    An address that no mail server could be trusted with counts as none (R28): the directory may
    keep it, we do not send to it.
    """
    emails = [e for e in _elements(document, "emails") if e.get("value")]
    chosen = (
        next((e for e in emails if e.get("primary") is True), None)
        or next((e for e in emails if e.get("type") == "work"), None)
        or next(iter(emails), None)
    )
    if chosen is None:
        return None
    try:
        return check_address(str(chosen["value"]))
    except InvalidValue:
        return None


def _text(document: Document, name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _elements(document: Document, name: str) -> list[Mapping[str, object]]:
    value = document.get(name)
    if not isinstance(value, list):
        return []
    return [element for element in value if isinstance(element, dict)]


def _values(user: User, document: Document) -> set[tuple[object, ...]]:
    """Return the rows of `UserValue` that a document owes. Raises InvalidValue."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, elements in document.items():
        if not isinstance(elements, list) or name in UNSEARCHED:
            continue
        for element in elements:
            if isinstance(element, dict) and element.get("value") is not None:
                value = str(element["value"])
                twins = found.setdefault((name, look_up_key(value, f"{name}.value")), [])
                if value not in twins:
                    twins.append(value)
    return {
        (*key, user.id, place, value)
        for key, twins in found.items()
        for place, value in enumerate(twins)
    }


def _change_values(user: User, before: Document, document: Document) -> None:
    old, new = _values(user, before), _values(user, document)
    _VALUES.flush()
    for row in old - new:
        _FORGET_VALUE.say((), row[:4])
    for row in new - old:
        _VALUES.add(row)


def _store_values(rows: Sequence[tuple[object, ...]]) -> None:
    for start in range(0, len(rows), 50):
        part = rows[start : start + 50]
        _WRITE_VALUES.say((len(part),), [value for row in part for value in row])


def _taken(user: User, error: IntegrityError) -> Taken:
    # Both databases name the index or its columns, PostgreSQL the values as well, further down.
    if "external_id" in str(error).partition("\n")[0]:
        return Taken(
            "Another user already has this externalId.",
            "externalId",
            kind="User",
            value=user.external_id or "",
        )
    return Taken(
        f"The user name {user.user_name} is taken.", "userName", kind="User", value=user.user_name
    )


# What `_derive` reads of a document beside its size, and the columns that it makes.
_NAMING = frozenset({"userName", "externalId", "displayName", "name", "emails"})
_DERIVED = (
    "user_name",
    "user_name_key",
    "external_id",
    "display_name",
    "display_name_key",
    "email",
    "email_key",
    "document",
)


def _living(owned: bool) -> Any:
    query = User.select().where(User.resource_id == parameter(0), User.deleted_at.is_null())
    return query.where(User.connection == parameter(1)) if owned else query


_VALUES = Gathered(_store_values)
_LIVING = Statements(_living)
_HOLDERS = Statements(
    lambda: User.select(User.id).where(
        User.user_name_key == parameter(0), User.deleted_at.is_null()
    )
)
_WRITE_VALUES = Statements(
    lambda count: rows_of(UserValue, ("attribute", "value_key", "user_id", "place", "value"), count)
)
_FORGET_VALUE = Statements(
    lambda: UserValue.delete().where(
        UserValue.attribute == parameter(0),
        UserValue.value_key == parameter(1),
        UserValue.user == parameter(2),
        UserValue.place == parameter(3),
    )
)
_END_CHALLENGES = Statements(lambda: Challenge.delete().where(Challenge.user == parameter(0)))
