# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The list of all keys as the template wants it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from provisioning.csv_import import spreadsheet
from provisioning.lifecycle import KeyKind, KeyState
from provisioning.pages import times
from provisioning.pages.key_list import Exported, Line, Wanted

from ..web import position


def wanted(args: MultiDict[str, str]) -> Wanted:
    """Read the filters of a URL; what it does not know means all."""
    state, kind = args.get("state", ""), args.get("kind", "")
    return Wanted(
        state=KeyState(state) if state in set(KeyState) and state != KeyState.DRAFT else None,
        model=args.get("model", "")[:200],
        kind=KeyKind(kind) if kind in set(KeyKind) else None,
        search=args.get("q", "").strip()[:100],
        after=position(),
    )


def address(shown: Wanted, endpoint: str = "keys.keys", **changes: str | int | None) -> str:
    """Return the list's URL with these filters."""
    given: dict[str, Any] = {
        "q": shown.search,
        "state": shown.state,
        "model": shown.model,
        "kind": shown.kind,
        **changes,
    }
    return url_for(endpoint, **{name: value for name, value in given.items() if value})


def tabs(shown: Wanted, counts: dict[KeyState, int]) -> list[dict[str, object]]:
    """Return the counters."""
    labels: list[tuple[KeyState | None, str]] = [
        (None, _("All")),
        (KeyState.ACTIVE, _("Active")),
        (KeyState.PENDING, _("Waiting")),
        (KeyState.SUSPENDED, _("Suspended")),
        (KeyState.NEEDS_RESET, _("Needs a reset")),
        (KeyState.REVOKED, _("Revoked")),
    ]
    return [
        {
            "label": label,
            "count": counts[state] if state is not None else sum(counts.values()),
            "url": address(shown, state=state),
            "current": shown.state == state,
        }
        for state, label in labels
    ]


def rows(lines: list[Line]) -> list[dict[str, object]]:
    """Return the lines; `model` is only kept of a key whose maker vouched for it."""
    return [
        {
            "name": line.name,
            "kind": line.kind,
            "state": line.state,
            "model": line.model,
            "attested": line.model is not None,
            "person": line.person,
            "person_url": None
            if line.person_gone
            else url_for("users.user", user_id=line.person_id),
            "last_used_at": line.last_used_at,
        }
        for line in lines
    ]


def pager(shown: Wanted, lines: list[Line], more: bool) -> dict[str, object]:
    """Return what stands under the list."""
    return {
        "shown": _("%(some)s shown", some=len(lines)),
        "first_url": address(shown) if shown.after else None,
        "previous_url": None,
        "next_url": address(shown, after=lines[-1].row) if more else None,
    }


def as_csv(lines: Iterable[Exported]) -> Iterator[str]:
    """Write keys as CSV, in pieces."""
    header = ["key", "device", "state", "reason", "model", "aaguid", "attestation", "person"]
    header += ["userName", "assigned", "activated", "confirmed", "revoked", "lastUsed"]
    return spreadsheet.lines(header, map(_cells, lines))


def _cells(line: Exported) -> list[object]:
    moments = (
        line.created_at,
        line.activated_at,
        line.confirmed_at,
        line.revoked_at,
        line.last_used_at,
    )
    return [
        line.name,
        line.kind,
        line.state,
        line.reason or "",
        line.model or "",
        line.aaguid or "",
        line.attestation or "",
        line.person,
        line.user_name,
        *(times.iso(at) if at else "" for at in moments),
    ]
