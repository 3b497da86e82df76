# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from flask import Flask

from provisioning import live_settings
from provisioning.audit import CLI, Event
from provisioning.errors import ConfigurationError, InvalidValue, Stale, WrongState
from provisioning.models import AuditEvent, LiveSetting
from provisioning.services import EXTENSION, Services
from provisioning.settings import AttestationRule, MailTls, PinDelivery, SecondCode
from provisioning.storage.db import database, transaction

PASSWORD = "canary-4711"


def change(services: Services, seen: int | None = None, **changes: object) -> Services:
    with transaction():
        live_settings.change(changes, services.version if seen is None else seen, CLI, services)
    return live_settings.layered(services)


def changes_told() -> list[Mapping[str, object]]:
    rows = AuditEvent.select().where(AuditEvent.event == Event.SETTINGS_CHANGED)
    return [json.loads(row.detail) for row in rows.order_by(AuditEvent.id)]


def test_a_choice_holds_at_once_and_after_a_restart(services: Services) -> None:
    after = change(services, pin_length=8, pin_delivery="user_sets", link_lifetime_minutes=60)
    assert after.settings.pin_length == 8
    assert after.settings.pin_delivery is PinDelivery.USER_SETS
    assert live_settings.layered(services).settings == after.settings
    assert services.settings.pin_length == 6


def test_every_setting_that_may_be_changed_comes_back_as_it_went_in(services: Services) -> None:
    chosen = {
        "organisation": "Wards & Sons <b>", "contact": "the desk", "accent_colour": "#0A5C36",
        "language": "de", "mail_server": "smtp.example.org", "mail_port": 587,
        "mail_username": "keys", "mail_password": PASSWORD, "mail_tls": MailTls.TLS,
        "mail_sender": "keys@example.org", "pin_delivery": PinDelivery.REVEAL_ONCE,
        "pin_length": 9, "require_forced_pin_change": True, "link_lifetime_minutes": 5,
        "spare_keys": True, "second_code": SecondCode.ALL,
        "leaver_grace_hours": 0, "attestation": AttestationRule.NONE,
        "allowed_models": frozenset({"b" * 8, "a" * 8}),
    }  # fmt: skip
    assert set(chosen) == live_settings.LIVE
    after = change(services, **chosen).settings
    assert after.model_dump() | chosen | {"accent_colour": "#0a5c36"} == after.model_dump()


def test_nothing_new_writes_nothing(services: Services) -> None:
    after = change(services, pin_length=services.settings.pin_length)
    assert after is services
    assert changes_told() == []


def test_the_log_names_what_changed_and_never_the_password(services: Services) -> None:
    change(services, mail_server="smtp.example.org", mail_password=PASSWORD)
    [told] = changes_told()
    assert told == {
        "names": "mail_password, mail_server", "values": {"mail_server": "smtp.example.org"}
    }  # fmt: skip


def test_the_password_lies_sealed(services: Services) -> None:
    after = change(services, mail_password=PASSWORD)
    row = LiveSetting.get(LiveSetting.name == "mail_password")
    assert row.value is None
    assert PASSWORD.encode() not in bytes(row.sealed)
    assert after.settings.mail_password == PASSWORD
    assert PASSWORD not in repr(after.settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pin_length", 5),
        ("pin_length", "many"),
        ("link_lifetime_minutes", 7 * 24 * 60 + 1),
        ("mail_port", 0),
        ("organisation", "x" * 65),
        ("organisation", "two\nlines"),
        ("mail_sender", "keys@example.org\r\nBcc: all@example.org"),
        ("accent_colour", "red; } body { display: none"),
        ("accent_colour", "#ffee00"),
        ("language", "xx"),
        ("pin_delivery", "pigeon"),
    ],
)
def test_the_rules_of_the_environment_judge_choices_too(
    services: Services, name: str, value: object
) -> None:
    with pytest.raises(InvalidValue) as refused:
        change(services, **{name: value})
    assert refused.value.field == name
    assert not LiveSetting.select().exists()


def test_a_colour_that_cannot_be_read_comes_with_one_that_can(services: Services) -> None:
    with pytest.raises(InvalidValue, match=r"contrast of 1\.\d.*#\w{6} is the nearest"):
        change(services, accent_colour="#ffee00")


def test_attestation_cannot_be_required_without_roots(services: Services) -> None:
    with pytest.raises(InvalidValue, match="attestation_roots"):
        change(services, attestation="required")


def test_what_the_environment_sets_wins(services: Services) -> None:
    change(services, pin_length=8)
    fixed = replace(services, fixed=frozenset({"pin_length"}))
    assert live_settings.layered(fixed).settings.pin_length == 6
    with pytest.raises(WrongState, match="KEYWRIGHT_PIN_LENGTH"):
        change(live_settings.layered(fixed), pin_length=9)
    assert change(live_settings.layered(fixed), pin_length=6).settings.pin_length == 6


def test_of_two_owners_the_slower_hears_of_it(services: Services) -> None:
    after = change(services, pin_length=8)
    with pytest.raises(Stale):
        change(after, seen=services.version, pin_length=10)
    other = change(after, seen=services.version, contact="the desk")
    assert (other.settings.pin_length, other.settings.contact) == (8, "the desk")
    assert live_settings.changed_since(frozenset({"pin_length"}), 0) == {"pin_length"}


def test_no_other_setting_can_be_changed_here(services: Services) -> None:
    for name in ("base_url", "rp_id", "database_url", "demo", "attestation_roots"):
        with pytest.raises(ValueError, match=name):
            change(services, **{name: "x"})


def test_choices_that_no_longer_fit_stop_the_start(services: Services) -> None:
    LiveSetting.create(name="attestation", value='"required"', version=1)
    with pytest.raises(ConfigurationError, match="attestation_roots"):
        live_settings.layered(services)


def test_another_process_sees_a_choice_within_a_second(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(live_settings.time, "monotonic", lambda: now)
    app.extensions["keywright.next_look"] = 0.0
    client = app.test_client()
    client.get("/sign-in")
    change(services, organisation="Other name")
    assert "Other name" not in client.get("/sign-in").text
    now += 1.1
    assert "Other name" in client.get("/sign-in").text


def test_between_two_looks_a_request_asks_nothing(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_settings.refresh(app, now=True)
    monkeypatch.setattr(live_settings, "_latest", lambda: pytest.fail("asked"))
    assert live_settings.refresh(app) is app.extensions[EXTENSION]
    app.test_client().get("/scim/v2/Users")
    database.close()
