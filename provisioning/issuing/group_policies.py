# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The policies of groups in the database, and what follows from them for one person.

A person is under the installation's settings, under the policy of every group they are in,
directly or through nested groups, and under the rule for those who work in the panel. Every path
to a key asks here: the wizard, the user page, links, jobs at readers, long work. And so does every
page that changes who is in a group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from peewee import fn

from .. import audit, nesting
from ..audit import Actor, Event
from ..clock import now_ms
from ..errors import Forbidden, InvalidValue, PolicyForbids, Stale
from ..lifecycle import KeyKind, KeyState
from ..models import Group, GroupPolicy, Member, PanelAccount, SecurityKey, Session, User
from ..panel.access import Role, account_of, has_role, require_step_up
from ..settings import PinDelivery, Settings
from ..storage.db import tuples
from .policy import ANY, LONGEST_PIN, NO_LENGTH, Method, Policy, strictest

EDITS = Role.OFFICER  # who changes policies, with their key at hand


@dataclass(frozen=True)
class Source:
    """One policy that holds for a person, and the group that it is of (None: no group's)."""

    policy: Policy
    group: str | None = None
    group_id: str | None = None


@dataclass(frozen=True)
class Ruling:
    """What follows for one person, with where it comes from."""

    policy: Policy
    sources: tuple[Source, ...] = ()

    def because(self, part: str) -> list[str]:
        """Return the groups on whose account this part is as strict as it is."""
        here = getattr(self.policy, part)
        if here == getattr(ANY, part):
            return []
        if isinstance(here, frozenset):  # each group that takes something away has its share
            found = [s for s in self.sources if getattr(s.policy, part) != getattr(ANY, part)]
        else:
            found = [s for s in self.sources if getattr(s.policy, part) == here]
        return [source.group for source in found if source.group is not None]


def of_group(group: Group) -> tuple[Policy, GroupPolicy | None]:
    """Return a group's own policy, and its row if it has one."""
    row: GroupPolicy | None = GroupPolicy.get_or_none(GroupPolicy.group == group)
    return (_policy(row) if row is not None else ANY), row


def save(group: Group, policy: Policy, *, version: int, actor: Actor) -> None:
    """Store a group's policy; `version` is the one that was shown, 0 for none.

    Raises Stale when somebody else saved in between, InvalidValue for a policy under which no key
    could be had at all.
    """
    if not policy.is_possible:
        raise InvalidValue("Under this policy nobody could have any key.", "kinds")
    if policy.pin_length != NO_LENGTH and not 4 <= policy.pin_length <= LONGEST_PIN:
        raise InvalidValue(f"A PIN has 4 to {LONGEST_PIN} characters.", "pin_length")
    before, row = of_group(group)
    if (row.version if row is not None else 0) != version:
        raise Stale("Somebody else changed this policy in the meantime.")
    if policy == before:
        return
    columns = {
        "kinds": " ".join(sorted(policy.kinds)),
        "methods": " ".join(sorted(policy.methods)),
        "pin_length": policy.pin_length,
        "pin_delivery": policy.pin_delivery,
        "force_pin_change": policy.force_pin_change,
        "role": policy.role,
        "second_approver": policy.second_approver,
        "changed_by": actor.name,
        "version": version + 1,
        "updated_at": now_ms(),
    }
    if row is None:
        GroupPolicy.create(group=group, **columns)
    else:
        GroupPolicy.update(**columns).where(GroupPolicy.id == row.id).execute()
    audit.record(
        actor,
        Event.POLICY_CHANGED,
        group=group.resource_id,
        display_name=group.display_name,
        kinds=columns["kinds"],
        methods=columns["methods"],
        pin_length=policy.pin_length,
        pin_delivery=policy.pin_delivery,
        force_pin_change=policy.force_pin_change,
        role=policy.role,
        second_approver=policy.second_approver,
    )


def of_user(user: User | None, settings: Settings) -> Ruling:
    """Return what follows for a person who is there, or for nobody in particular."""
    if user is None or user.id is None:
        return _ruling([_installation(settings)])
    direct = Member.select(Member.group).where(Member.user == user)
    found = [_installation(settings), *_of_groups({row[0] for row in tuples(direct)})]
    if _works_in_panel(user):
        found.append(Source(Policy(second_approver=True)))
    return _ruling(found)


def of_groups(resource_ids: Collection[str], settings: Settings) -> Ruling:
    """Return what follows for somebody who would be in these groups."""
    found = [_installation(settings)]
    if resource_ids:
        chosen = Group.select(Group.id).where(
            Group.resource_id.in_(list(resource_ids)), Group.deleted_at.is_null()
        )
        found += _of_groups({row[0] for row in tuples(chosen)})
    return _ruling(found)


def check(policy: Policy, kind: KeyKind, method: Method, actor: Actor) -> None:
    """Raise PolicyForbids unless this person's policy lets `actor` do this."""
    if kind not in policy.kinds:
        raise PolicyForbids("This person's groups do not allow this kind of key.", "kind")
    if method not in policy.methods:
        raise PolicyForbids(
            "This person's groups want keys to be activated by their users."
            if method is Method.ADMIN
            else "This person's groups want keys to be activated by an admin.",
            "method",
        )
    check_role(policy, actor)


def check_role(policy: Policy, actor: Actor) -> None:
    """Raise PolicyForbids unless `actor` is somebody who may assign and activate.

    Only panel accounts have roles: whoever is at the shell may all, and a person's own key was
    given to them by somebody who was asked this before.
    """
    if actor.kind != "account":
        return
    account = account_of(actor)
    if account is None or not has_role(account, policy.role):
        raise PolicyForbids(
            f"This person's groups let nobody below {policy.role} assign a key.", "method"
        )


def check_members(group: Group, session: Session) -> None:
    """Raise Forbidden or StepUpNeeded unless who is in this group may be changed here.

    Whoever takes a person out of a group takes them out of its policy, and out of those of the
    groups that it lies in: that needs what editing a policy needs.
    """
    asking = [each for each, policy in with_policy(nesting.above({group.id})) if policy != ANY]
    if not asking:
        return
    if session.account is None or not has_role(session.account, EDITS):
        named = ", ".join(each.display_name for each in asking)
        raise Forbidden(
            f"Members of {group.display_name} are under the policy of {named}: an officer changes "
            "who they are."
        )
    require_step_up(session)


def with_members_under_policy() -> set[str]:
    """Return the resource ids of the groups of whose members a policy asks something."""
    rows = GroupPolicy.select(GroupPolicy, Group).join(Group).where(Group.deleted_at.is_null())
    under = nesting.below({row.group_id for row in rows if _policy(row) != ANY})
    return {row[0] for row in tuples(Group.select(Group.resource_id).where(Group.id.in_(under)))}


def people_under(group: Group) -> int:
    """Return how many people a group's policy holds for, those of nested groups included."""
    return int(
        Member.select(fn.COUNT(Member.user.distinct()))
        .where(Member.group.in_(list(nesting.below({group.id}))), Member.user.is_null(False))
        .scalar()
    )


def waiting_against(group: Group, policy: Policy) -> int:
    """Return how many keys of a group's people wait for an activation that this would forbid."""
    people = Member.select(Member.user).where(
        Member.group.in_(list(nesting.below({group.id}))), Member.user.is_null(False)
    )
    rows = (
        SecurityKey.select(SecurityKey.kind, SecurityKey.method, fn.COUNT(SecurityKey.id))
        .where(SecurityKey.state == KeyState.PENDING, SecurityKey.user.in_(people))
        .group_by(SecurityKey.kind, SecurityKey.method)
    )
    return sum(
        count
        for kind, method, count in tuples(rows)
        if not policy.allows(KeyKind(kind), Method(method))
    )


def with_policy(ids: Iterable[int]) -> list[tuple[Group, Policy]]:
    """Return those of these groups that have a policy, by name."""
    wanted = list(ids)
    rows = (
        GroupPolicy.select(GroupPolicy, Group)
        .join(Group)
        .where(GroupPolicy.group.in_(wanted), Group.deleted_at.is_null())
        .order_by(Group.display_name_key, Group.id)
    )
    return [(row.group, _policy(row)) for row in rows] if wanted else []


def _of_groups(ids: set[int]) -> list[Source]:
    return [
        Source(policy, group.display_name, group.resource_id)
        for group, policy in with_policy(nesting.above(ids))
    ]


def _installation(settings: Settings) -> Source:
    return Source(
        Policy(
            pin_length=settings.pin_length,
            pin_delivery=PinDelivery(settings.pin_delivery),
            force_pin_change=settings.require_forced_pin_change,
        )
    )


def _ruling(sources: list[Source]) -> Ruling:
    return Ruling(strictest(source.policy for source in sources), tuple(sources))


def _works_in_panel(user: User) -> bool:
    # R25: who can let others in is let in by two.
    working = PanelAccount.select().where(PanelAccount.user == user, PanelAccount.state == "active")
    return bool(working.exists())


def _policy(row: GroupPolicy) -> Policy:
    return Policy(
        kinds=frozenset(map(KeyKind, row.kinds.split())),
        methods=frozenset(map(Method, row.methods.split())),
        pin_length=row.pin_length,
        pin_delivery=PinDelivery(row.pin_delivery),
        force_pin_change=row.force_pin_change,
        role=Role(row.role),
        second_approver=row.second_approver,
    )
