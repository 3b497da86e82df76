# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Overview, the panel's home: what needs a hand, and how people come to their keys."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, ngettext
from flask_babel import gettext as _

from provisioning.clock import now_ms
from provisioning.lifecycle import UserStatus
from provisioning.models import Station
from provisioning.pages import attention, people
from provisioning.pages.attention import MOST, Attention
from provisioning.pages.times import utc
from provisioning.panel import panel_keys

from . import web
from .desks import station_choice
from .web import panel_page

blueprint = Blueprint("overview", __name__, url_prefix="/overview")

PLOT_HEIGHT = 100  # of the plot's own units
_BAR, _STEP = 7, 10


@dataclass(frozen=True)
class Item:
    """One thing that needs a hand: a sentence, and the page that helps."""

    text: str
    detail: str
    icon: str
    tone: str  # bad | warn | info
    url: str
    label: str
    at: int | None = None  # a moment that belongs to the detail, ms


@blueprint.get("")
@panel_page()
def overview() -> ResponseReturnValue:
    """Show what needs a hand now, the funnel, the plot and the stations."""
    told = attention.now(web.panel_account())
    counts = people.counts()
    days = attention.activations_by_day(now_ms())
    return render_template(
        "panel/overview.html",
        items=_items(told),
        funnel=_funnel(counts),
        suspended=counts[UserStatus.SUSPENDED],
        suspended_url=url_for("users.users", status=UserStatus.SUSPENDED.value),
        total=sum(counts.values()),
        plot=_plot(days),
        stations=[_station(station) for station in told.stations[:12]],
        more_stations=max(0, len(told.stations) - 12),
        stations_url=url_for("stations.stations"),
        users_url=url_for("users.users"),
    )


def _items(told: Attention) -> list[Item]:
    """What cannot wait first."""
    return [
        *_of_departures(told),
        *_of_accounts(told),
        *_of_keys(told),
        *_of_mail(told),
        *_of_directories(told),
        *_of_people(told),
        *_of_stations(told),
        *_of_me(),
    ]


def _of_departures(told: Attention) -> list[Item]:
    return [
        Item(
            _("%(directory)s: a mass departure is held", directory=held.connection),
            ngettext(
                "%(num)s person left at once; the keys are suspended.",
                "%(num)s people left at once; their keys are suspended.",
                held.users,
            ),
            "hand",
            "bad",
            url_for("departures.page", number=held.id),
            _("Decide"),
        )
        for held in told.departures
    ]


def _of_accounts(told: Attention) -> list[Item]:
    return [
        Item(
            _("A second panel account within an hour: %(account)s was kept", account=alert.subject),
            _("A directory says that this person is gone. Suspend the account if that is true."),
            "user-cog",
            "bad",
            alert.path,
            _("Panel accounts"),
            alert.created_at,
        )
        for alert in told.kept
    ]


def _of_keys(told: Attention) -> list[Item]:
    items = [
        Item(
            _("There may be a copy of “%(key)s”", key=alert.subject),
            _("Its counter went backwards, so it was stopped."),
            "circle-alert",
            "bad",
            alert.path,
            _("Look at it"),
            alert.created_at,
        )
        for alert in told.locked
    ]
    if told.resets:
        text = ngettext(
            "%(n)s card needs a reset",
            "%(n)s cards need a reset",
            told.resets,
            n=_most(told.resets),
        )
        items.append(
            Item(
                text,
                _("What is on such a card cannot be used."),
                "rotate-ccw",
                "warn",
                url_for("keys.keys", state="needs_reset"),
                _("Show them"),
            )
        )
    return items


def _of_mail(told: Attention) -> list[Item]:
    items = []
    if told.stuck_mail is not None:
        items.append(
            Item(
                _("Mail is not going out"),
                told.stuck_mail.last_error,
                "mail-x",
                "bad",
                url_for("mails.page"),
                _("Look at it"),
                told.stuck_mail.created_at,
            )
        )
    if told.dead_mails:
        text = ngettext(
            "%(n)s mail could not be delivered",
            "%(n)s mails could not be delivered",
            told.dead_mails,
            n=_most(told.dead_mails),
        )
        items.append(
            Item(
                text,
                _("Somebody may be waiting for a link or a PIN."),
                "mail-x",
                "warn",
                url_for("mails.page"),
                _("Look and try again"),
            )
        )
    return items


def _of_directories(told: Attention) -> list[Item]:
    now = now_ms()
    silent = [
        Item(
            _("%(directory)s has gone silent", directory=name),
            _("Nothing was heard of it since"),
            "wifi-off",
            "warn",
            url_for("directory_page.page", connection_id=number),
            _("Look at it"),
            seen,
        )
        for name, number, seen in told.silent
    ]
    return silent + [
        Item(
            _("The token of %(directory)s has run out", directory=name)
            if ends <= now
            else _("The token of %(directory)s runs out soon", directory=name),
            _("Make a new one and put it into the directory. It ends"),
            "key-round",
            "bad" if ends <= now else "warn",
            url_for("directory_page.page", connection_id=number),
            _("Make a token"),
            ends,
        )
        for name, number, ends in told.tokens
    ]


def _of_people(told: Attention) -> list[Item]:
    items = []
    if told.approvals:
        items.append(
            Item(
                ngettext(
                    "%(num)s key waits for a second officer",
                    "%(num)s keys wait for a second officer",
                    told.approvals,
                ),
                "",
                "shield-check",
                "warn",
                url_for("approvals.approvals"),
                _("Decide"),
            )
        )
    if told.links:
        text = ngettext(
            "%(n)s activation link runs out within six hours",
            "%(n)s activation links run out within six hours",
            told.links,
            n=_most(told.links),
        )
        items.append(
            Item(
                text,
                _("Their people have not used them yet."),
                "link",
                "info",
                url_for("users.users", status="pending"),
                _("Show pending people"),
            )
        )
    return items


def _of_stations(told: Attention) -> list[Item]:
    offline = [s for s in told.stations if s.user is None and _state(s) == "offline"]
    if not offline:
        return []
    names = ", ".join(station.name for station in offline[:5])
    return [
        Item(
            ngettext("%(num)s station is offline", "%(num)s stations are offline", len(offline)),
            names + ("…" if len(offline) > 5 else ""),
            "router",
            "info",
            url_for("stations.stations"),
            _("Stations"),
        )
    ]


def _of_me() -> list[Item]:
    keys = panel_keys.of_account(web.panel_account())
    if sum(key.locked_at is None for key in keys) >= 2:
        return []
    return [
        Item(
            _("You have one key only."),
            _("If it is lost, you are locked out until another owner lets you in."),
            "key-round",
            "info",
            url_for("account.page"),
            _("Register a second one"),
        )
    ]


def _most(count: int) -> str:
    """Counting stops somewhere: "100+" from there on."""
    return f"{count}+" if count >= MOST else str(count)


def _funnel(counts: dict[UserStatus, int]) -> list[dict[str, object]]:
    steps = [
        (UserStatus.NEW, _("New"), _("without a key"), "info"),
        (UserStatus.PENDING, _("Pending"), _("a key waits for activation"), "warn"),
        (UserStatus.ACTIVE, _("Active"), _("with a working key"), "ok"),
    ]
    most = max([counts[status] for status, *_rest in steps] + [1])
    return [
        {
            "label": label,
            "hint": hint,
            "tone": tone,
            "count": counts[status],
            "width": round(100 * counts[status] / most, 2),
            "url": url_for("users.users", status=status.value),
        }
        for status, label, hint, tone in steps
    ]


def _plot(days: list[tuple[int, int]]) -> dict[str, object]:
    most = max(count for _day, count in days) or 1
    bars = [
        {
            "x": place * _STEP + (_STEP - _BAR) / 2,
            "width": _BAR,
            "height": round(PLOT_HEIGHT * count / most, 2),
            "y": round(PLOT_HEIGHT - PLOT_HEIGHT * count / most, 2),
            "count": count,
            "day": format_date(utc(day), "medium", rebase=False),
        }
        for place, (day, count) in enumerate(days)
    ]
    return {
        "bars": bars,
        "width": len(days) * _STEP,
        "height": PLOT_HEIGHT,
        "most": most,
        "total": sum(count for _day, count in days),
        "first": format_date(utc(days[0][0]), "short", rebase=False),
        "last": format_date(utc(days[-1][0]), "short", rebase=False),
    }


def _station(station: Station) -> dict[str, object]:
    return {"name": station.name, "state": _state(station)}


def _state(station: Station) -> object:
    return station_choice.shown(station)["state"]
