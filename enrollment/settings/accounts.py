# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Panel accounts: who works here, in which role; invitations by a one-time link."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectField
from wtforms.validators import InputRequired, Optional

from provisioning.errors import InvalidValue, NotFound, Taken
from provisioning.models import PanelAccount
from provisioning.panel import accounts
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import kept, menu, web
from ..forms import Form, _address, _text
from ..keys.items import Action, Ask
from ..web import panel_page
from . import shared
from .shared import OWNER

blueprint = Blueprint("settings_accounts", __name__, url_prefix="/settings/accounts")


def role_hints() -> dict[Role, str]:
    """Return what each role may do, the weakest first."""
    return {
        Role.AUDITOR: _("reads everything, changes nothing"),
        Role.OPERATOR: _("assigns and activates keys"),
        Role.OFFICER: _("also approves, revokes and resumes"),
        Role.OWNER: _("also settings, accounts and directories"),
    }


def _roles() -> dict[str, str]:
    return {role.value: f"{menu.role_name(role)}: {hint}" for role, hint in role_hints().items()}


class InviteForm(Form):
    """Who is to work in the panel."""

    name = _text(_l("Name"), 64, InputRequired())
    email = _text(_l("Email"), 254, Optional(), _address)
    role = SelectField(_l("Role"), choices=_roles, default=Role.OPERATOR.value)
    user_name = _text(_l("Their user name in the directory"), 256)


class RoleForm(Form):
    """Another role."""

    role = SelectField(_l("Role"), choices=_roles)


class PersonForm(Form):
    """Whose account it is."""

    user_name = _text(_l("Their user name in the directory"), 256)


@blueprint.get("")
@panel_page()
def page() -> ResponseReturnValue:
    """Show everybody who works here."""
    typed = kept.take()
    form = InviteForm(formdata=typed)
    return _page(form)


@blueprint.post("", endpoint="invite")
@panel_page(OWNER)
def invite() -> ResponseReturnValue:
    """Make an account and show its one-time link, this once."""
    form = InviteForm()
    if not form.validate():
        return _page(form)
    first = shared.step_up_first(url_for(".page"))
    if first is not None:
        return first
    try:
        with transaction():
            account, token = accounts.invite(
                form.name.data or "",
                form.email.data or "",
                Role(form.role.data),
                form.user_name.data or "",
                web.actor(),
            )
    except (InvalidValue, Taken) as error:
        form.blame(error, "name")
        return _page(form)
    return _page(InviteForm(formdata=None), _shown(account, token))


@blueprint.post("/<int:account_id>/link")
@panel_page(OWNER)
def link(account_id: int) -> ResponseReturnValue:
    """Show another one-time link: the invitation was lost, or the keys were."""
    account = _account(account_id)
    first = web.step_up_first(url_for(".page"))
    if first is not None:
        return first
    with transaction():
        token = accounts.new_link(account, web.panel_account(), web.actor())
    return _page(InviteForm(formdata=None), _shown(account, token))


@blueprint.get("/<int:account_id>/role")
@panel_page(OWNER)
def role(account_id: int) -> ResponseReturnValue:
    """Show the roles to choose from."""
    account = _account(account_id)
    form = RoleForm(formdata=kept.take(), role=account.role)
    return _role_page(account, form)


@blueprint.post("/<int:account_id>/role", endpoint="change_role")
@panel_page(OWNER)
def change_role(account_id: int) -> ResponseReturnValue:
    """Give an account another role."""
    account = _account(account_id)
    form = RoleForm()
    if not form.validate():
        return _role_page(account, form)
    first = shared.step_up_first(url_for(".role", account_id=account_id))
    if first is not None:
        return first
    with transaction():
        accounts.change_role(
            _account(account_id), Role(form.role.data), web.panel_account(), web.actor()
        )
    name = menu.role_name(Role(form.role.data))
    flash(_("%(name)s is %(role)s from now on.", name=account.name, role=name), "success")
    return redirect(url_for(".page"), 303)


@blueprint.get("/<int:account_id>/person")
@panel_page(OWNER)
def person(account_id: int) -> ResponseReturnValue:
    """Show whose account it is."""
    account = _account(account_id)
    held = account.user.user_name if account.user is not None else ""
    return _person_page(account, PersonForm(formdata=kept.take(), user_name=held))


@blueprint.post("/<int:account_id>/person", endpoint="change_person")
@panel_page(OWNER)
def change_person(account_id: int) -> ResponseReturnValue:
    """Say whose account it is."""
    account = _account(account_id)
    form = PersonForm()
    if not form.validate():
        return _person_page(account, form)
    first = shared.step_up_first(url_for(".person", account_id=account_id))
    if first is not None:
        return first
    try:
        with transaction():
            account = _account(account_id)
            typed = form.user_name.data or ""
            accounts.change_person(account, typed, web.panel_account(), web.actor())
    except (InvalidValue, Taken) as error:
        form.blame(error, "user_name")
        return _person_page(account, form)
    if account.user is None:
        flash(_("%(name)s belongs to nobody in the directory.", name=account.name), "success")
    else:
        holder = account.user.display_name
        flash(_("%(name)s belongs to %(person)s.", name=account.name, person=holder), "success")
    return redirect(url_for(".page"), 303)


@blueprint.post("/<int:account_id>/suspend")
@panel_page(OWNER)
def suspend(account_id: int) -> ResponseReturnValue:
    """Shut an account out at once."""
    first = web.step_up_first(url_for(".page"))
    if first is not None:
        return first
    with transaction():
        account = _account(account_id)
        accounts.suspend(account, web.panel_account(), web.actor())
    flash(_("%(name)s is signed out and cannot sign in.", name=account.name), "success")
    return redirect(url_for(".page"), 303)


@blueprint.post("/<int:account_id>/resume")
@panel_page(OWNER)
def resume(account_id: int) -> ResponseReturnValue:
    """Let a suspended account in again."""
    first = web.step_up_first(url_for(".page"))
    if first is not None:
        return first
    with transaction():
        account = _account(account_id)
        accounts.resume(account, web.panel_account(), web.actor())
    flash(_("%(name)s can sign in again.", name=account.name), "success")
    return redirect(url_for(".page"), 303)


def _page(form: InviteForm, shown: dict[str, str] | None = None) -> ResponseReturnValue:
    counts = accounts.key_counts()
    me = web.panel_account()
    owner = web.may(OWNER)
    rows = [_row(one, counts.get(one.id, 0), me, owner) for one in accounts.everybody()]
    return render_template(
        "panel/settings/accounts.html",
        index_url=url_for("settings.index"),
        rows=rows,
        shown=shown,
        form=form if owner else None,
        invite_url=url_for(".invite"),
        my_keys_url=url_for("account.page"),
    )


def _role_page(account: PanelAccount, form: RoleForm) -> ResponseReturnValue:
    return render_template(
        "panel/settings/account.html",
        title=_("Role of %(name)s", name=account.name),
        lead=_("It holds at once, also where this person is signed in."),
        form=form,
        asked=form.role,
        go=_("Change role"),
        back={"label": _("Panel accounts"), "url": url_for(".page")},
    )


def _person_page(account: PanelAccount, form: PersonForm) -> ResponseReturnValue:
    return render_template(
        "panel/settings/account.html",
        title=_("Whose account is %(name)s?", name=account.name),
        lead=_("Whoever an account belongs to gets no key activated by it, and leaving closes it."),
        form=form,
        asked=form.user_name,
        hint=_("Empty: nobody in the directory."),
        go=_("Save"),
        back={"label": _("Panel accounts"), "url": url_for(".page")},
    )


def _row(account: PanelAccount, keys: int, me: PanelAccount, owner: bool) -> dict[str, object]:
    return {
        "name": account.name,
        "email": account.email,
        "role": menu.role_name(Role(account.role)),
        "state": account.state,
        "key_count": keys,
        "me": account == me,
        "user": account.user.display_name if account.user is not None else None,
        "user_url": url_for("users.user", user_id=account.user.resource_id)
        if account.user is not None and account.user.deleted_at is None
        else None,
        "person_url": url_for(".person", account_id=account.id)
        if owner and (account != me or account.user is None)
        else None,
        "actions": _actions(account) if owner and account != me else [],
    }


def _actions(account: PanelAccount) -> list[Action]:
    def at(verb: str) -> str:
        return url_for(f".{verb}", account_id=account.id)

    if account.state == "suspended":
        return [Action(_("Resume"), at("resume"), "circle-play")]
    again = account.state == "invited"
    ask = Ask(
        _("A link for %(name)s?", name=account.name),
        [
            _("Whoever has the link registers a key that opens this panel in this name."),
            _("It works once, for 24 hours; an earlier link stops working. Present keys stay."),
        ],
        _("Make the link"),
        tone="primary",
    )
    out = Ask(
        _("Suspend %(name)s?", name=account.name),
        [_("Signed out at once, everywhere in the panel. An owner can resume the account.")],
        _("Suspend account"),
    )
    return [
        Action(_("Role"), at("role"), "user-cog", link=True),
        Action(_("New invitation") if again else _("New key by link"), at("link"), "send", ask=ask),
        Action(_("Suspend"), at("suspend"), "circle-pause", "danger-quiet", ask=out),
    ]


def _shown(account: PanelAccount, token: str) -> dict[str, str]:
    base = services().settings.base_url
    return {"name": account.name, "url": f"{base}/join#{token}"}


def _account(account_id: int) -> PanelAccount:
    try:
        return accounts.get(account_id)
    except NotFound:
        raise NotFound(_("There is no such account.")) from None
