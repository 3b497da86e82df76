# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Policies in words: what follows for a person, on account of which group."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning.issuing.group_policies import Ruling
from provisioning.issuing.policy import ANY, Method, Policy
from provisioning.lifecycle import KeyKind
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.settings import PinDelivery

from ..forms import kind_name


def lines(ruling: Ruling, *, all_parts: bool = False) -> list[dict[str, str]]:
    """Return what follows as label, value and the groups because of which; rules only, or all."""
    policy = ruling.policy
    return [
        {"label": label, "value": value, "because": ", ".join(ruling.because(part))}
        for part, label, value in parts(policy)
        if all_parts or getattr(policy, part) != getattr(ANY, part)
    ]


def parts(policy: Policy) -> list[tuple[str, str, str]]:
    """Return every part of a policy: its name in the code, its label and its value in words."""
    return [
        ("kinds", _("Kinds of key"), kinds(policy.kinds)),
        ("methods", _("Activated"), methods(policy.methods)),
        ("pin_length", _("PIN"), _length(policy.pin_length)),
        ("pin_delivery", _("PIN reaches the person"), deliveries()[policy.pin_delivery]),
        ("force_pin_change", _("PIN change at first use"), _forced(policy.force_pin_change)),
        ("role", _("Assigned by"), roles()[policy.role]),
        ("second_approver", _("Second person"), _second(policy.second_approver)),
    ]


def kinds(allowed: Iterable[KeyKind]) -> str:
    """Return kinds of key as words."""
    there = frozenset(allowed)
    if there == ANY.kinds:
        return str(_("any"))
    names = [kind_name(kind) for kind in KeyKind if kind in there]
    return ", ".join(names) or str(_("none: the groups contradict each other"))


def methods(allowed: frozenset[Method]) -> str:
    """Return ways to activate as words."""
    if allowed == ANY.methods:
        return str(_("by an admin or by the user"))
    if not allowed:
        return str(_("in no way: the groups contradict each other"))
    return str(_("by an admin") if Method.ADMIN in allowed else _("by the user"))


def deliveries() -> dict[PinDelivery, str]:
    """Return the ways of a PIN, the loosest first."""
    return {
        PinDelivery.MAIL: _("by mail"),
        PinDelivery.REVEAL_ONCE: _("shown once to the admin, who hands it over"),
        PinDelivery.USER_SETS: _("not at all: the person chooses it at the reader"),
    }


def roles() -> dict[Role, str]:
    """Return who may assign and activate."""
    return {
        Role.OPERATOR: _("operators, officers and owners"),
        Role.OFFICER: _("officers and owners"),
        Role.OWNER: _("owners only"),
    }


def no_kind(ruling: Ruling, kind: KeyKind) -> str:
    """Return why this kind is not offered, or nothing."""
    if kind in ruling.policy.kinds:
        return ""
    return str(
        _(
            "%(kind)s is not offered because of %(groups)s.",
            kind=kind_name(kind),
            groups=", ".join(ruling.because("kinds")),
        )
    )


def no_method(ruling: Ruling, method: Method) -> str:
    """Return why this way to activate is not offered, or nothing."""
    if method in ruling.policy.methods:
        return ""
    return str(
        _("Not possible because of %(groups)s.", groups=", ".join(ruling.because("methods")))
    )


def no_role(ruling: Ruling, role: Role) -> str:
    """Return why this admin may not assign a key to the person, or nothing."""
    order = list(Role)
    if order.index(role) >= order.index(ruling.policy.role):
        return ""
    return str(
        _(
            "Because of %(groups)s a key is assigned by %(roles)s.",
            groups=", ".join(ruling.because("role")),
            roles=roles()[ruling.policy.role],
        )
    )


def _length(least: int) -> str:
    everywhere = services().settings.pin_length
    if least < everywhere:
        return str(
            ngettext(
                "at least %(num)s character, as everywhere here",
                "at least %(num)s characters, as everywhere here",
                everywhere,
            )
        )
    return str(ngettext("at least %(num)s character", "at least %(num)s characters", least))


def _forced(forced: bool) -> str:
    return str(_("forced: a card that cannot is refused") if forced else _("where the card can"))


def _second(asked: bool) -> str:
    return str(_("another officer has to agree") if asked else _("not needed"))
