# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A user's keys as the user page shows them: state, link, PIN mail, and what may be done."""

from __future__ import annotations

from dataclasses import dataclass

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning import keys
from provisioning.ceremonies import attestation
from provisioning.desks import jobs
from provisioning.desks.jobs import Op
from provisioning.issuing import activations, approvals, group_policies, link_codes
from provisioning.issuing.approvals import ApprovalState
from provisioning.lifecycle import JobState, KeyKind, KeyState, LinkState, Reason
from provisioning.mails.mail import Template
from provisioning.models import Credential, OutboxMail, SecurityKey
from provisioning.pages import times
from provisioning.panel.access import Role
from provisioning.services import services

from .. import reasons
from ..forms import kind_name
from ..web import may


@dataclass(frozen=True)
class Ask:
    """The question before an action: what will happen, in sentences."""

    title: str
    sentences: list[str]
    confirm: str
    tone: str = "danger"


@dataclass(frozen=True)
class Action:
    """A button: a post, a post that asks first, or with `link` a page.

    `rest`: seldom needed, and never in an emergency, so that it waits in a menu beside the others.
    """

    label: str
    url: str
    icon: str = ""
    tone: str = ""
    link: bool = False
    ask: Ask | None = None
    rest: bool = False


def item(key: SecurityKey) -> dict[str, object]:
    """Return one key for `panel/_key.html`."""
    credential = Credential.get_or_none(Credential.key == key)
    verified = credential is not None and key.model is not None
    return {
        "id": key.resource_id,
        "name": key.name,
        "kind": key.kind,
        "state": key.state,
        "model": key.model or attestation.model_name(key.aaguid or ""),
        "reason": reasons.of_key(key),
        "last_used_at": key.last_used_at,
        "facts": [
            (_("Device"), kind_name(KeyKind(key.kind))),
            (_("AAGUID"), key.aaguid),
            (_("Attestation"), _attested(credential, verified)),
            (_("PIN change at first use"), _forced(key)),
        ],
        "note": _note(key),
        "pin_mail": _pin_mail(key),
        "activation": _activation(key),
        "actions": _actions(key),
    }


def _attested(credential: Credential | None, verified: bool) -> str:
    if credential is None:
        return ""
    return str(_("verified") if verified else _("none"))


def _forced(key: SecurityKey) -> str:
    if key.pin_change_forced is None:
        return ""
    if key.confirmed_at is not None:
        return str(_("done"))
    return str(
        _("the card insists on it") if key.pin_change_forced else _("this card cannot force it")
    )


def _note(key: SecurityKey) -> str:
    said = [_state_note(key), _ends(key), _replacement(key)]
    return " ".join(sentence for sentence in said if sentence)


def _ends(key: SecurityKey) -> str:
    if key.ends_at is None or key.state == KeyState.REVOKED:
        return ""
    return str(_("Ends by itself on %(moment)s.", moment=times.exact(key.ends_at)))


def _replacement(key: SecurityKey) -> str:
    if key.replaces is None or key.state != KeyState.PENDING:
        return ""
    old = key.replaces
    if old.state == KeyState.REVOKED:
        return ""
    return str(_("“%(key)s” is revoked as soon as this one works.", key=old.name))


def _state_note(key: SecurityKey) -> str:
    if key.state == KeyState.NEEDS_RESET:
        return str(
            _(
                "The card carries something that cannot be used. Reset it at a reader, then it can "
                "be activated again, or revoke it and hand out another card."
            )
        )
    approval = approvals.of_key(key) if key.state == KeyState.PENDING else None
    if approval is not None and approval.state == ApprovalState.WAITING:
        return str(_("Waits until another officer agrees; %(who)s asked.", who=approval.requester))
    if key.state == KeyState.SUSPENDED and key.user is not None and not key.user.active:
        name = key.user.display_name
        return str(_("It can be resumed once %(name)s is active again.", name=name))
    job = jobs.of_key(key, Op.ENROL)
    if key.state == KeyState.PENDING and job is not None and job.state != JobState.DONE:
        return str(_("A card was begun at %(station)s.", station=job.station.name))
    if key.state == KeyState.ACTIVE and key.confirmed_at is None and key.last_used_at is None:
        return str(_("Not used yet."))
    return ""


def _pin_mail(key: SecurityKey) -> dict[str, object] | None:
    mail = (
        OutboxMail.select()
        .where(OutboxMail.key == key, OutboxMail.template == Template.PIN)
        .order_by(OutboxMail.id.desc())
        .first()
    )
    if mail is None:
        return None
    return {
        "state": mail.state,
        "queued_at": mail.created_at,
        "sent_at": mail.sent_at,
        "error": mail.last_error,
    }


def _activation(key: SecurityKey) -> dict[str, object] | None:
    if key.state != KeyState.PENDING:
        return None
    link = activations.latest(key)
    if link is None:
        return None
    state = activations.state_of(link)
    operator = may(Role.OPERATOR)
    return {
        "state": state,
        "sent_at": link.created_at,
        "address": link.address,
        "opened_at": link.opened_at,
        "expires_at": link.expires_at,
        "asked_again_at": link.requested_again_at,
        "code_url": url_for("keys.link_code", key_id=key.resource_id)
        if operator and state is LinkState.LIVE and link_codes.is_asked(link)
        else None,
        "resend_url": url_for("keys.resend", key_id=key.resource_id) if operator else None,
        "cancel_url": url_for("keys.cancel_link", key_id=key.resource_id)
        if operator and state is LinkState.LIVE
        else None,
    }


_REPLACED_IN = (KeyState.ACTIVE, KeyState.SUSPENDED, KeyState.NEEDS_RESET)


def _actions(key: SecurityKey) -> list[Action]:
    if not may(Role.OPERATOR) or key.state == KeyState.DRAFT:
        return []
    found: list[Action] = []

    def offer(verb: str, label: str, icon: str, tone: str = "", ask: Ask | None = None) -> None:
        url = url_for(f"keys.{verb}", key_id=key.resource_id)
        found.append(Action(label, url, icon, tone, ask=ask))

    def at_reader(verb: str, label: str, icon: str, *, rest: bool = False) -> None:
        url = url_for("key_reader.choose", key_id=key.resource_id, verb=verb)
        found.append(Action(label, url, icon, link=True, rest=rest))

    def edit(verb: str, label: str, icon: str) -> None:
        url = url_for(f"keys.{verb}", key_id=key.resource_id)
        found.append(Action(label, url, icon, link=True, rest=True))

    state = KeyState(key.state)
    card = key.kind == KeyKind.CONTACTLESS_CARD
    officer = may(Role.OFFICER)
    if state is KeyState.REVOKED:
        if card and Credential.select().where(Credential.key == key).exists():
            at_reader("return", _("Return card to stock"), "undo-2")
        return found
    if state is KeyState.ACTIVE:
        if card:
            at_reader("change-pin", _("Change PIN"), "lock", rest=True)
            at_reader("force-change", _("Force PIN change"), "shield-check", rest=True)
            at_reader("reset", _("Reset card"), "rotate-ccw", rest=True)
        offer("suspend", _("Suspend"), "circle-pause")
        offer("lost", _("Report lost"), "circle-alert", ask=_lost(key))
    if key.user is not None and key.user.active and state in _REPLACED_IN:
        url = url_for("wizard.assign_key", user_id=key.user.resource_id, replaces=key.resource_id)
        gone = key.reason in (Reason.LOST, Reason.STOLEN, Reason.DAMAGED)
        found.append(Action(_("Replace"), url, "credit-card", "primary" if gone else "", link=True))
    lacks_word = state is KeyState.PENDING and _lacks_word(key)
    if lacks_word and approvals.of_key(key) is None:
        url = url_for("approvals.ask", key_id=key.resource_id)
        found.append(Action(_("Ask for approval"), url, "hand"))
    if state is KeyState.PENDING and not lacks_word and activations.latest(key) is None:
        offer("resend", _("Send a registration link"), "send")
    if state is KeyState.PENDING and card and not lacks_word:
        at_reader("assign", _("Assign Contactless Card"), "nfc")
    if state is KeyState.PENDING and not card and not lacks_word:
        url = url_for("key_browser.page", key_id=key.resource_id)
        found.append(Action(_("Activate now as an admin"), url, "usb", link=True))
    if state is KeyState.SUSPENDED and officer and key.user is not None and key.user.active:
        offer("resume", _("Resume"), "circle-play")
    if state is KeyState.NEEDS_RESET:
        at_reader("reset", _("Reset card"), "rotate-ccw")
    if card and state in (KeyState.ACTIVE, KeyState.SUSPENDED, KeyState.NEEDS_RESET):
        at_reader("return", _("Return card to stock"), "undo-2", rest=True)
    edit("rename", _("Rename"), "pencil")
    edit("ends", _("End date") if key.ends_at is None else _("Move end date"), "clock")
    if officer:
        offer("revoke", _("Revoke"), "ban", "danger-quiet", ask=_revoke(key))
    return found


def _lacks_word(key: SecurityKey) -> bool:
    policy = group_policies.of_user(key.user, services().settings).policy
    return policy.second_approver and not approvals.is_approved(key)


def _lost(key: SecurityKey) -> Ask:
    return Ask(
        _("Report “%(name)s” lost?", name=key.name),
        [
            _("It stops working at once, everywhere. If it turns up, an officer can resume it."),
            _("You can assign a replacement right away."),
        ],
        _("Report lost"),
    )


def what_is_left(key: SecurityKey) -> str:
    """Return what its holder has left without this key, in numbers."""
    person = key.user
    mine = keys.of_user(person) if person is not None else []
    others = [k for k in mine if k.state == KeyState.ACTIVE and k != key]
    name = person.display_name if person is not None else ""
    if not others:
        return str(_("%(name)s is left without a working key.", name=name))
    return str(
        ngettext(
            "%(name)s keeps one other working key.",
            "%(name)s keeps %(num)s other working keys.",
            len(others),
            name=name,
        )
    )


def _revoke(key: SecurityKey) -> Ask:
    return Ask(
        _("Revoke “%(name)s”?", name=key.name),
        [
            _("It never works again. This cannot be undone; the history stays."),
            what_is_left(key),
            _("You are asked for your own key first, unless you used it within the hour."),
        ],
        _("Revoke for ever"),
    )
