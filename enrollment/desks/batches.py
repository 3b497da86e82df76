# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Batches: choose people and readers, start, and watch; where all stands is in rows."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning.csv_import import spreadsheet
from provisioning.desks import batch_people, batches, turns
from provisioning.errors import InvalidValue, KeywrightError, Taken, WrongState
from provisioning.lifecycle import BatchState
from provisioning.models import Batch, BatchItem, User
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import BREATH, transaction

from .. import web
from ..forms import BatchForm
from ..users import table as users_table
from ..web import panel_page
from . import batch_board, station_choice

blueprint = Blueprint("batches", __name__, url_prefix="/batches")


@blueprint.get("", endpoint="batches")
@panel_page()
def all_batches() -> ResponseReturnValue:
    """Show the batches, and how a new one begins."""
    form = BatchForm()
    return render_template(
        "panel/batches.html",
        rows=[batch_board.line(batch) for batch in batches.recent()],
        form=form if web.may(Role.OPERATOR) else None,
        make_url=url_for(".make"),
    )


@blueprint.post("")
@panel_page(Role.OPERATOR)
def make() -> ResponseReturnValue:
    """Make a draft, of the people that were ticked on the Users page or still of nobody."""
    form = BatchForm()
    if "whom" in request.form and not request.form.getlist("user"):  # the Users page's list
        flash(_("Tick somebody first, or choose all that match."), "info")
        return redirect(users_table.address(users_table.wanted(request.form)), 303)
    name = (form.name.data or "").strip() or batch_board.suggested_name()
    try:
        with transaction():
            chosen = batch_people.by_id(request.form.getlist("user"))
            batch = batches.make(name, web.panel_account(), chosen)
    except InvalidValue as error:
        flash(str(error), "error")
        return redirect(url_for(".batches"))
    return _to(batch)


@blueprint.get("/<batch_id>")
@panel_page()
def batch(batch_id: str) -> ResponseReturnValue:
    """Show the draft with its people, or the live board."""
    found = batches.get(batch_id)
    if found.state == BatchState.DRAFT:
        search = request.args.get("q", "")
        return render_template(
            "panel/batch_draft.html",
            batch=batch_board.line(found),
            people=batch_board.people(found),
            found=batch_board.candidates(found, search),
            search_text=search,
            new_count=batch_people.count_new(),
            groups=batch_people.groups(),
            stations=station_choice.choices(None),
            last_station=next(iter(station_choice.choices(None)), ""),
            may=web.may(Role.OPERATOR),
            list_url=url_for(".batches"),
        )
    return render_template(
        "panel/batch.html",
        board=batch_board.board(found),
        may=web.may(Role.OPERATOR),
        list_url=url_for(".batches"),
    )


@blueprint.get("/<batch_id>/board")
@panel_page(quiet=True)
def board(batch_id: str) -> ResponseReturnValue:
    """Answer the board's poll: 204 while nothing changed."""
    found = batches.get(batch_id)
    shown = batch_board.board(found)
    if request.args.get("seen") == shown["version"]:
        return Response(status=204)
    return render_template("panel/_batch_board.html", board=shown, may=web.may(Role.OPERATOR))


@blueprint.post("/<batch_id>/delete")
@panel_page(Role.OPERATOR)
def delete(batch_id: str) -> ResponseReturnValue:
    """Delete a draft."""
    try:
        with transaction():
            found = batches.get(batch_id)
            batches.discard(found)
    except WrongState as error:
        flash(str(error), "error")
        return redirect(url_for(".batch", batch_id=batch_id))
    flash(_("“%(name)s” is deleted.", name=found.name), "success")
    return redirect(url_for(".batches"))


@blueprint.post("/<batch_id>/people")
@panel_page(Role.OPERATOR)
def add(batch_id: str) -> ResponseReturnValue:
    """Add people: one, a group, or everybody who is New."""
    found = batches.get(batch_id)
    try:
        with transaction():
            added = batches.add(batches.get(batch_id), _chosen())
    except (InvalidValue, WrongState) as error:
        flash(str(error), "error")
        return _to(found)
    told = ngettext("One person added.", "%(num)s people added.", added)
    flash(told if added else _("All of these people are in the batch already."), "info")
    return _to(found)


@blueprint.post("/<batch_id>/people/<int:number>/<any(remove,up,down):verb>")
@panel_page(Role.OPERATOR)
def arrange(batch_id: str, number: int, verb: str) -> ResponseReturnValue:
    """Take somebody out, or let them come sooner or later."""
    found = batches.get(batch_id)
    with transaction():
        item = batches.item_of(found, number)
        if verb == "remove":
            batches.remove(item)
        else:
            batches.move(item, -1 if verb == "up" else 1)
    return _to(found)


@blueprint.post("/<batch_id>/start")
@panel_page(Role.OPERATOR)
def start(batch_id: str) -> ResponseReturnValue:
    """Open the batch at the chosen readers; one step-up opens it for an hour."""
    found = batches.get(batch_id)
    first = web.step_up_first(_url(found))
    if first is not None:
        return first
    try:
        desks = [station_choice.chosen(one) for one in request.form.getlist("station")]
        with transaction():
            found = batches.get(batch_id)
            found.account = web.panel_account()
            turns.start(found, desks, web.actor())
        _wake(found)
    except (InvalidValue, Taken) as error:
        flash(str(error), "error")
    return _to(found)


@blueprint.post("/<batch_id>/go-on")
@panel_page(Role.OPERATOR)
def go_on(batch_id: str) -> ResponseReturnValue:
    """Go on after a pause or an hour."""
    found = batches.get(batch_id)
    first = web.step_up_first(_url(found))
    if first is not None:
        return first
    with transaction():
        found = batches.get(batch_id)
        turns.reopen(found, web.panel_account(), web.actor())
    _wake(found)
    return _to(found)


@blueprint.post("/<batch_id>/<any(pause,finish):verb>")
@panel_page(Role.OPERATOR)
def stop(batch_id: str, verb: str) -> ResponseReturnValue:
    """Begin no further turn for now, or end the batch."""
    found = batches.get(batch_id)
    with transaction():
        found = batches.get(batch_id)
        if verb == "pause":
            turns.pause(found, web.actor())
        else:
            turns.finish(found, web.actor())
    return _to(found)


@blueprint.post("/<batch_id>/turns/<int:number>/<any(skip,retry):verb>")
@panel_page(Role.OPERATOR)
def turn(batch_id: str, number: int, verb: str) -> ResponseReturnValue:
    """Let a turn pass, or have it again."""
    found = batches.get(batch_id)
    does: Callable[[BatchItem], None] = {
        "skip": lambda item: turns.skip(item, web.actor()),
        "retry": lambda item: turns.retry(item, web.actor()),
    }[verb]
    return _do(found, number, does)


@blueprint.post("/<batch_id>/turns/<int:number>/undo")
@panel_page(Role.OPERATOR)
def undo(batch_id: str, number: int) -> ResponseReturnValue:
    """Take a finished card back; its key is revoked for ever."""
    found = batches.get(batch_id)
    first = web.step_up_first(_url(found))
    if first is not None:
        return first
    web.check_may_activate(batches.item_of(found, number).user)
    return _do(found, number, lambda item: turns.undo(item, web.actor(), services()))


@blueprint.get("/<batch_id>/labels")
@panel_page(Role.OPERATOR)
def labels(batch_id: str) -> ResponseReturnValue:
    """Show labels to print: user, card name, and the key's id as a QR code."""
    found = batches.get(batch_id)
    return render_template(
        "panel/batch_labels.html",
        name=found.name,
        labels=batch_board.labels(found),
        back_url=_url(found),
    )


@blueprint.get("/<batch_id>/result.csv")
@panel_page()
def result(batch_id: str) -> ResponseReturnValue:
    """Send what became of each turn."""
    found = batches.get(batch_id)
    lines = spreadsheet.lines(batch_board.HEADER, batch_board.results(found))
    response = Response(lines, mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="batch.csv"'
    return response


def _do(found: Batch, number: int, does: Callable[[BatchItem], None]) -> ResponseReturnValue:
    try:
        with transaction():
            does(batches.item_of(found, number))
        _wake(found)
    except KeywrightError as error:
        flash(str(error), "error")
    return _to(found)


def _wake(found: Batch) -> None:
    """Begin the next turns. After a second of nothing but refusals the readers go on with it."""
    until = monotonic() + 1.0
    while True:
        with transaction():
            more = turns.wake(batches.get(found.resource_id), services())
        if not more or monotonic() >= until:
            return
        sleep(BREATH)


def _chosen() -> list[User]:
    if request.form.get("add") == "new":
        return batch_people.all_new()
    if request.form.get("group"):
        return batch_people.of_group(request.form["group"])
    return batch_people.by_id(request.form.getlist("user"))


def _url(found: Batch) -> str:
    return url_for(".batch", batch_id=found.resource_id)


def _to(found: Batch) -> ResponseReturnValue:
    search = request.values.get("q", "")
    return redirect(
        url_for(".batch", batch_id=found.resource_id, q=search) if search else _url(found)
    )
