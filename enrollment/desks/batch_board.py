# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the pages of a batch show: the board, labels, results."""

from __future__ import annotations

from collections.abc import Iterator

import segno
from flask import url_for
from flask_babel import format_date
from flask_babel import gettext as _
from markupsafe import Markup

from provisioning.desks import batch_people, batches, faults, jobs, stations
from provisioning.lifecycle import BatchState, TurnState
from provisioning.models import Batch, BatchItem, SecurityKey, Station
from provisioning.pages import times

from ..keys.items import Action, Ask
from . import tap

HEADER = [
    "position", "name", "userName", "result", "card", "keyId", "model", "reader", "finishedAt",
    "note",
]  # fmt: skip
_SOON = 6  # how many of those who wait the board names
_LATELY = 8


def suggested_name() -> str:
    """Return what a batch is called unless somebody says otherwise."""
    return str(_("Cards of %(day)s", day=format_date(format="medium", rebase=False)))


def line(batch: Batch) -> dict[str, object]:
    """Return a batch as the list shows it."""
    told = batches.counts(batch)
    total = sum(told.values())
    return {
        "id": batch.resource_id,
        "name": batch.name,
        "url": url_for("batches.batch", batch_id=batch.resource_id),
        "state": _state(batch),
        "done": told[TurnState.DONE],
        "without": told[TurnState.SKIPPED] + told[TurnState.REFUSED],
        "waiting": told[TurnState.WAITING] + told[TurnState.AT_READER],
        "total": total,
        "by": batch.account.name,
        "at": batch.updated_at,
    }


def people(batch: Batch) -> list[dict[str, object]]:
    """Return the people of a draft in order, each with what can be done about their place."""
    return [
        {
            "name": item.user.display_name,
            "user_name": item.user.user_name,
            **{
                verb: url_for(
                    "batches.arrange", batch_id=batch.resource_id, number=item.id, verb=verb
                )
                for verb in ("remove", "up", "down")
            },
        }
        for item in batches.items(batch)
    ]


def candidates(batch: Batch, search: str) -> list[dict[str, str]]:
    """Return whom a search finds to add."""
    return [
        {"id": user.resource_id, "name": user.display_name, "user_name": user.user_name}
        for user in batch_people.candidates(batch, search)
    ]


def board(batch: Batch) -> dict[str, object]:
    """Return the live board: one pane a reader, the row behind it, and what was done."""
    items = batches.items(batch)
    at = {item.station_id: item for item in items if item.state == TurnState.AT_READER}
    waiting = [item for item in items if item.state == TurnState.WAITING]
    ended = [i for i in items if i.state in (TurnState.DONE, TurnState.SKIPPED, TurnState.REFUSED)]
    ended.sort(key=lambda item: (item.updated_at, item.id), reverse=True)
    shown = line(batch)
    is_open = shown["state"] in ("running", "over")
    desks = [_pane(batch, desk, at.get(desk.id), waiting) for desk in batches.desks_of(batch)]
    version = ".".join(
        [str(batch.updated_at), str(shown["state"]), *(str(desk["version"]) for desk in desks)]
    )
    here = url_for("batches.board", batch_id=batch.resource_id, seen=version)
    return {
        **shown,
        "version": version,
        "poll_url": here if shown["state"] != "finished" else None,
        "desks": desks,
        "next": [item.user.display_name for item in waiting[:_SOON]],
        "more": max(len(waiting) - _SOON, 0),
        "ended": [_ended(batch, item) for item in (ended[:_LATELY] if is_open else ended)],
        "hidden": max(len(ended) - _LATELY, 0) if is_open else 0,
        "go_on": url_for("batches.go_on", batch_id=batch.resource_id),
        "pause": url_for("batches.stop", batch_id=batch.resource_id, verb="pause"),
        "finish": _finish(batch, len(waiting) + len(at)),
        "labels_url": url_for("batches.labels", batch_id=batch.resource_id),
        "csv_url": url_for("batches.result", batch_id=batch.resource_id),
    }


def labels(batch: Batch) -> list[dict[str, object]]:
    """Return a label for each finished card; its QR code holds the key's id and nothing else."""
    return [
        {
            "person": item.user.display_name,
            "card": item.key.name,
            "id": item.key.resource_id,
            "qr": _qr(item.key),
        }
        for item in batches.items(batch)
        if item.state == TurnState.DONE and item.key is not None
    ]


def results(batch: Batch) -> Iterator[list[object]]:
    """Return the rows of the result."""
    for number, item in enumerate(batches.items(batch), 1):
        key = item.key
        finished = item.updated_at if item.state == TurnState.DONE else None
        yield [
            number,
            item.user.display_name,
            item.user.user_name,
            item.state,
            key.name if key is not None else "",
            key.resource_id if key is not None else "",
            (key.model or "") if key is not None else "",
            item.station.name if item.station is not None else "",
            times.iso(finished) if finished is not None else "",
            _note(item),
        ]


def _state(batch: Batch) -> str:
    state = BatchState(batch.state)
    if state is BatchState.RUNNING and batches.is_over(batch):
        return "over"
    if state is BatchState.RUNNING and not batches.is_open(batch):
        return "closed"
    return state.value


def _pane(
    batch: Batch, desk: Station, item: BatchItem | None, waiting: list[BatchItem]
) -> dict[str, object]:
    state = stations.shown_state(desk)
    shown: dict[str, object] = {"name": desk.name, "state": state, "person": None, "version": state}
    if item is None or item.job is None:
        shown["headline"] = _("Nobody waits any more.") if not waiting else _("Ready for the next.")
        return shown
    job = tap.current(item.job)
    live = tap.tap_view(job)
    told = faults.of(item.note).sentence if item.note and live["phase"] == "waiting" else ""
    return {
        **shown,
        "person": item.user.display_name,
        "card": item.key.name if item.key is not None else "",
        "phase": live["phase"],
        "word": live["state"],
        "headline": live["headline"],
        "detail": str(told) or live["detail"],
        "seconds": live["seconds"],
        "total": jobs.TAP_S,
        "next": live["next"],
        "steps": live["steps"],
        "version": f"{state}-{tap.version_of(job)}",
        "retry": _turn(batch, item, "retry") if live["phase"] == "fault" else None,
        "skip": _turn(batch, item, "skip"),
    }


def _ended(batch: Batch, item: BatchItem) -> dict[str, object]:
    key = item.key
    return {
        "name": item.user.display_name,
        "url": url_for("users.user", user_id=item.user.resource_id),
        "state": item.state,
        "note": _note(item),
        "card": key.name if key is not None and item.state == TurnState.DONE else "",
        "at": item.updated_at,
        "undo": _undo(batch, item) if item.state == TurnState.DONE else None,
        "retry": _turn(batch, item, "retry")
        if item.state in (TurnState.SKIPPED, TurnState.REFUSED)
        and batch.state != BatchState.FINISHED
        else None,
    }


def _note(item: BatchItem) -> str:
    if item.state == TurnState.SKIPPED:
        key = item.key
        if key is not None and SecurityKey.get_by_id(key.id).state == "needs_reset":
            return str(_("The card was begun: reset it before somebody else gets it."))
        return str(_("Left out"))
    if item.state == TurnState.REFUSED:
        return str(item.note)
    return str(faults.of(item.note).sentence) if item.note else ""


def _turn(batch: Batch, item: BatchItem, verb: str) -> str:
    return url_for("batches.turn", batch_id=batch.resource_id, number=item.id, verb=verb)


def _undo(batch: Batch, item: BatchItem) -> Action | None:
    if not batches.is_open(batch):
        return None
    name = item.user.display_name
    return Action(
        _("Undo"),
        url_for("batches.undo", batch_id=batch.resource_id, number=item.id),
        "undo-2",
        ask=Ask(
            _("Take the card of %(name)s back?", name=name),
            [
                _("Its key is revoked for ever, and a PIN mail that has not left is cancelled."),
                _("%(name)s waits for a card again. Reset this one before it is used.", name=name),
            ],
            _("Take it back"),
        ),
    )


def _finish(batch: Batch, left: int) -> Action:
    url = url_for("batches.stop", batch_id=batch.resource_id, verb="finish")
    if not left:
        return Action(_("Finish"), url, "check", "primary")
    return Action(
        _("Finish"),
        url,
        "check",
        ask=Ask(
            _("Finish “%(name)s” now?", name=batch.name),
            [_("%(left)s people stay without a card of this batch.", left=left)],
            _("Finish"),
        ),
    )


def _qr(key: SecurityKey) -> Markup:
    made = segno.make(f"urn:uuid:{key.resource_id}", error="m", micro=False)
    # Digits and one path of our own making: nothing in it was typed by anybody.
    return Markup(made.svg_inline(scale=3, border=0, svgclass="qr", lineclass=None))  # noqa: S704
