# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the wizard's pages ask while somebody types: save, is the name taken, groups, reader."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from provisioning.errors import NotFound, Unauthenticated, WrongState
from provisioning.pages.requests import path_here
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..desks import station_choice
from ..forms import user_name_fault
from ..web import panel_page
from . import drafts, forms, tabs, view
from .drafts import Step

blueprint = Blueprint("wizard_live", __name__, url_prefix="/users/new/<draft_id>")


@blueprint.errorhandler(Unauthenticated)
def signed_out(_error: Unauthenticated) -> ResponseReturnValue:
    """Say that saving stopped, and leave the page as it is: what is typed there is not lost."""
    if request.endpoint != "wizard_live.save":
        return Response(status=204)
    shown = path_here(request.headers.get("HX-Current-URL", "")).partition("?")[0] or "/"
    return render_template(
        "panel/wizard/_signed_out.html",
        sign_in_url=url_for("sign_in.page", next=shown),
        autosave_url=request.full_path,
    )


@blueprint.post("/save")
@panel_page(Role.OPERATOR)
def save(draft_id: str) -> ResponseReturnValue:
    """Keep what is typed right now, whatever it is like, so that nothing can be lost."""
    if request.args.get("step") not in set(Step):
        raise NotFound("There is no such step.")
    step = Step(request.args["step"])
    with transaction():
        row = drafts.load(draft_id, web.panel_account())
        if row.state != "open":
            raise WrongState("This wizard is finished already.")
        typed = drafts.read(row)
        if tabs.clash(row, typed, step, request.form) is not None:
            return render_template("panel/wizard/_elsewhere.html")
        if request.args.get("turn", str(typed.turn)) != str(typed.turn):
            return "", 204  # overtaken by a submit, which brought the whole form
        named = tabs.take(row, typed, step, request.form)
        drafts.save(row, typed)
    page = render_template(
        "panel/wizard/_saved.html", wizard=view.frame(row, typed, step, services())
    )
    if named and typed.key.get("auto"):
        form = forms.key_form(row, typed, services(), check=False)
        page += str(
            form.key_name(
                class_="input",
                autocomplete="off",
                **{"aria-describedby": "key_name-hint", "hx-swap-oob": "outerHTML"},
            )
        )
    return page


@blueprint.get("/user-name")
@panel_page(Role.OPERATOR)
def user_name(draft_id: str) -> ResponseReturnValue:
    """Say at once that a userName is taken."""
    drafts.load(draft_id, web.panel_account())
    typed = request.args.get("user_name", "")
    sentence = user_name_fault(typed) if typed.strip() else ""
    return render_template("panel/_live_note.html", sentence=sentence)


@blueprint.post("/pick")
@panel_page(Role.OPERATOR)
def pick(draft_id: str) -> ResponseReturnValue:
    """Answer the group picker for what is ticked and searched now."""
    row = drafts.load(draft_id, web.panel_account())
    typed = drafts.Typed(
        groups=drafts.take_groups(request.form.getlist("groups")),
        search=request.form.get("search", "")[:100],
    )
    return render_template(
        "panel/wizard/_group_picker.html",
        picker=view.picker(typed, drafts.ruling(row, typed, services())),
        picker_url=url_for(".pick", draft_id=draft_id),
    )


@blueprint.get("/station")
@panel_page(Role.OPERATOR, quiet=True)
def station(draft_id: str) -> ResponseReturnValue:
    """Answer the chosen reader's live state."""
    row = drafts.load(draft_id, web.panel_account())
    return render_template(
        "panel/wizard/_station_state.html",
        station_state=station_choice.state(request.args.get("station"), row.user),
        station_url=url_for(".station", draft_id=draft_id),
    )
