# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What one line of an imported file would change, and doing it.

A plan is made from the line and what is stored now, and made again when it is applied: only what
was shown is done. An import changes whom it made itself or an admin made by hand; people and
groups of a directory are that directory's, and a line about them is a conflict (R7, R9). An empty
cell leaves what is there, and memberships are added, never taken away. Nobody says by a file what
their role keeps them from saying on a person's page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, unique

from .. import directory, groups
from ..audit import Actor
from ..errors import Forbidden, InvalidValue
from ..mails import notices
from ..mails.addresses import check_address
from ..models import Connection, Group, Member, User
from ..naming import fold, look_up_key
from ..panel import access
from ..services import Services
from ..storage.statements import Statements, models, parameter
from .columns import Content
from .merging import Change, changes_of, merged

MAX_TEXT = 256
GROUP_SEPARATORS = ";|\n"

_TRUE = frozenset({"true", "yes", "y", "1", "active", "enabled", "ja", "aktiv", "x"})
_FALSE = frozenset({"false", "no", "n", "0", "inactive", "disabled", "nein", "inaktiv"})


@unique
class Verb(StrEnum):
    """What a line would do."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"


@unique
class Why(StrEnum):
    """Why a line cannot be done; `words` has the sentences."""

    MISSING = "missing"  # field
    TOO_LONG = "too_long"  # field
    UNSEEN = "unseen"  # field: a line break or a character that cannot be seen
    EMAIL = "email"  # said
    ACTIVE = "active"  # value
    OWNED = "owned"  # source
    ABOVE = "above"  # said
    GROUP_OWNED = "group_owned"  # group, source
    DUPLICATE = "duplicate"  # line
    TWO_PEOPLE = "two_people"
    NO_MEMBER = "no_member"  # member
    TOO_MANY_CELLS = "too_many_cells"


@dataclass(frozen=True)
class Plan:
    """What a line does. `person` and `group` are rows that exist already."""

    verb: Verb
    label: str
    key: str | None = None
    changes: tuple[Change, ...] = ()
    why: Why | None = None
    about: Mapping[str, object] = field(default_factory=dict)
    person: User | None = None
    group: Group | None = None
    document: Mapping[str, object] | None = None
    join: tuple[str, ...] = ()  # names of groups to be a member of

    @property
    def detail(self) -> dict[str, object]:
        """The plan for the table, as JSON."""
        if self.why is not None:
            return {"why": self.why, **self.about}
        changes = [[one.attribute, one.before, one.after] for one in self.changes]
        return {"changes": changes} if changes else {}

    def does_the_same_as(self, verb: str, detail: Mapping[str, object]) -> bool:
        """Say whether this is what was shown before."""
        return self.verb == verb and self.detail == detail


class _Conflict(Exception):
    """The way out of a plan that cannot be made."""

    def __init__(self, why: Why, **about: object) -> None:
        super().__init__(why)
        self.why, self.about = why, about


def of_line(content: Content, told: Mapping[str, str], source: Connection, admin: Actor) -> Plan:
    """Return the plan of a line; `told` is what its cells say, by attribute, stripped.

    `admin` is who imports.
    """
    label = told.get("userName") or told.get("group") or ""
    if content is Content.GROUPS and told.get("member"):
        label = f"{label} · {told['member']}"
    try:
        if content is Content.PEOPLE:
            return _person(told, source, label, admin)
        return _membership(told, label)
    except _Conflict as conflict:
        return Plan(
            Verb.CONFLICT,
            label[:MAX_TEXT],
            _key(content, told),
            why=conflict.why,
            about=conflict.about,
            person=_own(told, source) if content is Content.PEOPLE else None,
        )


def apply(plan: Plan, source: Connection, actor: Actor, services: Services) -> None:
    """Do what the plan says, in the caller's transaction. Raises the core's errors."""
    person = plan.person
    if plan.document is not None:
        if person is None:
            person = directory.create_user(plan.document, connection=source, actor=actor)
        else:
            old = person.email
            directory.replace_user(person, plan.document, actor=actor)
            notices.address_changed(person, old, services)
    if person is not None:
        for name in plan.join:
            group = _local_group(name) or groups.create_group(
                {"displayName": name}, connection=None, actor=actor
            )
            groups.add_members(group, [person.resource_id], actor=actor)
    elif plan.join and plan.group is None:  # a line of a file of groups, without a member
        groups.create_group({"displayName": plan.join[0]}, connection=None, actor=actor)


def _person(told: Mapping[str, str], source: Connection, label: str, admin: Actor) -> Plan:
    user_name = told.get("userName", "")
    if not user_name:
        raise _Conflict(Why.MISSING, field="userName")
    for name, value in told.items():
        if name != "groups":
            _check_text(name, value)
    active = _boolean(told.get("active", ""))
    if told.get("email"):
        try:
            check_address(told["email"])
        except InvalidValue as error:
            raise _Conflict(Why.EMAIL, said=str(error)) from None
    person = _find(user_name, told.get("externalId", ""), source)
    _may_change(person, source)
    before = directory.document_of(person) if person is not None else {"active": True}
    document = merged(before, told, active)
    if person is not None:
        _check_not_above(admin, person, document)
    wanted = _groups(told.get("groups", ""))
    join = tuple(name for name in wanted if not _is_member(name, person))
    changes = changes_of(before, document)
    if person is None:  # nobody was active before
        changes = [replace(one, before="") for one in changes]
    if join:
        changes.append(Change("groups", "", ", ".join(join)))
    verb = Verb.CREATE if person is None else (Verb.CHANGE if changes else Verb.UNCHANGED)
    changed = document if person is None or document != before else None
    return Plan(
        verb,
        label,
        fold(user_name),
        tuple(changes),
        person=person,
        document=changed,
        join=join,
    )


def _membership(told: Mapping[str, str], label: str) -> Plan:
    name, member = told.get("group", ""), told.get("member", "")
    if not name:
        raise _Conflict(Why.MISSING, field="group")
    _check_text("group", name)
    person = _named(member) if member else None
    if member and person is None:
        raise _Conflict(Why.NO_MEMBER, member=member[:MAX_TEXT])
    group = _group(name)
    joins = group is None or (person is not None and not _is_member(name, person))
    change = Change("groups" if person is not None else "group", "", name)
    verb = Verb.UNCHANGED if not joins else (Verb.CREATE if group is None else Verb.CHANGE)
    return Plan(
        verb,
        label,
        _key(Content.GROUPS, told),
        (change,) if joins else (),
        person=person,
        group=group,
        join=(name,) if joins else (),
    )


def _key(content: Content, told: Mapping[str, str]) -> str | None:
    if content is Content.PEOPLE:
        return fold(told.get("userName", ""))[:MAX_TEXT] or None
    name = fold(told.get("group", ""))[:MAX_TEXT]
    return f"{name}\n{fold(told.get('member', ''))[:MAX_TEXT]}" if name else None


def _check_text(name: str, value: str) -> None:
    if any(not character.isprintable() for character in value):
        raise _Conflict(Why.UNSEEN, field=name)
    try:
        look_up_key(value, name, MAX_TEXT)
    except InvalidValue:
        raise _Conflict(Why.TOO_LONG, field=name, longest=MAX_TEXT) from None


def _boolean(text: str) -> bool | None:
    word = text.casefold()
    if not word:
        return None
    if word not in _TRUE | _FALSE:
        raise _Conflict(Why.ACTIVE, value=text[:MAX_TEXT])
    return word in _TRUE


def _find(user_name: str, external_id: str, source: Connection) -> User | None:
    named = _named(user_name)
    if not external_id:
        return named
    rows = models(User, _BY_EXTERNAL_ID.rows((), (external_id, source.id)))
    known = rows[0] if rows else None
    if named is not None and known is not None and named.id != known.id:
        raise _Conflict(Why.TWO_PEOPLE)
    return known or named


def _own(told: Mapping[str, str], source: Connection) -> User | None:
    """Return who of the source a line is about, though it cannot be done: they are not gone."""
    rows = models(User, _BY_EXTERNAL_ID.rows((), (told.get("externalId", ""), source.id)))
    person = rows[0] if rows else _named(told.get("userName", ""))
    return person if person is not None and person.connection_id == source.id else None


def _named(user_name: str) -> User | None:
    rows = models(User, _BY_NAME.rows((), (fold(user_name),)))
    return rows[0] if rows else None


def _may_change(person: User | None, source: Connection) -> None:
    owner = person.connection if person is not None else None
    if owner is not None and owner.id != source.id:
        raise _Conflict(Why.OWNED, source=owner.name)


def _check_not_above(admin: Actor, person: User, document: Mapping[str, object]) -> None:
    active = document.get("active") is not False
    if directory.mail_address(document) == person.email and active == person.active:
        return
    account = access.account_of(admin)
    if account is None:  # the shell may all
        return
    try:
        access.check_not_above(account, person)
    except Forbidden as error:
        raise _Conflict(Why.ABOVE, said=str(error)) from None


def _groups(cell: str) -> tuple[str, ...]:
    """Return the groups that a cell names: `Nurses; Ward 3`."""
    for sign in GROUP_SEPARATORS:
        cell = cell.replace(sign, ";")
    names = {fold(name): name.strip() for name in cell.split(";") if name.strip()}
    for name in names.values():
        _check_text("groups", name)
        _group(name)
    return tuple(names.values())


def _group(name: str) -> Group | None:
    """Return the local group of that name; a conflict if only a directory has one."""
    local = _local_group(name)
    if local is not None:
        return local
    owned = models(Group, _GROUPS_NAMED.rows((), (fold(name),)))
    owner = owned[0].connection if owned else None
    if owner is not None:
        raise _Conflict(Why.GROUP_OWNED, group=name, source=owner.name)
    return None


def _local_group(name: str) -> Group | None:
    found = models(Group, _GROUPS_NAMED.rows((), (fold(name),)))
    return next((group for group in found if group.connection_id is None), None)


def _is_member(name: str, person: User | None) -> bool:
    group = _local_group(name) if person is not None else None
    if group is None or person is None:
        return False
    return bool(_MEMBERSHIP.rows((), (group.id, person.id)))


_BY_NAME = Statements(
    lambda: User.select().where(User.user_name_key == parameter(0), User.deleted_at.is_null())
)
_BY_EXTERNAL_ID = Statements(
    lambda: User.select().where(
        User.external_id == parameter(0),
        User.connection == parameter(1),
        User.deleted_at.is_null(),
    )
)
_GROUPS_NAMED = Statements(
    lambda: Group.select().where(Group.display_name_key == parameter(0), Group.deleted_at.is_null())
)
_MEMBERSHIP = Statements(
    lambda: Member.select(Member.id).where(
        Member.group == parameter(0), Member.user == parameter(1)
    )
)
