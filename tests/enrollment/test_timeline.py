# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whatever the log holds is told in words, and can be asked for."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from flask import Flask

import provisioning
from enrollment import reasons, timeline
from provisioning import audit
from provisioning.audit import CLI, Event
from provisioning.ceremonies.refusals import Refusal
from provisioning.lifecycle import KeyState, Reason
from provisioning.storage.db import transaction
from tests.fakes.panel import Panel

ICONS = Path(provisioning.__file__).parent / "static" / "icons"


def test_each_event_is_told_in_words_of_its_own_and_once() -> None:
    (words,) = (
        node.value
        for node in ast.walk(ast.parse(inspect.getsource(timeline)))
        if isinstance(node, ast.AnnAssign | ast.Assign)
        and isinstance(node.value, ast.Dict)
        and "_WORDS" in ast.unparse(node)
    )
    named = [ast.unparse(key).removeprefix("Event.") for key in words.keys if key is not None]
    assert sorted(named) == sorted(event.name for event in Event)


def test_each_event_has_an_icon_that_there_is() -> None:
    missing = {icon for _, icon, _ in timeline._WORDS.values()} - {
        icon.stem for icon in ICONS.glob("*.svg")
    }
    assert missing == set()


def test_what_a_line_quotes_is_told_in_the_readers_language(app: Flask, panel: Panel) -> None:
    error = "This address is not on the public internet."
    with transaction():
        audit.record(CLI, Event.STREAM_REFUSED, connection="Okta", error=error)
        audit.record(CLI, Event.ACCOUNT_CREATED, account="Grace", role="auditor")
        audit.record(CLI, Event.ACCOUNT_ROLE_CHANGED, account="Al", old="auditor", role="owner")
        audit.record(CLI, Event.KEY_RENAMED, old="auditor", name="Blue card")
    page = panel.see("/activity")
    assert "Panel account Grace made (Auditor)" in page
    assert "Role of Al changed from Auditor to Owner" in page
    assert "“auditor” is now called “Blue card”" in page
    german = panel.get("/activity", headers={"Accept-Language": "de"}).text
    assert "Diese Adresse liegt nicht im öffentlichen Internet." in german


def test_why_a_key_was_stopped_or_refused_is_told_in_the_readers_language(
    app: Flask, panel: Panel
) -> None:
    with transaction():
        audit.record(CLI, Event.KEY_SUSPENDED, name="Blue", reason=Reason.LEFT)
        audit.record(CLI, Event.KEY_REVOKED, name="Red", reason=Reason.LEFT)
        audit.record(CLI, Event.KEY_REFUSED, reason=Refusal.MODEL_NOT_ALLOWED)
        audit.record(CLI, Event.SIGN_IN_REFUSED, reason="unknown_credential")
        audit.record(CLI, Event.KEY_REFUSED, reason="of_a_newer_version")
        audit.record(CLI, Event.STREAM_CHANGED, connection="Okta", state="stopped")
        audit.record(CLI, Event.DEPARTURES_DECIDED, connection="Okta", decision="rejected", users=9)
    page = panel.see("/activity")
    for line in (
        "“Blue” suspended (the person was suspended)",
        "“Red” revoked (the person left)",
        "A key was refused (This model of key is not allowed here)",
        "Sign-in refused (nobody has this key here)",
        "A key was refused (of a newer version)",
        "Mass departure from Okta: taken back (people: 9)",
    ):
        assert line in page
    german = panel.get("/activity", headers={"Accept-Language": "de"}).text
    for line in (
        "„Blue“ gesperrt (die Person wurde gesperrt)",
        "„Red“ widerrufen (die Person ist ausgeschieden)",
        "(Dieses Modell ist hier nicht erlaubt)",
        "(niemand hat hier diesen Schlüssel)",
        "Ereignisstrom von Okta: angehalten",
    ):
        assert line in german


def test_every_reason_has_words(app: Flask) -> None:
    with app.test_request_context():
        for reason in Reason:
            assert reasons.stopped(reason, for_good=True)
        told = [f"key_{state}" for state in KeyState if state is not KeyState.ACTIVE]
        told += ["unknown_credential", "foreign_credential", "user_inactive", "account_suspended"]
        for word in told:
            assert reasons.refused(word) != word.replace("_", " ")


def test_no_line_needs_a_plural() -> None:
    """One of something reads as well as many: what is counted stands before its number."""
    numbers = "keys|sessions|links|people|users|groups|tokens|rows|values|done|left|failed|lines"
    counted = re.compile(rf"%\(({numbers})\)s [a-z]")
    sentences = [str(sentence) for sentence, _, _ in timeline._WORDS.values()]
    assert [each for each in sentences if counted.search(each)] == []


def test_the_log_can_be_filtered_by_every_area(app: Flask) -> None:
    with app.test_request_context():
        areas = [area for area, _label in timeline.kinds()]
    assert sorted(areas) == sorted({event.value.partition(".")[0] for event in Event})
