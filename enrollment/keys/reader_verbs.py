# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What can be done to a key's card at a reader: its name in addresses, its job, its words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique

from flask_babel import gettext as _

from provisioning.desks.jobs import Op, Wipe
from provisioning.models import Job, SecurityKey

from . import items


@unique
class Verb(StrEnum):
    """The last part of an address under a key."""

    ASSIGN = "assign"
    CHANGE_PIN = "change-pin"
    FORCE_CHANGE = "force-change"
    RESET = "reset"
    BLANK = "blank"
    RETURN = "return"


_JOBS: dict[Verb, tuple[Op, str]] = {
    Verb.ASSIGN: (Op.ENROL, ""),
    Verb.CHANGE_PIN: (Op.CHANGE_PIN, ""),
    Verb.FORCE_CHANGE: (Op.FORCE_CHANGE, ""),
    Verb.RESET: (Op.RESET, Wipe.AGAIN),
    Verb.BLANK: (Op.RESET, Wipe.BLANK),
    Verb.RETURN: (Op.RESET, Wipe.STOCK),
}

# The holder's own affair; the others act for somebody else (R25) or cannot be undone.
UNGUARDED = (Verb.CHANGE_PIN, Verb.FORCE_CHANGE)


@dataclass(frozen=True)
class Words:
    """What the page of a verb says; `warning` is what cannot be undone, in sentences."""

    title: str
    lead: str
    start: str
    warning: tuple[str, ...] = ()


def is_of(job: Job, verb: Verb) -> bool:
    """Say whether a job is what this verb asks for."""
    return (job.op, job.purpose) == _JOBS[verb]


def wipe_of(verb: Verb) -> Wipe:
    """Return why a verb resets a card; raises ValueError for one that resets none."""
    return Wipe(_JOBS[verb][1])


def words(key: SecurityKey, verb: Verb) -> Words:
    """Return what the page of a verb says for a key."""
    name = key.name
    wiped = (
        _("The PIN and the sign-ins of every site on this card are wiped, not only ours."),
        _("Tap the card when the screen asks, and say yes at the reader."),
    )
    if verb is Verb.CHANGE_PIN:
        return Words(
            _("Change PIN"),
            _("The holder types the present and the new PIN of “%(key)s” at the reader.", key=name),
            _("Start"),
        )
    if verb is Verb.FORCE_CHANGE:
        return Words(
            _("Force a PIN change"),
            _(
                "The holder types the PIN of “%(key)s” at the reader once more; from then on the "
                "card does nothing before it has another one.",
                key=name,
            ),
            _("Start"),
        )
    if verb is Verb.RESET:
        return Words(
            _("Reset card and enrol again"),
            _(
                "For a PIN that nobody knows any more: “%(key)s” is wiped, then gets a new PIN and "
                "a new key while it lies on the reader.",
                key=name,
            ),
            _("Reset and enrol again"),
            (
                *wiped,
                _(
                    "From the yes until the card is enrolled again “%(key)s” does not work.",
                    key=name,
                ),
                items.what_is_left(key),
            ),
        )
    if verb is Verb.BLANK:
        return Words(
            _("Reset a card for “%(key)s”", key=name),
            _("For a card whose PIN nobody knows: it is wiped, then assigned right away."),
            _("Reset and assign"),
            wiped,
        )
    if verb is Verb.RETURN:
        return Words(
            _("Return card to stock"),
            _("The card of “%(key)s” is wiped, so that somebody else can have it.", key=name),
            _("Wipe and return"),
            (
                *wiped,
                _("“%(key)s” is revoked for ever; its history stays.", key=name),
                items.what_is_left(key),
            ),
        )
    return Words(
        _("Assign Contactless Card"),
        _("Give “%(key)s” its card here instead of by link.", key=name),
        _("Assign Contactless Card"),
    )
