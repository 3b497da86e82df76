# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The form of a group's policy, and the policy that its answers make."""

from __future__ import annotations

from typing import Any, Self

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    ValidationError,
)
from wtforms.validators import NumberRange, Optional
from wtforms.widgets import CheckboxInput, HiddenInput, ListWidget

from provisioning.issuing.policy import ANY, LONGEST_PIN, NO_LENGTH, Method, Policy
from provisioning.lifecycle import KeyKind
from provisioning.panel.access import Role
from provisioning.settings import PinDelivery

from ..forms import Form, kinds
from . import policy_words

BOTH = "both"


def _methods() -> dict[str, str]:
    return {
        BOTH: _("By an admin or by the user"),
        Method.ADMIN.value: _("Only by an admin, who has the key at hand"),
        Method.USER.value: _("Only by the user, through a link"),
    }


def _deliveries() -> dict[str, str]:
    ways = {way.value: words for way, words in policy_words.deliveries().items()}
    return {**ways, PinDelivery.MAIL.value: _("as the installation says")}


def _roles() -> dict[str, str]:
    return {role.value: words for role, words in policy_words.roles().items()}


class PolicyForm(Form):
    """What a group asks of its members' keys."""

    kinds = SelectMultipleField(
        _l("Kinds of key"),
        choices=kinds,
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )
    methods = RadioField(_l("How a key is activated"), choices=_methods, default=BOTH)
    pin_length = IntegerField(
        _l("Least length of a PIN"), [Optional(), NumberRange(4, LONGEST_PIN)]
    )
    pin_delivery = SelectField(_l("How the PIN reaches the person"), choices=_deliveries)
    force_pin_change = BooleanField(_l("Refuse cards that cannot force a PIN change"))
    role = SelectField(_l("Who may assign and activate"), choices=_roles)
    second_approver = BooleanField(_l("A second person has to agree"))
    version = IntegerField(widget=HiddenInput())

    def validate_kinds(self, field: SelectMultipleField) -> None:
        """At least one kind."""
        if not field.data:
            raise ValidationError(_("Choose at least one kind of key."))

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Return the form filled with a policy."""
        given: dict[str, Any] = {
            "kinds": sorted(policy.kinds),
            "methods": BOTH if policy.methods == ANY.methods else next(iter(policy.methods)),
            "pin_length": policy.pin_length or None,
            "pin_delivery": policy.pin_delivery,
            "force_pin_change": policy.force_pin_change,
            "role": policy.role,
            "second_approver": policy.second_approver,
        }
        return cls(**given)

    def policy(self) -> Policy:
        """Return the policy that the valid answers make."""
        chosen = self.methods.data
        return Policy(
            kinds=frozenset(map(KeyKind, self.kinds.data or ())),
            methods=ANY.methods if chosen == BOTH else frozenset({Method(chosen)}),
            pin_length=self.pin_length.data or NO_LENGTH,
            pin_delivery=PinDelivery(self.pin_delivery.data),
            force_pin_change=bool(self.force_pin_change.data),
            role=Role(self.role.data),
            second_approver=bool(self.second_approver.data),
        )
