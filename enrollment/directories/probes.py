# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What directories ask when they are connected, and how the answers are to be read.

Each probe asks as its client is known to ask (see its comment) and judges what came back in one
sentence, with what to do where something is to be done.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, unquote

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from provisioning.pages import figures
from provisioning.upstream import rehearsal
from provisioning.upstream.rehearsal import Exchange, Stage

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True)
class Verdict:
    """`tone` is ok, warn or bad; `mend` says what to do, `place` a page of the connection."""

    tone: str
    text: str
    mend: str = ""
    place: str = ""


@dataclass(frozen=True)
class Probe:
    """Something that a client asks: `play` asks it and judges the answers."""

    client: object
    title: object
    play: Callable[[Stage], Verdict]


@dataclass(frozen=True)
class Result:
    """A probe that was played, with everything that was said."""

    probe: Probe
    verdict: Verdict
    exchanges: list[Exchange]


def play_all(stage: Stage) -> list[Result]:
    """Play every probe, one after the other; none sees what another one made."""
    results = []
    for probe in PROBES:
        before = len(stage.exchanges)
        verdict = rehearsal.taken_back(partial(probe.play, stage))
        results.append(Result(probe, verdict, stage.exchanges[before:]))
    return results


def _entra(stage: Stage) -> Verdict:
    # Its Test Connection looks for a random GUID and wants 200 with an empty list.
    filter_ = quote(f'userName eq "{uuid.uuid4()}"')
    return _nobody(stage.ask("GET", f"/Users?filter={filter_}"))


def _entra_groups(stage: Stage) -> Verdict:
    filter_ = quote(f'displayName eq "{uuid.uuid4()}"')
    return _nobody(stage.ask("GET", f"/Groups?excludedAttributes=members&filter={filter_}"))


def _entra_leaver(stage: Stage) -> Verdict:
    # It says false as a text, unless its address is given a flag.
    made = _make_user(stage)
    if made.status != 201:
        return _not_written(made)
    path = f"/Users/{made.answer['id']}"
    change = {"op": "Replace", "path": "active", "value": "False"}
    left = stage.ask("PATCH", path, {"schemas": [PATCH], "Operations": [change]})
    if left.status == 400:
        return Verdict(
            "warn",
            _(
                "Refused with 400: the profile of this connection does not take a text for true "
                "or false."
            ),
            _("If Entra ID is to be connected, choose its profile in the settings, or tolerant."),
            "settings",
        )
    found = stage.ask("GET", path)
    if left.status not in (200, 204) or found.answer.get("active") is not False:
        return _unexpected(left)
    return Verdict("ok", _("Somebody who leaves is suspended, with every key, by this request."))


def _okta(stage: Stage) -> Verdict:
    filter_ = quote(f'userName eq "{_name()}"')
    return _nobody(stage.ask("GET", f"/Users?filter={filter_}&startIndex=1&count=100"))


def _ping(stage: Stage) -> Verdict:
    filter_ = quote(f'emails eq "{_name()}"')
    return _nobody(stage.ask("GET", f"/Users?filter={filter_}"))


def _google(stage: Stage) -> Verdict:
    found = stage.ask("GET", "/Users?count=1")
    if not _is_list(found):
        return _unexpected(found)
    there = found.answer["totalResults"]
    return Verdict(
        "ok",
        ngettext(
            "It sees one user, which it made itself.",
            "It sees %(n)s users: those that it made itself.",
            there,
            n=figures.number(there),
        ),
    )


def _sailpoint(stage: Stage) -> Verdict:
    # It demands all of them before it goes on.
    for path in (
        "/ServiceProviderConfig",
        "/ResourceTypes",
        "/Schemas",
        "/ResourceTypes/User",
        f"/Schemas/{CORE}User",
    ):
        found = stage.ask("GET", path)
        if found.status != 200:
            return _unexpected(found)
    return Verdict("ok", _("All five discovery addresses answer with 200."))


def _jumpcloud(stage: Stage) -> Verdict:
    # Its Test Connection makes a user and a group and deletes both.
    made = _make_user(stage)
    if made.status != 201:
        return _not_written(made)
    gone = stage.ask("DELETE", f"/Users/{made.answer['id']}")
    if gone.status != 204:
        return _unexpected(gone)
    made = stage.ask(
        "POST", "/Groups", {"schemas": [CORE + "Group"], "displayName": _name(), "members": []}
    )
    if made.status != 201:
        return _not_written(made)
    gone = stage.ask("DELETE", f"/Groups/{made.answer['id']}")
    if gone.status != 204:
        return _unexpected(gone)
    return Verdict(
        "ok", _("A user and a group were made and deleted. Here all of it was taken back.")
    )


def _wrong_token(stage: Stage) -> Verdict:
    found = stage.ask("GET", "/Users", token="kw_0000000000000000_" + "0" * 64)
    if found.status != 401:
        return _unexpected(found)
    return Verdict(
        "ok",
        _("Refused with 401. If the directory reports this answer, its token is the reason."),
    )


def _make_user(stage: Stage) -> Exchange:
    name = _name()
    return stage.ask(
        "POST",
        "/Users",
        {
            "schemas": [CORE + "User"],
            "userName": name,
            "name": {"givenName": "Test", "familyName": "Connection"},
            "emails": [{"value": name, "type": "work", "primary": True}],
            "active": True,
        },
    )


def _name() -> str:
    return f"probe-{secrets.token_hex(6)}@example.org"


def _is_list(found: Exchange) -> bool:
    answer = found.answer
    return (
        found.status == 200
        and isinstance(answer, dict)
        and isinstance(answer.get("totalResults"), int)
    )


def _nobody(found: Exchange) -> Verdict:
    if not _is_list(found) or found.answer["totalResults"] != 0:
        return _unexpected(found)
    return Verdict("ok", _("200 and an empty list, which is what it wants to hear."))


def _not_written(refused: Exchange) -> Verdict:
    if refused.status != 403:
        return _unexpected(refused)
    return Verdict(
        "warn",
        _("Refused with 403: the rights of this connection do not let it write that."),
        _("If the directory is to write it, change Rights in the settings."),
        "settings",
    )


def _unexpected(found: Exchange) -> Verdict:
    return Verdict(
        "bad",
        _(
            "%(status)s came to %(method)s %(path)s.",
            status=found.status,
            method=found.method,
            path=unquote(found.path),
        ),
        _("This is a fault of the server: look at its log for this minute."),
    )


PROBES = (
    Probe("Microsoft Entra ID", _l("Test connection: look for nobody"), _entra),
    Probe("Microsoft Entra ID", _l("Look for a group before it is made"), _entra_groups),
    Probe("Microsoft Entra ID", _l("Let somebody go: active becomes “False”"), _entra_leaver),
    Probe("Okta", _l("Look for a user before it is made"), _okta),
    Probe("Ping", _l("Look for an e-mail address"), _ping),
    Probe("Google Workspace", _l("Ask for one user"), _google),
    Probe("SailPoint", _l("Discovery"), _sailpoint),
    Probe("JumpCloud", _l("Test connection: make and delete a user and a group"), _jumpcloud),
    Probe(_l("Any"), _l("A token that is wrong"), _wrong_token),
)
