# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Why a key was stopped or refused, in the reader's words for what rows and the log have as one."""

from __future__ import annotations

from flask_babel import gettext as _

from provisioning.ceremonies.refusals import SENTENCES, Refusal
from provisioning.lifecycle import KeyState, Reason
from provisioning.models import SecurityKey
from provisioning.pages.error_words import told


def of_key(key: SecurityKey) -> str:
    """Return why a key is stopped; nothing for one that is not."""
    if key.reason is None:
        return ""
    return stopped(Reason(key.reason), for_good=key.state == KeyState.REVOKED)


def stopped(reason: Reason, *, for_good: bool) -> str:
    """Return why a key was suspended, or revoked."""
    if reason == Reason.LEFT and not for_good:
        return str(_("the person was suspended"))  # whether they left nobody has said
    words = {
        Reason.LOST: _("reported lost"),
        Reason.STOLEN: _("reported stolen"),
        Reason.DAMAGED: _("damaged"),
        Reason.RETURNED: _("returned"),
        Reason.LEFT: _("the person left"),
        Reason.SUPERSEDED: _("replaced by another key"),
        Reason.CANCELLED: _("cancelled"),
        Reason.ENDED: _("its time was over"),
        Reason.ON_HOLD: _("on hold"),
        Reason.COUNTER_REGRESSED: _("its counter went backwards: there may be a copy"),
    }
    return str(words[reason])


def refused(word: str) -> str:
    """Return why a key was refused, or nobody let in with it; a newer version's word as it is."""
    if word in set(Refusal):
        return told(SENTENCES[Refusal(word)]).rstrip(".")
    words = {
        "unknown_credential": _("nobody has this key here"),
        "foreign_credential": _("it is somebody else's key"),
        "user_inactive": _("the person is suspended"),
        "account_suspended": _("the panel account is suspended"),
        "key_draft": _("the key is not assigned yet"),
        "key_pending": _("the key is not activated yet"),
        "key_needs_reset": _("the card needs a reset"),
        "key_suspended": _("the key is suspended"),
        "key_revoked": _("the key is revoked"),
        "key_ended": _("the key's time was over"),
        "key_locked": _("the key is locked"),
    }
    return str(words.get(word, word.replace("_", " ")))
