# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One person's page as the template wants it: facts, groups, timeline, and what may be done."""

from __future__ import annotations

from collections.abc import Mapping

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning import directory, keys, nesting
from provisioning.clock import HOUR
from provisioning.lifecycle import KeyState
from provisioning.models import Group, User
from provisioning.panel.access import Role
from provisioning.services import services

from ..keys.items import Action, Ask
from ..web import may
from . import document as user_document


def head(user: User) -> dict[str, object]:
    """Return who it is, with the facts of the document."""
    pending = sum(1 for key in keys.of_user(user) if key.state == KeyState.PENDING)
    source = user.connection.name if user.connection is not None else None
    return {
        "name": user.display_name,
        "user_name": user.user_name,
        "email": user.email,
        "status": user.status,
        "active": user.active,
        "deadline": deadline(user),
        "pending_count": pending,
        "source": source,
        "managed": source is not None,
        "facts": facts(directory.document_of(user)),
        "edit_url": url_for("user_edit.details", user_id=user.resource_id)
        if source is None and may(Role.OPERATOR)
        else None,
        "groups_url": url_for("user_edit.choose_groups", user_id=user.resource_id)
        if may(Role.OPERATOR)
        else None,
    }


def facts(document: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return an RFC 7643 document as labels and values; what is empty stays empty."""
    told = user_document.fields_of(document)
    labels = {
        "user_name": _("User name"),
        "given_name": _("First name"),
        "family_name": _("Last name"),
        "display_name": _("Display name"),
        "email": _("Email"),
        "phone": _("Phone"),
        "title": _("Title"),
        "department": _("Department"),
        "employee_number": _("Employee number"),
    }
    return [(label, told[name]) for name, label in labels.items()]


def groups_of(user: User) -> list[dict[str, object]]:
    """Return the person's groups; those of a directory carry its name."""
    refs = nesting.groups_of(user)
    wanted = [ref.resource_id for ref in refs]
    rows = Group.select().where(Group.resource_id.in_(wanted)) if wanted else []
    sources = {
        row.resource_id: row.connection.name if row.connection is not None else None for row in rows
    }
    return [
        {
            "id": ref.resource_id,
            "name": ref.display,
            "url": url_for("groups.group", group_id=ref.resource_id),
            "source": sources.get(ref.resource_id),
            "indirect": ref.type == "indirect",
        }
        for ref in refs
    ]


def after_grace() -> str:
    """Return what happens to a suspended person's keys, and when."""
    hours = services().settings.leaver_grace_hours
    if not hours:
        return str(_("Right after that the keys are revoked for ever."))
    return str(
        ngettext(
            "After %(num)s hour the keys are revoked for ever, unless the person is reactivated "
            "before.",
            "After %(num)s hours the keys are revoked for ever, unless the person is reactivated "
            "before.",
            hours,
        )
    )


def deadline(user: User) -> int | None:
    """Return until when reactivating a suspended person saves their keys; None for no end."""
    if user.active or user.left_at is None or user.departure is not None:
        return None
    if all(key.state == KeyState.REVOKED for key in keys.of_user(user)):
        return None
    return int(user.left_at) + services().settings.leaver_grace_hours * HOUR


def actions(user: User) -> list[Action]:
    """Return what may be done with the person as a whole."""
    if not may(Role.OPERATOR):
        return []
    if not user.active:
        return [
            Action(
                _("Reactivate"),
                url_for("users.reactivate", user_id=user.resource_id),
                "circle-play",
                ask=Ask(
                    _("Let %(name)s in again?", name=user.display_name),
                    [
                        _("The account is active again at once."),
                        _("No key resumes by itself: an officer resumes each one."),
                    ],
                    _("Reactivate"),
                    "primary",
                ),
            )
        ]
    living = [key for key in keys.of_user(user) if key.state in (KeyState.ACTIVE, KeyState.PENDING)]
    return [
        Action(
            _("Suspend user"),
            url_for("users.suspend", user_id=user.resource_id),
            "circle-pause",
            "danger-quiet",
            ask=Ask(
                _("Suspend %(name)s?", name=user.display_name),
                [
                    ngettext(
                        "One key stops working at once.",
                        "%(num)s keys stop working at once.",
                        len(living),
                    ),
                    _("Every sign-in of this person ends and open links die."),
                    _("A PIN mail that has not left is cancelled."),
                    after_grace(),
                ],
                _("Suspend user"),
            ),
        )
    ]
