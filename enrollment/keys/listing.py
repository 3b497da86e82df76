# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Security keys: the list, and what is done to one key without a reader."""

from __future__ import annotations

from flask import (
    Blueprint,
    Response,
    flash,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import keys
from provisioning.desks import jobs
from provisioning.desks.jobs import Op
from provisioning.errors import Forbidden, InvalidValue, NotFound, StepUpNeeded, Taken, WrongState
from provisioning.issuing import activations, assignment, link_codes, terms
from provisioning.lifecycle import KeyState, Reason
from provisioning.mails import notices
from provisioning.models import SecurityKey, User
from provisioning.pages import key_list, times
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import kept, web
from ..forms import NameForm, TermForm, kinds
from ..web import panel_page
from . import table

blueprint = Blueprint("keys", __name__, url_prefix="/keys")


@blueprint.get("", endpoint="keys")
@panel_page()
def all_keys() -> ResponseReturnValue:
    """Show every key by the URL's filters."""
    wanted = table.wanted(request.args)
    counts = key_list.counts()
    lines, more = key_list.page(wanted)
    return render_template(
        "panel/keys.html",
        tabs=table.tabs(wanted, counts),
        rows=table.rows(lines),
        models=key_list.models(),
        model_filter=wanted.model,
        state_filter=wanted.state,
        kinds=list(kinds().items()),
        kind_filter=wanted.kind,
        export_url=table.address(wanted, "keys.export"),
        search_text=wanted.search,
        list_url=url_for(".keys"),
        pager=table.pager(wanted, lines, more),
        total=sum(counts.values()),
        whose_url=url_for("whose.choose") if web.may(Role.OPERATOR) else None,
    )


@blueprint.get("/export.csv")
@panel_page()
def export() -> ResponseReturnValue:
    """Stream the whole filtered list as CSV."""
    lines = key_list.export(table.wanted(request.args))
    response = Response(stream_with_context(table.as_csv(lines)), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="security-keys.csv"'
    return response


@blueprint.post("/<key_id>/suspend")
@panel_page(Role.OPERATOR)
def suspend(key_id: str) -> ResponseReturnValue:
    """Stop a key for now."""
    key, user = _key(key_id)
    with transaction():
        jobs.suspend_key(key, Reason.ON_HOLD, web.actor())
    flash(_needs_reset(key) or _("“%(name)s” is suspended.", name=key.name), "success")
    return _page(user)


@blueprint.post("/<key_id>/resume")
@panel_page(Role.OFFICER)
def resume(key_id: str) -> ResponseReturnValue:
    """Let a suspended key go on."""
    key, user = _key(key_id)
    web.check_may_activate(user)
    try:
        with transaction():
            user.renew()
            if not user.active:
                name = user.display_name
                raise WrongState(_("%(name)s is suspended: reactivate first.", name=name))
            keys.resume(key, web.actor())
    except WrongState as error:
        flash(str(error), "error")
        return _page(user)
    flash(
        _("“%(name)s” works again.", name=key.name)
        if key.state == KeyState.ACTIVE
        else _("“%(name)s” waits for its activation again.", name=key.name),
        "success",
    )
    return _page(user)


@blueprint.post("/<key_id>/lost")
@panel_page(Role.OPERATOR)
def lost(key_id: str) -> ResponseReturnValue:
    """Stop a lost key at once; a replacement is one button away."""
    key, user = _key(key_id)
    with transaction():
        jobs.suspend_key(key, Reason.LOST, web.actor())
    flash(
        _needs_reset(key)
        or _("“%(name)s” is suspended. Assign a replacement whenever you like.", name=key.name),
        "success",
    )
    return _page(user)


@blueprint.post("/<key_id>/revoke")
@panel_page(Role.OFFICER)
def revoke(key_id: str) -> ResponseReturnValue:
    """End a key for ever."""
    key, user = _key(key_id)
    first = web.step_up_first(url_for("users.user", user_id=user.resource_id))
    if first is not None:
        return first
    with transaction():
        access.check_may_revoke(web.panel_session(), user)
        activations.cancel(key, web.actor())
        jobs.cancel_for_key(key, web.actor())
        keys.revoke(key, Reason.CANCELLED, web.actor())
        notices.key_revoked(key, web.actor(), services())
    flash(_("“%(name)s” is revoked and never works again.", name=key.name), "success")
    return _page(user)


@blueprint.route("/<key_id>/rename", methods=["GET", "POST"])
@panel_page(Role.OPERATOR)
def rename(key_id: str) -> ResponseReturnValue:
    """Give a key another name, unique among its user's."""
    key, user = _key(key_id)
    form = NameForm(kept.form_data(), name=key.name, before=key.name)
    if form.validate_on_submit() and form.is_fresh(form.name, key.name):
        try:
            with transaction():
                keys.rename(key, form.name.data or "", web.actor())
            return _page(user)
        except (InvalidValue, Taken) as error:
            form.blame(error, "name")
    return render_template(
        "panel/name.html",
        title=_("Rename key"),
        lead=None,
        form=form,
        save_label=_("Rename"),
        back={
            "label": user.display_name,
            "url": url_for("users.user", user_id=user.resource_id),
        },
    )


@blueprint.route("/<key_id>/ends", methods=["GET", "POST"])
@panel_page(Role.OPERATOR)
def ends(key_id: str) -> ResponseReturnValue:
    """Lend a key until a day, give it more time, or let it be for good.

    A day that takes time away revokes the key, only later: for that, what revoking asks for.
    """
    key, user = _key(key_id)
    now = terms.day_of(key)
    shown = now.isoformat() if now is not None else ""
    form = TermForm(kept.form_data(), ends_on=now, before=shown)
    words = times.exact(key.ends_at) if key.ends_at is not None else _("for good")
    if form.validate_on_submit() and form.is_fresh(form.ends_on, shown, words):
        day = form.ends_on.data
        ends_at = terms.end_of(day) if day is not None else None
        try:
            with transaction():
                key.renew()
                if terms.takes_away(key, ends_at):
                    access.check_may_revoke(web.panel_session(), user)
                terms.set_end(key, ends_at, web.actor())
            return _page(user)
        except InvalidValue as error:
            form.blame(error, "ends_on")
        except StepUpNeeded:
            kept.keep()
            raise
        except Forbidden as error:
            form.ends_on.errors = [*form.ends_on.errors, str(error)]
    return render_template(
        "panel/term.html",
        key_name=key.name,
        form=form,
        ends_at=key.ends_at,
        only_more=key.state not in (KeyState.DRAFT, KeyState.PENDING) and not web.may(Role.OFFICER),
        back={
            "label": user.display_name,
            "url": url_for("users.user", user_id=user.resource_id),
        },
    )


@blueprint.post("/<key_id>/resend")
@panel_page(Role.OPERATOR)
def resend(key_id: str) -> ResponseReturnValue:
    """Send a new registration link; the one before stops working."""
    key, user = _key(key_id)
    if key.state != KeyState.PENDING:
        raise WrongState(_("This key does not wait for an activation any more."))
    with transaction():
        link, _url = activations.issue(key, services(), web.actor())
    flash(_("A new registration link goes to %(address)s.", address=link.address), "success")
    return _page(user)


@blueprint.post("/<key_id>/cancel-link")
@panel_page(Role.OPERATOR)
def cancel_link(key_id: str) -> ResponseReturnValue:
    """Kill the live link."""
    key, user = _key(key_id)
    with transaction():
        ended = activations.cancel(key, web.actor())
    flash(_("The link no longer works.") if ended else _("No link was open."), "success")
    return _page(user)


@blueprint.post("/<key_id>/link-code")
@panel_page(Role.OPERATOR)
def link_code(key_id: str) -> ResponseReturnValue:
    """Show the code that the live link asks for, to be told by phone or in person."""
    key, user = _key(key_id)
    page = url_for("users.user", user_id=user.resource_id)
    web.check_may_activate(user)
    first = web.step_up_first(page)
    if first is not None:
        return first
    link = activations.latest(key)
    if link is None:
        raise NotFound(_("There is no such link."))
    with transaction():
        code = link_codes.show(link, services(), web.actor())
    return render_template(
        "panel/link_code.html",
        code=code,
        key_name=key.name,
        person={"name": user.display_name, "url": page},
    )


@blueprint.post("/<key_id>/pin")
@panel_page(Role.OPERATOR)
def reveal_pin(key_id: str) -> ResponseReturnValue:
    """Show a card's PIN once and forget it (`pin_delivery=reveal_once`)."""
    key, user = _key(key_id)
    page = url_for("users.user", user_id=user.resource_id)
    web.check_may_activate(user)
    first = web.step_up_first(page)
    if first is not None:
        return first
    job = jobs.of_key(key, Op.ENROL)
    if job is None:
        raise NotFound(_("There is no PIN."))
    with transaction():
        pin = assignment.reveal_pin(job, services(), web.actor())
    return render_template(
        "panel/pin.html",
        pin=pin,
        key_name=key.name,
        person={"name": user.display_name, "url": page},
    )


def _key(key_id: str) -> tuple[SecurityKey, User]:
    key = keys.get_key(key_id)
    if key.user is None:
        raise NotFound(_("There is no such key."))
    return key, key.user


def _needs_reset(key: SecurityKey) -> str:
    """Return what to say of a key whose card was being written when it was stopped, or ""."""
    if key.state != KeyState.NEEDS_RESET:
        return ""
    words = _("“%(name)s” is stopped. Its card may carry a PIN already: reset it.", name=key.name)
    return str(words)


def _page(user: User) -> ResponseReturnValue:
    return redirect(url_for("users.user", user_id=user.resource_id))
