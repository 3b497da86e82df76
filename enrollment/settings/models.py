# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The attestation policy: which models may be registered, and what a change would shut out."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import live_settings
from provisioning.ceremonies import attestation
from provisioning.ceremonies.attestation import Policy
from provisioning.errors import ConfigurationError, InvalidValue
from provisioning.pages import model_census
from provisioning.pages.model_census import Held, Why
from provisioning.services import services
from provisioning.settings import Settings

from ..web import panel_page
from . import shared
from .forms import ModelForm
from .shared import OWNER, LiveForm, Page

blueprint = Blueprint("settings_models", __name__, url_prefix="/settings/models")


class _Form(ModelForm):
    """With the models that the folder of roots names, and those that were ticked before."""

    def load(self, settings: Settings) -> None:
        self.offer(settings)
        super().load(settings)

    def offer(self, settings: Settings) -> None:
        """Make the boxes."""
        policy, _fault = _policy(settings)
        known = {aaguid: policy.name_of(aaguid) or aaguid for aaguid in policy.roots}
        known |= {aaguid: known.get(aaguid, aaguid) for aaguid in settings.allowed_models}
        if "allowed_models" in self:
            self.allowed_models.choices = sorted(known.items(), key=lambda one: (one[1], one[0]))

    def validate(self, *args: object, **kwargs: object) -> bool:
        """The boxes are made before the answers are looked at."""
        self.offer(services().settings)
        return bool(super().validate(*args, **kwargs))


_PAGE = Page("settings_models.page", "panel/settings/models.html", _Form, step_up=True)


@blueprint.get("")
@panel_page()
def page() -> ResponseReturnValue:
    """Show the policy and the models in use."""
    return shared.show(_PAGE, **_surroundings())


@blueprint.post("", endpoint="save")
@panel_page(OWNER)
def save() -> ResponseReturnValue:
    """Change the policy; what it would shut out is shown first and has to be agreed to."""
    form = _Form()
    form.leave_out(services().fixed)
    breaks = [] if "agreed" in request.form or not form.validate() else _breaks(form)
    if breaks:
        more = {**_surroundings(), "breaks": breaks}
        return shared.render(_PAGE, form, services(), **more)
    return shared.save(_PAGE, **_surroundings())


def _breaks(form: LiveForm) -> list[dict[str, object]]:
    """Return what people hold that the answers would refuse and the present policy would not."""
    try:
        wanted = live_settings.checked(form.changes(), services())
    except InvalidValue:
        return []  # said beside the field when it is saved
    present, _fault = _policy(services().settings)
    already = {one for one, _why in model_census.refused(present)}
    policy, fault = _policy(wanted)
    if fault:
        return []
    return [_break(one, why) for one, why in model_census.refused(policy) if one not in already]


def _break(one: Held, why: Why) -> dict[str, object]:
    return {"name": one.name, "aaguid": one.aaguid, "count": one.count, "why": _words(why)}


def _surroundings() -> dict[str, object]:
    policy, fault = _policy(services().settings)
    return {
        "held": model_census.held(),
        "refused": {
            (one.aaguid, one.proved): _words(why) for one, why in model_census.refused(policy)
        },
        "has_roots": bool(policy.roots),
        "fault": fault,
        "breaks": [],
    }


def _words(why: Why) -> str:
    words: dict[Why, str] = {
        Why.WITHDRAWN: _("withdrawn: its maker's key leaked or it can be imitated"),
        Why.UNPROVED: _("these keys do not prove their model"),
        Why.NO_ROOT: _("no root vouches for this model"),
        Why.NOT_ALLOWED: _("not among the allowed models"),
    }
    return words[why]


def _policy(settings: Settings) -> tuple[Policy, str]:
    """Return the policy; without the folder of roots, and why, if that cannot be read."""
    try:
        return attestation.load_policy(settings), ""
    except ConfigurationError as error:
        return Policy(required=True), str(error)
