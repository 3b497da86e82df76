# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The forms under Settings; what they bring is judged once more by the rules of `settings`."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    IntegerField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from provisioning.settings import (
    LANGUAGES,
    AttestationRule,
    MailTls,
    PinDelivery,
    SecondCode,
    Settings,
)

from ..forms import _address, _text
from .shared import LiveForm

MINUTES = {"minutes": 1, "hours": 60, "days": 24 * 60}
LANGUAGE_NAMES = {"en": "English", "de": "Deutsch"}  # each in its own language
_LONGEST_GRACE = 90 * 24


def _deliveries() -> dict[str, str]:
    return {
        PinDelivery.MAIL.value: _("Mail it to the person"),
        PinDelivery.REVEAL_ONCE.value: _("Show it once to the admin"),
        PinDelivery.USER_SETS.value: _("The person chooses it at the reader"),
    }


def _units() -> dict[str, str]:
    return {"minutes": _("minutes"), "hours": _("hours"), "days": _("days")}


def _rules() -> dict[str, str]:
    return {
        AttestationRule.REQUIRED.value: _("Every key proves its model"),
        AttestationRule.NONE.value: _("Keys need not prove their model"),
    }


def _protections() -> dict[str, str]:
    return {
        MailTls.STARTTLS.value: _("STARTTLS (usually port 587 or 25)"),
        MailTls.TLS.value: _("TLS from the first byte (usually port 465)"),
        MailTls.NONE.value: _("None (only on this machine or a trusted network)"),
    }


def languages() -> dict[str, str]:
    """Return the languages that pages and mails exist in, each called by its own name."""
    return {code: LANGUAGE_NAMES[code] for code in LANGUAGES}


def _number(label: object, least: int, most: int) -> IntegerField:
    sentence = _l("Type a whole number from %(least)s to %(most)s.", least=least, most=most)
    return IntegerField(label, [InputRequired(sentence), NumberRange(least, most, sentence)])  # type: ignore[arg-type]


def _second_codes() -> dict[str, str]:
    return {
        SecondCode.NONE.value: _("Nobody needs one"),
        SecondCode.PANEL.value: _("People with an account in this panel"),
        SecondCode.ALL.value: _("Everybody"),
    }


class PinForm(LiveForm):
    """How PINs are made and how they travel."""

    pin_delivery = RadioField(_l("Who learns the PIN, and how"), choices=_deliveries)
    pin_length = _number(_l("Digits of a PIN"), 6, 16)
    require_forced_pin_change = BooleanField(_l("Refuse cards that cannot force a change of PIN"))


class LinkForm(LiveForm):
    """How long an activation link lives, in a unit that people think in."""

    amount = _number(_l("A link works for"), 1, 7 * 24 * 60)
    unit = SelectField(_l("Unit"), choices=_units)
    second_code = RadioField(_l("A code besides the link"), choices=_second_codes)
    spare_keys = BooleanField(_l("People may add a spare key on their own page"))

    def load(self, settings: Settings) -> None:
        """Show the largest unit that is even."""
        super().load(settings)
        if "amount" not in self:
            return
        minutes = settings.link_lifetime_minutes
        self.unit.data = next(unit for unit in reversed(MINUTES) if minutes % MINUTES[unit] == 0)
        self.amount.data = minutes // MINUTES[self.unit.data]

    def changes(self) -> dict[str, object]:
        """Return the minutes."""
        told = super().changes()
        if "amount" in self:
            told["link_lifetime_minutes"] = (self.amount.data or 0) * MINUTES[self.unit.data]
        return told

    def field_of(self, setting: str) -> str:
        """The number stands for the setting."""
        return "amount" if setting == "link_lifetime_minutes" else setting

    def leave_out(self, fixed: frozenset[str]) -> None:
        """Both fields of the time, or none."""
        super().leave_out(fixed)
        if "link_lifetime_minutes" in fixed:
            del self.amount
            del self.unit

    def validate_amount(self, field: IntegerField) -> None:
        """From five minutes to seven days, in whichever unit (R11)."""
        minutes = (field.data or 0) * MINUTES.get(self.unit.data, 0)
        if not 5 <= minutes <= 7 * 24 * 60:
            raise ValidationError(
                _("A link works for five minutes at least and seven days at most.")
            )


class LeaverForm(LiveForm):
    """How long what a leaver's departure has suspended can be taken back."""

    leaver_grace_hours = _number(_l("Hours until keys are revoked for good"), 0, _LONGEST_GRACE)


class _Boxes(SelectMultipleField):
    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class ModelForm(LiveForm):
    """Whether keys prove their model, and which models may be registered."""

    attestation = RadioField(_l("Attestation"), choices=_rules)
    some = BooleanField(_l("Only the models that are ticked here"))
    allowed_models = _Boxes(_l("Models"), choices=[])

    def load(self, settings: Settings) -> None:
        """Show the rule, and the ticks if there are any."""
        if "attestation" in self:
            self.attestation.data = settings.attestation.value
        if "allowed_models" in self:
            self.some.data = bool(settings.allowed_models)
            self.allowed_models.data = sorted(settings.allowed_models)

    def changes(self) -> dict[str, object]:
        """Without the switch every model with a root is allowed."""
        told: dict[str, object] = {}
        if "attestation" in self:
            told["attestation"] = self.attestation.data
        if "allowed_models" in self:
            ticked = self.allowed_models.data if self.some.data else []
            told["allowed_models"] = ",".join(ticked or [])
        return told

    def leave_out(self, fixed: frozenset[str]) -> None:
        """The switch goes with the ticks."""
        super().leave_out(fixed)
        if "allowed_models" not in self:
            del self.some

    def validate_allowed_models(self, field: SelectMultipleField) -> None:
        """A list of no model would read as every model."""
        if self.some.data and not field.data:
            raise ValidationError(_("Tick at least one model, or turn the switch off."))


class MailForm(LiveForm):
    """The mail server. An empty password field keeps the password that is stored."""

    mail_server = _text(_l("Server"), 253, InputRequired())
    mail_port = _number(_l("Port"), 1, 65535)
    mail_tls = SelectField(_l("Protection"), choices=_protections)
    mail_username = _text(_l("User name"), 254)
    mail_password = PasswordField(_l("Password"), [Length(max=1024)])
    mail_sender = _text(_l("From address"), 320, InputRequired())
    language = SelectField(_l("Language of mails"), choices=languages)

    def load(self, settings: Settings) -> None:
        """Show all but the password."""
        super().load(settings)
        if "mail_tls" in self:
            self.mail_tls.data = settings.mail_tls.value

    def changes(self) -> dict[str, object]:
        """The password changes when one is typed, and goes with its user name."""
        told = super().changes()
        for name in ("mail_server", "mail_username", "mail_sender"):
            if name in told:
                told[name] = str(told[name]).strip()
        if told.get("mail_username") == "":
            told["mail_password"] = ""
        elif not told.get("mail_password"):
            told.pop("mail_password", None)
        return told


class MailTestForm(LiveForm):
    """Where a test mail goes."""

    address = _text(_l("Send a test mail to"), 254, InputRequired(), _address)


class BrandingForm(LiveForm):
    """Whose installation people see this is."""

    organisation = _text(_l("Name of the organisation"), 64, InputRequired())
    contact = _text(_l("Whom people can ask"), 200, InputRequired())
    accent_colour = _text(_l("Colour"), 7, Optional())

    def changes(self) -> dict[str, object]:
        """Without the space around them."""
        return {name: str(value or "").strip() for name, value in super().changes().items()}
