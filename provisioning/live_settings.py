# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Settings that owners change in the panel: rows that lie over what the environment gives.

A setting that the environment sets is fixed: it wins, and no row may stand for it. All values
pass the rules of `settings`. Every process looks for changes at most once a second, by one
indexed query at the edge of a request of the panel or of the worker's pass; SCIM requests, which
depend on none of these, look never.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from flask import Flask
from peewee import fn
from pydantic import ValidationError

from . import audit
from .audit import Actor, Event
from .clock import now_ms
from .errors import ConfigurationError, InvalidValue, Stale, WrongState
from .models import LiveSetting, Logo
from .sealing import columns
from .services import EXTENSION, Services
from .settings import PREFIX, Settings, faults_of
from .storage.db import transaction, tuples

SEALED = "mail_password"
LOGO = "logo"
LIVE = frozenset(
    {
        "organisation",
        "contact",
        "accent_colour",
        "language",
        "mail_server",
        "mail_port",
        "mail_username",
        SEALED,
        "mail_tls",
        "mail_sender",
        "pin_delivery",
        "pin_length",
        "require_forced_pin_change",
        "link_lifetime_minutes",
        "second_code",
        "spare_keys",
        "leaver_grace_hours",
        "attestation",
        "allowed_models",
    }
)
"""Names of `Settings` that an owner may change: no address, file or process."""

_LOOK_EVERY = 1.0  # seconds
_NEXT_LOOK = "keywright.next_look"


def layered(services: Services) -> Services:
    """Return services with the choices of now; the same object if none has changed.

    Raises ConfigurationError if the choices and the environment contradict each other.
    """
    latest = _latest()
    if latest == services.version:
        return services
    given = services.given or services.settings
    rows = list(LiveSetting.select())
    chosen = {
        row.name: _value(row, services)
        for row in rows
        if row.name in LIVE - services.fixed and (row.value is not None or row.sealed is not None)
    }
    try:
        settings = Settings.model_validate({**given.model_dump(), **chosen})
    except ValidationError as error:
        lines = "\n".join(faults_of(error))
        raise ConfigurationError(f"Chosen in the panel, but it does not fit:\n{lines}") from None
    logo = next((json.loads(row.value) for row in rows if row.name == LOGO and row.value), "")
    return replace(services, settings=settings, given=given, version=latest, logo=logo)


def refresh(app: Flask, *, now: bool = False) -> Services:
    """Give the app the choices that any process has made by now, and return its services.

    Looks once a second at most, unless it must be `now`.
    """
    services: Services = app.extensions[EXTENSION]
    if now or time.monotonic() >= app.extensions.get(_NEXT_LOOK, 0.0):
        app.extensions[_NEXT_LOOK] = time.monotonic() + _LOOK_EVERY
        services = app.extensions[EXTENSION] = layered(services)
    return services


def changed_since(names: frozenset[str], version: int) -> frozenset[str]:
    """Return which of these somebody has changed after that version of the choices."""
    later = LiveSetting.select(LiveSetting.name).where(
        LiveSetting.name << list(names), LiveSetting.version > version
    )
    return frozenset(name for (name,) in tuples(later))


def change(changes: Mapping[str, object], seen: int, actor: Actor, services: Services) -> list[str]:
    """Choose values, in the caller's transaction; return the names of those that are new.

    `services` are those of now, `seen` the version that whoever decides has looked at. Raises
    InvalidValue with the setting as its field, WrongState for one that is fixed, and Stale if
    somebody else changed one of them in between.
    """
    unknown = changes.keys() - LIVE
    if unknown:
        raise ValueError(f"not to be changed in the panel: {sorted(unknown)}")
    settings = checked(changes, services)
    new = [
        name
        for name in sorted(changes)
        if getattr(settings, name) != getattr(services.settings, name)
    ]
    for name in new:
        if name in services.fixed:
            raise WrongState(f"{PREFIX}{name.upper()} is set by the server's configuration.")
    if changed_since(frozenset(changes), seen):
        raise Stale("Somebody else changed these settings in the meantime.")
    values = {name: _stored(getattr(settings, name)) for name in new}
    for name, value in values.items():
        if name == SEALED:
            sealed = services.vault.seal(str(value).encode(), bound_to=_bound(name))
            _write(name, None, sealed)
        else:
            _write(name, json.dumps(value), None)
    if new:
        told = {name: value for name, value in values.items() if name != SEALED}
        audit.record(actor, Event.SETTINGS_CHANGED, names=", ".join(new), values=told)
    return new


def checked(changes: Mapping[str, object], services: Services) -> Settings:
    """Return the settings as they would be. Raises InvalidValue with the setting as its field."""
    try:
        return Settings.model_validate({**services.settings.model_dump(), **changes})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        field = str(fault["loc"][0]) if fault["loc"] else next(iter(changes))
        what = fault["msg"].removeprefix("Value error, ")
        if what.startswith("must "):  # as it stands behind a variable's name
            raise InvalidValue(f"It {what}.", field) from None
        raise InvalidValue(what, field) from None


def choose_logo(media_type: str, content: bytes, digest: str, actor: Actor) -> None:
    """Put a picture, which `pictures` has checked, in the place of the one before."""
    Logo.delete().execute()
    Logo.create(digest=digest, media_type=media_type, content=content)
    _write(LOGO, json.dumps(digest), None)
    audit.record(actor, Event.SETTINGS_CHANGED, names=LOGO, values={LOGO: digest})


def drop_logo(actor: Actor) -> None:
    """Show our own picture again."""
    Logo.delete().execute()
    _write(LOGO, None, None)
    audit.record(actor, Event.SETTINGS_CHANGED, names=LOGO, values={LOGO: ""})


def drop_sealed(key_id: bytes) -> None:
    """Let go of what was chosen and lies under this key, in the caller's transaction."""
    row = LiveSetting.get_or_none(LiveSetting.name == SEALED)
    if row is not None and bytes(row.sealed or b"").startswith(key_id):
        _write(SEALED, None, None)


def choose_organisation(name: str, actor: Actor, services: Services) -> None:
    """Note the name that an installation was made with, as a choice that the panel can change."""
    with transaction():
        change({"organisation": name}, _latest(), actor, services)


def _latest() -> int:
    return int(LiveSetting.select(fn.COALESCE(fn.MAX(LiveSetting.version), 0)).scalar())


def _write(name: str, value: str | None, sealed: bytes | None) -> None:
    # One writer at a time in the whole installation (`db.transaction`), so no number comes twice.
    row = {"value": value, "sealed": sealed, "version": _latest() + 1, "changed_at": now_ms()}
    if not LiveSetting.update(row).where(LiveSetting.name == name).execute():
        LiveSetting.create(name=name, **row)


def _value(row: LiveSetting, services: Services) -> object:
    if row.sealed is not None:
        return services.vault.unseal(bytes(row.sealed), bound_to=_bound(row.name)).decode()
    return json.loads(row.value or "null")


def _stored(value: object) -> object:
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    return value.value if isinstance(value, StrEnum) else value


def _bound(name: str) -> str:
    return columns.SETTING.binding(name)
