# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What every page is given: the menu, who is signed in, and whose installation this is."""

from __future__ import annotations

from flask import Flask, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _

from provisioning import tasks
from provisioning.models import PanelAccount, Session
from provisioning.panel import access
from provisioning.services import services

from . import kept, web


def register(app: Flask) -> None:
    """Give templates their surroundings and `/` its page."""
    app.jinja_env.globals["get_locale"] = get_locale
    app.context_processor(_surroundings)
    app.add_url_rule("/", "home", _home)


def _home() -> ResponseReturnValue:
    return redirect(url_for("overview.overview"))


def _surroundings() -> dict[str, object]:
    settings = services().settings
    given: dict[str, object] = {
        "organisation": settings.organisation,
        "demo": settings.demo,
        "demo_site": settings.demo_mailbox_url,
        "theme": None,
    }
    session = g.get("panel_session")
    if isinstance(session, Session) and session.account is not None:
        given.update(
            menu=_menu(),
            account=_shown(session.account),
            sign_out_url=url_for("sign_in.sign_out"),
            home_url=url_for("home"),
            kept_left=kept.left,
        )
    return given


def role_name(role: access.Role) -> str:
    """Return what a role is called."""
    names: dict[access.Role, str] = {
        access.Role.OWNER: _("Owner"),
        access.Role.OFFICER: _("Officer"),
        access.Role.OPERATOR: _("Operator"),
        access.Role.AUDITOR: _("Auditor"),
    }
    return names[role]


def _shown(account: PanelAccount) -> dict[str, object]:
    return {
        "name": account.name,
        "role": role_name(access.Role(account.role)),
        "url": url_for("account.page"),
        "current": request.blueprint == "account",
    }


def _menu() -> list[dict[str, object]]:
    sections = [
        ("", [("overview.overview", _("Overview"), "layout-dashboard")]),
        (
            _("Security Key Management"),
            [
                ("users.users", _("Users"), "users"),
                ("groups.groups", _("Groups"), "users-round"),
                ("keys.keys", _("Security keys"), "key-round"),
                ("approvals.approvals", _("Approvals"), "hand"),
                ("stations.stations", _("Stations"), "router"),
                ("batches.batches", _("Batch"), "scan-line"),
            ],
        ),
        (
            _("System"),
            [
                ("directories.directories", _("Directories"), "folder-sync"),
                ("imports.imports", _("Import CSV"), "upload"),
                ("activity.activity", _("Activity"), "activity"),
                ("tasks.tasks", _("Long work"), "clock"),
                ("settings.index", _("Settings"), "settings"),
            ],
        ),
    ]
    return [
        {
            "label": label,
            "entries": [_entry(*entry) for entry in entries if _is_open(entry[0])],
        }
        for label, entries in sections
    ]


def _entry(endpoint: str, label: str, icon: str) -> dict[str, object]:
    here = _SECTION.get(request.blueprint or "", request.blueprint)
    return {
        "label": label,
        "url": url_for(endpoint),
        "icon": icon,
        "current": endpoint.partition(".")[0] == here,
        "count": tasks.open_count() if endpoint == "tasks.tasks" else 0,
    }


def _is_open(endpoint: str) -> bool:
    return endpoint in _pages() and web.may(_ROLES.get(endpoint, access.Role.AUDITOR))


def _pages() -> dict[str, object]:
    return dict(current_app.view_functions)


_ROLES = {"imports.imports": access.Role.OFFICER}
# Pages that belong to another one's menu entry.
_SECTION = {
    "pairing": "stations",
    "group_policy": "groups",
    "group_members": "groups",
    "user_edit": "users",
    "users_bulk": "users",
    "user_timeline": "users",
    "wizard": "users",
    "wizard_card": "users",
    "key_reader": "users",
    "key_browser": "users",
    "whose": "keys",
    "at_reader": "",
    "directory_guide": "directories",
    "directory_page": "directories",
    "directory_trial": "directories",
    "directory_conflicts": "directories",
    "directory_settings": "directories",
    "streams": "directories",
    "departures": "overview",
    "mails": "overview",
    "settings_models": "settings",
    "settings_mail": "settings",
    "settings_branding": "settings",
    "settings_accounts": "settings",
}
