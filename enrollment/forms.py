# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The panel's forms: what may be typed, and the sentence beside the field when it may not."""

from __future__ import annotations

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.form import _Auto
from wtforms import (
    BooleanField,
    DateField,
    Field,
    HiddenField,
    IntegerField,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional
from wtforms.widgets import HiddenInput

from provisioning import directory
from provisioning.errors import InvalidValue, Taken
from provisioning.lifecycle import KeyKind
from provisioning.mails.addresses import check_address
from provisioning.models import User
from provisioning.upstream import tokens

from .directories import words as directory_words


def _one_line(_form: object, field: Field) -> None:
    if any(not character.isprintable() for character in field.data or ""):
        raise ValidationError(_("Use letters, digits and signs only, on one line."))


def _address(_form: object, field: Field) -> None:
    if field.data and field.data.strip():
        try:
            check_address(field.data.strip())
        except InvalidValue as error:
            raise ValidationError(str(error)) from error


def _text(label: object, longest: int = 128, *more: object) -> StringField:
    return StringField(label, [*more, Length(max=longest), _one_line])  # type: ignore[arg-type]


class Form(FlaskForm):  # type: ignore[misc]
    """Base: shows a core error beside the field that it names."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        """A form is filled by a form alone: a JSON body may hold anything but text."""

        def wrap_formdata(self, form: object, formdata: object) -> object:
            if formdata is _Auto and request.is_json:
                return None
            return super().wrap_formdata(form, formdata)

    def blame(self, error: InvalidValue | Taken, default: str) -> None:
        """Put the error's sentence beside its field, or beside `default`."""
        field = self._fields.get(error.field or "", self._fields[default])
        field.errors = [*field.errors, str(error)]


class OwnerForm(Form):
    """Who the first owner is."""

    name = _text(_l("Your name"), 64, InputRequired())
    email = _text(_l("Email"), 254, Optional(), _address)


class UserInformation(Form):
    """Step 1 of the wizard. Field names are the draft's; the document is made from them."""

    user_name = _text(_l("User name"), directory.MAX_NAME)
    email = _text(_l("Email"), 254, _address)
    given_name = _text(_l("First name"))
    family_name = _text(_l("Last name"))
    display_name = _text(_l("Display name"), directory.MAX_NAME)
    phone = _text(_l("Phone"), 64)
    title = _text(_l("Title"))
    department = _text(_l("Department"))
    employee_number = _text(_l("Employee number"), 64)

    def validate_user_name(self, field: StringField) -> None:
        """Required, and nobody else's."""
        sentence = user_name_fault(field.data or "")
        if sentence:
            raise ValidationError(sentence)

    def validate_given_name(self, field: StringField) -> None:
        """Some name is needed, whichever a person has."""
        named = (field, self.family_name, self.display_name)
        if not any((part.data or "").strip() for part in named):
            raise ValidationError(_("Give a first name, a last name or a display name."))


class UserDetails(UserInformation):
    """The same for somebody who is there; `version` is the one that was shown."""

    version = IntegerField(widget=HiddenInput())
    besides: User | None = None

    def validate_user_name(self, field: StringField) -> None:
        """Required, and nobody else's."""
        sentence = user_name_fault(field.data or "", self.besides)
        if sentence:
            raise ValidationError(sentence)

    def blame_document(self, error: InvalidValue | Taken) -> None:
        """Put a refusal of the document beside the field that it is about."""
        named = {"displayName": "display_name", "emails": "email", "emails.value": "email"}
        name = named.get(error.field or "", "user_name")
        self[name].errors = [*self[name].errors, str(error)]


def user_name_fault(user_name: str, besides: User | None = None) -> str:
    """Return why this userName cannot be had, or nothing."""
    if not user_name.strip():
        return str(_("A user name is needed."))
    if directory.is_taken(user_name, besides):
        return str(_("%(name)s is taken. Choose another user name.", name=user_name.strip()))
    return ""


def kinds() -> dict[str, str]:
    """Return the kinds of key that can be assigned."""
    return {
        KeyKind.CONTACTLESS_CARD.value: _("Contactless Card"),
        KeyKind.USB_KEY.value: _("USB security key"),
        KeyKind.PASSKEY.value: _("Passkey on phone or computer"),
    }


def kind_name(kind: KeyKind) -> str:
    """Return what a kind of key is called."""
    return kinds()[kind.value]


def _methods() -> dict[str, str]:
    return {"admin": _("Activate now as an admin"), "user": _("Activate by user")}


class SecurityKeyForm(Form):
    """Step 3 of the wizard."""

    assign_key = BooleanField(_l("Assign a security key"))
    kind = SelectField(
        _l("Security Key Device"),
        choices=kinds,
    )
    key_name = _text(_l("Name"), 64)
    method = RadioField(
        _l("How to activate"),
        choices=_methods,
    )
    ends_on = DateField(_l("Works until the end of"), [Optional()])
    station = SelectField(_l("Reader"), choices={}, validate_choice=False)


class BatchForm(Form):
    """What a new batch is called; empty takes the day's name."""

    name = _text(_l("Name"), 64, Optional())


class OneAnswer(Form):
    """A form of one answer that somebody else may have given meanwhile: both are shown then."""

    before = StringField(widget=HiddenInput())  # the answer that was shown

    def is_fresh(self, field: Field, now: str, words: str = "") -> bool:
        """Say whether `now` still holds; else tell it (in `words`) beside what was typed."""
        if self.before.data in (None, now):
            return True
        told = _(
            "Meanwhile somebody else saved “%(value)s” here. Yours is still in the field; save "
            "again to replace theirs.",
            value=words or now,
        )
        field.errors = [told]
        self.before.data, self.before.raw_data = now, None
        return False


class TermForm(OneAnswer):
    """How long a key works; an empty day is for good."""

    ends_on = DateField(_l("Works until the end of"), [Optional()])


class BulkAssignForm(Form):
    """Which key many people get."""

    kind = SelectField(_l("Security Key Device"), choices=kinds)
    again = BooleanField(_l("Also those who have a key already"))


class StationForm(Form):
    """Which reader."""

    station = SelectField(_l("Reader"), choices={}, validate_choice=False)


class NameForm(OneAnswer):
    """One name: of a key, a group or a station."""

    name = _text(_l("Name"), 64, InputRequired())


class GroupForm(Form):
    """A group made by hand."""

    name = _text(_l("Name"), 256, InputRequired())
    before = StringField(widget=HiddenInput())  # the name that was shown


class ConnectionForm(Form):
    """A new directory."""

    name = _text(_l("Name"), 64, InputRequired())
    profile = SelectField(_l("Profile"), choices=directory_words.profiles, default="tolerant")
    scope = SelectField(_l("Rights"), choices=directory_words.scopes)
    days = IntegerField(
        _l("Token lifetime in days"), [NumberRange(1, tokens.MAX_DAYS)], default=180
    )


def _ways() -> dict[str, str]:
    return {"push": _("Push"), "poll": _("Poll")}


def _details() -> dict[str, str]:
    return {"notice": _("Names of attributes only"), "full": _("The whole document")}


class StreamForm(Form):
    """Who hears of a directory's people and groups, and how much."""

    method = RadioField(_l("How events get there"), choices=_ways, default="push")
    endpoint = _text(_l("Address"), 2_000)
    receiver_token = PasswordField(_l("Authorization"), [Length(max=4_096), _one_line])
    detail = RadioField(_l("What an event holds"), choices=_details, default="notice")
    audience = _text(_l("Audience"), 255)


class TermsForm(Form):
    """What may be changed about a directory."""

    name = _text(_l("Name"), 64, InputRequired())
    scope = SelectField(_l("Rights"), choices=directory_words.scopes)
    profile = SelectField(_l("Profile"), choices=directory_words.profiles)
    patch_reply = SelectField(_l("Answer to a PATCH"), choices=directory_words.replies)
    unique_group_names = BooleanField(_l("Each group name only once"))
    merges_bulk = BooleanField(_l("A Bulk POST of somebody who is there changes them"))
    shown = HiddenField()  # what held when the form was filled
