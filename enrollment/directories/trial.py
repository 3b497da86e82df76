# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Test: what a directory sees when it asks, and what stands in its way."""

from __future__ import annotations

import ipaddress
import json
from urllib.parse import unquote, urlsplit

from flask import Blueprint, current_app, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning.clock import DAY, now_ms
from provisioning.models import Connection, Token
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.upstream import connections, rehearsal, tokens, traces
from provisioning.upstream.rehearsal import Exchange

from ..web import panel_page
from . import probes
from .page import SOON, base_url, head
from .probes import Result, Verdict

SHOWN = 3_000  # characters of an answer

blueprint = Blueprint("directory_trial", __name__, url_prefix="/directories")

_PLACES = {
    "settings": "directory_settings.settings",
    "page": "directory_page.page",
    "requests": "directory_page.requests",
    "conflicts": "directory_conflicts.conflicts",
}


@blueprint.get("/<int:connection_id>/test")
@panel_page(Role.OPERATOR)
def test(connection_id: int) -> ResponseReturnValue:
    """Say what stands in the way, and what a test would ask."""
    return _page(connections.get(connection_id), [])


@blueprint.post("/<int:connection_id>/test", endpoint="run")
@panel_page(Role.OPERATOR)
def run(connection_id: int) -> ResponseReturnValue:
    """Ask as this directory, take it all back, and show what was answered."""
    connection = connections.get(connection_id)
    results = rehearsal.rehearse(
        current_app.wsgi_app,
        services().settings.base_url,
        connection,
        probes.play_all,
    )
    return _page(connection, results)


def _page(connection: Connection, results: list[Result]) -> ResponseReturnValue:
    return render_template(
        "panel/directory/trial.html",
        **head(connection, "test"),
        run_url=url_for("directory_trial.run", connection_id=connection.id),
        checks=[
            _shown(label, verdict, connection)
            for label, verdict in (
                (_("Address"), _address()),
                (_("Token"), _token(connection)),
                (_("Its own requests"), _lately(connection)),
            )
        ],
        results=[
            {
                "client": str(result.probe.client),
                **_shown(str(result.probe.title), result.verdict, connection),
                "exchanges": [_exchange(each) for each in result.exchanges],
            }
            for result in results
        ],
        held=sum(result.verdict.tone == "ok" for result in results),
        probes=[(str(p.client), str(p.title)) for p in probes.PROBES],
    )


def _shown(label: str, verdict: Verdict, connection: Connection) -> dict[str, object]:
    place = _PLACES.get(verdict.place)
    return {
        "title": label,
        "tone": verdict.tone,
        "text": verdict.text,
        "mend": verdict.mend,
        "url": url_for(place, connection_id=connection.id) if place else None,
    }


def _exchange(made: Exchange) -> dict[str, object]:
    lines = [f"{made.method} {base_url()}{unquote(made.path)}", "Authorization: Bearer …"]
    if made.body is not None:
        lines += ["Content-Type: application/scim+json", "", _json(made.body)]
    return {
        "request": "\n".join(lines),
        "status": made.status,
        "answer": _json(made.answer) if made.answer is not None else "",
        "ms": f"{made.micros / 1_000:.1f}",
    }


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if len(text) <= SHOWN else text[:SHOWN] + "\n…"


def _address() -> Verdict:
    """Judge the base URL as a directory in the cloud would."""
    parts = urlsplit(base_url())
    host = parts.hostname or ""
    if host == "localhost" or _is_private(host):
        return Verdict(
            "warn",
            _("%(host)s is reached from this machine or network only.", host=host),
            _(
                "A directory in the cloud needs an address that it can reach: set "
                "KEYWRIGHT_BASE_URL, and a proxy or a provisioning agent in front if need be."
            ),
        )
    if parts.scheme != "https":
        return Verdict(
            "bad",
            _("The base URL is not https, which every directory demands."),
            _("Set KEYWRIGHT_BASE_URL to the https address."),
        )
    if "_" in host:
        return Verdict(
            "warn",
            _("The host's name has an underscore, which Okta does not take."),
            _("Give the server another name, if Okta is to be connected."),
        )
    return Verdict(
        "ok",
        _(
            "%(url)s. A request that names another host is refused with 400: the directory must "
            "have exactly this.",
            url=base_url(),
        ),
    )


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _token(connection: Connection) -> Verdict:
    if connection.retired_at is not None:
        return Verdict(
            "bad",
            _("The connection is retired: every request is refused with 401."),
            _("Bring it back in the settings, then make a token."),
            "settings",
        )
    ends = [token.expires_at for token in tokens.living(connection)]
    if not ends:
        expired = Token.select().where(Token.connection == connection, Token.revoked_at.is_null())
        return Verdict(
            "bad",
            _("Its token has expired: every request is refused with 401.")
            if expired.exists()
            else _("It has no token: every request is refused with 401."),
            _("Make a new token and paste it into the directory."),
            "page",
        )
    left = (max(ends) - now_ms()) // DAY
    if max(ends) - now_ms() < SOON:
        return Verdict(
            "warn",
            ngettext(
                "Its last token ends within a day.",
                "Its last token ends in %(num)s days.",
                max(left, 1),
            ),
            _("Make a new token now and paste it; two may work at once."),
            "page",
        )
    return Verdict("ok", ngettext("It ends in a day.", "It ends in %(num)s days.", max(left, 1)))


def _lately(connection: Connection) -> Verdict:
    """Judge what the directory itself asked in the last day."""
    refused = traces.refusals(connection, now_ms() - DAY)
    if not refused:
        if connection.last_seen_at is None:
            return Verdict(
                "warn",
                _("It has asked nothing so far."),
                _("Start its own test: in Entra ID Test Connection, in Okta Test API Credentials."),
            )
        return Verdict("ok", _("Nothing that it asked in the last day was refused."))
    status, scim_type, count, _at = refused[0]
    words = {
        401: _("401: its token is another one than this connection's, was revoked or has expired."),
        403: _("403: its rights do not let it do that."),
        404: _("404: it asks for something that is gone, or that it did not make."),
        409: _("409: a name is held already."),
        429: _("429: it asks faster than it may."),
    }
    mends = {
        401: (_("Paste the token again, or make a new one."), "page"),
        403: (_("Change Rights in the settings if it should."), "settings"),
        409: (_("Decide under Conflicts."), "conflicts"),
    }
    mend, place = mends.get(status, (_("Look at its requests."), "requests"))
    told = words.get(status, f"{status} {scim_type or ''}".strip())
    return Verdict(
        "warn",
        ngettext(
            "Most often refused in the last day, once: %(what)s",
            "Most often refused in the last day, %(num)s times: %(what)s",
            count,
            what=told,
        ),
        mend,
        place,
    )
