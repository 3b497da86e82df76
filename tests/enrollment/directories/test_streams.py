# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Streams of events in the panel: made, watched, stopped, removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from provisioning.event_streams import events, streams
from provisioning.event_streams.streams import EventState
from provisioning.models import EventStream, StreamEvent
from provisioning.panel.access import Role
from provisioning.services import Services
from tests.fakes.panel import Panel, text_of
from tests.scim.pushing import Directory, connect

FORM = {
    "method": "push",
    "endpoint": "https://receiver.example.com/events",
    "receiver_token": "Bearer s3cret",
    "detail": "notice",
    "audience": "",
}


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    yield
    events.forget()


@pytest.fixture
def entra(app: Flask) -> Directory:
    return connect(app)


def address(directory: Directory) -> str:
    return f"/directories/{directory.connection.id}/events"


def test_without_a_stream_the_page_says_what_one_is_for(panel: Panel, entra: Directory) -> None:
    page = text_of(panel.get(address(entra)))
    assert "Nobody listens" in page
    assert "http://localhost:5005/scim/v2/jwks.json" in page
    assert address(entra) in panel.get(f"/directories/{entra.connection.id}").text


def test_a_stream_is_made_and_its_secret_never_shown(
    panel: Panel, entra: Directory, services: Services
) -> None:
    page = panel.post(address(entra), FORM, follow_redirects=True).text.replace("<wbr>", "")
    assert "The stream is made." in page
    assert "https://receiver.example.com/events" in page
    assert "s3cret" not in page
    stream = EventStream.get()
    assert (stream.method, stream.detail, stream.audience) == (
        "push",
        "notice",
        "https://receiver.example.com/events",
    )
    assert streams.authorization_of(stream, services.vault) == "Bearer s3cret"


def test_a_poll_stream_shows_where_to_come_for_its_events(panel: Panel, entra: Directory) -> None:
    form = {**FORM, "method": "poll", "detail": "full", "audience": "me"}
    page = text_of(panel.post(address(entra), form, follow_redirects=True))
    stream = EventStream.get()
    assert f"/scim/v2/Events/{stream.resource_id}" in page
    assert "Poll by me" in page
    assert "With people’s data · 0 events delivered" in page
    assert (stream.endpoint, stream.sealed_authorization) == ("", None)


@pytest.mark.req("R29")
@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("endpoint", "", "no address"),
        ("endpoint", "http://example.com/", "starts with https://"),
        ("endpoint", "https://10.0.0.1/", "not on the public internet"),
        ("audience", "x" * 256, "longer than 255"),
        ("receiver_token", "a\nb", "on one line"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_nothing_typed_is_lost(
    panel: Panel, entra: Directory, field: str, value: str, sentence: str
) -> None:
    page = panel.post(address(entra), {**FORM, "audience": "kept", field: value}).text
    assert sentence in page
    assert f'id="{field}-error"' in page
    assert 'value="kept"' in page or field == "audience"
    assert not EventStream.select().exists()


def test_a_stream_asks_for_the_owners_key_and_keeps_what_was_typed(
    app: Flask, entra: Directory
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    owner = Panel(app, stepped_up=False)
    answer = owner.post(address(entra), FORM)
    assert answer.location.startswith("/step-up?next=")
    assert not EventStream.select().exists()
    back = owner.get(address(entra)).text
    assert 'value="https://receiver.example.com/events"' in back
    assert "s3cret" not in back


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OFFICER])
def test_others_look_and_change_nothing(app: Flask, entra: Directory, role: Role) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    Panel(app).post(address(entra), FORM)
    stream = EventStream.get().resource_id
    other = Panel(app, role, name="Alan Turing")
    page = text_of(other.get(address(entra)))
    assert "receiver.example.com" in page
    assert "New stream" not in page
    for path in (address(entra), *(f"/directories/streams/{stream}/{verb}"
                                   for verb in ("stop", "start", "retry", "remove"))):  # fmt: skip
        assert other.post(path, FORM).status_code == 403
    assert EventStream.get().state == "active"


def test_why_it_fails_is_told_in_the_readers_language(panel: Panel, entra: Directory) -> None:
    panel.post(address(entra), FORM)
    error = "This address is not on the public internet."
    EventStream.update(failures=3, last_error=error).execute()
    page = text_of(panel.get(address(entra), headers={"Accept-Language": "de"}))
    assert error not in page
    assert "Diese Adresse liegt nicht im öffentlichen Internet." in page


def test_how_it_goes_is_shown_in_words(panel: Panel, entra: Directory) -> None:
    panel.post(address(entra), FORM)
    entra.user("ada")
    entra.user("bob")
    StreamEvent.update(state=EventState.DEAD).where(StreamEvent.id == 1).execute()
    EventStream.update(failures=3, last_error="receiver.example.com has no address.").execute()
    page = text_of(panel.get(address(entra)))
    assert "Not delivered" in page
    assert "1 event waits" in page
    assert "1 was refused" in page
    assert "receiver.example.com has no address." in page
    path = f"/directories/streams/{EventStream.get().resource_id}"
    panel.post(f"{path}/retry")
    assert (EventStream.get().failures, StreamEvent.select().count()) == (0, 2)
    assert not StreamEvent.select().where(StreamEvent.state == EventState.DEAD).exists()
    assert "Stopped" in text_of(panel.post(f"{path}/stop", follow_redirects=True))
    again = text_of(panel.post(f"{path}/stop", follow_redirects=True))
    assert "This stream is stopped already." in again
    assert "goes on" in text_of(panel.post(f"{path}/start", follow_redirects=True))
    assert "2 events that wait are lost." in text_of(panel.get(address(entra)))
    assert "is removed" in text_of(panel.post(f"{path}/remove", follow_redirects=True))
    assert not EventStream.select().exists()
    assert not StreamEvent.select().exists()


def test_a_connection_has_ten_streams_at_most(panel: Panel, entra: Directory) -> None:
    for _ in range(streams.MAX_STREAMS):
        panel.post(address(entra), FORM)
    page = text_of(panel.post(address(entra), FORM, follow_redirects=True))
    assert "has 10 streams already" in page


def test_a_stream_or_directory_that_is_not_there(panel: Panel) -> None:
    assert panel.get("/directories/99/events").status_code == 404
    assert panel.post("/directories/streams/nothing/stop").status_code == 404
