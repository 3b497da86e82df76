# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the pages under Settings share: shown to everybody, changed by owners, told when stale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import HiddenField

from provisioning import live_settings
from provisioning.errors import InvalidValue, Stale, StepUpNeeded, WrongState
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import Settings
from provisioning.storage.db import transaction

from .. import kept, web
from ..forms import Form

OWNER = Role.OWNER


class LiveForm(Form):
    """Fields named like the settings that they change; `version` is what the browser has seen."""

    version = HiddenField()

    def load(self, settings: Settings) -> None:
        """Show what holds now. A form whose fields are not the settings overrides both."""
        for name in self.names():
            self[name].data = getattr(settings, name)

    def changes(self) -> dict[str, object]:
        """Return what was answered, as settings."""
        return {name: self[name].data for name in self.names()}

    def names(self) -> list[str]:
        """Return the settings that have a field here."""
        return [name for name in self._fields if name in live_settings.LIVE]

    def field_of(self, setting: str) -> str:
        """Return the field that stands for a setting."""
        return setting

    def leave_out(self, fixed: frozenset[str]) -> None:
        """Take away the fields of what the environment has fixed."""
        for name in self.names():
            if name in fixed:
                del self[name]


@dataclass(frozen=True)
class Page:
    """One page under Settings. With `step_up` the owner's key is asked for before it saves."""

    endpoint: str
    template: str
    form: type[LiveForm]
    step_up: bool = False

    @property
    def url(self) -> str:
        """Return where it stands."""
        return url_for(self.endpoint)


def show(page: Page, **more: object) -> ResponseReturnValue:
    """Show the page as things are, or with what was typed before a sign-in came in between."""
    services = _now()
    typed = kept.take()
    form = page.form(formdata=typed)
    form.leave_out(services.fixed)
    if typed is None:
        form.load(services.settings)
        form.version.data = str(services.version)
    else:
        flash(_("What you typed is still here. Look it over, then save."), "info")
    return render(page, form, services, **more)


def save(page: Page, **more: object) -> ResponseReturnValue:
    """Take the answers over, or show the page again with a sentence beside what is wrong."""
    services = _now()
    form = page.form()
    form.leave_out(services.fixed)
    if page.step_up:
        first = step_up_first(page.url)
        if first is not None:
            return first
    if not form.validate():
        return render(page, form, services, **more)
    try:
        with transaction():
            new = live_settings.change(form.changes(), seen(form), web.actor(), services)
    except InvalidValue as error:
        _blame(form, error)
        return render(page, form, services, **more)
    except Stale:
        return render(page, _stale(page, form, services), services, **more)
    except WrongState as error:
        flash(str(error), "error")
        return render(page, form, services, **more)
    _now()
    if new:
        flash(_("Saved. It holds from now on, without a restart."), "success")
    else:
        flash(_("Nothing was changed."), "info")
    return redirect(page.url, 303)


def render(page: Page, form: LiveForm, services: Services, **more: object) -> ResponseReturnValue:
    """Show the page with this form."""
    return render_template(
        page.template,
        form=form,
        save_url=page.url,
        may_save=web.may(OWNER),
        settings=services.settings,
        fixed=services.fixed,
        index_url=url_for("settings.index"),
        **more,
    )


def step_up_first(back: str) -> ResponseReturnValue | None:
    """As `web.step_up_first`, and what was typed waits on the page that `back` names."""
    try:
        web.require_step_up()
    except StepUpNeeded:
        kept.keep()
        return redirect(url_for("sign_in.step_up", next=back))
    return None


def seen(form: LiveForm) -> int:
    """Return the version that the form was shown with; 0 for anything that is none."""
    told = str(form.version.data or "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 10 else 0


def _now() -> Services:
    return live_settings.refresh(current_app._get_current_object(), now=True)  # type: ignore[attr-defined]


def _blame(form: LiveForm, error: InvalidValue) -> None:
    name = form.field_of(error.field or "")
    if name in form:
        form[name].errors = [*form[name].errors, str(error)]
    else:
        flash(str(error), "error")


def _stale(page: Page, form: LiveForm, services: Services) -> LiveForm:
    """Say beside each field what somebody else has saved there; what was typed stays in it."""
    theirs = page.form(formdata=None)
    theirs.leave_out(services.fixed)
    theirs.load(services.settings)
    changed = live_settings.changed_since(frozenset(form.changes()), seen(form))
    for name in sorted({form.field_of(setting) for setting in changed} & set(form._fields)):
        value = _shown(theirs, name)
        told = _("Somebody else has saved “%(value)s” here in the meantime.", value=value)
        form[name].errors = [*form[name].errors, told]
    flash(
        _(
            "Somebody else saved this page in the meantime. Nothing of yours is lost: look at "
            "both, then save again."
        ),
        "warning",
    )
    form.version.data = str(services.version)
    return form


def _shown(form: LiveForm, name: str) -> str:
    field = form[name]
    if "password" in name:
        return "…"
    choices: Mapping[object, object] = dict(getattr(field, "choices", None) or {})
    return str(choices.get(field.data, field.data))
