# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The audit log in words: one sentence, picture and tone for each kind of event."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from provisioning.audit import Event
from provisioning.desks import faults
from provisioning.desks.jobs import Op
from provisioning.lifecycle import Reason
from provisioning.mails.mail import Template
from provisioning.models import AuditEvent
from provisioning.pages import figures, times
from provisioning.pages.error_words import told
from provisioning.panel.access import Role

from . import actors, menu, reasons, tasks


@dataclass(frozen=True)
class Moment:
    """An event as a timeline shows it; `at` in ms, `id` its number in the log.

    What is told by other rows than the log has no number; `url` leads to where the log tells it.
    """

    text: str
    by: str
    at: int
    icon: str
    tone: str
    id: int = 0
    url: str = ""


# Sentences name what stands in the event's detail; what is missing there reads as "…".
_WORDS: dict[Event | None, tuple[object, str, str]] = {
    Event.USER_CREATED: (_l("Added"), "user-plus", ""),
    Event.USER_CHANGED: (_l("Changed: %(attributes)s"), "pencil", ""),
    Event.USER_DEACTIVATED: (
        _l("Suspended. Keys stopped: %(keys)s, sign-ins: %(sessions)s, links: %(links)s"),
        "circle-pause",
        "bad",
    ),
    Event.USER_REACTIVATED: (_l("Active again; suspended keys stay so"), "circle-play", "ok"),
    Event.USER_DELETED: (_l("Deleted"), "trash-2", "bad"),
    Event.STREAM_CREATED: (_l("Stream of events made for %(connection)s"), "send", ""),
    Event.STREAM_CHANGED: (_l("Stream of events of %(connection)s: %(state)s"), "send", ""),
    Event.STREAM_REMOVED: (_l("Stream of events of %(connection)s removed"), "trash-2", ""),
    Event.STREAM_REFUSED: (
        _l("Events of %(connection)s go nowhere: %(error)s"),
        "triangle-alert",
        "bad",
    ),
    Event.STREAM_EVENT_DEAD: (
        _l("An event of %(connection)s was given up: %(error)s"),
        "triangle-alert",
        "warn",
    ),
    Event.SCHEMA_ADDED: (_l("Attributes %(urn)s added to %(resource_type)s"), "plus", ""),
    Event.SCHEMA_REMOVED: (_l("Attributes %(urn)s removed from %(resource_type)s"), "trash-2", ""),
    Event.USER_HANDED_OVER: (_l("Handed over to %(connection)s"), "folder-sync", ""),
    Event.CONFLICT_DISMISSED: (
        _l("Conflict of %(connection)s over %(attribute)s “%(value)s” dismissed"),
        "x",
        "",
    ),
    Event.CONFLICT_REOPENED: (
        _l("Conflict of %(connection)s over %(attribute)s “%(value)s” shown again"),
        "rotate-ccw",
        "",
    ),
    Event.USER_SIGNED_IN: (_l("Signed in with “%(name)s”"), "key-round", "ok"),
    Event.USER_SIGNED_OUT: (_l("Signed out"), "log-out", ""),
    Event.SIGN_IN_REFUSED: (_l("Sign-in refused (%(reason)s)"), "circle-alert", "bad"),
    Event.GROUP_CREATED: (_l("Group “%(display_name)s” made"), "users-round", ""),
    Event.GROUP_CHANGED: (_l("Group “%(display_name)s” changed"), "users-round", ""),
    Event.GROUP_DELETED: (_l("Group “%(display_name)s” deleted"), "trash-2", "bad"),
    Event.MEMBERS_CHANGED: (_l("Members of “%(display_name)s” changed"), "users-round", ""),
    Event.POLICY_CHANGED: (_l("Policy of “%(display_name)s” changed"), "shield-check", "warn"),
    Event.APPROVAL_ASKED: (_l("“%(name)s” waits for another officer"), "hand", "warn"),
    Event.APPROVAL_GIVEN: (
        _l("“%(name)s” approved, which %(requester)s had asked for"),
        "check",
        "ok",
    ),
    Event.APPROVAL_DECLINED: (
        _l("“%(name)s” declined, which %(requester)s had asked for"),
        "ban",
        "bad",
    ),
    Event.KEY_DRAFTED: (_l("“%(name)s” prepared"), "key-round", ""),
    Event.KEY_ASSIGNED: (_l("“%(name)s” assigned"), "key-round", ""),
    Event.KEY_REGISTERED: (_l("“%(name)s” registered"), "nfc", ""),
    Event.KEY_ACTIVATED: (_l("“%(name)s” activated"), "circle-check", "ok"),
    Event.KEY_CONFIRMED: (_l("“%(name)s” used for the first time"), "shield-check", "ok"),
    Event.KEY_SUSPENDED: (_l("“%(name)s” suspended (%(reason)s)"), "circle-pause", "warn"),
    Event.KEY_RESUMED: (_l("“%(name)s” resumed"), "circle-play", "ok"),
    Event.KEY_REVOKED: (_l("“%(name)s” revoked (%(reason)s)"), "ban", "bad"),
    Event.KEY_RENAMED: (_l("“%(old)s” is now called “%(name)s”"), "pencil", ""),
    Event.KEY_TERM_SET: (_l("Last moment of “%(name)s”: %(ends_at)s"), "clock", ""),
    Event.KEY_NEEDS_RESET: (_l("“%(name)s” needs a reset: %(why)s"), "rotate-ccw", "bad"),
    Event.KEY_REFUSED: (_l("A key was refused (%(reason)s)"), "circle-alert", "bad"),
    Event.CARD_RECOGNISED: (_l("“%(name)s” recognised at %(station)s"), "scan-line", ""),
    Event.CARD_WIPED: (_l("Card of “%(name)s” reset: it is empty"), "rotate-ccw", "warn"),
    Event.LINK_ISSUED: (_l("Registration link sent to %(address)s"), "send", ""),
    Event.LINK_OPENED: (_l("Registration link opened"), "external-link", ""),
    Event.LINK_USED: (_l("Registration link used"), "link", "ok"),
    Event.LINK_CANCELLED: (_l("Registration link cancelled"), "x", "warn"),
    Event.LINK_CODE_SHOWN: (_l("Code of the registration link shown"), "eye", "warn"),
    Event.LINK_CODE_WRONG: (
        _l("Wrong code at the registration link (tries: %(tries)s)"),
        "circle-alert",
        "bad",
    ),
    Event.LINK_REQUESTED: (_l("Asked for a new registration link"), "circle-help", "warn"),
    Event.JOB_QUEUED: (_l("%(op)s at %(station)s: begun"), "router", ""),
    Event.JOB_TAPPED: (_l("Card tapped"), "nfc", ""),
    Event.JOB_INTERRUPTED: (_l("Interrupted at the reader: %(fault)s"), "triangle-alert", "warn"),
    Event.JOB_DONE: (_l("%(op)s at %(station)s: finished"), "circle-check", "ok"),
    Event.JOB_CANCELLED: (_l("%(op)s at the reader: cancelled"), "x", "warn"),
    Event.BADGE_ADDED: (_l("Badge kept as an identifier (%(technology)s)"), "scan-line", ""),
    Event.BADGE_REMOVED: (_l("Identifier forgotten (%(technology)s)"), "trash-2", ""),
    Event.BATCH_STARTED: (_l("Batch “%(batch)s” started (people: %(people)s)"), "nfc", ""),
    Event.BATCH_PAUSED: (_l("Batch “%(batch)s” paused"), "circle-pause", ""),
    Event.BATCH_FINISHED: (
        _l("Batch “%(batch)s” finished (cards: %(done)s, without one: %(left)s)"),
        "circle-check",
        "ok",
    ),
    Event.BATCH_UNDONE: (_l("“%(name)s” taken back in a batch"), "undo-2", "warn"),
    Event.PIN_CHANGED: (_l("PIN of “%(name)s” changed"), "lock", "ok"),
    Event.PIN_CHANGE_FORCED: (_l("“%(name)s” demands another PIN now"), "lock", ""),
    Event.PIN_RELEASED: (_l("PIN mail written"), "mail", ""),
    Event.PIN_REVEALED: (_l("PIN shown once"), "lock", "warn"),
    Event.PIN_CANCELLED: (_l("PIN erased unsent"), "mail-x", "warn"),
    Event.MAIL_SENT: (_l("%(template)s delivered to the mail server"), "mail-check", "ok"),
    Event.MAIL_FAILED: (_l("%(template)s not delivered yet"), "mail-x", "warn"),
    Event.MAIL_DEAD: (_l("%(template)s given up"), "mail-x", "bad"),
    Event.MAIL_TESTED: (_l("Test mail: %(result)s"), "mail-check", ""),
    Event.MAIL_RETRIED: (_l("%(template)s queued once more"), "mail", ""),
    Event.STATION_PAIRED: (_l("Station %(station)s paired"), "router", "ok"),
    Event.STATION_RENAMED: (_l("Station %(old)s is now called %(station)s"), "router", ""),
    Event.STATION_REVOKED: (_l("Station %(station)s revoked"), "ban", "bad"),
    Event.CONNECTION_CREATED: (_l("Directory %(connection)s connected"), "folder-sync", ""),
    Event.CONNECTION_CHANGED: (_l("Directory %(connection)s: settings changed"), "pencil", ""),
    Event.CONNECTION_RETIRED: (
        _l("Directory %(connection)s retired (tokens revoked: %(tokens)s)"),
        "ban",
        "bad",
    ),
    Event.CONNECTION_RESUMED: (_l("Directory %(connection)s brought back"), "rotate-ccw", ""),
    Event.CONNECTION_DELETED: (
        _l(
            "Directory %(connection)s deleted, and left to the panel (people: %(users)s, groups: "
            "%(groups)s)"
        ),
        "x",
        "bad",
    ),
    Event.TOKEN_CREATED: (_l("Token made for %(connection)s"), "key-round", ""),
    Event.TOKEN_REVOKED: (_l("Token of %(connection)s revoked"), "ban", "bad"),
    Event.DEPARTURES_HELD: (
        _l("Mass departure from %(connection)s held until somebody decides (people: %(users)s)"),
        "triangle-alert",
        "bad",
    ),
    Event.DEPARTURES_DECIDED: (
        _l("Mass departure from %(connection)s: %(decision)s (people: %(users)s)"),
        "check",
        "",
    ),
    Event.LOG_EXPORTED: (_l("The log was exported"), "download", "warn"),
    Event.OWNER_LINK_MADE: (_l("Owner link made at the command line"), "terminal", "warn"),
    Event.BACKUP_MADE: (_l("Backup %(file)s made"), "download", "warn"),
    Event.BACKUP_RESTORED: (_l("Database restored from a backup"), "rotate-ccw", "warn"),
    Event.KEK_ADDED: (_l("Key-encryption key %(kek)s added"), "lock", ""),
    Event.KEK_ROTATED: (_l("Secrets sealed anew under %(kek)s: %(values)s"), "lock", ""),
    Event.KEK_RETIRED: (_l("Key-encryption key %(kek)s retired"), "ban", ""),
    Event.KEK_ABANDONED: (
        _l("Key-encryption key %(kek)s given up as lost (secrets: %(values)s)"),
        "triangle-alert",
        "bad",
    ),
    Event.SETTINGS_CHANGED: (_l("Settings changed: %(names)s"), "settings", ""),
    Event.ACCOUNT_CREATED: (_l("Panel account %(account)s made (%(role)s)"), "circle-user", ""),
    Event.ACCOUNT_SIGNED_IN: (_l("Signed in to the panel"), "circle-user", ""),
    Event.ACCOUNT_SIGNED_OUT: (_l("Signed out of the panel"), "log-out", ""),
    Event.ACCOUNT_STEPPED_UP: (_l("Confirmed with the key"), "shield-check", ""),
    Event.ACCOUNT_INVITED: (
        _l("Link made by which %(account)s registers a key (%(role)s)"),
        "send",
        "",
    ),
    Event.ACCOUNT_ROLE_CHANGED: (
        _l("Role of %(account)s changed from %(old)s to %(role)s"),
        "user-cog",
        "warn",
    ),
    Event.ACCOUNT_LINKED: (
        _l("Panel account %(account)s belongs to %(person)s"),
        "circle-user",
        "",
    ),
    Event.ACCOUNT_SUSPENDED: (_l("Panel account %(account)s suspended"), "circle-pause", "bad"),
    Event.ACCOUNT_RESUMED: (_l("Panel account %(account)s resumed"), "circle-play", "ok"),
    Event.ACCOUNT_HELD: (
        _l("Panel account %(account)s kept, though the directory says gone"),
        "triangle-alert",
        "warn",
    ),
    Event.IMPORT_UPLOADED: (_l("%(file)s uploaded (lines: %(lines)s)"), "file-text", ""),
    Event.IMPORT_STARTED: (_l("Import of %(file)s into %(source)s begun"), "file-text", ""),
    Event.IMPORT_DISCARDED: (_l("%(file)s discarded, nothing of it applied"), "trash-2", ""),
    Event.TASK_QUEUED: (_l("Long work begun (%(kind)s, rows: %(rows)s)"), "clock", ""),
    Event.TASK_FINISHED: (
        _l("Long work finished (%(kind)s, rows: %(rows)s, failed: %(failed)s)"),
        "circle-check",
        "",
    ),
    Event.TASK_CANCELLED: (_l("Long work stopped (%(kind)s, rows done: %(rows)s)"), "ban", "warn"),
    Event.TASK_REVOKED: (
        _l("Long work of %(by)s stopped: no right to it any more (rows done: %(rows)s)"),
        "triangle-alert",
        "warn",
    ),
}

# Kept in the log for machines; a person's timeline reads better without them.
NOISE = (
    Event.KEY_DRAFTED,
    Event.JOB_QUEUED,
    Event.JOB_DONE,
    Event.PIN_RELEASED,
)


def detail_of(row: AuditEvent) -> dict[str, object]:
    """Return what the event's line tells besides who and when."""
    detail: dict[str, object] = json.loads(row.detail)
    return detail


def words_of(row: AuditEvent) -> tuple[str, str, str]:
    """Return the event's sentence, icon and tone."""
    # A newer version may have written kinds that this one does not know.
    sentence, icon, tone = _WORDS.get(_known(row.event), (row.event, "circle-dashed", ""))
    words: defaultdict[str, object] = defaultdict(lambda: "…")
    words.update((name, _shown(name, value)) for name, value in detail_of(row).items())
    if row.event in (Event.KEY_SUSPENDED, Event.KEY_REVOKED) and words["reason"] in set(Reason):
        for_good = row.event == Event.KEY_REVOKED
        words["reason"] = reasons.stopped(Reason(str(words["reason"])), for_good=for_good)
    elif "reason" in words:
        words["reason"] = reasons.refused(str(words["reason"]))
    if row.event == Event.ACCOUNT_ROLE_CHANGED:
        words["old"] = _shown("role", words["old"])
    return str(sentence) % words, icon, tone


def _known(event: str) -> Event | None:
    return Event(event) if event in set(Event) else None


def moment(row: AuditEvent) -> Moment:
    """Return an event for a person's timeline."""
    text, icon, tone = words_of(row)
    by = _("by Keywright itself") if row.actor_kind == "system" else actors.who(row.actor_name)
    return Moment(text, by, row.at, icon, tone, row.id)


def kinds() -> list[tuple[str, str]]:
    """Return the areas that the log can be filtered by, with their labels."""
    return [
        ("user", _("Users")),
        ("group", _("Groups")),
        ("key", _("Security keys")),
        ("card", _("Cards")),
        ("approval", _("Approvals")),
        ("link", _("Registration links")),
        ("pin", _("PINs")),
        ("mail", _("Mail")),
        ("batch", _("Batches")),
        ("job", _("Jobs at readers")),
        ("station", _("Stations")),
        ("badge", _("Badges")),
        ("connection", _("Directories")),
        ("token", _("Tokens")),
        ("stream", _("Streams of events")),
        ("schema", _("Attributes of your own")),
        ("conflict", _("Conflicts")),
        ("departures", _("Mass departures")),
        ("import", _("Imports")),
        ("task", _("Long work")),
        ("log", _("Exports of the log")),
        ("settings", _("Settings")),
        ("owner_link", _("Owner links")),
        ("backup", _("Backups")),
        ("kek", _("Key-encryption keys")),
        ("account", _("Panel accounts")),
        ("sign_in", _("Refused sign-ins")),
    ]


def _shown(name: str, value: object) -> object:
    if name == "op":
        return {
            Op.ENROL: _("Assigning a card"),
            Op.ASSERT: _("Sign-in"),
            Op.CHANGE_PIN: _("PIN change"),
            Op.RESET: _("Reset"),
            Op.VERIFY: _("Recognising a card"),
            Op.FORCE_CHANGE: _("Forcing a PIN change"),
        }.get(Op(str(value)), value)
    if name == "template":
        return {
            Template.PIN: _("PIN mail"),
            Template.ACTIVATION_LINK: _("Mail with the registration link"),
            Template.LINK_REQUESTED: _("Mail to the admins"),
        }.get(Template(str(value)), _("Notice"))
    if name == "ends_at":
        return times.exact(value) if isinstance(value, int) else _("none, it is for good")
    if name == "attributes" and isinstance(value, list):
        return ", ".join(_attribute(str(one)) for one in value)
    if name == "kind" and value in tasks.WORDS:
        return tasks.WORDS[str(value)].title
    if isinstance(value, int) and not isinstance(value, bool):
        return figures.number(value)
    if name == "role" and value in set(Role):
        return menu.role_name(Role(str(value)))
    if name == "error":
        return told(value)
    if name == "fault":
        return faults.of(str(value)).sentence
    if name in ("state", "decision"):
        words = {
            "active": _("it goes on"),
            "stopped": _("stopped"),
            "retried": _("what was given up is tried again"),
            "approved": _("approved"),
            "rejected": _("taken back"),
        }
        return words.get(str(value), value)
    return value


def _attribute(name: str) -> str:
    """Return an attribute of RFC 7643 in words; one that few people know keeps its name."""
    words: dict[str, str] = {
        "userName": _("user name"),
        "displayName": _("display name"),
        "name": _("name"),
        "emails": _("email"),
        "phoneNumbers": _("phone"),
        "title": _("title"),
        "active": _("active"),
        "preferredLanguage": _("language"),
    }
    work = str(_("department and employee number"))
    return words.get(name, work if name.startswith("urn:") else name)
